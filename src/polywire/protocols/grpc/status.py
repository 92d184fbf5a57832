"""An error as gRPC tells it: grpc-status, grpc-message and grpc-status-details-bin."""

from __future__ import annotations

import base64
import contextlib
import functools
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import unquote

from polywire.codec import Format, message_codec
from polywire.errors import INVALID, MALFORMED, Code, FieldViolation, InvalidInput, MalformedInput, RpcError
from polywire.protocols.rpc.details import BadRequest, ErrorInfo, Packed, error_details, pack, packer
from polywire.runtime.metadata import Metadata, told_beside
from polywire.schema import Message, message_type

Pairs = tuple[tuple[bytes, bytes], ...]

_NUMBERS = frozenset(str(int(code)) for code in Code)
_BY_CODE: dict[Code, type[RpcError]] = {
    Code(cls.code): cls for cls in RpcError.__subclasses__() if cls.__module__ == RpcError.__module__
}
_BY_REASON: dict[tuple[Code, str | None], type[RpcError]] = {
    (Code.INVALID_ARGUMENT, MALFORMED): MalformedInput,
    (Code.INVALID_ARGUMENT, INVALID): InvalidInput,
}


class Status(Message, package="google.rpc"):
    code: int
    message: str
    details: list[Packed] = []


@functools.lru_cache(maxsize=256)
def _reader(cls: type[Message]) -> Callable[[bytes], Any]:
    return message_codec(message_type(cls), Format.PROTOBUF).decode


MOST_MESSAGE_CHARACTERS = 500
MOST_DETAILS_BYTES = 3072
"""Many clients take no more than 8 KiB of trailers in all; a message is cut, details that are larger are left out."""


def status_pairs(error: RpcError, domain: str) -> Pairs:
    """The trailers that tell the error. domain: of the ErrorInfo, the service's full name."""
    pairs: list[tuple[bytes, bytes]] = [(b"grpc-status", b"%d" % int(error.code))]
    message = error.message
    if len(message) > MOST_MESSAGE_CHARACTERS:
        message = message[: MOST_MESSAGE_CHARACTERS - 1] + "…"
    if message:
        pairs.append((b"grpc-message", percent_encode(message)))
    if error.reason is not None or error.details:
        encode = packer(Status)[1]
        details = [pack(detail) for detail in error_details(error, domain)]
        encoded = encode(Status(int(error.code), message, details))
        if len(encoded) > MOST_DETAILS_BYTES:
            encoded = encode(Status(int(error.code), message, details[:1]))
        if len(encoded) <= MOST_DETAILS_BYTES:
            pairs.append((b"grpc-status-details-bin", base64.b64encode(encoded).rstrip(b"=")))
    return tuple(pairs)


def read_status(fields: Metadata) -> RpcError | None:
    """The error that trailers tell; None for OK. The other way round of `status_pairs`, with the class that fits.

    Violations come back as `FieldViolation`s; details of other types, and broken ones, stay packed, as `Packed`. Where
    grpc-status-details-bin cannot be read at all, the error is told without it.
    """
    number = fields.get("grpc-status")
    code = Code(int(number)) if number is not None and number in _NUMBERS else Code.UNKNOWN
    if code is Code.OK:
        return None
    message = percent_decode(fields.get("grpc-message") or "")
    return error_told(code, message, _unpack(fields), None, told_beside(fields))


def error_told(
    code: Code, message: str, packed: Iterable[Packed], reason: str | None, metadata: dict[str, str]
) -> RpcError:
    """An error that came over the wire, with the class that fits; the reason may be among its details."""
    details: list[Any] = []
    for one in packed:
        told = _unpacked(one)
        if isinstance(told, ErrorInfo):
            reason = told.reason
        elif isinstance(told, BadRequest):
            details.extend(FieldViolation(v.field, v.description) for v in told.field_violations)
        else:
            details.append(one)
    cls = _BY_REASON.get((code, reason)) or _BY_CODE[code]
    # Of the class alone: subclasses of these have constructors of their own.
    error = cls.__new__(cls)
    RpcError.__init__(error, message, code=code, reason=reason, details=details, metadata=metadata or None)
    return error


_DETAILS: dict[str, type[Message]] = {"google.rpc.ErrorInfo": ErrorInfo, "google.rpc.BadRequest": BadRequest}


def _unpack(fields: Metadata) -> list[Packed]:
    for binary in fields.get_binary("grpc-status-details-bin")[:1]:
        with contextlib.suppress(MalformedInput, InvalidInput):
            status: Status = _reader(Status)(binary)
            return status.details
    return []


def _unpacked(packed: Packed) -> Message | None:
    """The detail, of a type that is read here; None for any other, and for one that is not what it says."""
    cls = _DETAILS.get(packed.type_url.rpartition("/")[2])
    if cls is not None:
        with contextlib.suppress(MalformedInput, InvalidInput):
            detail: Message = _reader(cls)(packed.value)
            return detail
    return None


def percent_decode(text: str) -> str:
    """A grpc-message as it was; what is not validly encoded stays as it is (gRPC over HTTP/2, Responses)."""
    return unquote(text, errors="replace")


def percent_encode(message: str) -> bytes:
    """grpc-message: only octets outside of 0x20..0x7E and `%` are encoded (gRPC over HTTP/2, Responses)."""
    raw = message.encode("utf-8", "replace")
    return b"".join(b"%c" % b if 0x20 <= b <= 0x7E and b != 0x25 else b"%%%02X" % b for b in raw)
