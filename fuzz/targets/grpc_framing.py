"""gRPC's length-prefixed messages, one and many, compressed or not."""

from __future__ import annotations

from fuzz.source import Source, pieces
from polywire.errors import Internal, MalformedInput, ResourceExhausted, RpcError, Unimplemented
from polywire.protocols.grpc.framing import decompressed, frame, frame_gzip, message_splitter, unframe_one
from polywire.wire.headers import Headers

CODINGS = [None, "gzip", "identity", "gzip"]
KNOWN = (Internal, MalformedInput, ResourceExhausted, Unimplemented)


def fuzz_one(data: bytes) -> None:
    source = Source(data)
    coding = source.one_of(CODINGS)
    headers = Headers([("grpc-encoding", coding)] if coding else [])
    limit_bytes = source.number(2)
    sizes = [1 + source.byte(), 1 + source.byte()]
    wire = source.rest()
    one(wire, limit_bytes, headers)
    many(wire, limit_bytes, sizes, headers)


def one(wire: bytes, limit_bytes: int, headers: Headers) -> None:
    try:
        message = unframe_one(wire, limit_bytes, headers)
    except KNOWN:
        return
    assert len(message) <= limit_bytes
    assert unframe_one(frame(message), limit_bytes, headers) == message
    packed = frame_gzip(message)
    if len(packed) - 5 <= limit_bytes:
        assert unframe_one(packed, limit_bytes, Headers([("grpc-encoding", "gzip")])) == message


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


def many(wire: bytes, limit_bytes: int, sizes: list[int], headers: Headers) -> None:
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
                assert len(decompressed(message, limit_bytes, headers)) <= limit_bytes
            except KNOWN:
                continue
