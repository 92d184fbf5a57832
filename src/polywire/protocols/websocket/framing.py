"""How messages stand in frames: three subprotocols, one meaning."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from polywire.codec import Format
from polywire.errors import RpcError
from polywire.protocols.websocket.messages import Received, Welcome

Pairs = dict[str, str]


class Framing(ABC):
    """Reads and writes the messages of one subprotocol.

    Payloads are bytes in `format`. `read` raises MalformedInput for what is no message.
    """

    name: str
    """The subprotocol."""
    format: Format
    """Of inputs and results."""
    is_text: bool

    @abstractmethod
    def read(self, data: Any) -> Received: ...

    @abstractmethod
    def welcome(self, welcome: Welcome) -> str | bytes: ...

    @abstractmethod
    def result(self, id: int, payload: bytes, metadata: Pairs | None) -> str | bytes: ...

    @abstractmethod
    def next(self, id: int, payload: bytes, position: str | None) -> str | bytes: ...

    @abstractmethod
    def end(self, id: int, metadata: Pairs | None) -> str | bytes: ...

    @abstractmethod
    def error(self, id: int, error: RpcError, request_id: str, metadata: Pairs | None) -> str | bytes:
        """id: 0 where it is the socket's."""

    @abstractmethod
    def credit(self, id: int, count: int) -> str | bytes: ...

    @abstractmethod
    def pong(self) -> str | bytes: ...

    @abstractmethod
    def going_away(self, reconnect_s: float) -> str | bytes: ...
