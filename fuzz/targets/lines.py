"""NDJSON: lines out of a stream of bytes."""

from __future__ import annotations

from fuzz.source import Source, pieces
from polywire.errors import ResourceExhausted
from polywire.protocols.rest.lines import LineSplitter


def fuzz_one(data: bytes) -> None:
    source = Source(data)
    limit_bytes = source.byte()
    sizes = [1 + source.byte(), 1 + source.byte()]
    wire = source.rest()
    whole, refused = split([wire], limit_bytes)
    assert split(pieces(wire, sizes), limit_bytes) == (whole, refused)
    assert split(pieces(wire, [1]), limit_bytes) == (whole, refused)
    lines = [line.strip(b" \t\r") for line in wire.split(b"\n")]
    expected = [line for line in lines if line]
    assert whole == expected[: len(whole)]
    assert refused or whole == expected
    assert all(len(line) <= limit_bytes for line in whole)


def split(parts: list[bytes], limit_bytes: int) -> tuple[list[bytes], bool]:
    """The lines before the error, and whether there was one."""
    splitter = LineSplitter(limit_bytes)
    found: list[bytes] = []
    for part in parts:
        found += splitter.feed(part)
        while splitter.waiting:
            found += splitter.feed(b"")
        if splitter.error is not None:
            assert isinstance(splitter.error, ResourceExhausted)
            return found, True
    found += splitter.end()
    return found, splitter.error is not None
