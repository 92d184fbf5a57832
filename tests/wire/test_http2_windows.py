"""Flow control under the windows that a peer chooses and changes (RFC 9113 §6.9)."""

from __future__ import annotations

import pytest
from h2.settings import SettingCodes

from polywire.wire.headers import HeaderBlock
from polywire.wire.limits import HttpLimits

from .http2_peer import (
    CANCEL,
    DATA,
    END_HEADERS,
    END_STREAM,
    GET,
    HEADERS,
    POST,
    PREFACE,
    SETTINGS_FRAME,
    TEXT,
    WINDOW_UPDATE,
    Peer,
    Raw,
    frame,
    plain,
)

ASK = frame(HEADERS, END_HEADERS | END_STREAM, 1, plain(GET))


def window(size: int) -> bytes:
    return frame(SETTINGS_FRAME, 0, 0, b"\0\x04" + size.to_bytes(4, "big"))


def credit(stream: int, size: int) -> bytes:
    return frame(WINDOW_UPDATE, 0, stream, size.to_bytes(4, "big"))


def pieces(answer: list[tuple[int, int, int, bytes]]) -> list[bytes]:
    return [payload for kind, _, _, payload in answer if kind == DATA]


def test_a_window_of_nothing_lets_the_head_through_and_trailers_wait_for_the_body() -> None:
    raw = Raw(preface=PREFACE + window(0))
    raw.feed(ASK)
    raw.sinks[0].respond(200, TEXT, b"abc", trailers=HeaderBlock([("x", "y")]))
    assert [kind for kind, *_ in raw.feed(b"")] == [HEADERS]
    assert [(kind, payload) for kind, _, _, payload in raw.feed(credit(1, 1))] == [(DATA, b"a")]
    answer = raw.feed(credit(1, 2))
    assert [(kind, flags & END_STREAM) for kind, flags, *_ in answer] == [(DATA, 0), (HEADERS, END_STREAM)]


def test_an_answer_without_a_body_needs_no_window() -> None:
    raw = Raw(preface=PREFACE + window(0), on_request=lambda sink: sink.respond(200, TEXT, b""))
    assert [(kind, flags & END_STREAM) for kind, flags, *_ in raw.feed(ASK)] == [(HEADERS, END_STREAM)]


def test_an_end_that_comes_after_the_last_credit_waits_for_more() -> None:
    """An empty DATA frame may be sent without credit (RFC 9113 §6.9.1); libnghttp2 does not."""
    raw = Raw(preface=PREFACE + window(3))
    raw.feed(ASK)
    (sink,) = raw.sinks
    sink.send_head(200, TEXT)
    sink.send_data(b"abc")
    assert pieces(raw.feed(b"")) == [b"abc"]
    sink.send_end()
    assert raw.feed(b"") == []
    assert raw.feed(credit(1, 1)) == [(DATA, END_STREAM, 1, b"")]


def test_a_byte_at_a_time() -> None:
    raw = Raw(HttpLimits(low_water_bytes=10, high_water_bytes=20), preface=PREFACE + window(1))
    raw.feed(ASK)
    (sink,) = raw.sinks
    sink.send_head(200, TEXT)
    assert not sink.send_data(bytes(range(30)))
    received = pieces(raw.feed(b""))
    told = []
    while len(received) < 30:
        received += pieces(raw.feed(credit(1, 1)))
        told.append(list(raw.receivers[0].told))
    assert received == [bytes([n]) for n in range(30)]
    assert told.index(["writable"]) == 18  # as the twentieth byte goes, ten wait
    sink.send_end()
    assert raw.feed(credit(1, 1)) == [(DATA, END_STREAM, 1, b"")]


def test_a_window_that_shrinks_below_what_is_under_way() -> None:
    raw = Raw(preface=PREFACE + window(5))
    raw.feed(ASK)
    raw.sinks[0].respond(200, TEXT, b"0123456789")
    assert pieces(raw.feed(b"")) == [b"01234"]
    assert pieces(raw.feed(window(2))) == []  # now at -3
    assert pieces(raw.feed(credit(1, 3))) == []
    assert pieces(raw.feed(credit(1, 1))) == [b"5"]
    assert pieces(raw.feed(window(100))) == [b"6789"]


def test_the_window_of_the_connection_is_shared_in_turns() -> None:
    raw = Raw(preface=PREFACE + window(200_000), on_request=lambda sink: sink.respond(200, TEXT, bytes(40_000)))
    answer = raw.feed(b"".join(frame(HEADERS, END_HEADERS | END_STREAM, n, plain(GET)) for n in (1, 3)))
    assert sum(map(len, pieces(answer))) == 65_535
    assert sum(map(len, pieces(raw.feed(credit(0, 1))))) == 1
    assert sum(map(len, pieces(raw.feed(credit(0, 100_000))))) == 14_464
    assert raw.engine.open_requests == 0


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_h2_with_small_windows_gets_and_sends_everything(size: int) -> None:
    peer = Peer(HttpLimits(max_buffered_body_bytes=max(size, 16)), settings={SettingCodes.INITIAL_WINDOW_SIZE: size})
    stream = peer.request(POST, end=False)
    (sink,) = peer.sinks
    sink.send_head(200, TEXT)
    sink.send_data(b"down" * 200)
    sink.send_end()
    sent = received = 0
    while not (peer.finished(stream) and sent == 500):
        room = min(peer.client.local_flow_control_window(stream), 500 - sent)
        if room:
            peer.client.send_data(stream, b"u" * room, end_stream=sent + room == 500)
            sent += room
        taken = len(sink.take())
        sink.grant(taken)
        seen = len(peer.body(stream))
        if seen > received:
            peer.client.increment_flow_control_window(seen - received, stream)
            received = seen
        peer.pump()
    assert peer.body(stream) == b"down" * 200


def test_credit_for_a_stream_that_is_reset_is_given_back_to_the_connection() -> None:
    raw = Raw(HttpLimits(max_connection_window_bytes=65_535))
    for n in range(1, 201, 2):
        raw.feed(frame(HEADERS, END_HEADERS, n, plain(POST)) + frame(DATA, 0, n, bytes(10_000)))
        raw.sinks[-1].reset(CANCEL)
        raw.feed(b"")
        raw.engine.now += 1.0
    assert not raw.engine.want_close
    assert raw.engine.open_requests == 0
