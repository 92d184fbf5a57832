"""Enveloped messages, those of gRPC, gRPC-Web and Connect's streams: a byte of flags, four of length, the message."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from polywire.errors import (
    TOO_LARGE,
    Internal,
    MalformedInput,
    ResourceExhausted,
    RpcError,
    Unimplemented,
)
from polywire.http.compression import compress, decompress
from polywire.http.text_cache import text_cached
from polywire.wire.envelope import EnvelopeSplitter, enveloped

PREFIX_BYTES = 5
CODINGS = ("gzip", "zstd", "br")
ACCEPTED_CODINGS = ",".join(("identity", *CODINGS))
SMALLEST_COMPRESSED_BYTES = 1024


class Prefix(NamedTuple):
    compressed: bool
    length: int


frame = enveloped


def frame_compressed(coding: str, message: bytes) -> bytes:
    """The message with its prefix, in one of CODINGS."""
    return enveloped(compress(coding, message), 1)


def read_prefix(data: bytes | bytearray, limit_bytes: int) -> Prefix:
    """The first five bytes. Raises MalformedInput for a bad flag, ResourceExhausted for a message above the limit."""
    if data[0] > 1:
        raise _bad_flag()
    length = int.from_bytes(data[1:5])
    if length > limit_bytes:
        raise too_large(limit_bytes, length)
    return Prefix(data[0] == 1, length)


def unframe_one(body: bytes, limit_bytes: int, coding: str | None, spend: Callable[[int], None] | None = None) -> bytes:
    """The single message of a call, decompressed; `coding` as announced, `spend` as of `decompress`.

    Raises Unimplemented for none and for more than one, MalformedInput for a broken frame, ResourceExhausted
    (TOO_LARGE) for one above the limit.
    """
    size = len(body)
    # The common case in one comparison: uncompressed, and exactly one message.
    if size >= 5 and body[0] == 0 and int.from_bytes(body[1:5]) == size - 5 and size - 5 <= limit_bytes:
        return body[5:]
    if not body:
        raise Unimplemented("the call carries one message; none came")
    if size < 5:
        raise MalformedInput("the message ends within its prefix")
    prefix = read_prefix(body, limit_bytes)
    if size < 5 + prefix.length:
        raise MalformedInput(f"the message ends early: {size - 5} bytes of {prefix.length}")
    if size > 5 + prefix.length:
        raise Unimplemented("a unary call carries one message; more came")
    return decompressed(body[5:], limit_bytes, coding, spend) if prefix.compressed else body[5:]


def decompressed(
    message: bytes, limit_bytes: int, coding: str | None, spend: Callable[[int], None] | None = None
) -> bytes:
    """The bytes of a message whose flag says that it is compressed. Raises Internal where no coding was announced."""
    if coding is None or coding == "identity":
        raise Internal("a compressed message came, and no coding was announced")
    return decompress(coding, message, limit_bytes, spend)


def message_splitter(limit_bytes: int) -> EnvelopeSplitter:
    """Splits a client stream into its messages; errors as of `unframe_one`."""

    def explain(problem: str, number: int) -> RpcError:
        if problem == "flags":
            return _bad_flag()
        if problem == "length":
            return too_large(limit_bytes, number)
        where = "a message's prefix" if number < PREFIX_BYTES else "a message"
        return MalformedInput(f"the stream ends within {where}")

    return EnvelopeSplitter(limit_bytes, explain)


def _bad_flag() -> RpcError:
    return MalformedInput("the message's compression flag is neither 0 nor 1")


def too_large(limit_bytes: int, length: int) -> RpcError:
    """A message of `length` bytes is beyond the limit."""
    return ResourceExhausted(f"the message is larger than {limit_bytes} bytes ({length})", reason=TOO_LARGE)


@text_cached
def accepted_coding(accepted: str) -> str | None:
    """The first coding in the caller's list that is spoken here; None for none."""
    names = [part.partition(";")[0].strip() for part in accepted.split(",")]
    return next((name for name in names if name in CODINGS), None)


def check_coding(coding: str, field: str, accepted_field: str) -> None:
    """Raises Unimplemented for the value of a field such as `grpc-encoding`; what is accepted is told beside it."""
    if coding != "identity" and coding not in CODINGS:
        raise Unimplemented(
            f"{field} {coding[:32]!r} is not supported; use one of {ACCEPTED_CODINGS}",
            metadata={accepted_field: ACCEPTED_CODINGS},
        )
