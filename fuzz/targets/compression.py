"""Compressed bodies: broken ones, bombs, and many small members."""

from __future__ import annotations

from fuzz.source import Source
from polywire.errors import MalformedInput, ResourceExhausted
from polywire.http.compression import compress, decompress

CODINGS = ["gzip", "zstd", "br"]


def fuzz_one(data: bytes) -> None:
    source = Source(data)
    coding = source.one_of(CODINGS)
    limit_bytes = source.number(2) * 4
    wire = source.rest()
    try:
        body = decompress(coding, wire, limit_bytes)
    except (MalformedInput, ResourceExhausted):
        return
    assert len(body) <= limit_bytes
    assert decompress(coding, compress(coding, body), limit_bytes) == body
