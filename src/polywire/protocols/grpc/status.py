"""An error as gRPC tells it: grpc-status, grpc-message and grpc-status-details-bin."""

from __future__ import annotations

import base64
import functools
from collections.abc import Callable
from typing import Any

from polywire.codec import Format, message_codec
from polywire.errors import FieldViolation, RpcError
from polywire.schema import Message, message_type

Pairs = tuple[tuple[bytes, bytes], ...]


class Packed(Message, package="google.rpc"):
    """`google.protobuf.Any` on the wire."""

    type_url: str
    value: bytes


class Status(Message, package="google.rpc"):
    code: int
    message: str
    details: list[Packed] = []


class ErrorInfo(Message, package="google.rpc"):
    reason: str
    domain: str
    metadata: dict[str, str] = {}


class Violation(Message, package="google.rpc"):
    """`google.rpc.BadRequest.FieldViolation` on the wire."""

    field: str
    description: str


class BadRequest(Message, package="google.rpc"):
    field_violations: list[Violation]


@functools.lru_cache(maxsize=256)
def _packer(cls: type[Message]) -> tuple[str, Callable[[Any], bytes]]:
    table = message_type(cls)
    return f"type.googleapis.com/{table.full_name}", message_codec(table, Format.PROTOBUF).encode


def _pack(value: Message) -> Packed:
    url, encode = _packer(type(value))
    return Packed(url, encode(value))


def status_pairs(error: RpcError, domain: str) -> Pairs:
    """The trailers that tell the error. domain: of the ErrorInfo, the service's full name."""
    pairs: list[tuple[bytes, bytes]] = [(b"grpc-status", b"%d" % int(error.code))]
    if error.message:
        pairs.append((b"grpc-message", percent_encode(error.message)))
    if error.reason is not None or error.details:
        status = Status(int(error.code), error.message, _details(error, domain))
        encoded = _packer(Status)[1](status)
        pairs.append((b"grpc-status-details-bin", base64.b64encode(encoded).rstrip(b"=")))
    return tuple(pairs)


def _details(error: RpcError, domain: str) -> list[Packed]:
    details = []
    if error.reason is not None:
        details.append(_pack(ErrorInfo(error.reason, domain)))
    violations = [Violation(d.field, d.reason) for d in error.details if isinstance(d, FieldViolation)]
    if violations:
        details.append(_pack(BadRequest(violations)))
    details.extend(_pack(d) for d in error.details if not isinstance(d, FieldViolation))
    return details


def percent_encode(message: str) -> bytes:
    """grpc-message: only octets outside of 0x20..0x7E and `%` are encoded (gRPC over HTTP/2, Responses)."""
    raw = message.encode("utf-8", "replace")
    return b"".join(b"%c" % b if 0x20 <= b <= 0x7E and b != 0x25 else b"%%%02X" % b for b in raw)
