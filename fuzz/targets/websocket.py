"""One end of a WebSocket: any bytes from a peer, compressed or not, and what it says itself."""

from __future__ import annotations

from typing import Any

from fuzz.source import Source, pieces
from polywire.wire.websocket import WebSocketEngine
from polywire.wire.websocket_deflate import DeflateParameters, agreed, answer, offer

LIMITS = [125, 1000, 70_000, 1]
AGREED = [None, DeflateParameters(), DeflateParameters(12, True, 15, True), DeflateParameters(9, True, 9, True)]
CODES = {1002, 1007, 1009}


def fuzz_one(data: bytes) -> None:
    source = Source(data)
    how = source.byte()
    sizes = [1 + source.byte(), 1 + source.byte()]
    wire = source.rest()
    if how == 255:
        negotiated(wire.decode("latin-1"))
        return
    limit_bytes, deflate, is_client = LIMITS[how % 4], AGREED[how // 4 % 4], bool(how & 16)
    whole = heard([wire], limit_bytes, deflate, is_client)
    for parts in (pieces(wire, sizes), pieces(wire, [1])):
        assert heard(parts, limit_bytes, deflate, is_client) == whole
    said(whole[0], limit_bytes, deflate, is_client)


def heard(
    parts: list[bytes], limit_bytes: int, deflate: DeflateParameters | None, is_client: bool
) -> tuple[list[Any], tuple[int, str] | None, bool]:
    engine = WebSocketEngine(limit_bytes, is_client=is_client, deflate=deflate)
    found: list[Any] = []
    for part in parts:
        found += engine.receive_data(part)
        while engine.waiting:
            found += engine.receive_data(b"")
        assert engine.kept_bytes <= limit_bytes + limit_bytes // 256 + 64
    failure = engine.failure
    if failure is not None:
        assert failure[0] in CODES
        WebSocketEngine(1).encode_close(*failure)
    if failure is not None or engine.closed:
        assert engine.kept_bytes == 0
        assert engine.receive_data(b"\x81\x00") == []
    return found, failure, engine.closed


def said(found: list[Any], limit_bytes: int, deflate: DeflateParameters | None, is_client: bool) -> None:
    """What was heard is heard again by the other end."""
    other = None if deflate is None else DeflateParameters(*deflate[2:], *deflate[:2])
    sender = WebSocketEngine(limit_bytes, is_client=not is_client, deflate=other)
    wire = b""
    for one in found:
        if not isinstance(one, tuple):
            assert len(one.encode() if isinstance(one, str) else one) <= limit_bytes
            wire += sender.encode(one)
        elif one[0] == 8:
            wire += sender.encode_close(*one[1])
        else:
            wire += (sender.encode_ping if one[0] == 9 else sender.encode_pong)(one[1])
    assert heard([wire], limit_bytes, deflate, is_client)[:2] == (found, None)


def negotiated(field: str) -> None:
    for keep_context in (False, True):
        made = answer(field, keep_context)
        if made is not None:
            assert 9 <= made[1].own_window_bits <= 15
            assert 9 <= made[1].peer_window_bits <= 15
            assert keep_context or not (made[1].own_keeps_context or made[1].peer_keeps_context)
            if field == offer(keep_context):
                assert agreed(made[0], keep_context) is not None
        try:
            agreed(field, keep_context)
        except ValueError:
            continue
