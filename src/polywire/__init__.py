"""One typed Python service, every protocol, one port.

Declare messages and services with what is here; `polywire serve module:app` answers for them.
"""

from __future__ import annotations

import importlib
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
    Fixed32,
    Fixed64,
    Float32,
    Int32,
    Int64,
    Message,
    Patch,
    SchemaError,
    SFixed32,
    SFixed64,
    SInt32,
    SInt64,
    UInt32,
    UInt64,
    contract_lock,
)
from polywire.service import App, Interceptor, Invoke, Service, Tracked, mutation, query, resolve

if TYPE_CHECKING:
    from polywire.client import (
        Channel,
        ChannelSettings,
        SocketChannel,
        SocketSettings,
        call_options,
        connect,
        connect_websocket,
    )
    from polywire.http.websocket import SocketClosed
    from polywire.protocols.raw_sockets import WebSocket
    from polywire.runtime.call import Call, current_call
    from polywire.topics import Broker, Gap, GapReason, History, MemoryBroker, SqliteBroker, Topic

__all__ = [
    "ID",
    "Aborted",
    "AlreadyExists",
    "App",
    "Broker",
    "Call",
    "Cancelled",
    "Channel",
    "ChannelSettings",
    "Code",
    "ContractLock",
    "DataLoss",
    "DeadlineExceeded",
    "Doc",
    "FailedPrecondition",
    "FieldNumber",
    "FieldViolation",
    "Fixed32",
    "Fixed64",
    "Float32",
    "Gap",
    "GapReason",
    "History",
    "Int32",
    "Int64",
    "Interceptor",
    "Internal",
    "InvalidArgument",
    "InvalidInput",
    "Invoke",
    "MalformedInput",
    "MemoryBroker",
    "Message",
    "NotFound",
    "OutOfRange",
    "Patch",
    "PermissionDenied",
    "ResourceExhausted",
    "RpcError",
    "SFixed32",
    "SFixed64",
    "SInt32",
    "SInt64",
    "SchemaError",
    "Service",
    "SocketChannel",
    "SocketClosed",
    "SocketSettings",
    "SqliteBroker",
    "Topic",
    "Tracked",
    "UInt32",
    "UInt64",
    "Unauthenticated",
    "Unavailable",
    "Unimplemented",
    "Unknown",
    "WebSocket",
    "call_options",
    "connect",
    "connect_websocket",
    "contract_lock",
    "current_call",
    "mutation",
    "query",
    "resolve",
]

_LAZY = {
    "Broker": "polywire.topics",
    "MemoryBroker": "polywire.topics",
    "Gap": "polywire.topics",
    "GapReason": "polywire.topics",
    "History": "polywire.topics",
    "Topic": "polywire.topics",
    "SqliteBroker": "polywire.topics",
    "SocketChannel": "polywire.client",
    "SocketClosed": "polywire.http.websocket",
    "SocketSettings": "polywire.client",
    "WebSocket": "polywire.protocols.raw_sockets",
    "Call": "polywire.runtime.call",
    "Channel": "polywire.client",
    "ChannelSettings": "polywire.client",
    "call_options": "polywire.client",
    "connect": "polywire.client",
    "connect_websocket": "polywire.client",
    "current_call": "polywire.runtime.call",
}
"""From rooms that bring asyncio; a module that only declares does not pay for it."""


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        value = getattr(importlib.import_module(_LAZY[name]), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
