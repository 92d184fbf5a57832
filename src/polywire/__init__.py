"""One typed Python service, every protocol, one port.

Declare messages and services with what is here; `polywire serve module:app` answers for them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from polywire.errors import (
    Aborted,
    AlreadyExists,
    Cancelled,
    Code,
    DataLoss,
    DeadlineExceeded,
    FailedPrecondition,
    FieldViolation,
    Internal,
    InvalidArgument,
    InvalidInput,
    MalformedInput,
    NotFound,
    OutOfRange,
    PermissionDenied,
    ResourceExhausted,
    RpcError,
    Unauthenticated,
    Unavailable,
    Unimplemented,
    Unknown,
)
from polywire.schema import (
    ID,
    ContractLock,
    Doc,
    FieldNumber,
    Float32,
    Int32,
    Int64,
    Message,
    Patch,
    SchemaError,
    UInt32,
    UInt64,
)
from polywire.service import App, Interceptor, Invoke, Service, mutation, query

if TYPE_CHECKING:
    from polywire.runtime.call import Call, current_call

__all__ = [
    "ID",
    "Aborted",
    "AlreadyExists",
    "App",
    "Call",
    "Cancelled",
    "Code",
    "ContractLock",
    "DataLoss",
    "DeadlineExceeded",
    "Doc",
    "FailedPrecondition",
    "FieldNumber",
    "FieldViolation",
    "Float32",
    "Int32",
    "Int64",
    "Interceptor",
    "Internal",
    "InvalidArgument",
    "InvalidInput",
    "Invoke",
    "MalformedInput",
    "Message",
    "NotFound",
    "OutOfRange",
    "Patch",
    "PermissionDenied",
    "ResourceExhausted",
    "RpcError",
    "SchemaError",
    "Service",
    "UInt32",
    "UInt64",
    "Unauthenticated",
    "Unavailable",
    "Unimplemented",
    "Unknown",
    "current_call",
    "mutation",
    "query",
]

_LAZY = frozenset({"Call", "current_call"})
"""From the runtime, which brings asyncio; a module that only declares does not pay for it."""


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        from polywire.runtime import call

        value = getattr(call, name)
        globals()[name] = value
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
