"""Errors as REST tells them: a status, and the envelope or `application/problem+json` (RFC 9457)."""

from __future__ import annotations

from typing import Any

import msgspec

from polywire.errors import (
    INVALID,
    METHOD_NOT_ALLOWED,
    NOT_ACCEPTABLE,
    PRECONDITION_FAILED,
    RANGE_NOT_SATISFIABLE,
    TOO_LARGE,
    UNSUPPORTED_MEDIA_TYPE,
    Code,
    FieldViolation,
    RpcError,
    Unimplemented,
)
from polywire.http.exchange import Exchange
from polywire.protocols.rest.negotiation import accepts_problem
from polywire.runtime.metadata import error_pairs
from polywire.wire.headers import HeaderBlock
from polywire.wire.http1_text import REASONS

STATUS_OF_CODE: dict[Code, int] = {
    Code.CANCELLED: 499,
    Code.UNKNOWN: 500,
    Code.INVALID_ARGUMENT: 400,
    Code.DEADLINE_EXCEEDED: 504,
    Code.NOT_FOUND: 404,
    Code.ALREADY_EXISTS: 409,
    Code.PERMISSION_DENIED: 403,
    Code.RESOURCE_EXHAUSTED: 429,
    Code.FAILED_PRECONDITION: 400,
    Code.ABORTED: 409,
    Code.OUT_OF_RANGE: 400,
    Code.UNIMPLEMENTED: 501,
    Code.INTERNAL: 500,
    Code.UNAVAILABLE: 503,
    Code.DATA_LOSS: 500,
    Code.UNAUTHENTICATED: 401,
}
"""As `google/rpc/code.proto` maps them."""

STATUS_OF_REASON: dict[tuple[Code, str], int] = {
    (Code.INVALID_ARGUMENT, INVALID): 422,
    (Code.RESOURCE_EXHAUSTED, TOO_LARGE): 413,
    (Code.UNIMPLEMENTED, METHOD_NOT_ALLOWED): 405,
    (Code.UNIMPLEMENTED, UNSUPPORTED_MEDIA_TYPE): 415,
    (Code.INVALID_ARGUMENT, NOT_ACCEPTABLE): 406,
    (Code.FAILED_PRECONDITION, PRECONDITION_FAILED): 412,
    (Code.OUT_OF_RANGE, RANGE_NOT_SATISFIABLE): 416,
}

_VARY = ("vary", "accept, accept-encoding")
_JSON = HeaderBlock([("content-type", "application/json"), _VARY])
_PROBLEM = HeaderBlock([("content-type", "application/problem+json"), _VARY])
_encode = msgspec.json.Encoder().encode


def status_of(error: RpcError) -> int:
    """The HTTP status: by (code, reason), else by the code."""
    code = Code(error.code)
    if error.reason is not None:
        status = STATUS_OF_REASON.get((code, error.reason))
        if status is not None:
            return status
    return STATUS_OF_CODE[code]


def not_json(content_type: str | None) -> Unimplemented:
    """The error for a body that is not declared as JSON (RFC 8259) in UTF-8."""
    said = f"it is {content_type[:100]!r}" if content_type else "there is none"
    return Unimplemented(f"the content-type must be application/json in UTF-8; {said}", reason=UNSUPPORTED_MEDIA_TYPE)


def respond_error(exchange: Exchange, error: RpcError, extra: tuple[tuple[bytes, bytes], ...] = ()) -> None:
    """Answer with the error, in the form that the caller accepts."""
    status = status_of(error)
    request_id = exchange.request_id
    extra = (*extra, (b"x-request-id", request_id.encode()))
    metadata = error_pairs(error.metadata)
    if status == 401 and all(name != "www-authenticate" for name, _ in metadata):
        metadata.append(("www-authenticate", "Bearer"))
    if metadata:
        extra = (*extra, *HeaderBlock(metadata).pairs)
    if accepts_problem(exchange.headers.get("accept") or "*/*"):
        problem: dict[str, Any] = {
            "type": "about:blank",
            "title": REASONS[status],
            "status": status,
            "detail": error.message,
            "code": Code(error.code).name,
        }
        if error.reason is not None:
            problem["reason"] = error.reason
        problem["details"] = [detail_json(detail) for detail in error.details]
        problem["request_id"] = request_id
        exchange.respond(status, _PROBLEM, _encode(problem), extra, None, True)
        return
    exchange.respond(status, _JSON, envelope(error, request_id), extra, None, True)


def respond_method_not_allowed(exchange: Exchange, allowed: str) -> None:
    """Answer 405. allowed: the methods that are, as `Allow` has them."""
    respond_error(
        exchange,
        Unimplemented(
            f"{exchange.method[:16]} is not allowed here; allowed are {allowed}",
            reason=METHOD_NOT_ALLOWED,
            metadata={"allow": allowed},
        ),
    )


def envelope(error: RpcError, request_id: str) -> bytes:
    """The error as JSON on one line: what an answer's body is, and the last line of a stream that fails."""
    inner: dict[str, Any] = {"code": Code(error.code).name}
    if error.reason is not None:
        inner["reason"] = error.reason
    inner |= {
        "message": error.message,
        "details": [detail_json(detail) for detail in error.details],
        "request_id": request_id,
    }
    return _encode({"error": inner})


def detail_json(detail: Any) -> Any:
    """A detail of an error in plain JSON: a violation as it is, a message with its type."""
    if isinstance(detail, FieldViolation):
        return {"field": detail.field, "reason": detail.reason}
    fields = msgspec.to_builtins(detail)
    return {"type": type(detail).__name__, **fields} if isinstance(fields, dict) else fields
