"""A client and a server of the engine hear each other's messages, whatever they are and however they are cut."""

from __future__ import annotations

from itertools import cycle
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from polywire.wire.websocket import WebSocketEngine
from polywire.wire.websocket_deflate import DeflateParameters

from .websocket_peer import CONTINUATION, RSV1, TEXT, bytewise, deflated, frame, hear

LIMIT_BYTES = 100_000
PINGS = st.binary(max_size=125).map(lambda payload: (9, payload))
PONGS = st.binary(max_size=125).map(lambda payload: (10, payload))
LONG = st.tuples(st.binary(min_size=1, max_size=9), st.integers(1, 9000)).map(lambda made: made[0] * made[1])
MESSAGES = st.lists(st.text() | st.binary(max_size=300) | LONG | PINGS | PONGS, max_size=12)
CODES = st.sampled_from([1000, 1001, 1008, 1011, 1013, 3000, 4999])
AGREED = st.none() | st.builds(DeflateParameters, st.integers(9, 15), st.booleans(), st.just(15), st.booleans())
SIZES = st.lists(st.integers(1, 4000), min_size=1, max_size=5)


def said(engine: WebSocketEngine, messages: list[Any]) -> bytes:
    made = []
    for message in messages:
        if isinstance(message, tuple):
            made.append((engine.encode_ping if message[0] == 9 else engine.encode_pong)(message[1]))
        else:
            made.append(engine.encode(message))
    return b"".join(made)


def heard(engine: WebSocketEngine, wire: bytes, sizes: list[int]) -> list[Any]:
    found: list[Any] = []
    at = 0
    for size in cycle(sizes):
        found += engine.receive_data(wire[at : at + size])
        while engine.waiting:
            found += engine.receive_data(b"")
        at += size
        if at >= len(wire):
            return found
    raise AssertionError


@given(MESSAGES, CODES, st.text(max_size=30), AGREED, st.booleans(), SIZES)
def test_round_trip(
    messages: list[Any], code: int, reason: str, deflate: DeflateParameters | None, is_client: bool, sizes: list[int]
) -> None:
    other = None if deflate is None else DeflateParameters(*deflate[2:], *deflate[:2])
    sender = WebSocketEngine(LIMIT_BYTES, is_client=is_client, deflate=deflate)
    receiver = WebSocketEngine(LIMIT_BYTES, is_client=not is_client, deflate=other)
    wire = said(sender, messages) + sender.encode_close(code, reason)
    assert heard(receiver, wire, sizes) == [*messages, (8, (code, reason))]
    assert receiver.failure is None
    assert receiver.closed


FRAMES = st.builds(
    frame,
    st.sampled_from([0, 1, 2, 8, 9, 10, 3]) | st.integers(0, 15),
    st.binary(max_size=130) | st.binary(max_size=60).map(deflated),
    fin=st.booleans(),
    rsv=st.sampled_from([0, 0, 0, RSV1]),
    mask=st.sampled_from([True, True, True, False]),
    length_bytes=st.sampled_from([None, None, None, 2, 8]).filter(lambda size: size != 0),
)


@given(st.lists(FRAMES | st.binary(max_size=9), max_size=8), AGREED, SIZES)
def test_any_bytes_mean_the_same_in_any_cut(
    parts: list[bytes], deflate: DeflateParameters | None, sizes: list[int]
) -> None:
    wire = b"".join(parts)
    whole = hear([wire], limit_bytes=500, deflate=deflate)
    assert hear(bytewise(wire), limit_bytes=500, deflate=deflate) == whole
    assert hear(parts, limit_bytes=500, deflate=deflate) == whole


@given(LONG, st.lists(st.integers(0, 5000), max_size=5), AGREED)
def test_fragments_are_put_together(message: bytes, cuts: list[int], deflate: DeflateParameters | None) -> None:
    payload = message if deflate is None else deflated(message)
    places = sorted(cut for cut in cuts if cut <= len(payload))
    parts = [payload[a:b] for a, b in zip([0, *places], [*places, len(payload)], strict=True)]
    first = RSV1 if deflate is not None else 0
    wire = b"".join(
        frame(CONTINUATION if place else 2, part, fin=place == len(parts) - 1, rsv=0 if place else first)
        for place, part in enumerate(parts)
    )
    assert hear([wire], deflate=deflate) == ([message], None)
    assert hear([wire, frame(TEXT, b"after")], deflate=deflate) == ([message, "after"], None)
