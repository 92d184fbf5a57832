"""Content codings (RFC 9110 §8.4): which one to answer with, and both directions of each."""

from __future__ import annotations

import gzip
import sys
import zlib
from collections.abc import Callable
from typing import Any

from polywire.errors import TOO_LARGE, MalformedInput, ResourceExhausted
from polywire.http.text_cache import text_cached

SMALLEST_COMPRESSED_BYTES = 1024
"""Below this a compressed body saves no packet."""
CODINGS = ("zstd", "gzip", "br")
"""What is spoken, the dearest last: at these settings brotli takes longest for what it saves."""
ACCEPTED = ", ".join(CODINGS)
_BROTLI_QUALITY = 4
_STEP = 64 * 1024
_MOST_MEMBERS = 1000
"""Of one body: a gzip member or zstd frame of nothing has 20 or 9 bytes, and costs more than them to set up."""


@text_cached
def choose_coding(accept_encoding: str) -> str | None:
    """The coding to answer with by `Accept-Encoding` (RFC 9110 §12.5.3): one of CODINGS, or None for identity."""
    weights = _weights(accept_encoding)
    other = weights.get("*", 0.0)
    best: str | None = None
    best_weight = weights.get("identity", 0.0)
    for coding in CODINGS:
        weight = weights.get(coding, other)
        if weight > 0 and ((best is None and weight >= best_weight) or weight > best_weight):
            best, best_weight = coding, weight
    return best


def _weights(header: str) -> dict[str, float]:
    weights: dict[str, float] = {}
    for item in header.split(","):
        coding, _, parameter = item.partition(";")
        name, _, value = parameter.strip().partition("=")
        weight = 1.0
        if name.strip().lower() == "q":
            try:
                weight = min(1.0, max(0.0, float(value)))
            except ValueError:
                weight = 0.0
        weights["gzip" if coding.strip().lower() == "x-gzip" else coding.strip().lower()] = weight
    return weights


def compress(coding: str, data: bytes) -> bytes:
    """coding: one of CODINGS."""
    if coding == "zstd":
        compressed: bytes = _zstd().compress(data, 3)
        return compressed
    if coding == "br":
        import brotli

        packed: bytes = brotli.compress(data, quality=_BROTLI_QUALITY)
        return packed
    return gzip.compress(data, 1, mtime=0)


def decompress(coding: str, data: bytes, limit_bytes: int, spend: Callable[[int], None] | None = None) -> bytes:
    """The whole decompressed body, never holding more than limit_bytes and one step of it; nothing is nothing's.

    spend: told what it has cost, also where it raises: the bytes that went in and came out, and 1 KiB a member.

    Raises ResourceExhausted (TOO_LARGE) for more, MalformedInput for data that is not in that coding, or of more than
    1000 members (RFC 1952 §2.2) or frames (RFC 8878 §3).
    """
    if not data:
        return b""
    work = _Work(limit_bytes)
    try:
        if coding == "zstd":
            return _inflate_zstd(data, work)
        return _inflate_brotli(data, work) if coding == "br" else _inflate_gzip(data, work)
    except (zlib.error, EOFError, ValueError) as error:
        raise MalformedInput(f"the body is not valid {coding}") from error
    finally:
        if spend is not None:
            spend(len(data) + work.total + 1024 * work.members)


class _Work:
    """What decompressing one body has cost so far, and its bounds."""

    __slots__ = ("limit_bytes", "members", "total")

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self.members = 0
        self.total = 0

    def begin_member(self) -> None:
        if self.members == _MOST_MEMBERS:
            raise MalformedInput(f"the body has more than {_MOST_MEMBERS} compressed parts")
        self.members += 1

    def add(self, count_bytes: int) -> None:
        self.total += count_bytes
        if self.total > self.limit_bytes:
            raise ResourceExhausted(f"the decompressed body is larger than {self.limit_bytes} bytes", reason=TOO_LARGE)


def _inflate_gzip(data: bytes, work: _Work) -> bytes:
    parts: list[bytes] = []
    position = 0
    chunk = b""
    while chunk or position < len(data):
        work.begin_member()
        inflater = zlib.decompressobj(wbits=31)
        while not inflater.eof:
            if not chunk:
                # In pieces: what a member leaves over is copied, and there may be many members.
                chunk = data[position : position + _STEP]
                position += len(chunk)
            part = inflater.decompress(chunk, _STEP)
            if not part and not chunk and not inflater.eof:
                raise EOFError
            chunk = inflater.unconsumed_tail
            work.add(len(part))
            parts.append(part)
        chunk = inflater.unused_data
    return b"".join(parts)


def _inflate_zstd(data: bytes, work: _Work) -> bytes:
    zstd = _zstd()
    parts: list[bytes] = []
    position = 0
    chunk = b""
    # A window of 8 MiB is what RFC 9659 lets a peer ask for.
    options = {zstd.DecompressionParameter.window_log_max: 23}
    try:
        while chunk or position < len(data):
            work.begin_member()
            inflater = zstd.ZstdDecompressor(options=options)
            while not inflater.eof:
                if not chunk and inflater.needs_input:
                    chunk = data[position : position + _STEP]
                    position += len(chunk)
                    if not chunk:
                        raise EOFError
                part = inflater.decompress(chunk, _STEP)
                chunk = b""
                work.add(len(part))
                parts.append(part)
            chunk = inflater.unused_data
    except zstd.ZstdError as error:
        raise MalformedInput("the body is not valid zstd") from error
    return b"".join(parts)


def _inflate_brotli(data: bytes, work: _Work) -> bytes:
    # Imported at first use, as zstd is. A window is 16 MiB at most (RFC 7932 §9.1).
    import brotli

    parts: list[bytes] = []
    position = 0
    inflater = brotli.Decompressor()
    work.begin_member()
    try:
        while not inflater.is_finished():
            chunk = b""
            if inflater.can_accept_more_data():
                chunk = data[position : position + _STEP]
                position += len(chunk)
            part = inflater.process(chunk, output_buffer_limit=_STEP)
            if not part and not chunk and not inflater.is_finished():
                raise EOFError
            work.add(len(part))
            parts.append(part)
    except brotli.error as error:
        raise MalformedInput("the body is not valid br") from error
    if position < len(data):
        raise MalformedInput("the body goes on after its end")
    return b"".join(parts)


def _zstd() -> Any:
    # Imported at first use: few processes ever need it.
    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd
    return zstd
