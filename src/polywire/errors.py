"""What goes wrong, in one vocabulary: (code, reason, message, details).

A handler raises one of the classes below; every protocol maps it by (code, reason) and falls back to the code.
Anything else that escapes a handler is INTERNAL with a generic text; what it said goes to the log only.
"""

from __future__ import annotations

import enum
from typing import Any


class Code(enum.IntEnum):
    """The canonical codes of `google.rpc.Code`; the numbers are gRPC's status codes."""

    OK = 0
    CANCELLED = 1
    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    OUT_OF_RANGE = 11
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    DATA_LOSS = 15
    UNAUTHENTICATED = 16


class FieldViolation:
    """One bad field: its path in the request (`address.city`, `tags[2]`; "" is the whole body) and what is wrong."""

    __slots__ = ("field", "reason")

    def __init__(self, field: str, reason: str) -> None:
        self.field = field
        self.reason = reason

    def __repr__(self) -> str:
        return f"FieldViolation({self.field!r}, {self.reason!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FieldViolation) and (self.field, self.reason) == (other.field, other.reason)

    def __hash__(self) -> int:
        return hash((self.field, self.reason))


class RpcError(Exception):
    """An error that is meant for the caller.

    message: for people; sent as it is, so nothing internal.
    code: a `Code`; each subclass has its own.
    reason: the service's own stable string, `USER_NOT_FOUND`; None: none. In gRPC an ErrorInfo.
    details: `FieldViolation`s (a BadRequest in gRPC) and Messages.
    metadata: string pairs sent beside the error: response headers in HTTP, trailers in gRPC. `Retry-After` is one.

    Raises ValueError for a code that is not one of the 16: OK, told by an error, would be an answer without a message.
    """

    code: Code = Code.UNKNOWN

    def __init__(
        self,
        message: str = "",
        *,
        code: Code | None = None,
        reason: str | None = None,
        details: tuple[Any, ...] | list[Any] = (),
        metadata: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.reason = reason
        self.details = tuple(details)
        self.metadata = metadata
        if code is not None:
            if code == Code.OK:
                raise ValueError("OK is the code of no error")
            self.code = Code(code)

    def __repr__(self) -> str:
        reason = f", reason={self.reason!r}" if self.reason else ""
        return f"{type(self).__name__}({self.message!r}{reason})"


class Cancelled(RpcError):
    code = Code.CANCELLED


class Unknown(RpcError):
    code = Code.UNKNOWN


class InvalidArgument(RpcError):
    code = Code.INVALID_ARGUMENT


class DeadlineExceeded(RpcError):
    code = Code.DEADLINE_EXCEEDED


class NotFound(RpcError):
    code = Code.NOT_FOUND


class AlreadyExists(RpcError):
    code = Code.ALREADY_EXISTS


class PermissionDenied(RpcError):
    code = Code.PERMISSION_DENIED


class ResourceExhausted(RpcError):
    code = Code.RESOURCE_EXHAUSTED


class FailedPrecondition(RpcError):
    code = Code.FAILED_PRECONDITION


class Aborted(RpcError):
    code = Code.ABORTED


class OutOfRange(RpcError):
    code = Code.OUT_OF_RANGE


class Unimplemented(RpcError):
    code = Code.UNIMPLEMENTED


class Internal(RpcError):
    code = Code.INTERNAL


class Unavailable(RpcError):
    code = Code.UNAVAILABLE


class DataLoss(RpcError):
    code = Code.DATA_LOSS


class Unauthenticated(RpcError):
    code = Code.UNAUTHENTICATED


class MalformedInput(InvalidArgument):
    """Input that cannot be read at all (garbage JSON, a broken protobuf): 400 in REST."""

    def __init__(self, message: str) -> None:
        super().__init__(message, reason=MALFORMED)


class InvalidInput(InvalidArgument):
    """Input that is well-formed but breaks the schema: 422 in REST. Its details are the `FieldViolation`s."""

    def __init__(self, message: str, violations: tuple[FieldViolation, ...] = ()) -> None:
        super().__init__(message, reason=INVALID, details=violations)


MALFORMED = "MALFORMED"
INVALID = "INVALID"
TOO_LARGE = "TOO_LARGE"
METHOD_NOT_ALLOWED = "METHOD_NOT_ALLOWED"
UNSUPPORTED_MEDIA_TYPE = "UNSUPPORTED_MEDIA_TYPE"
NOT_ACCEPTABLE = "NOT_ACCEPTABLE"
PRECONDITION_FAILED = "PRECONDITION_FAILED"
RANGE_NOT_SATISFIABLE = "RANGE_NOT_SATISFIABLE"
"""Reasons that polywire itself gives, so that REST can say 400, 422, 413, 405, 415, 406, 412 and 416."""

NO_ROUTE = "NO_ROUTE"
"""The reason of NOT_FOUND where nothing is at a path."""
IDLE = "IDLE"
OVERLOADED = "OVERLOADED"
"""The reason of UNAVAILABLE where the process holds too much of messages that are not whole."""
