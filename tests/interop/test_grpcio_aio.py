"""grpcio's asyncio client: what is different from the blocking one, and the services that gRPC itself defines."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from collections.abc import AsyncIterator
from typing import Any

import grpc
import grpc.aio
import pytest
from google.protobuf import descriptor_pool, message_factory
from google.protobuf.descriptor_pb2 import FileDescriptorProto

from tests.live import protos
from tests.live.server import Live, serve, until

from .calls import IDENTITY, both, request, stream, unary, upload


def raw(path: str, channel: Any, kind: str = "unary_unary") -> Any:
    """A method whose messages are bytes."""
    return getattr(channel, kind)(path)


def text_field(number: int, text: str) -> bytes:
    return bytes([number << 3 | 2, len(text)]) + text.encode()


async def until_true(condition: Any) -> None:
    await asyncio.to_thread(until, condition)


async def test_every_shape(live: Live) -> None:
    async with grpc.aio.insecure_channel(live.authority) as channel:
        assert (await unary(channel, "GetItem")(request("GetItem", name="a"), timeout=5)).name == "a"
        received = [one.text async for one in stream(channel, "Stream")(request("Stream", count=3, size=2), timeout=5)]
        assert received == ["xx"] * 3
        blob = protos.message("Blob")

        async def blobs() -> AsyncIterator[Any]:
            for size in range(10):
                yield blob(text="x" * size)

        assert (await upload(channel, "Total")(blobs(), timeout=5)).text == 45
        assert [len(one.text) async for one in both(channel, "Echo")(blobs(), timeout=5)] == list(range(10))


async def test_a_thousand_calls_at_once(live: Live) -> None:
    async with grpc.aio.insecure_channel(live.authority) as channel:
        later = unary(channel, "Later")
        answers = await asyncio.gather(*(later(request("Later", size=n), timeout=20) for n in range(1000)))
        assert [len(answer.text) for answer in answers] == list(range(1000))


async def test_cancelling_the_task_cancels_the_handler(live: Live) -> None:
    async with grpc.aio.insecure_channel(live.authority) as channel:
        task = asyncio.ensure_future(unary(channel, "Hangs")(request("Hangs"), timeout=5))
        await until_true(lambda: live.lab.running == 1)
        task.cancel()
        await until_true(lambda: live.lab.cancelled == 1)
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_a_deadline(live: Live) -> None:
    async with grpc.aio.insecure_channel(live.authority) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await unary(channel, "Hangs")(request("Hangs"), timeout=0.1)
        assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        await until_true(lambda: live.lab.cancelled == 1)


async def test_reading_slowly_holds_the_handler_back(live: Live) -> None:
    async with grpc.aio.insecure_channel(live.authority, IDENTITY) as channel:
        # More than the client and the kernel together hold for a reader who does not read.
        call = stream(channel, "Stream")(request("Stream", count=100_000, size=10_000), timeout=20)
        seen = 0
        async for one in call:
            assert len(one.text) == 10_000
            seen += 1
            if seen == 5:
                await asyncio.sleep(0.05)
                assert live.lab.running == 1
                break
        call.cancel()
        await until_true(lambda: live.lab.running == 0)


SERVING, SERVICE_UNKNOWN = b"\x08\x01", b"\x08\x03"


async def test_health(live: Live) -> None:
    async with grpc.aio.insecure_channel(live.authority) as channel:
        check = raw("/grpc.health.v1.Health/Check", channel)
        assert await check(b"", timeout=5) == SERVING
        assert await check(text_field(1, "lab.Lab"), timeout=5) == SERVING
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await check(text_field(1, "nobody"), timeout=5)
        assert caught.value.code() is grpc.StatusCode.NOT_FOUND
        assert b"lab.Lab" in await raw("/grpc.health.v1.Health/List", channel)(b"", timeout=5)


async def test_a_watch_that_is_cancelled(live: Live) -> None:
    async with grpc.aio.insecure_channel(live.authority) as channel:
        watch = raw("/grpc.health.v1.Health/Watch", channel, "unary_stream")
        calls = [watch(text_field(1, name), timeout=5) for name in ("lab.Lab", "nobody")]
        assert [await call.read() for call in calls] == [SERVING, SERVICE_UNKNOWN]
        assert live.open_calls == 2
        for call in calls:
            call.cancel()
        await until_true(lambda: live.open_calls == 0)


async def test_a_watch_hears_of_draining_and_does_not_hold_it_up() -> None:
    with serve() as live:
        await watch_until_drained(live)


async def watch_until_drained(live: Live) -> None:
    async with grpc.aio.insecure_channel(live.authority) as channel:
        call = raw("/grpc.health.v1.Health/Watch", channel, "unary_stream")(b"", timeout=5)
        assert await call.read() == SERVING
        live.drain()
        assert await call.read() == b"\x08\x02"
        assert await call.read() is grpc.aio.EOF
        await until_true(lambda: live.open_connections == 0)


@pytest.mark.parametrize("version", ["v1", "v1alpha"])
async def test_a_client_that_knows_nothing_learns_all_by_reflection(live: Live, version: str) -> None:
    """Lists the services, fetches the file of one and all that it imports, and calls by it."""
    path = f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo"
    async with grpc.aio.insecure_channel(live.authority) as channel:
        call = raw(path, channel, "stream_stream")(timeout=5)
        await call.write(text_field(7, "*"))
        listed = await call.read()
        assert all(name in listed for name in (b"lab.Lab", b"grpc.health.v1.Health", b"grpc.reflection.v1alpha."))
        await call.write(text_field(4, "lab.Lab"))
        pool = descriptor_pool.DescriptorPool()
        for file in reversed(files(await call.read())):
            pool.Add(file)
        await call.write(text_field(4, "lab.Nothing"))
        assert b"no symbol lab.Nothing" in await call.read()
        await call.done_writing()
        assert await call.read() is grpc.aio.EOF
        method = pool.FindServiceByName("lab.Lab").methods_by_name["GetItem"]
        sent = message_factory.GetMessageClass(method.input_type)(name="learnt", count=4)
        answer = await raw("/lab.Lab/GetItem", channel)(sent.SerializeToString(), timeout=5)
        item = message_factory.GetMessageClass(method.output_type).FromString(answer)
        assert (item.name, item.count) == ("learnt", 4)


def files(answer: bytes) -> list[FileDescriptorProto]:
    """What a ServerReflectionResponse holds in field 4, read by a class that Google's protobuf makes."""
    schema = FileDescriptorProto(name="answer.proto", syntax="proto3")
    listed = schema.message_type.add(name="Files")
    listed.field.add(name="file", number=1, label=3, type=12)
    outer = schema.message_type.add(name="Answer")
    outer.field.add(name="files", number=4, label=1, type=11, type_name=".Files")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(schema)
    kind = message_factory.GetMessageClass(pool.FindMessageTypeByName("Answer"))
    return [FileDescriptorProto.FromString(data) for data in kind.FromString(answer).files.file]


@pytest.mark.skipif(shutil.which("grpcurl") is None, reason="grpcurl is not installed")
def test_grpcurl(live: Live) -> None:
    def run(*arguments: str) -> str:
        return subprocess.run(["grpcurl", "-plaintext", *arguments], check=True, capture_output=True, text=True).stdout

    assert "lab.Lab\n" in run(live.authority, "list")
    assert "rpc GetItem" in run(live.authority, "describe", "lab.Lab")
    assert '"name": "a"' in run("-d", '{"name": "a"}', live.authority, "lab.Lab/GetItem")
    assert "SERVING" in run(live.authority, "grpc.health.v1.Health/Check")
