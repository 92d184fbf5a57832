"""An Upgrade as a tunnel (RFC 9110 §7.8): offered, taken up or declined; bytes both ways; its ends."""

from __future__ import annotations

import pytest

from polywire.wire.headers import HeaderBlock
from polywire.wire.http1 import Http1Request
from polywire.wire.limits import HttpLimits
from polywire.wire.tunnel import Tunnel

from .http1_peer import EMPTY, TEXT, Peer, Receiver, deliveries, echo, statuses

UPGRADE = b"GET /ws HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\r\n"
GET = b"GET /1 HTTP/1.1\r\nHost: a\r\n\r\n"
SWITCHED = (
    b"HTTP/1.1 101 Switching Protocols\r\nsec-websocket-accept: k\r\nserver: t\r\n"
    b"connection: upgrade\r\nupgrade: websocket\r\n\r\n"
)
ACCEPT = HeaderBlock([("sec-websocket-accept", "k")])


def accept(sink: Http1Request) -> Tunnel:
    """Takes the offer up; the sink to go on with."""
    tunnel = sink.send_head(101, ACCEPT)
    assert isinstance(tunnel, Tunnel)
    if isinstance(tunnel.receiver, Receiver):
        tunnel.receiver.sink = tunnel
    return tunnel


class TunnelPeer(Peer):
    """Takes up the tunnel that it is offered."""

    sink: Tunnel

    def __init__(self, limits: HttpLimits | None = None, *, collect: bool = True) -> None:
        super().__init__(self.take_up, limits, collect=collect)

    def take_up(self, sink: Http1Request) -> None:
        self.sink = accept(sink)


def taken_up(limits: HttpLimits | None = None, *, collect: bool = True) -> TunnelPeer:
    peer = TunnelPeer(limits, collect=collect)
    assert peer.send(UPGRADE) == SWITCHED
    return peer


def test_an_offer_is_a_get_until_it_is_taken_up() -> None:
    peer = Peer()
    peer.send(UPGRADE)
    sink = peer.requests[0]
    assert (sink.method, sink.tunnel, sink.has_body, sink.ended) == ("GET", "websocket", False, True)
    tunnel = accept(sink)
    assert (tunnel.method, tunnel.tunnel, tunnel.has_body, tunnel.ended) == ("GET", "websocket", True, False)
    assert (tunnel.target, tunnel.authority, tunnel.headers) == ("/ws", "a", sink.headers)
    assert sink.closed
    assert peer.settle() == SWITCHED


@pytest.mark.parametrize("parts", deliveries(UPGRADE + b"\x81\x80mask" + GET), ids=["whole", "bytes", "halves"])
def test_what_follows_is_the_tunnels_and_no_request(parts: list[bytes]) -> None:
    peer = TunnelPeer()
    out = b"".join([peer.send(part) for part in parts])
    assert out == SWITCHED
    assert len(peer.requests) == 1
    assert peer.receivers[0].body == b"\x81\x80mask" + GET


def test_bytes_go_both_ways_without_framing() -> None:
    peer = taken_up()
    sink = peer.sink
    assert sink.send_data(b"0\r\n\r\n")
    assert peer.settle() == b"0\r\n\r\n"
    peer.send(b"\r\n\r\n")
    peer.send(b"GET / HTTP/9\r\n")
    assert peer.receivers[0].body == b"\r\n\r\nGET / HTTP/9\r\n"
    assert not peer.engine.want_close


@pytest.mark.parametrize("later", [False, True])
def test_an_upgrade_that_nobody_takes_up_is_an_ordinary_get(later: bool) -> None:
    peer = Peer(None if later else echo)
    out = peer.send(UPGRADE + GET)
    if later:
        assert len(peer.requests) == 1, "what follows waits for the decision"
        assert not peer.engine.want_read
        echo(peer.requests[0])
        peer.settle()
        echo(peer.requests[1])
        out += peer.settle()
    else:
        assert statuses(out) == [200, 200]
        assert out.endswith(b"GET /1")
    assert len(peer.requests) == 2
    assert peer.engine.want_read
    assert peer.engine.open_requests == 0


def test_a_streamed_answer_declines_too() -> None:
    peer = Peer()
    peer.send(UPGRADE + GET)
    sink = peer.requests[0]
    sink.send_head(200, TEXT)
    assert b"transfer-encoding: chunked" in peer.settle()
    assert len(peer.requests) == 2
    with pytest.raises(RuntimeError):
        sink.send_head(101, ACCEPT)


def test_while_undecided_a_peer_that_leaves_is_noticed_and_little_is_held() -> None:
    peer = Peer()
    peer.send(UPGRADE)
    assert peer.engine.want_read, "else nobody would see it leave"
    assert not peer.engine.awaiting_head
    peer.send(b"x")
    assert not peer.engine.want_read
    peer.engine.timeout()
    assert peer.settle() == b""
    assert not peer.engine.want_close


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket2, x/websocket\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade, close\r\nUpgrade: websocket\r\n\r\n",
        b"GET / HTTP/1.0\r\nHost: a\r\nConnection: upgrade, keep-alive\r\nUpgrade: websocket\r\n\r\n",
        b"HEAD / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 1\r\n\r\nx",
        b"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 1\r\n\r\nx",
    ],
)
def test_no_offer(request_bytes: bytes) -> None:
    peer = Peer()
    peer.send(request_bytes)
    sink = peer.requests[0]
    assert sink.tunnel is None
    with pytest.raises(ValueError, match="101"):
        sink.send_head(101, ACCEPT)
    echo(sink)
    assert statuses(peer.settle()) == [200]


@pytest.mark.parametrize(
    "fields",
    [
        b"Connection: Upgrade\r\nUpgrade: WebSocket\r\n",
        b"Connection: close-not ,\tupgrade\r\nUpgrade: h2c , websocket\r\n",
        b"Connection: a\r\nConnection: upgrade\r\nUpgrade: a/1\r\nUpgrade: ,websocket,\r\n",
    ],
)
def test_lists_of_tokens_are_read_as_such(fields: bytes) -> None:
    peer = Peer()
    peer.send(b"GET / HTTP/1.1\r\nHost: a\r\n" + fields + b"\r\n")
    assert peer.requests[0].tunnel == "websocket"


def test_the_101_keeps_its_place_in_the_pipeline() -> None:
    peer = Peer()
    peer.send(GET + UPGRADE + b"abc")
    first, second = peer.requests
    accept(second).send_data(b"xyz")
    assert peer.settle() == b""
    assert peer.receivers[1].body == b"", "not before its answer is out"
    echo(first)
    assert peer.settle().endswith(b"GET /1" + SWITCHED + b"xyz")
    assert peer.receivers[1].body == b"abc"


def test_credit_bounds_what_is_held_of_a_tunnel() -> None:
    peer = taken_up(HttpLimits(max_buffered_body_bytes=4), collect=False)
    sink = peer.sink
    peer.send(b"012")
    assert (sink.buffered_in_bytes, peer.engine.want_read) == (3, True)
    peer.send(b"3456789")
    assert (sink.buffered_in_bytes, peer.engine.want_read) == (10, False)
    assert sink.take() == b"0123456789"
    assert not peer.engine.want_read
    sink.grant(10)
    assert peer.outputs, "the driver is to read again"
    assert peer.engine.want_read


def test_a_tunnel_is_read_although_its_peer_does_not_read() -> None:
    peer = taken_up(HttpLimits(high_water_bytes=10, low_water_bytes=0))
    sink = peer.sink
    peer.engine.pause_writing()
    assert not sink.send_data(b"x" * 100)
    peer.settle()
    assert peer.engine.want_read
    peer.send(b"hi")
    assert peer.receivers[0].body == b"hi"
    assert "writable" not in peer.receivers[0].told
    peer.engine.resume_writing()
    peer.settle()
    assert peer.receivers[0].told[-1] == "writable"


def test_nobody_times_a_tunnel_and_it_is_not_idle() -> None:
    peer = taken_up()
    assert (peer.engine.awaiting_head, peer.engine.awaiting_body, peer.engine.open_requests) == (False, False, 1)
    peer.engine.timeout()
    assert peer.settle() == b""
    assert not peer.engine.want_close
    assert peer.receivers[0].told == []


# Ends.


def test_the_peer_closes_its_direction_and_ours_stays_open() -> None:
    peer = taken_up()
    sink = peer.sink
    peer.send(b"last")
    peer.engine.receive_eof()
    assert (sink.ended, sink.closed, peer.receivers[0].told[-1]) == (True, False, "readable")
    assert peer.engine.open_requests == 1
    sink.send_data(b"more")
    assert peer.settle() == b"more"
    assert not peer.engine.want_close
    sink.send_end()
    peer.settle()
    assert (sink.closed, peer.engine.want_close, peer.engine.open_requests) == (True, True, 0)
    assert "gone" not in peer.receivers[0].told


def test_we_close_our_direction_and_what_comes_is_received() -> None:
    peer = taken_up()
    sink = peer.sink
    assert not peer.engine.want_eof
    sink.send_data(b"bye")
    sink.send_end()
    assert not peer.engine.want_eof, "not before the last bytes"
    assert peer.settle() == b"bye"
    assert (peer.engine.want_eof, peer.engine.want_close, sink.closed) == (True, False, False)
    sink.send_data(b"too late")
    sink.send_end()
    assert peer.settle() == b""
    peer.send(b"answer")
    assert peer.receivers[0].body == b"answer"
    peer.engine.receive_eof()
    assert (sink.ended, sink.closed, peer.engine.want_close) == (True, True, True)
    assert peer.engine.open_requests == 0


def test_what_came_before_both_ends_may_be_taken_after_them() -> None:
    peer = taken_up(collect=False)
    sink = peer.sink
    sink.send_end()
    peer.send(b"answer")
    peer.engine.receive_eof()
    assert (sink.closed, sink.buffered_in_bytes) == (True, 6)
    assert (sink.take(), sink.take()) == (b"answer", b"")


def test_a_peer_that_does_not_close_after_us_is_timed() -> None:
    peer = taken_up()
    peer.sink.send_end()
    peer.settle()
    assert peer.engine.awaiting_body
    peer.engine.timeout()
    assert peer.settle() == b""
    assert peer.receivers[0].told == ["gone"]
    assert (peer.engine.want_close, peer.engine.open_requests) == (True, 0)


def test_a_drain_leaves_tunnels_to_those_who_hold_them_and_waits_for_no_answer_to_their_end() -> None:
    peer = taken_up()
    peer.engine.shutdown()
    peer.send(b"on")
    assert (peer.engine.want_close, peer.receivers[0].body) == (False, b"on")
    peer.sink.send_data(b"bye")
    peer.sink.send_end()
    assert peer.settle() == b"bye"
    assert peer.engine.want_close

    half_closed = taken_up()
    half_closed.sink.send_end()
    half_closed.engine.shutdown()
    half_closed.settle()
    assert half_closed.engine.want_close


def test_a_drain_does_not_undo_an_offer() -> None:
    peer = Peer()
    peer.send(UPGRADE)
    peer.engine.shutdown()
    echo(peer.requests[0])
    assert b"connection: close" in peer.settle()
    assert peer.engine.want_close


def test_eof_before_the_decision_counts_after_it() -> None:
    for decide, more, expected in ((accept, b"abc", [101]), (echo, b"", [200]), (echo, GET, [200, 200])):
        peer = Peer()
        peer.send(UPGRADE + more)
        peer.engine.receive_eof()
        assert not peer.engine.want_close
        sink = decide(peer.requests[0])
        out = peer.settle()
        if sink is not None:
            assert (peer.receivers[0].body, sink.ended) == (b"abc", True)
            sink.send_end()
        for request in peer.requests[1:]:
            echo(request)
        out += peer.settle()
        assert statuses(out) == expected
        assert out.count(b"connection: close") == (decide is echo)
        assert peer.engine.want_close


@pytest.mark.parametrize("ending", ["reset", "lost"])
def test_other_ends(ending: str) -> None:
    peer = taken_up()
    peer.send(b"abc")
    if ending == "reset":
        peer.sink.reset(0)
        peer.settle()
        assert "gone" not in peer.receivers[0].told
    else:
        peer.engine.connection_lost()
        assert peer.receivers[0].told[-1] == "gone"
    assert (peer.engine.want_close, peer.engine.open_requests) == (True, 0)
    assert peer.send(b"more") == b""


def test_a_tunnel_answers_to_no_one_else() -> None:
    sink = taken_up().sink
    with pytest.raises(RuntimeError):
        sink.respond(200, EMPTY, b"")
