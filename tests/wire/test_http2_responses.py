"""Responses of the HTTP/2 engine: one-shot and streamed, trailers, HEAD, 1xx, back-pressure."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import h2.events
import h2.settings
import hpack
import pytest

from polywire.wire.headers import HeaderBlock
from polywire.wire.http2 import Http2Stream
from polywire.wire.limits import HttpLimits

from .http2_peer import (
    DATA,
    EMPTY,
    END_HEADERS,
    END_STREAM,
    GET,
    HEADERS,
    INTERNAL_ERROR,
    NO_ERROR,
    POST,
    TEXT,
    Peer,
    Raw,
    decoded,
    frame,
    plain,
)

SMALL_WINDOW = {h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: 1000}
TRAILERS = HeaderBlock([("grpc-status", "0"), ("grpc-message", "fine")])
HEAD = ((":method", "HEAD"), *GET[1:])


def answered(respond: Callable[[Http2Stream], None], pairs: tuple[tuple[str, str], ...] = GET) -> tuple[Peer, int]:
    peer = Peer(on_request=respond)
    return peer, peer.request(pairs)


def test_respond_gives_head_fields_in_order_and_the_body() -> None:
    peer, stream = answered(lambda s: s.respond(201, TEXT, b"hello", ((b"x-a", b"1"), (b"x-b", b"2"))))
    (event,) = peer.of(stream, h2.events.ResponseReceived)
    assert event.headers == [
        (":status", "201"),
        ("content-type", "text/plain"),
        ("x-a", "1"),
        ("x-b", "2"),
        ("server", "t"),
        ("content-length", "5"),
    ]
    assert peer.body(stream) == b"hello"
    assert peer.finished(stream)
    assert peer.sinks[0].closed
    assert peer.engine.open_requests == 0
    assert peer.receivers[0].told == []


def test_extra_fields_are_never_indexed() -> None:
    raw = Raw(on_request=lambda s: s.respond(200, EMPTY, b"", ((b"x-secret", b"s"),)))
    answer = raw.feed(frame(HEADERS, END_HEADERS | END_STREAM, 1, plain(GET)))
    (payload,) = [data for kind, _, _, data in answer if kind == HEADERS]
    fields = {field[0]: field for field in decoded(payload)}
    assert isinstance(fields["x-secret"], hpack.NeverIndexedHeaderTuple)


def test_empty_body_ends_with_the_head() -> None:
    raw = Raw(on_request=lambda s: s.respond(200, TEXT, b""))
    answer = raw.feed(frame(HEADERS, END_HEADERS | END_STREAM, 1, plain(GET)))
    assert [(kind, flags) for kind, flags, _, _ in answer] == [(HEADERS, END_HEADERS | END_STREAM)]


def with_trailers(body: bytes, sink: Http2Stream) -> None:
    sink.respond(200, TEXT, body, (), TRAILERS)


def test_trailers_after_a_body_and_without_one() -> None:
    for body in (b"message", b""):
        peer, stream = answered(partial(with_trailers, body))
        assert "content-length" not in peer.head(stream)
        assert peer.body(stream) == body
        assert peer.trailers(stream) == {"grpc-status": "0", "grpc-message": "fine"}
        assert peer.finished(stream)


def test_head_carries_the_length_and_no_body() -> None:
    peer, stream = answered(lambda s: s.respond(200, TEXT, b"hello"), HEAD)
    assert peer.head(stream)["content-length"] == "5"
    assert peer.body(stream) == b""
    assert peer.finished(stream)


def test_streamed_answer_to_head_has_no_body() -> None:
    def respond(sink: Http2Stream) -> None:
        sink.send_head(200, TEXT)
        assert sink.send_data(b"x" * 100_000)
        sink.send_end(TRAILERS)

    peer, stream = answered(respond, HEAD)
    assert peer.body(stream) == b""
    assert peer.finished(stream)
    assert peer.of(stream, h2.events.TrailersReceived) == []


@pytest.mark.parametrize("status", [204, 304])
def test_statuses_without_content(status: int) -> None:
    peer, stream = answered(lambda s: s.respond(status, EMPTY, b"ignored"))
    assert peer.head(stream)[":status"] == str(status)
    assert "content-length" not in peer.head(stream)
    assert peer.body(stream) == b""
    assert peer.finished(stream)


@pytest.mark.parametrize(
    ("block", "extra"),
    [(HeaderBlock([("content-length", "5")]), ()), (EMPTY, ((b"content-length", b"5"),))],
)
def test_a_given_length_is_not_doubled(block: HeaderBlock, extra: tuple[tuple[bytes, bytes], ...]) -> None:
    peer, stream = answered(lambda s: s.respond(200, block, b"hello", extra))
    (event,) = peer.of(stream, h2.events.ResponseReceived)
    assert [name for name, _ in event.headers].count("content-length") == 1


def test_fields_of_http1_connections_are_left_out() -> None:
    block = HeaderBlock([("connection", "close"), ("transfer-encoding", "chunked"), ("x-kept", "1"), ("upgrade", "h")])
    peer, stream = answered(lambda s: s.respond(200, block, b""))
    assert set(peer.head(stream)) == {":status", "x-kept", "server", "content-length"}


def test_more_fields_than_the_stack_holds() -> None:
    block = HeaderBlock([(f"x-{n}", str(n)) for n in range(100)])
    peer, stream = answered(lambda s: s.respond(200, block, b"b"))
    assert peer.head(stream)["x-99"] == "99"
    assert peer.finished(stream)


def test_informational_heads_come_first() -> None:
    def respond(sink: Http2Stream) -> None:
        sink.send_head(103, HeaderBlock([("link", "</a>")]), ((b"x-a", b"1"),))
        sink.send_head(103, HeaderBlock([("link", "</b>")]))
        sink.respond(200, TEXT, b"ok")

    peer, stream = answered(respond)
    hints = [dict(event.headers) for event in peer.of(stream, h2.events.InformationalResponseReceived)]
    assert hints == [{":status": "103", "link": "</a>", "x-a": "1"}, {":status": "103", "link": "</b>"}]
    assert peer.head(stream)[":status"] == "200"
    assert peer.body(stream) == b"ok"


def test_streamed_answer_with_trailers() -> None:
    peer = Peer()
    stream = peer.request()
    (sink,) = peer.sinks
    sink.send_head(200, TEXT, ((b"x-a", b"1"),))
    peer.pump()
    assert peer.head(stream) == {":status": "200", "content-type": "text/plain", "x-a": "1", "server": "t"}
    for piece in (b"one", b"", b"two"):
        assert sink.send_data(piece)
        peer.pump()
    assert peer.body(stream) == b"onetwo"
    assert not peer.finished(stream)
    sink.send_end(TRAILERS)
    peer.pump()
    assert peer.trailers(stream)["grpc-status"] == "0"
    assert peer.finished(stream)
    assert sink.closed


@pytest.mark.parametrize("pieces", [0, 1, 3, 200])
def test_everything_queued_before_the_first_flush(pieces: int) -> None:
    body = [bytes([65 + n % 26]) * (n + 1) for n in range(pieces)]

    def respond(sink: Http2Stream) -> None:
        sink.send_head(200, TEXT)
        for piece in body:
            sink.send_data(piece)
        sink.send_end()

    peer, stream = answered(respond)
    assert peer.body(stream) == b"".join(body)
    assert peer.finished(stream)
    assert peer.sinks[0].buffered_out_bytes == 0


def test_calls_in_the_wrong_order_raise() -> None:
    raw = Raw()
    raw.feed(frame(HEADERS, END_HEADERS | END_STREAM, 1, plain(GET)))
    (sink,) = raw.sinks
    with pytest.raises(RuntimeError):
        sink.send_data(b"x")
    with pytest.raises(RuntimeError):
        sink.send_end()
    for status in (0, 99, 1000, 101):
        with pytest.raises(ValueError, match=str(status)):
            sink.send_head(status, TEXT)
    with pytest.raises(ValueError, match="103"):
        sink.respond(103, TEXT, b"")
    sink.send_head(200, TEXT)
    with pytest.raises(RuntimeError):
        sink.send_head(200, TEXT)
    with pytest.raises(RuntimeError):
        sink.respond(200, TEXT, b"")
    sink.send_end()
    with pytest.raises(RuntimeError):
        sink.send_data(b"x")
    with pytest.raises(RuntimeError):
        sink.send_end()
    answer = raw.feed(b"")
    assert [kind for kind, *_ in answer] == [HEADERS, DATA]


def early() -> Raw:
    """A peer that is answered 413 before its body has ended."""
    raw = Raw(on_request=lambda s: s.respond(413, TEXT, b"too much"))
    answer = raw.feed(frame(HEADERS, END_HEADERS, 1, plain(POST)) + frame(DATA, 0, 1, b"x" * 100))
    assert [kind for kind, *_ in answer] == [HEADERS, DATA]
    assert raw.receivers[0].told == []
    assert raw.sinks[0].closed
    assert raw.engine.open_requests == 0
    return raw


def test_the_rest_of_a_request_that_is_answered_already_is_discarded() -> None:
    raw = early()
    assert raw.feed(frame(DATA, 0, 1, b"late")) == []
    assert raw.feed(frame(DATA, END_STREAM, 1, b"last")) == []
    assert raw.receivers[0].told == []


def test_a_peer_that_goes_on_after_its_answer_is_told_to_stop() -> None:
    raw = early()
    answer = [one for _ in range(40) for one in raw.feed(frame(DATA, 0, 1, bytes(16_000)))]
    assert raw.resets(answer) == [(1, NO_ERROR)]
    assert not raw.engine.want_close


def test_draining_does_not_wait_for_requests_that_are_answered_already() -> None:
    raw = early()
    raw.engine.shutdown()
    assert raw.resets(raw.feed(b"")) == [(1, NO_ERROR)]


def test_response_head_over_64_kib_resets_the_stream() -> None:
    raw = Raw(on_request=lambda s: s.respond(200, HeaderBlock([("x-big", "v" * 70_000)]), b""))
    answer = raw.feed(frame(HEADERS, END_HEADERS | END_STREAM, 1, plain(GET)))
    assert raw.resets(answer) == [(1, INTERNAL_ERROR)]
    assert raw.receivers[0].told == ["gone"]
    assert raw.engine.open_requests == 0


def test_big_body_under_a_small_window_and_several_flushes() -> None:
    body = bytes(range(256)) * 4000
    peer = Peer(on_request=lambda s: s.respond(200, TEXT, body), settings=SMALL_WINDOW)
    stream = peer.request()
    assert len(peer.body(stream)) == 1000
    assert peer.sinks[0].buffered_out_bytes == len(body) - 1000
    peer.client.increment_flow_control_window(2**30, stream)
    peer.client.increment_flow_control_window(2**30)
    peer.engine.receive_data(peer.client.data_to_send())
    pieces = []
    while piece := peer.engine.data_to_send():
        pieces.append(len(piece))
        peer.events += peer.client.receive_data(piece)
    assert len(pieces) > 3
    assert max(pieces) <= 256 * 1024 + 2 * 16393
    assert peer.body(stream) == body
    assert peer.finished(stream)


def test_streams_take_turns() -> None:
    peer = Peer()
    first, second = peer.request(), peer.request()
    for sink in peer.sinks:
        sink.respond(200, TEXT, b"x" * 60_000)
    peer.client.increment_flow_control_window(2**20)
    peer.pump()
    order = [event.stream_id for event in peer.events if isinstance(event, h2.events.DataReceived)]
    assert order.index(second) < len(order) - 1 - order[::-1].index(first)


def test_water_marks() -> None:
    limits = HttpLimits(high_water_bytes=5000, low_water_bytes=2000)
    peer = Peer(limits, settings=SMALL_WINDOW)
    stream = peer.request()
    (sink,) = peer.sinks
    told = peer.receivers[0].told
    sink.send_head(200, TEXT)
    assert sink.send_data(b"a" * 5000)
    assert not sink.send_data(b"b")
    assert sink.buffered_out_bytes == 5001
    peer.pump()
    assert sink.buffered_out_bytes == 4001
    for expected in ([], [], ["writable"], ["writable"]):
        peer.client.increment_flow_control_window(1000, stream)
        peer.pump()
        assert told == expected
        if told and sink.buffered_out_bytes > 1000:
            assert sink.send_data(b"c")
    sink.send_end()
    peer.client.increment_flow_control_window(10_000, stream)
    peer.pump()
    assert peer.body(stream) == b"a" * 5000 + b"bc"
    assert told == ["writable"]


def test_what_a_writable_receiver_sends_goes_out_in_the_same_round() -> None:
    peer = Peer(HttpLimits(high_water_bytes=1000, low_water_bytes=0), settings=SMALL_WINDOW)
    stream = peer.request()
    (sink,) = peer.sinks
    receiver = peer.receivers[0]

    def on_writable() -> None:
        sink.send_data(b"second")
        sink.send_end()

    receiver.on_writable = on_writable  # type: ignore[method-assign]
    sink.send_head(200, TEXT)
    assert not sink.send_data(b"f" * 1500)
    peer.pump()
    peer.client.increment_flow_control_window(10_000, stream)
    peer.pump()
    assert peer.body(stream) == b"f" * 1500 + b"second"
    assert peer.finished(stream)


def test_on_output_tells_of_late_answers_once_until_the_flush() -> None:
    told: list[int] = []
    raw = Raw()
    raw.engine.on_output = lambda: told.append(1)
    raw.engine.receive_data(frame(HEADERS, END_HEADERS | END_STREAM, 1, plain(GET)))
    raw.engine.receive_data(frame(HEADERS, END_HEADERS | END_STREAM, 3, plain(GET)))
    assert told == []
    for sink in raw.sinks:
        sink.respond(200, TEXT, b"late")
    assert told == [1]
    assert raw.flush()
    raw.feed(frame(HEADERS, END_HEADERS | END_STREAM, 5, plain(GET)))
    raw.sinks[-1].send_head(200, TEXT)
    assert told == [1, 1]
    raw.flush()
    raw.sinks[-1].send_data(b"x")
    assert told == [1, 1, 1]


def test_on_output_is_silent_for_answers_given_at_once() -> None:
    raw = Raw(on_request=lambda s: s.respond(200, TEXT, b"now"))
    raw.engine.on_output = lambda: pytest.fail("data_to_send follows receive_data anyway")
    assert raw.feed(frame(HEADERS, END_HEADERS | END_STREAM, 1, plain(GET)))


def test_nothing_is_handed_out_while_writing_is_paused() -> None:
    told: list[int] = []
    raw = Raw(on_request=lambda s: s.respond(200, TEXT, b"x"))
    raw.engine.on_output = lambda: told.append(1)
    raw.engine.pause_writing()
    assert raw.feed(frame(HEADERS, END_HEADERS | END_STREAM, 1, plain(GET))) == []
    assert raw.engine.want_read
    assert not raw.engine.want_close
    raw.engine.resume_writing()
    assert told == [1]
    assert [kind for kind, *_ in raw.feed(b"")] == [HEADERS, DATA]


def test_our_own_reset_is_not_told_and_drops_what_is_queued() -> None:
    peer = Peer()
    stream = peer.request(POST, end=False)
    (sink,) = peer.sinks
    sink.send_head(200, TEXT)
    peer.pump()
    sink.send_data(b"never seen")
    sink.reset(INTERNAL_ERROR)
    assert sink.closed
    assert peer.engine.open_requests == 0
    assert sink.send_data(b"ignored")
    sink.send_end()
    peer.pump()
    (event,) = peer.of(stream, h2.events.StreamReset)
    assert event.error_code == INTERNAL_ERROR
    assert peer.body(stream) == b""
    assert peer.receivers[0].told == []
