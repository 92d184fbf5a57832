"""What an error tells beside its message, as `google.rpc` has it: in gRPC's status and in Connect's errors alike."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from polywire.codec import Format, message_codec
from polywire.errors import FieldViolation, RpcError
from polywire.schema import Message, message_type


class Packed(Message, package="google.rpc"):
    """`google.protobuf.Any` on the wire."""

    type_url: str
    value: bytes


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
def packer(cls: type[Message]) -> tuple[str, Callable[[Any], bytes]]:
    table = message_type(cls)
    return f"type.googleapis.com/{table.full_name}", message_codec(table, Format.PROTOBUF).encode


def pack(value: Message) -> Packed:
    """The message as an Any; one that came packed and was not understood stays as it is."""
    if isinstance(value, Packed):
        return value
    url, encode = packer(type(value))
    return Packed(url, encode(value))


def error_details(error: RpcError, domain: str) -> list[Message]:
    """The messages that tell it: an ErrorInfo with its reason, a BadRequest with its violations, its own."""
    details: list[Message] = []
    if error.reason is not None:
        details.append(ErrorInfo(error.reason, domain))
    violations = [Violation(d.field, d.reason) for d in error.details if isinstance(d, FieldViolation)]
    if violations:
        details.append(BadRequest(violations))
    details.extend(d for d in error.details if not isinstance(d, FieldViolation))
    return details
