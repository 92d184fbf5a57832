"""Frames as a test wants them, and what the engine makes of bytes however they are cut."""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from typing import Any, NamedTuple

from polywire.wire.websocket import WebSocketEngine
from polywire.wire.websocket_deflate import DeflateParameters

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
RSV1, RSV2, RSV3 = 0x40, 0x20, 0x10
KEY = bytes.fromhex("37fa213d")
"""That of RFC 6455 §5.7."""
LIMIT_BYTES = 200_000


def masked(payload: bytes, key: bytes = KEY) -> bytes:
    return bytes(byte ^ key[place % 4] for place, byte in enumerate(payload))


def frame(
    opcode: int,
    payload: bytes = b"",
    *,
    fin: bool = True,
    rsv: int = 0,
    mask: bool = True,
    length_bytes: int | None = None,
    declared: int | None = None,
) -> bytes:
    """length_bytes: 0, 2 or 8, whether it is the shortest form or not. declared: another length than the true one."""
    size = len(payload) if declared is None else declared
    if length_bytes is None:
        length_bytes = 0 if size < 126 else 2 if size < 65536 else 8
    short = {0: size, 2: 126, 8: 127}[length_bytes]
    head = bytes([(0x80 if fin else 0) | rsv | opcode, (0x80 if mask else 0) | short])
    head += size.to_bytes(length_bytes, "big") if length_bytes else b""
    return head + (KEY + masked(payload) if mask else payload)


def fragments(opcode: int, parts: list[bytes], *, rsv: int = 0) -> bytes:
    """A message of several frames. rsv: of the first."""
    last = len(parts) - 1
    return b"".join(
        frame(CONTINUATION if place else opcode, part, fin=place == last, rsv=0 if place else rsv)
        for place, part in enumerate(parts)
    )


def close(code: int | None = None, reason: bytes = b"", **options: Any) -> bytes:
    return frame(CLOSE, b"" if code is None else code.to_bytes(2, "big") + reason, **options)


def deflated(payload: bytes, level: int = 6, wbits: int = -15) -> bytes:
    """A compressed message's payload (RFC 7692 §7.2.1)."""
    packer = zlib.compressobj(level=level, wbits=wbits)
    packed = packer.compress(payload) + packer.flush(zlib.Z_SYNC_FLUSH)
    return packed[:-4]


class Heard(NamedTuple):
    found: list[Any]
    failure: int | None
    """The code to close with."""


def hear(
    pieces: Iterable[bytes],
    *,
    is_client: bool = False,
    limit_bytes: int = LIMIT_BYTES,
    deflate: DeflateParameters | None = None,
) -> Heard:
    engine = WebSocketEngine(limit_bytes, is_client=is_client, deflate=deflate)
    found: list[Any] = []
    for piece in pieces:
        found += engine.receive_data(piece)
        while engine.waiting:
            found += engine.receive_data(b"")
        assert engine.kept_bytes <= limit_bytes + limit_bytes // 256 + 64
    return Heard(found, None if engine.failure is None else engine.failure[0])


def bytewise(wire: bytes) -> list[bytes]:
    return [bytes([byte]) for byte in wire]


def server_frames(data: bytes) -> list[tuple[int, bytes]]:
    """(first byte, payload) of each frame of a server; it must end with a whole one."""
    found = []
    while data:
        assert not data[1] & 0x80, "a server masks nothing"
        extra = {126: 2, 127: 8}.get(data[1], 0)
        size = int.from_bytes(data[2 : 2 + extra], "big") if extra else data[1]
        end = 2 + extra + size
        assert len(data) >= end, data[:100]
        found.append((data[0], data[2 + extra : end]))
        data = data[end:]
    return found
