"""The HTTP/2 driver by a clock of its own: keep-alive, age, bodies that stall; and HTTP/1.1's age."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, cast

import pytest

from polywire.runtime.call import Peer
from polywire.server.connection import new_driver
from polywire.server.hub import Hub
from polywire.server.settings import ServerSettings
from polywire.server.sniff import Spoken
from tests.wire.http2_peer import (
    ACK,
    CANCEL,
    DATA,
    END_HEADERS,
    END_STREAM,
    GET,
    GOAWAY,
    HEADERS,
    PING,
    POST,
    PREFACE,
    RST_STREAM,
    SETTINGS,
    TEXT,
    frame,
    frames,
    plain,
)

ASK = frame(HEADERS, END_HEADERS | END_STREAM, 1, plain(GET))
BEGIN = frame(HEADERS, END_HEADERS, 1, plain(POST))


class Transport:
    """Keeps what is written; `unsent` stands for what the socket did not take."""

    def __init__(self) -> None:
        self.written = b""
        self.unsent = 0
        self.state = "open"

    def write(self, data: bytes) -> None:
        self.written += data

    def get_write_buffer_size(self) -> int:
        return self.unsent

    def get_extra_info(self, _: str) -> None:
        return None

    def can_write_eof(self) -> bool:
        return False

    def is_closing(self) -> bool:
        return self.state != "open"

    def pause_reading(self) -> None: ...
    def resume_reading(self) -> None: ...

    def close(self) -> None:
        self.state = "closed"

    def abort(self) -> None:
        self.state = "aborted"


class Bench:
    """A driver, the requests it handed up, and the clock."""

    def __init__(self, spoken: Spoken = Spoken.HTTP2, **settings: Any) -> None:
        self.now = 1000.0
        self.sinks: list[Any] = []
        self.gone = 0
        self.transport = Transport()
        loop = asyncio.get_running_loop()
        self.hub = Hub(self.on_request, ServerSettings(**settings), loop, clock=lambda: self.now)
        transport = cast(asyncio.Transport, self.transport)
        self.driver = new_driver(self.hub, transport, spoken, Peer("127.0.0.1", 1))
        if spoken is Spoken.HTTP2:
            self.feed(PREFACE + SETTINGS)

    def on_request(self, _: Peer, sink: Any) -> None:
        self.sinks.append(sink)
        sink.receiver = self

    def on_readable(self) -> None: ...
    def on_writable(self) -> None: ...

    def on_gone(self) -> None:
        self.gone += 1

    def feed(self, data: bytes) -> list[tuple[int, int, int, bytes]]:
        self.driver.data_received(data)
        return self.taken()

    def taken(self) -> list[tuple[int, int, int, bytes]]:
        """The frames that were written since the last time."""
        written, self.transport.written = self.transport.written, b""
        return list(frames(written))

    def wait(self, seconds: float, step: float = 0.5) -> list[tuple[int, int, int, bytes]]:
        """Let time pass in ticks; the frames that were written meanwhile."""
        for _ in range(round(seconds / step)):
            self.now += step
            self.hub.tick()
        return self.taken()


@pytest.fixture
async def bench() -> Callable[..., Bench]:
    return Bench


def codes(answer: list[tuple[int, int, int, bytes]]) -> list[tuple[int, int]]:
    """Last stream and error code of each GOAWAY."""
    return [
        (int.from_bytes(payload[:4], "big"), int.from_bytes(payload[4:8], "big"))
        for kind, _, _, payload in answer
        if kind == GOAWAY
    ]


@pytest.mark.parametrize("asks", [True, False])
async def test_a_silent_peer_is_asked_and_then_taken_for_dead(bench: Callable[..., Bench], asks: bool) -> None:
    here = bench(idle_timeout_s=1000.0)
    if asks:
        here.feed(ASK)
    here.wait(0.5)
    assert here.wait(59.5) == []
    assert [kind for kind, *_ in here.wait(0.5)] == [PING]
    assert here.wait(19.5) == []
    assert here.transport.state == "open"
    here.wait(0.5)
    assert here.transport.state == "aborted"
    assert here.gone == asks
    assert len(here.hub) == 0


async def test_any_byte_shows_that_the_peer_lives(bench: Callable[..., Bench]) -> None:
    here = bench(idle_timeout_s=1000.0)
    here.wait(59)
    for _ in range(3):
        ((kind, _, _, payload),) = here.wait(2)
        assert kind == PING
        here.wait(15)
        here.feed(frame(PING, ACK, 0, payload))
        assert here.wait(59) == []
    assert here.transport.state == "open"


async def test_a_ping_that_waits_behind_other_bytes_is_not_counted_against_the_peer(
    bench: Callable[..., Bench],
) -> None:
    here = bench(idle_timeout_s=1000.0, write_timeout_s=1000.0)
    here.transport.unsent = 10
    here.wait(300)
    assert here.transport.state == "open"
    here.transport.unsent = 0
    here.wait(79)
    assert here.transport.state == "open"
    here.wait(3)
    assert here.transport.state == "aborted"


async def test_keepalive_can_be_left_out(bench: Callable[..., Bench]) -> None:
    here = bench(idle_timeout_s=1000.0, keepalive_s=None)
    assert here.wait(500, step=5.0) == []


async def test_pings_in_time_keep_an_idle_connection(bench: Callable[..., Bench]) -> None:
    """grpcio's keep-alive without calls, every 10 s at the most often, under the default settings."""
    here = bench()
    here.feed(ASK)
    here.sinks[0].respond(200, TEXT, b"x")
    here.driver.flush()
    here.taken()
    for n in range(60):
        here.now += 10.0
        here.hub.tick()
        answer = here.feed(frame(PING, 0, 0, n.to_bytes(8, "big")))
        assert answer == [(PING, ACK, 0, n.to_bytes(8, "big"))]
    assert codes(here.wait(80, step=5.0)) != []  # and without them it ends


async def test_an_old_connection_is_drained_then_cut_off(bench: Callable[..., Bench]) -> None:
    here = bench(max_connection_age_s=100.0, max_connection_age_grace_s=10.0, keepalive_s=None)
    here.feed(ASK)
    assert here.wait(89.5) == []
    while not (answer := here.wait(0.5)):
        assert here.now < 1111.0
    assert codes(answer) == [(2**31 - 1, 0)]
    assert codes(here.wait(5)) == [(1, 0)]  # the PING was not answered: it need not be waited for
    assert here.gone == 0
    here.wait(6)
    assert here.gone == 1
    assert here.transport.state == "closed"
    assert len(here.hub) == 0


async def test_an_old_connection_may_finish_what_is_open(bench: Callable[..., Bench]) -> None:
    here = bench(max_connection_age_s=100.0, keepalive_s=None)
    here.feed(ASK)
    answer = here.wait(111.5)
    assert codes(answer)[-1] == (1, 0)
    here.sinks[0].respond(200, TEXT, b"x")
    here.driver.flush()
    assert [kind for kind, *_ in here.taken()] == [HEADERS, DATA]
    assert (here.gone, here.transport.state) == (0, "closed")


async def test_connections_do_not_all_age_at_once(bench: Callable[..., Bench]) -> None:
    ends = set()
    for _ in range(20):
        here = bench(max_connection_age_s=1000.0, idle_timeout_s=1e6, keepalive_s=None)
        begun = here.now
        while not here.wait(1.0, step=1.0):
            pass
        ends.add(here.now - begun)
    assert min(ends) >= 900
    assert max(ends) <= 1101
    assert len(ends) > 3


async def test_an_old_http1_connection_ends_with_its_answer(bench: Callable[..., Bench]) -> None:
    here = bench(Spoken.HTTP1, max_connection_age_s=100.0)
    here.driver.data_received(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
    here.wait(111)
    here.sinks[0].respond(200, TEXT, b"x")
    here.driver.flush()
    assert b"connection: close" in here.transport.written
    assert (here.gone, here.transport.state) == (0, "closed")


async def test_an_old_http1_connection_is_cut_off(bench: Callable[..., Bench]) -> None:
    here = bench(Spoken.HTTP1, max_connection_age_s=100.0, max_connection_age_grace_s=10.0)
    here.driver.data_received(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
    here.wait(121)
    assert (here.gone, here.transport.state) == (1, "aborted")


async def test_a_body_that_stalls_is_reset_whatever_else_is_heard(bench: Callable[..., Bench]) -> None:
    here = bench()
    here.feed(BEGIN)
    answer = []
    for n in range(3, 103, 2):
        answer += here.wait(1)
        answer += here.feed(frame(HEADERS, END_HEADERS | END_STREAM, n, plain(GET)))
        here.sinks[-1].respond(200, TEXT, b"x")
    resets = [(stream, payload) for kind, _, stream, payload in answer if kind == RST_STREAM]
    assert resets == [(1, CANCEL.to_bytes(4, "big"))]
    assert here.gone == 1


async def test_a_streamed_body_may_be_silent(bench: Callable[..., Bench]) -> None:
    here = bench(keepalive_s=None)
    here.feed(BEGIN)
    here.sinks[0].body_timed = False
    assert here.wait(600, step=5.0) == []
    assert here.gone == 0


@pytest.mark.parametrize("spoken", [Spoken.HTTP2, Spoken.HTTP1])
async def test_a_head_that_does_not_end_is_timed_out_beside_an_open_request(
    bench: Callable[..., Bench], spoken: Spoken
) -> None:
    """Over HTTP/2 nothing else can come meanwhile, so that bodies would not be timed either."""
    here = bench(spoken, head_timeout_s=10.0)
    if spoken is Spoken.HTTP2:
        here.feed(BEGIN + frame(HEADERS, END_STREAM, 3, plain(GET)))
    else:
        here.driver.data_received(b"GET / HTTP/1.1\r\nhost: a\r\n\r\nGET / HTTP/1.1\r\n")
    here.wait(9)
    assert here.gone == 0
    for _ in range(4):
        if spoken is Spoken.HTTP1:
            here.driver.data_received(b"x")
        here.now += 0.5
        here.hub.tick()
    if spoken is Spoken.HTTP2:
        assert codes(here.taken()) == [(3, 1)]
        assert here.gone == 1
    else:
        here.sinks[0].respond(200, TEXT, b"x")
        here.driver.flush()
        assert here.transport.written.count(b"HTTP/1.1 200 ") == 1
        assert here.transport.written.count(b"HTTP/1.1 408 ") == 1
