"""Errors as tRPC tells them: a JSON-RPC number, a name and an HTTP status."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from polywire.errors import (
    INVALID,
    MALFORMED,
    METHOD_NOT_ALLOWED,
    PRECONDITION_FAILED,
    TOO_LARGE,
    UNSUPPORTED_MEDIA_TYPE,
    Code,
    RpcError,
)
from polywire.protocols.rest.errors import detail_json

_encode = msgspec.json.Encoder().encode


class TrpcCode(NamedTuple):
    name: str
    number: int
    status: int


_INTERNAL = TrpcCode("INTERNAL_SERVER_ERROR", -32603, 500)
_BAD_REQUEST = TrpcCode("BAD_REQUEST", -32600, 400)
_CONFLICT = TrpcCode("CONFLICT", -32009, 409)
BY_CODE: dict[Code, TrpcCode] = {
    Code.CANCELLED: TrpcCode("CLIENT_CLOSED_REQUEST", -32099, 499),
    Code.UNKNOWN: _INTERNAL,
    Code.INVALID_ARGUMENT: _BAD_REQUEST,
    Code.DEADLINE_EXCEEDED: TrpcCode("GATEWAY_TIMEOUT", -32603, 504),
    Code.NOT_FOUND: TrpcCode("NOT_FOUND", -32004, 404),
    Code.ALREADY_EXISTS: _CONFLICT,
    Code.PERMISSION_DENIED: TrpcCode("FORBIDDEN", -32003, 403),
    Code.RESOURCE_EXHAUSTED: TrpcCode("TOO_MANY_REQUESTS", -32029, 429),
    Code.FAILED_PRECONDITION: _BAD_REQUEST,
    Code.ABORTED: _CONFLICT,
    Code.OUT_OF_RANGE: _BAD_REQUEST,
    Code.UNIMPLEMENTED: TrpcCode("NOT_IMPLEMENTED", -32603, 501),
    Code.INTERNAL: _INTERNAL,
    Code.UNAVAILABLE: TrpcCode("SERVICE_UNAVAILABLE", -32603, 503),
    Code.DATA_LOSS: _INTERNAL,
    Code.UNAUTHENTICATED: TrpcCode("UNAUTHORIZED", -32001, 401),
}
BY_REASON: dict[tuple[Code, str], TrpcCode] = {
    (Code.INVALID_ARGUMENT, MALFORMED): TrpcCode("PARSE_ERROR", -32700, 400),
    (Code.INVALID_ARGUMENT, INVALID): TrpcCode("UNPROCESSABLE_CONTENT", -32022, 422),
    (Code.RESOURCE_EXHAUSTED, TOO_LARGE): TrpcCode("PAYLOAD_TOO_LARGE", -32013, 413),
    (Code.UNIMPLEMENTED, METHOD_NOT_ALLOWED): TrpcCode("METHOD_NOT_SUPPORTED", -32005, 405),
    (Code.UNIMPLEMENTED, UNSUPPORTED_MEDIA_TYPE): TrpcCode("UNSUPPORTED_MEDIA_TYPE", -32015, 415),
    (Code.FAILED_PRECONDITION, PRECONDITION_FAILED): TrpcCode("PRECONDITION_FAILED", -32012, 412),
}


def trpc_code(error: RpcError) -> TrpcCode:
    """By (code, reason), else by the code."""
    code = Code(error.code)
    found = None if error.reason is None else BY_REASON.get((code, error.reason))
    return found or BY_CODE[code]


def error_shape(error: RpcError, path: str | None, request_id: str) -> bytes:
    """The error shape: beside tRPC's own members `status` (the canonical code), `reason`, `details` and `requestId`."""
    code = trpc_code(error)
    data: dict[str, Any] = {"code": code.name, "httpStatus": code.status, "status": Code(error.code).name}
    if path is not None:
        data["path"] = path
    if error.reason is not None:
        data["reason"] = error.reason
    if error.details:
        data["details"] = [detail_json(detail) for detail in error.details]
    data["requestId"] = request_id
    return _encode({"message": error.message or code.name, "code": code.number, "data": data})
