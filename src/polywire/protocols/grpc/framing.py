"""gRPC's length-prefixed messages: one flag byte, four bytes of length, the message."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from typing import NamedTuple

from polywire.errors import (
    TOO_LARGE,
    Internal,
    InvalidArgument,
    MalformedInput,
    ResourceExhausted,
    RpcError,
    Unimplemented,
)
from polywire.http.compression import decompress
from polywire.http.text_cache import text_cached
from polywire.runtime.metadata import Metadata
from polywire.wire.envelope import EnvelopeSplitter, enveloped

PREFIX_BYTES = 5
ACCEPTED_CODINGS = "identity,gzip"
SMALLEST_COMPRESSED_BYTES = 1024
_UNITS = {"H": 3600.0, "M": 60.0, "S": 1.0, "m": 1e-3, "u": 1e-6, "n": 1e-9}


class Prefix(NamedTuple):
    compressed: bool
    length: int


frame = enveloped


def frame_gzip(message: bytes) -> bytes:
    """The message with its prefix, compressed."""
    packed = gzip.compress(message, 1, mtime=0)
    return b"\x01" + len(packed).to_bytes(4) + packed


def read_prefix(data: bytes | bytearray, limit_bytes: int) -> Prefix:
    """The first five bytes. Raises MalformedInput for a bad flag, ResourceExhausted for a message above the limit."""
    if data[0] > 1:
        raise _bad_flag()
    length = int.from_bytes(data[1:5])
    if length > limit_bytes:
        raise _too_large(limit_bytes, length)
    return Prefix(data[0] == 1, length)


def unframe_one(body: bytes, limit_bytes: int, headers: Metadata, spend: Callable[[int], None] | None = None) -> bytes:
    """The single message of a unary call, decompressed; `spend` as of `decompress`.

    Raises Internal for none, Unimplemented for more than one, MalformedInput for a broken frame, ResourceExhausted
    (TOO_LARGE) for one above the limit.
    """
    size = len(body)
    # The common case in one comparison: uncompressed, and exactly one message.
    if size >= 5 and body[0] == 0 and int.from_bytes(body[1:5]) == size - 5 and size - 5 <= limit_bytes:
        return body[5:]
    if not body:
        raise Internal("a unary call carries one message; none came")
    if size < 5:
        raise MalformedInput("the message ends within its prefix")
    prefix = read_prefix(body, limit_bytes)
    if size < 5 + prefix.length:
        raise MalformedInput(f"the message ends early: {size - 5} bytes of {prefix.length}")
    if size > 5 + prefix.length:
        raise Unimplemented("a unary call carries one message; more came")
    return decompressed(body[5:], limit_bytes, headers, spend) if prefix.compressed else body[5:]


def decompressed(
    message: bytes, limit_bytes: int, headers: Metadata, spend: Callable[[int], None] | None = None
) -> bytes:
    """The bytes of a message whose flag says that it is compressed: by the call's grpc-encoding."""
    coding = headers.get("grpc-encoding")
    if coding is None or coding == "identity":
        raise Internal("a compressed message came without grpc-encoding")
    return decompress(coding, message, limit_bytes, spend)


def message_splitter(limit_bytes: int) -> EnvelopeSplitter:
    """Splits a client stream into its messages; errors as of `unframe_one`."""

    def explain(problem: str, number: int) -> RpcError:
        if problem == "flags":
            return _bad_flag()
        if problem == "length":
            return _too_large(limit_bytes, number)
        where = "a message's prefix" if number < PREFIX_BYTES else "a message"
        return MalformedInput(f"the stream ends within {where}")

    return EnvelopeSplitter(limit_bytes, explain)


def _bad_flag() -> RpcError:
    return MalformedInput("the message's compression flag is neither 0 nor 1")


def _too_large(limit_bytes: int, length: int) -> RpcError:
    return ResourceExhausted(f"the message is larger than {limit_bytes} bytes ({length})", reason=TOO_LARGE)


def accepts_gzip(headers: Metadata) -> bool:
    """Whether grpc-accept-encoding names gzip."""
    accepted = headers.get("grpc-accept-encoding")
    return accepted is not None and "gzip" in [part.strip() for part in accepted.split(",")]


def check_coding(coding: str) -> None:
    """Raises Unimplemented, naming what is accepted, for a grpc-encoding other than identity and gzip."""
    if coding not in ("identity", "gzip"):
        raise Unimplemented(
            f"grpc-encoding {coding[:32]!r} is not supported; use one of {ACCEPTED_CODINGS}",
            metadata={"grpc-accept-encoding": ACCEPTED_CODINGS},
        )


@text_cached
def timeout_s(header: str) -> float:
    """Seconds from grpc-timeout: 1 to 8 digits and a unit. Raises InvalidArgument for anything else."""
    digits, unit = header[:-1], header[-1:]
    if not 1 <= len(digits) <= 8 or not digits.isdigit() or not digits.isascii() or unit not in _UNITS:
        raise InvalidArgument("grpc-timeout must be up to 8 digits and one of H M S m u n")
    return int(digits) * _UNITS[unit]
