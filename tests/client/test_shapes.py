"""All four shapes, errors, metadata and compression, against our own server and against grpcio's."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest

import polywire
from polywire import FieldViolation, Internal, InvalidArgument, InvalidInput, NotFound, Unimplemented
from polywire.client import ChannelSettings
from polywire.wire.limits import HttpLimits
from tests.client.foreign import ForeignLab, serving
from tests.client.servers import until
from tests.live.server import Live
from tests.live.service import Blob, Item, Lab, Numbers, Size

SMALL = ChannelSettings(limits=HttpLimits(max_buffered_body_bytes=65535, max_connection_window_bytes=65535))


async def blobs(count: int, size: int = 0) -> AsyncIterator[Blob]:
    for number in range(count):
        yield Blob(text="x" * (size or number))


async def test_one_message_each_way(url: str) -> None:
    async with polywire.connect(url) as channel:
        lab = channel.client(Lab)
        assert isinstance(lab, Lab)
        assert await lab.get_item("a") == Item("a", 0)
        assert await lab.get_item("a", 3) == await lab.get_item(name="a", count=3) == Item("a", 3)
        assert await lab.create_item(Item("b", tags=["x", "y"])) == Item("b", tags=["x", "y"])
        assert await lab.create_item(item=Item("b")) == Item("b")
        assert await lab.delete_item("a") is None  # type: ignore[func-returns-value]


async def test_a_stream_of_answers(url: str) -> None:
    async with polywire.connect(url) as channel:
        lab = channel.client(Lab)
        assert [one async for one in lab.stream(count=3, size=2)] == [Blob("xx")] * 3
        assert [one async for one in lab.stream(0)] == []
        count = 0
        async for _ in lab.stream(count=5000, size=100):
            count += 1
        assert count == 5000


async def test_a_stream_of_requests(url: str) -> None:
    async with polywire.connect(url) as channel:
        lab = channel.client(Lab)
        assert await lab.total(blobs(10)) == Size(45, 0)
        assert await lab.total(blobs(0)) == Size(0, 0)


async def test_streams_both_ways(url: str) -> None:
    async with polywire.connect(url) as channel:
        lab = channel.client(Lab)
        assert [len(one.text) async for one in lab.echo(blobs(100))] == list(range(100))

        asked: asyncio.Queue[Blob | None] = asyncio.Queue()

        async def questions() -> AsyncIterator[Blob]:
            while (question := await asked.get()) is not None:
                yield question

        answers = lab.echo(questions())
        for text in ("one", "two"):
            asked.put_nowait(Blob(text))
            assert await anext(answers) == Blob(text)
        asked.put_nowait(None)
        with pytest.raises(StopAsyncIteration):
            await anext(answers)
        with pytest.raises(StopAsyncIteration):
            await anext(answers)


async def test_large_messages_over_small_windows(url: str) -> None:
    async with polywire.connect(url, settings=SMALL) as channel:
        lab = channel.client(Lab)
        assert await lab.size(Blob(text="é" * 500_000, data=bytes(1_000_000))) == Size(500_000, 1_000_000)
        assert len((await lab.text(1_000_000)).text) == 1_000_000
        assert await lab.total(blobs(20, 100_000)) == Size(2_000_000, 0)
        assert [len(one.text) async for one in lab.echo(blobs(20, 100_000))] == [100_000] * 20


async def test_many_at_once(url: str) -> None:
    async with polywire.connect(url) as channel:
        lab = channel.client(Lab)
        answers = await asyncio.gather(*(lab.text(size) for size in range(500)))
        assert [len(answer.text) for answer in answers] == list(range(500))


async def test_an_error_with_its_details(url: str) -> None:
    async with polywire.connect(url) as channel:
        lab = channel.client(Lab)
        with pytest.raises(NotFound) as missing:
            await lab.get_item("missing")
        error = missing.value
        assert (type(error), error.message, error.reason) == (NotFound, "no such item: 100% «gone»\n", "ITEM_NOT_FOUND")
        with pytest.raises(InvalidArgument) as bad:
            await lab.create_item(Item("bad"))
        assert bad.value.reason == "BAD_NAME"
        assert bad.value.details == (FieldViolation("item.name", "is bad"),)


async def test_an_error_in_the_middle_of_a_stream(url: str, request: pytest.FixtureRequest) -> None:
    async with polywire.connect(url) as channel:
        answers = channel.client(Lab).stream_raises()
        assert await anext(answers) == Blob("one")
        with pytest.raises(Internal, match="internal error"):
            await anext(answers)
    if "live" in request.fixturenames:
        request.getfixturevalue("live").records.clear()


async def test_metadata_both_ways(url: str) -> None:
    async with polywire.connect(url, metadata={"from": "channel"}) as channel:
        lab = channel.client(Lab, metadata={"given": "client"})
        with polywire.call_options(metadata=[("given-bin", b"\0\xff\x01")]) as got:
            assert await lab.beside() == Item("beside")
        assert got.metadata.get("seen-text") == "client"
        assert got.metadata.get_binary("seen-bin") == [b"\0\xff\x01"]
        assert got.trailers.get("last-words") == "bye"
        assert got.trailers.get_binary("last-bin") == [b"\x01\xff\0"]


async def test_metadata_of_a_stream_and_of_an_error(url: str) -> None:
    async with polywire.connect(url) as channel:
        lab = channel.client(Lab)
        with polywire.call_options() as got:
            answers = lab.stream(1)
        # The options are those of the call, wherever its messages are read.
        assert [one async for one in answers] == [Blob("x")]
        assert got.metadata.get("content-type") == "application/grpc"
        assert got.trailers.get("grpc-status") == "0"
        with polywire.call_options() as got, pytest.raises(NotFound):
            await lab.get_item("missing")
        assert got.trailers.get("grpc-status") == "5"


async def test_compression_both_ways() -> None:
    lab = ForeignLab()
    async with (
        serving(lab, compression=grpc.Compression.Gzip),
        polywire.connect(lab.url, compression="gzip") as channel,
    ):
        client = channel.client(Lab)
        with polywire.call_options() as got:
            assert len((await client.text(100_000)).text) == 100_000
        assert got.metadata.get("grpc-encoding") == "gzip"
        assert await client.size(Blob(text="x" * 100_000)) == Size(100_000, 0)
        assert [len(one.text) async for one in client.echo(blobs(5, 10_000))] == [10_000] * 5
        with polywire.call_options(compression="identity"):
            assert await client.size(Blob(text="x" * 100_000)) == Size(100_000, 0)


async def test_compression_against_our_own(live: Live) -> None:
    async with polywire.connect(f"http://{live.authority}", compression="gzip") as channel:
        lab = channel.client(Lab)
        assert await lab.size(Blob(text="x" * 100_000)) == Size(100_000, 0)
        assert [len(one.text) async for one in lab.echo(blobs(5, 10_000))] == [10_000] * 5


async def test_a_method_that_the_server_does_not_have(foreign: ForeignLab) -> None:
    async with polywire.connect(foreign.url) as channel:
        with pytest.raises(Unimplemented):
            await channel.client(Lab).numbers(Numbers())


async def test_arguments_are_checked_as_those_of_the_method(live: Live) -> None:
    async with polywire.connect(f"http://{live.authority}") as channel:
        lab: Any = channel.client(Lab)
        for args, kwargs, wrong in (
            ((), {}, "missing a required argument: 'name'"),
            (("a", 1, 2), {}, "too many positional arguments"),
            (("a",), {"name": "b"}, "multiple values for argument 'name'"),
            (("a",), {"nome": "b"}, "unexpected keyword argument 'nome'"),
        ):
            with pytest.raises(TypeError, match=wrong):
                lab.get_item(*args, **kwargs)
        with pytest.raises(TypeError, match="missing a required argument: 'item'"):
            lab.create_item(thing=1)
        with pytest.raises(TypeError, match="asynchronous iterator, not list"):
            lab.total([Blob()])
        for call in (lambda: lab.get_item(5), lambda: lab.create_item("x"), lambda: lab.get_item("a", 101)):
            with pytest.raises((InvalidInput, InvalidArgument)):
                await call()


async def test_methods_declared_by_plain_def_are_awaited(live: Live) -> None:
    async with polywire.connect(f"http://{live.authority}") as channel:
        lab: Any = channel.client(Lab)
        assert await lab.patch_item("a") == Item("a", 7)


async def test_the_stub() -> None:
    class Odd(Lab, package="odd"):
        """Its __init__ must not run, nor anything that relies on it."""

        def __init__(self, needed: int) -> None:
            raise AssertionError

        def __repr__(self) -> str:
            raise AssertionError

        def __del__(self) -> None:
            raise AssertionError

    async with polywire.connect("http://127.0.0.1:1") as channel:
        odd = channel.client(Odd)
        assert isinstance(odd, Odd)
        assert repr(odd) == "<client of odd.Odd>"
        assert odd.text.__doc__ is None
        assert odd.later.__doc__ == Odd.later.__doc__
        assert type(channel.client(Odd)) is type(odd)
        del odd


async def test_a_stream_may_be_awaited_first(live: Live) -> None:
    async with polywire.connect(f"http://{live.authority}") as channel:
        lab: Any = channel.client(Lab)
        assert [one async for one in await lab.stream(2)] == [Blob("x")] * 2


async def test_slow_readers_hold_the_handler_back(foreign: ForeignLab) -> None:
    async with polywire.connect(foreign.url, settings=SMALL) as channel:
        answers = channel.client(Lab).stream(count=10_000, size=10_000)
        for _ in range(3):
            await anext(answers)
        await asyncio.sleep(0.05)
        assert not foreign.ended.is_set()
        await answers.aclose()  # type: ignore[attr-defined]
        await until(foreign.ended.is_set)


async def test_slow_servers_hold_the_sender_back(live: Live) -> None:
    """It answers nothing that we do not read, so reads no more; what is under way fits windows and buffers."""
    sent = 0

    async def many() -> AsyncIterator[Blob]:
        nonlocal sent
        for _ in range(10_000):
            sent += 1
            yield Blob(data=os.urandom(10_000))

    async with polywire.connect(f"http://{live.authority}") as channel:
        answers = channel.client(Lab).echo(many())
        await anext(answers)
        await asyncio.sleep(0.1)
        held = sent
        await asyncio.sleep(0.1)
        assert sent == held < 1000
        await answers.aclose()  # type: ignore[attr-defined]
