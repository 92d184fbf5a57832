"""What is said over the polywire WebSocket protocol, whatever frames it: docs/websocket-protocol.md."""

from __future__ import annotations

from typing import Final

import msgspec

from polywire.schema import Int32, Message

PACKAGE: Final = "polywire.websocket.v1"

VERSION: Final = 1
CREDIT: Final = 256
"""Items of a stream that the server sends where a call does not say how many it may."""
INBOX: Final = 64
"""Items of a client stream that may come before the server has given credit for more."""
MOST_CREDIT: Final = 2**31 - 1
MOST_ID: Final = 2**53 - 1
"""Whatever a number in JavaScript holds exactly."""

INVALID_MESSAGE: Final = 4400
UNAUTHENTICATED: Final = 4401
SUBPROTOCOL_NOT_ACCEPTABLE: Final = 4406
HELLO_TIMEOUT: Final = 4408
TOO_MANY: Final = 4429
SERVICE_RESTART: Final = 1012
IDLE: Final = 4000
"""What it closes with."""


class Received(msgspec.Struct, gc=False):
    """A message of a client's, all kinds in one; a field that its kind does not have is not looked at."""

    type: str
    id: int = 0
    method: str = ""
    input: msgspec.Raw = msgspec.Raw(b"")
    timeout_s: float | None = None
    metadata: dict[str, str] | None = None
    credit: int = 0
    after: str | None = None
    message: msgspec.Raw = msgspec.Raw(b"")
    count: int = 0
    token: str | None = None


class Limits(Message, package=PACKAGE):
    """What one socket may do."""

    message_bytes: int
    calls: int
    credit: int


class AppInfo(Message, package=PACKAGE):
    name: str
    version: str


class Welcome(Message, package=PACKAGE):
    """What a server says first."""

    version: Int32
    session: str
    """Of this socket; nobody else has the same."""
    server: str
    """Of the process, as long as it runs."""
    app: AppInfo
    capabilities: list[str]
    heartbeat_s: float
    limits: Limits
