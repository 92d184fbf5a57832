"""grpcio, blocking, against a real server."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest
from google.protobuf.any_pb2 import Any as Packed
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo
from google.rpc.status_pb2 import Status

from tests.live import protos
from tests.live.server import Live, serve, until

from .calls import both, request, stream, unary, upload


def fails(call: Any, *arguments: Any, **options: Any) -> Any:
    """The error that a call must end with."""
    with pytest.raises(grpc.RpcError) as caught:
        call(*arguments, timeout=options.pop("timeout", 5), **options)
    return caught.value


def details(error: Any) -> list[Any]:
    """What `grpc-status-details-bin` holds, unpacked, after checking it against the status."""
    trailing = dict(error.trailing_metadata())
    status = Status.FromString(trailing["grpc-status-details-bin"])
    assert (status.code, status.message) == (error.code().value[0], error.details())
    kinds = {kind.DESCRIPTOR.full_name: kind for kind in (ErrorInfo, BadRequest)}
    unpacked = []
    for packed in status.details:
        assert isinstance(packed, Packed)
        found = kinds[packed.TypeName()]()
        assert packed.Unpack(found)
        unpacked.append(found)
    return unpacked


def test_unary(channel: grpc.Channel) -> None:
    item, call = unary(channel, "GetItem").with_call(request("GetItem", name="é☃", count=3), timeout=5)
    assert (item.name, item.count) == ("é☃", 3)
    assert call.code() is grpc.StatusCode.OK


def test_a_handler_in_a_thread_and_one_that_suspends(channel: grpc.Channel) -> None:
    assert unary(channel, "PatchItem")(request("PatchItem", name="a"), timeout=5).count == 7
    assert len(unary(channel, "Later")(request("Later", size=10), timeout=5).text) == 10
    unary(channel, "DeleteItem")(request("DeleteItem", name="a"), timeout=5)


def test_a_server_that_is_not_up_yet_is_waited_for() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with grpc.insecure_channel(f"127.0.0.1:{port}", [("grpc.initial_reconnect_backoff_ms", 100)]) as channel:
        waiting = unary(channel, "GetItem").future(request("GetItem", name="a"), timeout=5, wait_for_ready=True)
        assert fails(unary(channel, "GetItem"), request("GetItem")).code() is grpc.StatusCode.UNAVAILABLE
        with serve(port=port):
            assert waiting.result().name == "a"
            channel.close()


def test_metadata_both_ways(channel: grpc.Channel) -> None:
    blob = bytes(range(256))
    metadata = (("given", "text, with commas"), ("given-bin", blob), ("given-bin", b""), ("given-bin", b"1"))
    _, call = unary(channel, "Beside").with_call(request("Beside"), timeout=5, metadata=metadata)
    head, trailing = list(call.initial_metadata()), list(call.trailing_metadata())
    assert ("seen-text", "text, with commas") in head
    assert [value for name, value in head if name == "seen-bin"] == [blob, b"", b"1"]
    assert ("last-words", "bye") in trailing
    assert [value for name, value in trailing if name == "last-bin"] == [blob[::-1], b"", b"1"]


def test_rich_details(channel: grpc.Channel) -> None:
    item = protos.message("Item")(name="bad")
    error = fails(unary(channel, "CreateItem"), item)
    assert (error.code(), error.details()) == (grpc.StatusCode.INVALID_ARGUMENT, "told to fail")
    info, bad = details(error)
    assert (info.reason, info.domain) == ("BAD_NAME", "lab.Lab")
    assert [(violation.field, violation.description) for violation in bad.field_violations] == [("item.name", "is bad")]


def test_details_of_a_request_that_breaks_the_schema(channel: grpc.Channel) -> None:
    error = fails(unary(channel, "GetItem"), request("GetItem", name="a", count=101))
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    info, bad = details(error)
    assert info.reason == "INVALID"
    assert [violation.field for violation in bad.field_violations] == ["count"]


def test_a_message_in_every_script(channel: grpc.Channel) -> None:
    error = fails(unary(channel, "GetItem"), request("GetItem", name="missing"))
    assert (error.code(), error.details()) == (grpc.StatusCode.NOT_FOUND, "no such item: 100% «gone»\n")


@pytest.mark.parametrize("path", ["/lab.Lab/Nothing", "/nothing.At/All", "/lab.Lab", "/"])
def test_unknown_methods(channel: grpc.Channel, path: str) -> None:
    assert fails(channel.unary_unary(path), b"").code() is grpc.StatusCode.UNIMPLEMENTED


def test_a_deadline(live: Live, channel: grpc.Channel) -> None:
    started = time.monotonic()
    error = fails(unary(channel, "Hangs"), request("Hangs"), timeout=0.1)
    assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert time.monotonic() - started < 2
    until(lambda: live.lab.cancelled == 1)


def test_cancelling_reaches_the_handler(live: Live, channel: grpc.Channel) -> None:
    future = unary(channel, "Hangs").future(request("Hangs"), timeout=5)
    until(lambda: live.lab.running == 1)
    assert future.cancel()
    until(lambda: live.lab.cancelled == 1)
    assert live.finished == [499]


def test_closing_the_channel_reaches_the_handlers(live: Live) -> None:
    with grpc.insecure_channel(live.authority) as channel:
        futures = [unary(channel, "Hangs").future(request("Hangs"), timeout=5) for _ in range(20)]
        until(lambda: live.lab.running == 20)
    until(lambda: live.lab.cancelled == 20)
    assert all(future.done() for future in futures)


@pytest.mark.parametrize("size", [10, 10_000, 1_000_000])
def test_gzip_both_ways(live: Live, size: int) -> None:
    with grpc.insecure_channel(live.authority, compression=grpc.Compression.Gzip) as channel:
        blob = protos.message("Blob")(text="x" * size, data=bytes(size))
        answer = unary(channel, "Size")(blob, timeout=5)
        assert (answer.text, answer.data) == (size, size)
        assert len(unary(channel, "Text")(request("Text", size=size), timeout=5).text) == size
        received = list(stream(channel, "Stream")(request("Stream", count=3, size=size), timeout=5))
        assert [len(one.text) for one in received] == [size] * 3


def test_deflate_is_refused_by_name(live: Live) -> None:
    with grpc.insecure_channel(live.authority, compression=grpc.Compression.Deflate) as channel:
        error = fails(unary(channel, "Size"), protos.message("Blob")(text="x" * 1000))
        assert error.code() is grpc.StatusCode.UNIMPLEMENTED
        assert "gzip" in error.details()


def test_message_limits() -> None:
    options = [("grpc.max_send_message_length", -1)]
    with serve(app={"max_request_bytes": 10_000}) as live, grpc.insecure_channel(live.authority, options) as channel:
        size = unary(channel, "Size")
        assert size(protos.message("Blob")(data=bytes(9_900)), timeout=5).data == 9_900
        for much in (10_001, 5_000_000):
            error = fails(size, protos.message("Blob")(data=bytes(much)))
            assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
            assert "10000 bytes" in error.details()


@pytest.mark.parametrize("size", [65_535, 65_536, 1_000_000, 4_000_000])
@pytest.mark.parametrize("name", ["Text", "Later"])
def test_large_answers(plain: grpc.Channel, size: int, name: str) -> None:
    answer = unary(plain, name)(request(name, size=size), timeout=5)
    assert answer.text == "x" * size


@pytest.mark.parametrize("size", [100_000, 1_000_000, 4_000_000])
def test_large_requests(channel: grpc.Channel, size: int) -> None:
    assert unary(channel, "Size")(protos.message("Blob")(data=bytes(size)), timeout=5).data == size


def test_many_large_calls_at_once_on_one_connection(plain: grpc.Channel) -> None:
    futures = [unary(plain, "Text").future(request("Text", size=300_000 + n), timeout=20) for n in range(64)]
    futures += [unary(plain, "Later").future(request("Later", size=300_000 + n), timeout=20) for n in range(64)]
    assert [len(future.result().text) - 300_000 for future in futures] == [*range(64), *range(64)]


def test_more_calls_than_streams_are_allowed(channel: grpc.Channel) -> None:
    futures = [unary(channel, "Later").future(request("Later", size=n), timeout=20) for n in range(400)]
    assert [len(future.result().text) for future in futures] == list(range(400))


def test_calls_from_many_threads(channel: grpc.Channel) -> None:
    get = unary(channel, "GetItem")
    with ThreadPoolExecutor(8) as pool:
        names = list(pool.map(lambda n: get(request("GetItem", name=f"n{n}"), timeout=10).name, range(400)))
    assert names == [f"n{n}" for n in range(400)]


def test_a_server_stream(plain: grpc.Channel) -> None:
    received = list(stream(plain, "Stream")(request("Stream", count=1000, size=1000), timeout=10))
    assert len(received) == 1000
    assert {len(one.text) for one in received} == {1000}


def test_an_empty_stream(channel: grpc.Channel) -> None:
    assert list(stream(channel, "Stream")(request("Stream", count=0), timeout=5)) == []


def test_leaving_a_stream_ends_its_handler(live: Live, plain: grpc.Channel) -> None:
    call = stream(plain, "Stream")(request("Stream", count=1_000_000, size=1000), timeout=10)
    assert len(next(call).text) == 1000
    assert live.lab.running == 1
    call.cancel()
    until(lambda: live.lab.running == 0)


def test_a_stream_that_fails_in_the_middle() -> None:
    with serve(errors=1) as live, grpc.insecure_channel(live.authority) as channel:
        call = stream(channel, "StreamRaises")(request("StreamRaises"), timeout=5)
        assert next(call).text == "one"
        with pytest.raises(grpc.RpcError):
            next(call)
        assert (call.code(), call.details()) == (grpc.StatusCode.INTERNAL, "internal error")


def test_a_client_stream(plain: grpc.Channel) -> None:
    blob = protos.message("Blob")
    answer = upload(plain, "Total")((blob(text="x" * 10_000, data=bytes(n)) for n in range(300)), timeout=10)
    assert (answer.text, answer.data) == (3_000_000, sum(range(300)))


def test_both_directions_in_turns(channel: grpc.Channel) -> None:
    answered = threading.Semaphore(1)

    def blobs() -> Iterator[Any]:
        for number in range(50):
            assert answered.acquire(timeout=5)
            yield protos.message("Blob")(text=str(number))

    received = []
    for answer in both(channel, "Echo")(blobs(), timeout=10):
        received.append(answer.text)
        answered.release()
    assert received == [str(number) for number in range(50)]


def test_draining_lets_calls_end_and_then_closes() -> None:
    with serve() as live, grpc.insecure_channel(live.authority) as channel:
        future = unary(channel, "HangsInThread").future(request("HangsInThread"), timeout=5)
        until(lambda: live.lab.running == 1)
        live.drain()
        live.lab.release.set()
        assert future.result().name == "late"
        until(lambda: live.open_connections == 0)
