"""Requests as the HTTP/2 engine hands them up: heads, bodies, trailers, flow control."""

from __future__ import annotations

import dataclasses

import h2.events
import pytest

from polywire.wire.http2 import Http2Stream
from polywire.wire.limits import HttpLimits

from .http2_peer import (
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    GET,
    HEADERS,
    PADDED,
    POST,
    PREFACE,
    PROTOCOL_ERROR,
    SETTINGS,
    TEXT,
    WINDOW_UPDATE,
    Pairs,
    Peer,
    Raw,
    decoded,
    frame,
    plain,
)


def test_get_is_handed_up_with_all_its_fields() -> None:
    peer = Peer()
    peer.request((*GET, ("accept", "*/*"), ("cookie", "a=1"), ("cookie", "b=2"), ("x-n", "1"), ("x-n", "2")))
    (sink,) = peer.sinks
    assert (sink.method, sink.scheme, sink.authority, sink.target) == ("GET", "http", "x", "/users/42")
    assert (sink.version, sink.tunnel, sink.trailers, sink.content_length) == ("2", None, None, -1)
    assert (sink.has_body, sink.ended, sink.closed) == (False, True, False)
    assert sink.take() == b""
    assert sink.headers.get("cookie") == "a=1; b=2"
    assert sink.headers.get_all("x-n") == ["1", "2"]
    assert sink.headers.names() == ["accept", "cookie", "x-n"]
    assert peer.engine.open_requests == 1
    assert peer.engine.last_activity_marker == 1


@pytest.mark.parametrize(
    ("pairs", "authority"),
    [
        (GET, "x"),
        ((*GET[:3], ("host", "h")), "h"),
        ((*GET, ("host", "X")), "x"),
    ],
)
def test_authority_falls_back_to_host(pairs: Pairs, authority: str) -> None:
    raw = Raw()
    raw.feed(frame(HEADERS, END_HEADERS | END_STREAM, 1, plain(pairs)))
    assert raw.sinks[0].authority == authority


def test_extended_connect_is_a_tunnel() -> None:
    peer = Peer()
    pairs = ((":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "http"), (":path", "/ws"))
    stream = peer.request((*pairs, (":authority", "x")), end=False)
    (sink,) = peer.sinks
    assert (sink.method, sink.tunnel, sink.target, sink.ended) == ("CONNECT", "websocket", "/ws", False)
    sink.send_head(200, TEXT)
    sink.send_data(b"down")
    peer.client.send_data(stream, b"up")
    peer.pump()
    assert (sink.take(), peer.body(stream)) == (b"up", b"down")


def test_body_in_one_read_is_there_when_the_request_is_handed_up() -> None:
    seen: list[tuple[bool, bool, int, bytes]] = []

    def on_request(sink: Http2Stream) -> None:
        seen.append((sink.has_body, sink.ended, sink.content_length, sink.take()))

    peer = Peer(on_request=on_request)
    peer.request((*POST, ("content-length", "5")), b"hello")
    assert seen == [(True, True, 5, b"hello")]
    assert peer.receivers[0].told == []


def test_body_in_pieces() -> None:
    peer = Peer()
    stream = peer.request(POST, end=False)
    (sink,) = peer.sinks
    told = peer.receivers[0].told
    assert (sink.has_body, sink.ended, sink.take()) == (True, False, b"")
    for piece in (b"one", b"two", b"three"):
        peer.client.send_data(stream, piece)
        peer.pump()
    assert told == ["readable"] * 3
    assert sink.buffered_in_bytes == 11
    assert sink.take() == b"onetwothree"
    assert (sink.buffered_in_bytes, sink.take()) == (0, b"")
    peer.client.send_data(stream, b"4", end_stream=True)
    peer.pump()
    assert sink.ended
    assert sink.take() == b"4"


def test_trailers_come_before_the_end() -> None:
    peer = Peer()
    stream = peer.request(POST, b"body", end=False)
    (sink,) = peer.sinks
    assert sink.trailers is None
    peer.client.send_headers(stream, [("x-sum", "1"), ("x-sum", "2")], end_stream=True)
    peer.pump()
    assert sink.ended
    assert sink.trailers is not None
    assert sink.trailers.get_all("x-sum") == ["1", "2"]
    assert sink.headers.get("x-sum") is None
    assert peer.receivers[0].told == ["readable"]


def test_every_byte_alone_gives_the_same_as_all_at_once() -> None:
    body = frame(DATA, PADDED, 1, b"\x03abc\0\0\0") + frame(DATA, 0, 1, b"d")
    trailers = frame(HEADERS, END_HEADERS | END_STREAM, 1, plain((("x-t", "v"),)))
    head = plain((*POST, ("x-long", "v" * 300)))
    stream = (
        PREFACE
        + SETTINGS
        + frame(HEADERS, END_HEADERS, 1, head)
        + body
        + trailers
        + frame(HEADERS, END_HEADERS | END_STREAM, 3, plain(GET))
    )

    def outcome(step: int) -> tuple[list[object], bytes]:
        raw = Raw(preface=b"")
        sent = b""
        for at in range(0, len(stream), step):
            raw.engine.receive_data(stream[at : at + step])
        sent += raw.flush()
        for sink in raw.sinks:
            sink.respond(200, TEXT, sink.take())
        sent += raw.flush()
        seen: list[object] = []
        for sink in raw.sinks:
            trailer = sink.trailers.items() if sink.trailers else None
            seen.append((sink.method, sink.target, sink.headers.items(), trailer, sink.ended))
        return seen, sent

    whole = outcome(len(stream))
    assert len(whole[0]) == 2
    assert b"abcd" in whole[1]
    for step in (1, 2, 3, 7):
        assert outcome(step) == whole


def test_a_head_may_go_on_in_continuations_and_in_later_reads() -> None:
    raw = Raw()
    head = plain((*GET, ("x-long", "v" * 300)))
    for data in (
        frame(HEADERS, END_STREAM, 1, head[:50]),
        frame(CONTINUATION, 0, 1, head[50:51])[:9],
        head[50:51],
        frame(CONTINUATION, END_HEADERS, 1, head[51:]),
    ):
        assert raw.sinks == []
        raw.feed(data)
    assert raw.sinks[0].headers.get("x-long") == "v" * 300


def test_requests_of_one_read_come_in_order_after_all_is_parsed() -> None:
    order: list[str] = []
    raw = Raw(on_request=lambda sink: order.append(f"{sink.target} {sink.ended}"))
    heads = [(*GET[:2], (":path", f"/{n}"), GET[3]) for n in range(3)]
    raw.feed(
        frame(HEADERS, END_HEADERS, 1, plain(heads[0]))
        + frame(HEADERS, END_HEADERS | END_STREAM, 3, plain(heads[1]))
        + frame(HEADERS, END_HEADERS | END_STREAM, 5, plain(heads[2]))
        + frame(DATA, END_STREAM, 1, b"x")
    )
    assert order == ["/0 True", "/1 True", "/2 True"]


def credit(answer: list[tuple[int, int, int, bytes]], stream: int) -> int:
    return sum(int.from_bytes(data, "big") for kind, _, sid, data in answer if kind == WINDOW_UPDATE and sid == stream)


def test_credit_comes_only_with_grant() -> None:
    raw = Raw(HttpLimits(max_buffered_body_bytes=1000, max_connection_window_bytes=65535))
    raw.feed(frame(4, 1, 0))  # the peer acknowledges our window of 1,000
    raw.feed(frame(HEADERS, END_HEADERS, 1, plain(POST)))
    answer = raw.feed(frame(DATA, 0, 1, b"x" * 1000))
    (sink,) = raw.sinks
    assert len(sink.take()) == 1000
    assert credit(answer, 1) == 0
    sink.grant(400)
    assert raw.feed(b"") == []  # under half the window: saved up
    sink.grant(100)
    assert credit(raw.feed(b""), 1) == 500
    sink.grant(10_000)  # more than was received: only what is owed
    assert credit(raw.feed(b""), 1) == 500
    sink.grant(-5)
    assert raw.feed(b"") == []


def test_a_body_larger_than_the_windows_flows_as_it_is_read() -> None:
    peer = Peer(HttpLimits(max_buffered_body_bytes=2048, max_connection_window_bytes=65535))
    stream = peer.request(POST, end=False)
    (sink,) = peer.sinks
    body = bytes(range(256)) * 600
    sent = 0
    got = b""
    while sent < len(body):
        room = min(peer.client.local_flow_control_window(stream), 16384, len(body) - sent)
        assert room > 0
        peer.client.send_data(stream, body[sent : sent + room])
        sent += room
        peer.pump()
        assert sink.buffered_in_bytes <= 65535
        piece = sink.take()
        got += piece
        sink.grant(len(piece))
        peer.pump()
    peer.client.end_stream(stream)
    peer.pump()
    assert got == body
    assert sink.ended


def test_unread_bodies_of_closed_streams_do_not_stall_the_connection() -> None:
    peer = Peer(HttpLimits(max_connection_window_bytes=65535), on_request=lambda s: s.respond(200, TEXT, b"ok"))
    for _ in range(400):
        stream = peer.request(POST, b"u" * 4000)
        assert peer.finished(stream)
    assert peer.engine.open_requests == 0


def test_unread_body_of_a_stream_we_reset_is_given_back() -> None:
    raw = Raw(HttpLimits(max_connection_window_bytes=65535))
    total = 0
    for n in range(1, 40, 2):
        answer = raw.feed(frame(HEADERS, END_HEADERS, n, plain(POST)) + frame(DATA, 0, n, b"x" * 10000))
        raw.sinks[-1].reset(8)
        answer += raw.feed(frame(DATA, END_STREAM, n, b"late"))
        total += credit(answer, 0)
    assert total > 100_000


@pytest.mark.parametrize(
    ("name", "pairs"),
    [
        ("no path", (GET[0], GET[1], GET[3])),
        ("no authority, no host", GET[:3]),
        ("no method", GET[1:]),
        ("no scheme", (GET[0], *GET[2:])),
        ("two paths", (*GET, (":path", "/"))),
        ("pseudo after field", (*GET[:3], ("a", "b"), GET[3])),
        ("unknown pseudo", (*GET, (":x", "y"))),
        ("relative path", (*GET[:2], (":path", "users"))),
        ("connection", (*GET, ("connection", "close"))),
        ("transfer-encoding", (*GET, ("transfer-encoding", "chunked"))),
        ("te not trailers", (*GET, ("te", "gzip"))),
        ("upper case", (*GET, ("X-Upper", "y"))),
        ("name with space", (*GET, ("x y", "z"))),
        ("value with newline", (*GET, ("x", "a\r\nb: c"))),
        ("value with nul", (*GET, ("x", "a\0b"))),
        ("two lengths", (*GET, ("content-length", "1"), ("content-length", "2"))),
        ("bad length", (*GET, ("content-length", "-1"))),
        ("length too long", (*GET, ("content-length", "9" * 30))),
        ("protocol without connect", (*GET, (":protocol", "websocket"))),
    ],
)
def test_malformed_heads_are_reset_and_never_handed_up(name: str, pairs: Pairs) -> None:
    raw = Raw()
    answer = raw.feed(frame(HEADERS, END_HEADERS | END_STREAM, 1, plain(pairs)))
    assert raw.resets(answer) == [(1, PROTOCOL_ERROR)], name
    assert raw.sinks == []
    assert raw.engine.open_requests == 0
    raw.feed(frame(HEADERS, END_HEADERS | END_STREAM, 3, plain(GET)))
    assert len(raw.sinks) == 1  # the connection goes on


@pytest.mark.parametrize(("declared", "sent"), [(5, 4), (5, 6), (0, 1)])
def test_a_body_that_is_not_as_long_as_declared_is_reset(declared: int, sent: int) -> None:
    raw = Raw()
    head = plain((*POST, ("content-length", str(declared))))
    answer = raw.feed(frame(HEADERS, END_HEADERS, 1, head) + frame(DATA, END_STREAM, 1, b"x" * sent))
    assert raw.resets(answer) == [(1, PROTOCOL_ERROR)]
    assert raw.sinks == []


@pytest.mark.parametrize(
    ("status", "pairs"),
    [
        ("431", (*GET, ("x-big", "v" * 33_000))),
        ("431", (*GET, *[(f"x-{n}", "v") for n in range(130)])),
        ("414", (*GET[:2], (":path", "/" + "p" * 8192), GET[3])),
        ("400", (*GET, ("host", "other"))),
        ("400", ((":method", "GET"), (":scheme", "ftp"), (":path", "nothing"), GET[3])),
        ("501", ((":method", "CONNECT"), (":authority", "x:1"))),
    ],
)
def test_heads_over_a_limit_are_answered_by_the_engine(status: str, pairs: Pairs) -> None:
    raw = Raw()
    block = plain(pairs)
    data = frame(HEADERS, END_STREAM, 1, block[:16384])
    rest = [block[at : at + 16384] for at in range(16384, len(block), 16384)] or [b""]
    for piece in rest[:-1]:
        data += frame(9, 0, 1, piece)
    answer = raw.feed(data + frame(9, END_HEADERS, 1, rest[-1]))
    heads = [payload for kind, _, stream, payload in answer if kind == HEADERS and stream == 1]
    assert len(heads) == 1
    assert dict(decoded(heads[0]))[":status"] == status
    assert raw.sinks == []
    assert not raw.engine.want_close


def test_limits_are_inclusive() -> None:
    raw = Raw(HttpLimits(max_target_bytes=20, max_headers=5))
    raw.feed(frame(HEADERS, END_HEADERS | END_STREAM, 1, plain((*GET[:2], (":path", "/" + "p" * 19), GET[3]))))
    raw.feed(frame(HEADERS, END_HEADERS | END_STREAM, 3, plain((*GET, ("a", "b")))))
    assert len(raw.sinks) == 2


def test_refused_body_is_ignored() -> None:
    limits = dataclasses.replace(HttpLimits(), max_target_bytes=4, max_connection_window_bytes=65535)
    peer = Peer(limits)
    for _ in range(20):
        stream = peer.request(POST, b"x" * 9000)
        assert peer.head(stream)[":status"] == "414"
        peer.engine.now += 1
    assert peer.sinks == []


def test_reset_before_dispatch_is_never_handed_up() -> None:
    raw = Raw()
    raw.feed(frame(HEADERS, END_HEADERS | END_STREAM, 1, plain(GET)) + frame(3, 0, 1, b"\0\0\0\x08"))
    assert raw.sinks == []
    assert raw.engine.open_requests == 0


def test_reset_later_is_told_once() -> None:
    peer = Peer()
    stream = peer.request(POST, b"some", end=False)
    (sink,) = peer.sinks
    sink.send_head(200, TEXT)
    sink.send_data(b"part")
    peer.pump()
    peer.client.reset_stream(stream)
    peer.pump()
    assert peer.receivers[0].told == ["gone"]
    assert sink.closed
    assert sink.receiver is None
    sink.send_data(b"more")
    sink.send_end()
    sink.respond(200, TEXT, b"")
    sink.reset(0)
    sink.grant(10)
    peer.engine.connection_lost()
    assert peer.receivers[0].told == ["gone"]


def test_an_exception_above_costs_its_stream_only(monkeypatch: pytest.MonkeyPatch) -> None:
    raised: list[object] = []
    monkeypatch.setattr("sys.unraisablehook", lambda args: raised.append(args.exc_value))

    def on_request(sink: Http2Stream) -> None:
        if sink.method == "POST":
            raise RuntimeError("boom")
        sink.respond(200, TEXT, b"fine")

    raw = Raw(on_request=on_request)
    answer = raw.feed(
        frame(HEADERS, END_HEADERS | END_STREAM, 1, plain(POST))
        + frame(HEADERS, END_HEADERS | END_STREAM, 3, plain(GET))
    )
    assert raw.resets(answer) == [(1, 2)]
    assert any(kind == DATA and data == b"fine" for kind, _, _, data in answer)
    assert [str(error) for error in raised] == ["boom"]
    assert raw.engine.open_requests == 0


def test_h2_sees_no_error_in_an_ordinary_exchange() -> None:
    peer = Peer(on_request=lambda sink: sink.respond(200, TEXT, b"ok"))
    stream = peer.request()
    kinds = {type(event) for event in peer.events}
    assert kinds == {h2.events.ResponseReceived, h2.events.DataReceived, h2.events.StreamEnded}
    assert peer.finished(stream)
