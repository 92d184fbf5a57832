"""Pipelining with back-pressure: bounded memory, every request once and in order; and layers above that fail."""

from __future__ import annotations

import re
import sys
from typing import Any

import pytest

from polywire.wire.http1 import Http1Request
from polywire.wire.limits import HttpLimits

from .http1_peer import EMPTY, TEXT, Peer, echo, statuses

HOST = b" HTTP/1.1\r\nHost: a\r\n"
COUNT = 1000


def get(*targets: int) -> bytes:
    return b"".join([b"GET /%d" % target + HOST + b"\r\n" for target in targets])


def post(length: int) -> bytes:
    return b"POST /" + HOST + b"Content-Length: %d\r\n\r\n" % length


def large(sink: Http1Request) -> None:
    sink.respond(200, TEXT, b"x" * 1000 + sink.target.encode())


SMALL = HttpLimits(high_water_bytes=4000, low_water_bytes=0)


def test_no_request_is_handed_up_while_too_much_waits_to_be_sent() -> None:
    peer = Peer(large, SMALL)
    out = peer.send(get(*range(10)))
    assert len(peer.requests) == 4
    assert statuses(out) == [200] * 4
    assert not peer.engine.want_read
    assert peer.engine.open_requests > 0, "not idle"


def test_all_are_answered_in_order_as_it_drains() -> None:
    peer = Peer(large, SMALL)
    out = peer.send(get(*range(COUNT)))
    held = len(out)
    while peer.outputs:
        peer.outputs = 0
        part = peer.engine.data_to_send()
        held = max(held, len(part))
        out += part
    assert [sink.target for sink in peer.requests] == [f"/{i}" for i in range(COUNT)]
    assert statuses(out) == [200] * COUNT
    assert re.findall(rb"x/(\d+)", out) == [b"%d" % i for i in range(COUNT)]
    assert held < 6000
    assert peer.engine.want_read
    assert peer.engine.open_requests == 0


def test_a_driver_that_flushes_again_at_once_does_not_keep_the_loop() -> None:
    """After long output the driver asks for more in the same turn; the next requests come in the one after."""
    peer = Peer(large, SMALL)
    peer.send(get(*range(20)))
    peer.outputs = 0
    assert peer.engine.data_to_send() == b""
    assert (peer.outputs, len(peer.requests)) == (1, 4)


def test_a_peer_that_does_not_read_gets_no_more_handed_up() -> None:
    peer = Peer(large, SMALL)
    peer.send(get(*range(10)))
    peer.engine.pause_writing()
    assert peer.settle() == b""
    assert len(peer.requests) == 4
    assert not peer.engine.want_read
    peer.engine.resume_writing()
    assert len(peer.requests) == 4, "in the driver's next turn"
    assert statuses(peer.settle()) == [200] * 6
    assert peer.engine.want_read


def test_answers_that_wait_for_their_turn_count() -> None:
    peer = Peer(None, SMALL)
    peer.answer = lambda sink: None if sink.target == "/0" else large(sink)
    assert peer.send(get(*range(10))) == b""
    assert len(peer.requests) == 5
    assert peer.settle() == b""
    assert not peer.engine.want_read
    large(peer.requests[0])
    assert statuses(peer.settle()) == [200] * 10
    assert [sink.target for sink in peer.requests] == [f"/{i}" for i in range(10)]


def test_a_body_goes_on_although_the_answers_before_it_wait() -> None:
    peer = Peer(None, HttpLimits(high_water_bytes=100, low_water_bytes=0))
    peer.send(get(1) + post(6) + b"ab")
    peer.requests[0].send_head(200, EMPTY)
    peer.engine.pause_writing()
    peer.requests[0].send_data(b"x" * 200)
    assert peer.engine.want_read
    peer.send(b"cdef" + get(2))
    assert (peer.requests[1].ended, peer.receivers[1].body) == (True, b"abcdef")
    assert (len(peer.requests), peer.engine.want_read) == (2, False)


def test_half_close_and_drain_lose_no_request_that_waits() -> None:
    for end in ("receive_eof", "shutdown"):
        peer = Peer(large, SMALL)
        out = peer.send(get(*range(10)))
        getattr(peer.engine, end)()
        out += peer.settle()
        seen = statuses(out)
        assert seen == [200] * 10
        assert out.count(b"connection: close") == 1
        assert peer.engine.want_close


def test_a_connection_that_is_lost_hands_up_no_more() -> None:
    peer = Peer(large, SMALL)
    peer.send(get(*range(10)))
    peer.engine.connection_lost()
    assert peer.settle() == b""
    assert len(peer.requests) == 4
    assert peer.engine.open_requests == 0


def test_thousands_of_requests_without_reading_cost_one_read() -> None:
    """The driver stops reading when the transport is full: what the engine holds is one answer, and the last read."""
    peer = Peer(large, SMALL)
    data, at, sent = get(*range(5000)), 0, b""
    while peer.engine.want_read and at < len(data):
        sent += peer.send(data[at : at + 16384])
        at += 16384
        peer.engine.pause_writing()
    assert at == 16384
    assert len(sent) < 6000
    assert len(peer.requests) == 4


def test_an_early_answer_to_an_endless_body_costs_no_answer_before_it() -> None:
    peer = Peer(None)
    peer.send(get(1) + b"POST /2" + HOST + b"Transfer-Encoding: chunked\r\n\r\n")
    echo(peer.requests[1])
    for _ in range(140):
        peer.send(b"1000\r\n" + b"x" * 4096 + b"\r\n")
    assert not peer.engine.want_close
    echo(peer.requests[0])
    assert statuses(peer.settle()) == [200, 200]
    assert peer.engine.want_close


def test_a_body_that_takes_its_time_is_not_awaited() -> None:
    peer = Peer()
    peer.send(post(9) + b"abc")
    sink = peer.requests[0]
    assert (sink.body_timed, peer.engine.awaiting_body) == (True, True)
    sink.body_timed = False
    assert (sink.body_timed, peer.engine.awaiting_body) == (False, False)
    peer.engine.timeout()
    assert (peer.settle(), peer.engine.want_close) == (b"", False)
    echo(sink)
    peer.settle()
    assert peer.engine.awaiting_body, "the rest of an answered one is"
    peer.send(b"defghi" + post(3))
    assert peer.requests[1].body_timed


# Interim answers.


def test_interim_answers_come_first_and_as_many_as_there_are() -> None:
    def answer(sink: Http1Request) -> None:
        sink.send_head(103, TEXT)
        sink.send_head(103, EMPTY)
        sink.send_head(200, EMPTY)
        sink.send_end()

    out = Peer(answer).send(get(1))
    assert statuses(out) == [103, 103, 200]
    assert out.startswith(
        b"HTTP/1.1 103 Early Hints\r\ncontent-type: text/plain\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\n"
    )
    assert statuses(Peer(answer).send(b"GET / HTTP/1.0\r\n\r\n")) == [200]


def test_100_by_hand_is_sent_once() -> None:
    peer = Peer(listen=False)
    peer.send(b"POST /" + HOST + b"Content-Length: 1\r\nExpect: 100-continue\r\n\r\n")
    peer.requests[0].send_head(100, EMPTY)
    peer.requests[0].take()
    assert statuses(peer.settle()) == [100]
    peer.send(b"x")
    echo(peer.requests[0])
    assert b"connection: close" not in peer.settle()


def test_a_refusal_instead_of_100_drops_no_body_for_nobody_knows_whether_it_comes() -> None:
    peer = Peer(lambda sink: sink.respond(413, EMPTY, b""))
    out = peer.send(b"POST /" + HOST + b"Content-Length: 5\r\nExpect: 100-continue\r\n\r\n")
    assert statuses(out) == [413]
    assert b"connection: close" in out
    assert peer.engine.want_close
    assert peer.send(b"GET / " + get(1)) == b"", "a body that looks like a request is none"
    assert len(peer.requests) == 1


# Layers above that fail.


@pytest.fixture
def unraisable(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    seen: list[str] = []

    def hook(args: Any) -> None:
        seen.append(str(args.exc_value))

    monkeypatch.setattr(sys, "unraisablehook", hook)
    return seen


class Broken:
    """A receiver that raises whatever it is told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def on_readable(self) -> None:
        self.told.append("readable")
        raise ValueError("readable")

    def on_writable(self) -> None:
        self.told.append("writable")
        raise ValueError("writable")

    def on_gone(self) -> None:
        self.told.append("gone")
        raise ValueError("gone")


def test_on_request_that_raises_costs_its_exchange_only(unraisable: list[str]) -> None:
    def answer(sink: Http1Request) -> None:
        if sink.target == "/2":
            raise ValueError("request")
        echo(sink)

    peer = Peer(answer, listen=False)
    refused: list[tuple[str, int]] = []
    peer.engine.on_refused = lambda sink, status, size: refused.append((sink.target, status))
    out = peer.send(get(1, 2, 3))
    assert statuses(out) == [200, 500, 200]
    assert b"internal error" in out
    assert unraisable == ["request"]
    assert refused == [("/2", 500)]
    assert not peer.engine.want_close


def test_on_request_that_raises_after_it_began_to_answer_ends_the_connection(unraisable: list[str]) -> None:
    def answer(sink: Http1Request) -> None:
        sink.send_head(200, EMPTY)
        raise ValueError("request")

    peer = Peer(answer)
    peer.send(get(1, 2))
    assert unraisable == ["request"]
    assert peer.receivers[0].told == ["gone"]
    assert peer.engine.want_close


def test_on_readable_that_raises_costs_its_exchange_only(unraisable: list[str]) -> None:
    peer = Peer(listen=False)
    peer.send(get(1) + post(3))
    broken = peer.requests[1].receiver = Broken()
    assert peer.send(b"abc" + get(2)) == b""
    assert (broken.told, unraisable) == (["readable", "gone"], ["readable", "gone"])
    for sink in (peer.requests[0], peer.requests[2]):
        echo(sink)
    assert statuses(peer.settle()) == [200, 500, 200]
    assert not peer.engine.want_close


def test_on_writable_that_raises_ends_the_connection_in_order(unraisable: list[str]) -> None:
    peer = Peer(listen=False, limits=HttpLimits(high_water_bytes=10, low_water_bytes=0))
    peer.send(get(1))
    sink = peer.requests[0]
    broken = sink.receiver = Broken()
    sink.send_head(200, EMPTY)
    assert not sink.send_data(b"x" * 20)
    peer.settle()
    assert (broken.told, unraisable) == (["writable", "gone"], ["writable", "gone"])
    assert (sink.closed, peer.engine.want_close) == (True, True)


def test_on_gone_that_raises_keeps_nothing_from_the_others(unraisable: list[str]) -> None:
    peer = Peer(listen=False)
    peer.send(get(1, 2))
    receivers = [Broken(), Broken()]
    for sink, receiver in zip(peer.requests, receivers, strict=True):
        sink.receiver = receiver
    peer.engine.connection_lost()
    assert [receiver.told for receiver in receivers] == [["gone"], ["gone"]]
    assert unraisable == ["gone", "gone"]


# Refusals of the engine's own.


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"nonsense\r\n", ("", "", 400)),
        (b"GET /a" + HOST + b"x : 1\r\n", ("GET", "/a", 400)),
        (b"GET /a?" + b"x" * 9000 + HOST, ("", "", 414)),
        (b"GET /a" + HOST + b"x: " + b"x" * 40_000, ("GET", "/a", 431)),
        (b"CONNECT a:1" + HOST, ("CONNECT", "", 501)),
        (b"GET /a HTTP/3.0\r\n", ("", "", 505)),
    ],
)
def test_refusals_are_told(data: bytes, expected: tuple[str, str, int]) -> None:
    peer = Peer()
    told: list[tuple[str, str, int]] = []

    def on_refused(sink: Http1Request, status: int, body_bytes: int) -> None:
        assert body_bytes > 20
        assert (sink.version, sink.scheme, len(sink.headers) < 9) == ("1.1", "http", True)
        told.append((sink.method, sink.target, status))

    peer.engine.on_refused = on_refused
    out = peer.send(data)
    assert told == [expected]
    assert statuses(out) == [expected[2]]
    assert peer.requests == []


def test_a_head_that_does_not_come_is_told_and_a_body_is_told_to_its_receiver() -> None:
    told: list[int] = []
    for data in (b"GET / HT", post(3)):
        peer = Peer()
        peer.engine.on_refused = lambda sink, status, size: told.append(status)
        peer.send(data)
        peer.engine.timeout()
        assert statuses(peer.settle()) == [408]
        assert [receiver.told[-1] for receiver in peer.receivers] == ["gone"] * len(peer.requests)
    assert told == [408]
