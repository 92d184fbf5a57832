"""The in-memory transport keeps the promises of `Sink` that protocols rely on."""

from __future__ import annotations

import asyncio

import pytest

from polywire.testing import MemorySink
from polywire.testing.memory import HIGH_WATER_BYTES
from polywire.wire.headers import HeaderBlock

BLOCK = HeaderBlock([("content-type", "text/plain")])


class Log:
    """A receiver."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def on_readable(self) -> None:
        self.told.append("readable")

    def on_writable(self) -> None:
        self.told.append("writable")

    def on_gone(self) -> None:
        self.told.append("gone")


async def test_a_whole_answer() -> None:
    sink = MemorySink("GET", "/x", [("Host", "example.com")])
    assert (sink.authority, sink.has_body, sink.ended, sink.content_length) == ("example.com", False, True, -1)
    sink.respond(200, BLOCK, b"body", ((b"x", b"1"),), HeaderBlock([("t", "2")]))
    answer = await sink.answer()
    assert (answer.status, answer.body, answer.trailers.items()) == (200, b"body", [("t", "2")])
    assert answer.headers.items() == [("content-type", "text/plain"), ("x", "1")]
    assert sink.closed
    assert await sink.answer() is answer
    sink.respond(500, BLOCK, b"twice")
    sink.send_end()
    sink.reset(2)
    assert (await sink.answer()).status == 200


async def test_a_body_whole_and_in_pieces() -> None:
    sink = MemorySink("POST", "/x", body=b"abc")
    assert (sink.has_body, sink.ended, sink.content_length, sink.buffered_in_bytes) == (True, True, 3, 3)
    assert (sink.take(), sink.take()) == (b"abc", b"")
    sink = MemorySink("POST", "/x", more=True)
    assert (sink.has_body, sink.ended, sink.content_length) == (True, False, -1)
    log = sink.receiver = Log()
    sink.feed(b"a")
    sink.feed(b"b", end=True, trailers=[("t", "1")])
    assert (sink.take(), sink.ended) == (b"ab", True)
    assert sink.trailers is not None
    assert sink.trailers["t"] == "1"
    assert log.told == ["readable", "readable"]


async def test_a_streamed_answer_as_it_comes() -> None:
    sink = MemorySink("GET", "/x")
    sink.send_head(103, HeaderBlock([("link", "</a>")]))
    sink.send_head(200, BLOCK)
    waiting = asyncio.ensure_future(sink.received())
    await asyncio.sleep(0)
    assert sink.send_data(b"a")
    assert sink.send_data(b"b")
    assert await waiting == b"ab"
    sink.send_end()
    assert await sink.received() == b""
    answer = await sink.answer()
    assert [(status, headers["link"]) for status, headers in answer.informed] == [(103, "</a>")]
    assert answer.status == 200


async def test_back_pressure() -> None:
    sink = MemorySink("GET", "/x")
    log = sink.receiver = Log()
    assert sink.send_data(b"x" * HIGH_WATER_BYTES), "the peer reads"
    sink.paused = True
    assert sink.send_data(b"x" * (HIGH_WATER_BYTES - 1))
    assert not sink.send_data(b"x")
    sink.resume()
    assert log.told == ["writable"]
    assert sink.send_data(b"x")


async def test_head_has_no_body() -> None:
    sink = MemorySink("HEAD", "/x")
    sink.respond(200, BLOCK, b"body")
    assert (await sink.answer()).body == b""


@pytest.mark.parametrize("how", ["reset", "leave"])
async def test_broken_off(how: str) -> None:
    sink = MemorySink("GET", "/x", more=True)
    log = sink.receiver = Log()
    waiting = asyncio.ensure_future(sink.answer())
    reading = asyncio.ensure_future(sink.received())
    await asyncio.sleep(0)
    if how == "reset":
        sink.reset(8)
        assert sink.reset_code == 8
    else:
        sink.leave()
        sink.leave()
    with pytest.raises(ConnectionResetError):
        await waiting
    assert await reading == b""
    assert log.told == (["gone"] if how == "leave" else [])
    sink.respond(200, BLOCK, b"late")
    assert sink.send_data(b"late")
    with pytest.raises(ConnectionResetError):
        await sink.answer()


async def test_leaving_after_the_answer_tells_nobody() -> None:
    sink = MemorySink("GET", "/x")
    log = sink.receiver = Log()
    sink.respond(200, BLOCK, b"body")
    sink.leave()
    assert not log.told
    assert (await sink.answer()).body == b"body"


async def test_a_cancelled_wait_can_be_taken_up_again() -> None:
    sink = MemorySink("GET", "/x")
    waiting = asyncio.ensure_future(sink.answer())
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait({waiting})
    sink.respond(200, BLOCK, b"body")
    assert (await sink.answer()).status == 200
