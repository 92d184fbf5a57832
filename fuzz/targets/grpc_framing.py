"""gRPC's length-prefixed messages, one and many, compressed or not."""

from __future__ import annotations

from fuzz.source import Source, pieces
from polywire.errors import Internal, MalformedInput, ResourceExhausted, RpcError, Unimplemented
from polywire.protocols.rpc.framing import decompressed, frame, frame_compressed, message_splitter, unframe_one

CODINGS = [None, "gzip", "identity", "gzip"]
KNOWN = (Internal, MalformedInput, ResourceExhausted, Unimplemented)


def fuzz_one(data: bytes) -> None:
    source = Source(data)
    coding = source.one_of(CODINGS)
    limit_bytes = source.number(2)
    sizes = [1 + source.byte(), 1 + source.byte()]
    wire = source.rest()
    one(wire, limit_bytes, coding)
    many(wire, limit_bytes, sizes, coding)


def one(wire: bytes, limit_bytes: int, coding: str | None) -> None:
    try:
        message = unframe_one(wire, limit_bytes, coding)
    except KNOWN:
        return
    assert len(message) <= limit_bytes
    assert unframe_one(frame(message), limit_bytes, coding) == message
    packed = frame_compressed("gzip", message)
    if len(packed) - 5 <= limit_bytes:
        assert unframe_one(packed, limit_bytes, "gzip") == message


def split(parts: list[bytes], limit_bytes: int) -> tuple[list[tuple[int, bytes]], RpcError | None]:
    splitter = message_splitter(limit_bytes)
    found: list[tuple[int, bytes]] = []
    for part in parts:
        found += splitter.feed(part)
        while splitter.waiting:
            found += splitter.feed(b"")
        if splitter.error is not None:
            break
    else:
        found += splitter.end()
    return found, splitter.error


def many(wire: bytes, limit_bytes: int, sizes: list[int], coding: str | None) -> None:
    whole, error = split([wire], limit_bytes)
    for parts in (pieces(wire, sizes), pieces(wire, [1])):
        found, other = split(parts, limit_bytes)
        assert found == whole
        assert (type(other), str(other)) == (type(error), str(error))
    assert error is None or isinstance(error, KNOWN)
    size = sum(5 + len(message) for _, message in whole)
    assert size == len(wire) if error is None else size < len(wire)
    for compressed, message in whole:
        assert len(message) <= limit_bytes
        if compressed:
            try:
                assert len(decompressed(message, limit_bytes, coding)) <= limit_bytes
            except KNOWN:
                continue
