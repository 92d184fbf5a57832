"""The trailers of a gRPC answer, as a client reads them."""

from __future__ import annotations

from fuzz.source import Source
from polywire.errors import Code, RpcError
from polywire.protocols.grpc.status import read_status, status_pairs
from polywire.wire.headers import HeaderBlock, Headers

NAMES = ["grpc-status", "grpc-message", "grpc-status-details-bin", "x-note", "retry-after"]


def fuzz_one(data: bytes) -> None:
    source = Source(data)
    pairs = []
    while source.left:
        pairs.append((source.one_of(NAMES), source.short().decode("latin-1")))
    error = read_status(Headers(pairs))
    if error is None:
        assert ("grpc-status", "0") in pairs
        return
    assert isinstance(error, RpcError)
    assert isinstance(error.code, Code)
    told = HeaderBlock(status_pairs(error, "t.Service"))
    again = read_status(Headers([(name.decode(), value.decode("latin-1")) for name, value in told.pairs]))
    assert again is not None
    assert again.code is error.code
