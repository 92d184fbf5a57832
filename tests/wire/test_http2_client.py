"""The client engine: bytes in, bytes out, against our own server engine and against raw frames."""

from __future__ import annotations

import gc
import sys
from typing import Any

import pytest

from polywire.wire.headers import HeaderBlock
from polywire.wire.http2 import Http2Stream
from polywire.wire.http2_client import LOST, REFUSED, Http2ClientConnection, RequestHead
from polywire.wire.limits import HttpLimits
from tests.wire.http2_client_peer import HEAD, Against, Pair, Recorder, flush, head_frame, opened, trailers_frame
from tests.wire.http2_peer import (
    ACK,
    CANCEL,
    DATA,
    END_STREAM,
    GOAWAY,
    HEADERS,
    NO_ERROR,
    PING,
    RST_STREAM,
    SETTINGS_FRAME,
    TEXT,
    WINDOW_UPDATE,
    Receiver,
    frame,
    frames,
)

OK = HeaderBlock([("grpc-status", "0")])
SMALL = HttpLimits(max_buffered_body_bytes=65535, max_connection_window_bytes=65535)


def echo(sink: Http2Stream) -> None:
    sink.respond(200, TEXT, sink.take(), (), OK)


def test_the_preface_and_what_it_tells() -> None:
    out = flush(Http2ClientConnection(HttpLimits(max_buffered_body_bytes=70000, max_header_bytes=5000)))
    assert out.startswith(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
    (kind, _, _, payload), (window, *_) = frames(out[24:])
    assert (kind, window) == (SETTINGS_FRAME, WINDOW_UPDATE)
    told = {
        int.from_bytes(payload[i : i + 2]): int.from_bytes(payload[i + 2 : i + 6]) for i in range(0, len(payload), 6)
    }
    assert told == {2: 0, 4: 70000, 6: 5000}


def test_a_request_and_its_answer() -> None:
    seen: list[Any] = []

    def on_request(sink: Http2Stream) -> None:
        seen.append((sink.method, sink.scheme, sink.authority, sink.target, sink.headers.items()))
        echo(sink)

    pair = Pair(on_request)
    recorder = Recorder()
    recorder.stream = pair.client.open(recorder, HEAD, ((b"grpc-timeout", b"1S"),), b"hello", True)
    pair.pump()
    fields = [("te", "trailers"), ("content-type", "application/grpc"), ("grpc-timeout", "1S")]
    assert seen == [("POST", "http", "x", "/shop.Users/Get", fields)]
    assert recorder.told == ["head 200", "readable", "end"]
    assert recorder.body == b"hello"
    assert recorder.trailers is not None
    assert recorder.trailers.get("grpc-status") == "0"
    stream = recorder.stream
    assert (stream.ended, stream.closed, stream.receiver, pair.client.open_streams) == (True, True, None, 0)


def test_a_head_without_a_body_ends_the_stream_at_once() -> None:
    against = Against()
    opened(against.client)
    ((kind, flags, _, _),) = frames(flush(against.client))
    assert (kind, flags & END_STREAM) == (HEADERS, END_STREAM)


def test_an_answer_of_only_trailers() -> None:
    against = Against()
    recorder = against.call()
    against.feed(head_frame(1, ("grpc-status", "5"), end=True))
    assert recorder.told == ["head 200", "end"]
    assert recorder.trailers is None
    assert recorder.stream.headers is not None
    assert recorder.stream.headers.get("grpc-status") == "5"


def test_informational_heads_are_left_out() -> None:
    against = Against()
    recorder = against.call()
    against.feed(head_frame(1, ("link", "x"), status="103"))
    assert recorder.told == []
    against.feed(head_frame(1, ("a", "b")) + trailers_frame(1, ("grpc-status", "0")))
    assert recorder.told == ["head 200", "end"]
    assert recorder.stream.headers is not None
    assert recorder.stream.headers.items() == [("a", "b")]


def test_large_bodies_both_ways_over_small_windows() -> None:
    body = bytes(range(256)) * 4000

    def on_request(sink: Http2Stream) -> None:
        class Echo(Receiver):
            taken = b""

            def on_readable(self) -> None:
                part = sink.take()
                self.taken += part
                sink.grant(len(part))
                if sink.ended:
                    sink.respond(200, TEXT, self.taken, (), OK)

        Echo(sink).on_readable()

    pair = Pair(on_request, SMALL, SMALL)
    recorders = [opened(pair.client, body) for _ in range(3)]
    pair.pump()
    assert [recorder.body == body for recorder in recorders] == [True] * 3
    assert all(recorder.told[-1] == "end" for recorder in recorders)


def test_streams_that_nobody_reads_do_not_hold_up_the_others() -> None:
    pair = Pair(lambda sink: sink.respond(200, TEXT, bytes(300_000), (), OK), SMALL)
    stalled = []
    for _ in range(4):
        recorder = opened(pair.client)
        recorder.reads = False
        stalled.append(recorder)
    pair.pump()
    assert [recorder.stream.buffered_in_bytes for recorder in stalled] == [65535] * 4
    assert len(pair.call().body) == 300_000
    for recorder in stalled:
        recorder.reads = True
        recorder.on_readable()
    pair.pump()
    assert [len(recorder.body) for recorder in stalled] == [300_000] * 4


def test_sending_waits_for_credit_and_says_when_to_go_on() -> None:
    sinks: list[Http2Stream] = []
    pair = Pair(sinks.append, server=HttpLimits(max_buffered_body_bytes=65535))
    recorder = pair.call(end=False)
    assert recorder.stream.send_data(bytes(30_000))
    pair.pump()
    assert not recorder.stream.send_data(bytes(100_000))
    pair.pump()
    assert recorder.told == []
    assert recorder.stream.buffered_out_bytes == 130_000 - 65535
    while "writable" not in recorder.told:
        sinks[0].grant(len(sinks[0].take()))
        pair.pump()
    assert recorder.stream.buffered_out_bytes <= HttpLimits().low_water_bytes
    recorder.stream.send_end()
    while not sinks[0].ended:
        sinks[0].grant(len(sinks[0].take()))
        pair.pump()
    with pytest.raises(RuntimeError, match="before send_end"):
        recorder.stream.send_data(b"more")


def test_one_call_of_on_output_until_the_next_flush() -> None:
    against = Against()
    calls: list[int] = []
    against.client.on_output = lambda: calls.append(1)
    for _ in range(3):
        opened(against.client)
    assert len(calls) == 1
    assert [kind for kind, *_ in frames(flush(against.client))] == [HEADERS] * 3
    opened(against.client)
    assert len(calls) == 2


def test_a_reset_is_sent_and_nothing_more_is_told() -> None:
    pair = Pair(lambda sink: None)
    recorder = pair.call()
    recorder.stream.reset(CANCEL)
    assert list(frames(flush(pair.client))) == [(RST_STREAM, 0, 1, CANCEL.to_bytes(4))]
    assert recorder.told == []
    assert pair.client.open_streams == 0


def test_a_request_that_is_reset_before_it_is_sent_is_never_sent() -> None:
    against = Against()
    recorder = opened(against.client)
    recorder.stream.reset(CANCEL)
    assert flush(against.client) == b""
    assert (recorder.told, against.client.open_streams) == ([], 0)


def test_an_early_answer_stops_the_request() -> None:
    against = Against()
    recorder = against.call(b"part", end=False)
    sent = against.feed(head_frame(1) + trailers_frame(1, ("grpc-status", "0")))
    assert recorder.told == ["head 200", "end"]
    assert sent == [(RST_STREAM, 0, 1, NO_ERROR.to_bytes(4))]
    assert recorder.stream.closed
    assert recorder.stream.send_data(b"goes nowhere")
    assert flush(against.client) == b""


def test_the_servers_reset_after_its_whole_answer_is_no_loss() -> None:
    against = Against()
    recorder = against.call(b"part", end=False)
    against.feed(head_frame(1) + trailers_frame(1) + frame(RST_STREAM, 0, 1, bytes(4)))
    assert recorder.told == ["head 200", "end"]


@pytest.mark.parametrize("code", [0, 1, 2, 7, 8, 11])
def test_a_reset_by_the_server(code: int) -> None:
    against = Against()
    recorder = against.call()
    against.feed(head_frame(1) + frame(DATA, 0, 1, b"x") + frame(RST_STREAM, 0, 1, code.to_bytes(4)))
    assert recorder.told == ["head 200", "readable", "gone"]
    assert recorder.code == code


def test_goaway_tells_which_requests_can_be_sent_again() -> None:
    against = Against()
    first, second, third = (against.call() for _ in range(3))
    assert not against.client.draining
    against.feed(frame(GOAWAY, 0, 0, (3).to_bytes(4) + bytes(4)))
    assert (first.told, second.told, third.told) == ([], [], ["gone"])
    assert third.code == REFUSED
    assert (against.client.draining, against.client.room, against.client.goaway_code) == (True, 0, 0)
    with pytest.raises(RuntimeError, match="room"):
        opened(against.client)
    against.feed(head_frame(1, end=True))
    assert not against.client.want_close
    against.feed(head_frame(3, end=True))
    assert (first.told, second.told) == (["head 200", "end"], ["head 200", "end"])
    assert against.client.want_close


def test_our_server_drains_without_losing_a_request() -> None:
    sinks: list[Http2Stream] = []
    pair = Pair(sinks.append)
    recorder = pair.call()
    pair.server.shutdown()
    pair.pump()
    assert pair.client.draining
    echo(sinks[0])
    pair.pump()
    assert recorder.told == ["head 200", "end"]
    assert pair.client.want_close
    assert pair.server.want_close


def test_the_servers_limit_of_streams() -> None:
    sinks: list[Http2Stream] = []
    pair = Pair(sinks.append, HttpLimits(max_concurrent_streams=5), HttpLimits(max_concurrent_streams=2))
    assert pair.client.settled
    assert pair.client.room == 2
    for _ in range(2):
        pair.call()
    assert pair.client.room == 0
    with pytest.raises(RuntimeError, match="room"):
        opened(pair.client)
    echo(sinks[0])
    pair.pump()
    assert pair.client.room == 1


def test_our_own_limit_of_streams() -> None:
    pair = Pair(lambda sink: None, HttpLimits(max_concurrent_streams=3))
    assert pair.client.room == 3


def test_a_limit_that_falls_below_what_is_open_holds_requests_back() -> None:
    against = Against()
    recorders = [opened(against.client) for _ in range(3)]
    against.client.receive_data(frame(SETTINGS_FRAME, 0, 0, b"\0\3\0\0\0\1"))
    assert [(kind, stream) for kind, _, stream, _ in frames(flush(against.client)) if kind == HEADERS] == [(HEADERS, 1)]
    assert [stream for kind, _, stream, _ in against.feed(head_frame(1, end=True)) if kind == HEADERS] == [3]
    recorders[2].stream.reset(CANCEL)
    assert against.feed(head_frame(3, end=True)) == []
    assert against.client.open_streams == 0


def test_pings_are_answered_both_ways() -> None:
    against = Against()
    assert against.feed(frame(PING, 0, 0, b"12345678")) == [(PING, ACK, 0, b"12345678")]
    against.client.ping()
    assert list(frames(flush(against.client))) == [(PING, 0, 0, bytes(8))]
    assert against.client.pings_answered == 0
    against.feed(frame(PING, ACK, 0, bytes(8)))
    assert against.client.pings_answered == 1


def test_a_lost_connection_tells_what_was_sent() -> None:
    against = Against()
    sent = against.call()
    unsent = opened(against.client)
    against.client.connection_lost()
    assert (sent.told, sent.code) == (["gone"], LOST)
    assert (unsent.told, unsent.code) == (["gone"], REFUSED)
    assert against.client.want_close
    assert (against.client.room, flush(against.client)) == (0, b"")
    sent.stream.reset(CANCEL)
    sent.stream.grant(1)


def test_the_end_of_input_ends_what_is_open() -> None:
    against = Against()
    recorder = against.call()
    against.client.receive_eof()
    assert (recorder.told, recorder.code) == (["gone"], LOST)
    assert against.client.want_close


def test_close_says_goaway() -> None:
    against = Against()
    recorder = against.call()
    against.client.close()
    assert recorder.code == LOST
    ((kind, _, _, payload),) = frames(flush(against.client))
    assert (kind, payload[4:8]) == (GOAWAY, bytes(4))
    assert against.client.want_close


def test_what_came_before_the_end_can_be_taken_after_it() -> None:
    against = Against()
    recorder = against.call()
    recorder.reads = False
    against.feed(head_frame(1) + frame(DATA, 0, 1, b"ab") + frame(DATA, END_STREAM, 1, b"c"))
    assert recorder.told == ["head 200", "readable", "end"]
    assert recorder.stream.take() == b"abc"
    assert recorder.stream.take() == b""


def test_a_paused_transport() -> None:
    against = Against()
    against.client.pause_writing()
    opened(against.client)
    assert flush(against.client) == b""
    calls: list[int] = []
    against.client.on_output = lambda: calls.append(1)
    against.client.resume_writing()
    assert calls == [1]
    assert [kind for kind, *_ in frames(flush(against.client))] == [HEADERS]


def test_an_answer_in_pieces_of_every_size() -> None:
    whole = head_frame(1, ("a", "b")) + frame(DATA, 0, 1, b"hello") + trailers_frame(1, ("grpc-status", "0"))
    for size in (1, 2, 3, 7, 11):
        against = Against()
        recorder = against.call()
        for start in range(0, len(whole), size):
            against.feed(whole[start : start + size])
        assert recorder.told[0] == "head 200"
        assert recorder.told[-1] == "end"
        assert recorder.body == b"hello"


def test_what_a_receiver_raises_costs_its_stream_only(monkeypatch: pytest.MonkeyPatch) -> None:
    raised: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda told: raised.append(told.exc_value))
    against = Against()
    bad, good = against.call(), against.call()

    def fail(status: int, headers: Any, /) -> None:
        raise ZeroDivisionError

    bad.on_head = fail  # type: ignore[method-assign]
    sent = against.feed(head_frame(1) + head_frame(3, end=True))
    assert sent == [(RST_STREAM, 0, 1, (2).to_bytes(4))]
    assert isinstance(raised.pop(), ZeroDivisionError)
    assert good.told == ["head 200", "end"]


@pytest.mark.parametrize(
    ("path", "pairs"),
    [("/a\r\nb", ()), ("/a", (("Upper", "x"),)), ("/a", (("x", "a\nb"),)), ("/a", (("", "x"),))],
)
def test_heads_that_would_smuggle(path: str, pairs: Any) -> None:
    with pytest.raises(ValueError, match="header"):
        RequestHead("POST", "http", "x", path, pairs)


def test_windows_that_cannot_be() -> None:
    with pytest.raises(ValueError, match="max_buffered_body_bytes"):
        Http2ClientConnection(HttpLimits(max_buffered_body_bytes=2**31))
    with pytest.raises(ValueError, match="max_connection_window_bytes"):
        Http2ClientConnection(HttpLimits(max_connection_window_bytes=2**31))


def test_nothing_of_a_connection_stays_behind() -> None:
    class Marked(Recorder):
        alive = 0

        def __init__(self) -> None:
            super().__init__()
            Marked.alive += 1

        def __del__(self) -> None:
            Marked.alive -= 1

    pair = Pair(lambda sink: None)
    for _ in range(20):
        recorder = Marked()
        recorder.stream = pair.client.open(recorder, HEAD, (), b"x" * 100_000)
    pair.pump()
    del recorder
    pair.client.connection_lost()
    pair.server.connection_lost()
    del pair
    gc.collect()
    assert Marked.alive == 0
