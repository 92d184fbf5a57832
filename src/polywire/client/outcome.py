"""How a call ended: the errors that gRPC's trailers, HTTP's status and HTTP/2's codes tell."""

from __future__ import annotations

from polywire.errors import (
    Cancelled,
    Internal,
    PermissionDenied,
    ResourceExhausted,
    RpcError,
    Unauthenticated,
    Unavailable,
    Unimplemented,
    Unknown,
)
from polywire.protocols.grpc.status import read_status
from polywire.runtime.metadata import Metadata
from polywire.wire.headers import Headers
from polywire.wire.http2_client import LOST

_OF_STATUS: dict[int, type[RpcError]] = {
    400: Internal,
    401: Unauthenticated,
    403: PermissionDenied,
    404: Unimplemented,
    429: Unavailable,
    502: Unavailable,
    503: Unavailable,
    504: Unavailable,
}
"""gRPC's http-grpc-status-mapping.md; UNKNOWN for all others."""
_OF_CODE: dict[int, tuple[type[RpcError], str]] = {
    LOST: (Unavailable, "the connection was lost"),
    7: (Unavailable, "the server took no more calls"),
    8: (Cancelled, "the server cancelled the call"),
    11: (ResourceExhausted, "one side sent more than the other one takes"),
    12: (PermissionDenied, "the connection is not secure enough for the server"),
}
"""gRPC over HTTP/2, Errors; INTERNAL for all others."""


def error_of_answer(status: int, headers: Metadata, trailers: Metadata | None) -> RpcError | None:
    """The error of a whole answer; None for OK."""
    fields = headers if trailers is None or "grpc-status" not in trailers else trailers
    if "grpc-status" not in fields:
        if status != 200:
            return _OF_STATUS.get(status, Unknown)(f"the server answered with HTTP status {status} instead of gRPC's")
        return Unknown("the server ended the call without a grpc-status")
    try:
        return read_status(fields)
    except (ValueError, RpcError):
        # Details that cannot be read: the code and the message are still worth telling.
        return read_status(Headers([pair for pair in fields.items() if pair[0] != "grpc-status-details-bin"]))


def error_of_head(status: int, headers: Metadata) -> RpcError | None:
    """The error of a head after which no message can be gRPC's; None for one that may go on."""
    if status != 200:
        return error_of_answer(status, headers, None)
    kind = headers.get("content-type") or ""
    if not kind.startswith("application/grpc"):
        return Unknown(f"the server answered with {kind[:64]!r} instead of gRPC")
    return None


def error_of_code(code: int) -> RpcError:
    """The error of an answer that was broken off. code: RFC 9113 §7, or LOST."""
    cls, message = _OF_CODE.get(code, (Internal, f"the call was broken off (HTTP/2 error {code})"))
    return cls(message)


def unreadable(error: RpcError) -> RpcError:
    """What goes wrong in reading an answer is no fault of the caller's, and must not look like one."""
    return error if isinstance(error, ResourceExhausted) else Internal(f"the server's answer is wrong: {error.message}")
