"""What one peer asks for at once is done in turns: others are answered meanwhile."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from typing import Any

import pytest

from polywire import App, Int32, Message, Service, mutation
from polywire.http.compression import compress
from polywire.protocols.rpc.framing import frame_compressed
from polywire.runtime.call import Peer
from polywire.server.connection import new_driver
from polywire.server.hub import Hub
from polywire.server.lingerer import Lingerer
from polywire.server.settings import ServerSettings
from polywire.server.sniff import Spoken
from polywire.testing import MemorySink, TestClient
from polywire.wire.headers import HeaderBlock

from .test_http2 import GET, PREFACE, frame

MEBIBYTE = 1024 * 1024


class Endless:
    """An answer without an end, written as its peer takes it."""

    def __init__(self, sink: Any) -> None:
        self.sink = sink
        sink.receiver = self
        sink.send_head(200, HeaderBlock([]))
        self.on_writable()

    def on_writable(self) -> None:
        while self.sink.send_data(bytes(16384)):
            pass

    def on_readable(self) -> None: ...
    def on_gone(self) -> None: ...


def begin_endless(_: Peer, sink: Any) -> None:
    Endless(sink)


class Socket(asyncio.Transport):
    """Takes all that is written at once, as that of a fast reader does."""

    def __init__(self) -> None:
        super().__init__()
        self.taken = 0
        self.closed = False

    def set_protocol(self, protocol: Any) -> None: ...
    def write_eof(self) -> None: ...
    def pause_reading(self) -> None: ...

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None: ...

    def write(self, data: Any) -> None:
        self.taken += len(data)

    def get_write_buffer_size(self) -> int:
        return 0


async def test_a_stream_that_is_taken_at_once_does_not_hold_the_others() -> None:
    """It went on until all its credit was used up, two GiB here, and no one else had a turn; even if the peer left."""
    loop = asyncio.get_running_loop()
    times = itertools.count(0.0, 0.0004)
    hub = Hub(begin_endless, ServerSettings(), loop, clock=lambda: next(times))
    transport = Socket()
    driver = new_driver(hub, transport, Spoken.HTTP2, Peer("127.0.0.1", 1))
    driver.data_received(PREFACE + frame(4, 0, 0, b"\0\x04\0\x80\0\0") + frame(8, 0, 0, bytes([0, 128, 0, 0])))
    driver.data_received(frame(1, 5, 1, GET))
    turns = 0
    before = -1
    while transport.taken != before:
        before = transport.taken
        await asyncio.sleep(0)
        turns += 1
        assert transport.taken - before <= MEBIBYTE
    assert transport.taken > 8 * MEBIBYTE
    assert turns > 8
    driver.abort()


async def test_a_flood_is_not_read_on_for_long_after_its_goaway() -> None:
    """64 MiB of each connection were, which took the others more than half of their throughput."""
    hub = Hub(lambda peer, sink: None, ServerSettings(), asyncio.get_running_loop())
    transport = Socket()
    Lingerer(hub, transport, "http2", resume=False).data_received(bytes(2 * MEBIBYTE))
    assert not transport.closed
    flooded = Lingerer(hub, transport, "http2", resume=False)
    for _ in range(3):
        flooded.data_received(bytes(MEBIBYTE))
    assert transport.closed


class Part(Message):
    data: bytes = b""


class Reader(Service, package="reader"):
    def __init__(self) -> None:
        self.turns = 0
        self.seen: list[int] = []

    @mutation
    async def count(self, parts: AsyncIterator[Part]) -> Int32:
        async for _ in parts:
            self.seen.append(self.turns)
        return len(self.seen)


async def test_a_window_full_of_small_bombs_is_unpacked_in_turns() -> None:
    """60 messages of 4 KiB that are 4 MiB each held the loop for two seconds."""
    service = Reader()
    packed = frame_compressed("gzip", b"\x0a\x80\x80\xc0\x00" + bytes(MEBIBYTE))
    assert len(packed) < 8192
    loop = asyncio.get_running_loop()

    def turn() -> None:
        service.turns += 1
        loop.call_soon(turn)

    async with TestClient(App(service)) as client:
        loop.call_soon(turn)
        headers = [("content-type", "application/grpc"), ("te", "trailers"), ("grpc-encoding", "gzip")]
        answer = await client.request("POST", "/reader.Reader/Count", body=packed * 12, headers=headers, version="2")
    assert answer.trailers["grpc-status"] == "0"
    assert len(service.seen) == 12
    assert len(set(service.seen)) == 12


class Sizes(Service, package="sizes"):
    def __init__(self) -> None:
        self.turns = 0
        self.seen: list[int] = []

    @mutation("POST /v1/size")
    async def size(self, text: str) -> Int32:
        self.seen.append(self.turns)
        return len(text)


ZIPPED = {
    "grpc": frame_compressed("gzip", b"\x0a\x80\x80\xc0\x00" + b"x" * MEBIBYTE),
    "gzip": compress("gzip", b'{"text":"' + b"x" * MEBIBYTE + b'"}'),
    "zstd": compress("zstd", b'{"text":"' + b"x" * MEBIBYTE + b'"}'),
}


def open_size(client: TestClient, way: str, timeout_ms: int = 10_000) -> MemorySink:
    if way == "grpc":
        headers = [("content-type", "application/grpc"), ("grpc-encoding", "gzip"), ("grpc-timeout", f"{timeout_ms}m")]
        return client.open("POST", "/sizes.Sizes/Size", headers=headers, body=ZIPPED[way], version="2")
    headers = [("content-type", "application/json"), ("content-encoding", way)]
    headers.append(("request-timeout", f"{timeout_ms / 1000}"))
    return client.open("POST", "/v1/size", headers=headers, body=ZIPPED[way])


def is_answered(sink: MemorySink) -> bool:
    return sink.closed


@pytest.mark.parametrize("way", ZIPPED)
async def test_small_bombs_of_many_calls_are_unpacked_in_turns_and_in_order(way: str) -> None:
    """62 of them came in one read, and held the loop for 0.7 s."""
    service = Sizes()
    loop = asyncio.get_running_loop()

    def turn() -> None:
        service.turns += 1
        loop.call_soon(turn)

    async with TestClient(App(service)) as client:
        loop.call_soon(turn)
        sinks = [open_size(client, way) for _ in range(8)]
        assert [is_answered(sink) for sink in sinks] == [True] + [False] * 7
        for count in range(2, 9):
            await sinks[count - 1].answer()
            assert [is_answered(sink) for sink in sinks[:count]] == [True] * count
        assert len(set(service.seen)) == 8
        assert service.seen == sorted(service.seen)
        for sink in sinks:
            assert (await sink.answer()).status == 200
        assert client.site.runtime.pending.held_bytes == 0


@pytest.mark.parametrize("way", ZIPPED)
async def test_who_left_or_was_answered_before_its_turn_is_not_unpacked(way: str) -> None:
    service = Sizes()
    async with TestClient(App(service)) as client:
        turns = client.site.runtime.turns
        turns.wait(lambda: None)
        assert turns._next is not None
        turns._next.cancel()  # until the test lets go
        late, left, good = open_size(client, way, 5), open_size(client, way), open_size(client, way)
        left.leave()
        answer = await late.answer()
        assert "4" in (answer.headers.get("grpc-status"), str(answer.status)[-1])
        assert service.seen == []
        turns._next = None
        turns._arm()
        answer = await good.answer()
        assert answer.trailers.get("grpc-status") in ("0", None)
        assert answer.status == 200
        assert len(service.seen) == 1
        assert client.site.runtime.pending.held_bytes == 0


async def test_bodies_that_cannot_be_read_count_for_the_turn_as_well() -> None:
    async with TestClient(App(Sizes())) as client:
        headers = [("content-type", "application/json"), ("content-encoding", "gzip")]
        sinks = [client.open("POST", "/v1/size", headers=headers, body=ZIPPED["gzip"][:-4]) for _ in range(3)]
        assert [is_answered(sink) for sink in sinks] == [True, False, False]
        assert [(await sink.answer()).status for sink in sinks] == [400] * 3
