"""What every protocol of messages on a WebSocket needs: bounded calls, time for the first message, pings."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Iterable
from time import monotonic_ns
from typing import Any, Generic, Protocol, TypeVar

from polywire.errors import Unavailable
from polywire.http.exchange import Exchange
from polywire.http.websocket import GOING_AWAY, UNSUPPORTED_DATA, WebSocket, WebSocketLimits, accept
from polywire.request_id import request_id
from polywire.runtime.metadata import Metadata
from polywire.runtime.runtime import Runtime

MOST_CALLS = 128
"""Under way on one socket; messages that would begin more are refused."""
TOO_MANY_CALLS = "TOO_MANY_CALLS"
"""The reason of that."""


class SocketCarrier:
    """What brings one call of those on a socket: the handshake's fields and peer, an id and a start of its own."""

    __slots__ = ("_id", "headers", "peer", "started_ns")

    def __init__(self, exchange: Exchange, metadata: Metadata | None = None) -> None:
        self.headers: Metadata = exchange.headers if metadata is None else metadata
        self.peer = exchange.peer
        self.started_ns = monotonic_ns()
        self._id: str | None = None

    @property
    def request_id(self) -> str:
        if self._id is None:
            self._id = request_id(None)
        return self._id

    def inform(self, status: int, fields: tuple[tuple[bytes, bytes], ...]) -> None:
        """A message has no interim answers."""


class Cancellable(Protocol):
    """What runs for a peer: a call, or several of them."""

    def cancel(self) -> None: ...


C = TypeVar("C", bound=Cancellable)


class MessageSocket(ABC, Generic[C]):
    """One peer and its calls. The subclass reads messages, and keeps each call in `calls` while it is under way.

    It ends with its peer: what runs then is cancelled.
    """

    __slots__ = (
        "_heard",
        "_is_held",
        "_missed",
        "_timer",
        "calls",
        "exchange",
        "runtime",
        "ws",
    )

    max_calls = MOST_CALLS
    leaving_code = GOING_AWAY

    def __init__(self, runtime: Runtime, exchange: Exchange) -> None:
        self.runtime = runtime
        self.exchange = exchange
        self.calls: dict[Any, C] = {}
        """By the peer's id."""
        self.ws: WebSocket
        self._timer: asyncio.TimerHandle | None = None
        """For the first message; or for a handler to end."""
        self._heard = 0
        self._missed = 0
        self._is_held = False

    def accept(
        self,
        subprotocol: str | None = None,
        fields: Iterable[tuple[str, str]] = (),
        limits: WebSocketLimits | None = None,
    ) -> bool:
        """Take the socket up; False: the handshake was wrong, and has been answered.

        limits: None: messages are as long as requests.
        """
        if limits is None:
            limits = WebSocketLimits(max_message_bytes=self.runtime.app.max_request_bytes)
        ws = accept(self.exchange, limits, self, subprotocol=subprotocol, fields=fields, turns=self.runtime.turns)
        if ws is None:
            return False
        self.ws = ws
        self.runtime.heartbeats.add(self)
        self.runtime.add_socket(self)
        return True

    def await_first(self, timeout_s: float, code: int, reason: str) -> None:
        """Close with `code` unless `first_came` is called within so many seconds."""
        self._timer = asyncio.get_running_loop().call_later(timeout_s, self.ws.close, code, reason)

    def first_came(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    @property
    def is_full(self) -> bool:
        """No more calls may begin."""
        return len(self.calls) >= self.max_calls

    @abstractmethod
    def on_text(self, text: str) -> None:
        """A message has come."""

    def on_binary(self, data: bytes) -> None:
        """By default none is expected."""
        self.ws.close(UNSUPPORTED_DATA, "messages are text")

    def go_away(self) -> None:
        """The server is going: close the socket once nothing runs that is waited for."""
        self.settle()

    def settle(self) -> None:
        """To be called when something that ran is over: the socket of a server that goes ends with the last of it."""
        if self.runtime.is_leaving and not self.is_needed:
            self.ws.close(self.leaving_code, "the server is going away")

    @property
    def is_needed(self) -> bool:
        """Something runs that is waited for."""
        return bool(self.calls)

    def close(self, code: int, reason: str) -> None:
        """Close it, whatever runs."""
        self.ws.close(code, reason)
        self.cancel_calls()

    def cancel_calls(self) -> None:
        """Nobody hears any more of what runs."""
        calls, self.calls = self.calls, {}
        for call in calls.values():
            call.cancel()

    def hold(self) -> None:
        """Take no more messages until `let_go`."""
        self._is_held = True
        self.ws.pause()

    def let_go(self) -> None:
        """Go on with what has come, in a turn of the loop."""
        self._is_held = False
        asyncio.get_running_loop().call_soon(self.go_on)

    def go_on(self) -> None:
        """Take what has come, as far as the peer takes what is queued for it."""
        if self._is_held or not self.ws.is_open:
            return
        if self.ws.is_blocked:
            self.ws.pause_until_drained()
        else:
            self.ws.resume()

    def on_message(self, ws: WebSocket, message: str | bytes) -> None:
        if type(message) is str:
            self.on_text(message)
        else:
            assert isinstance(message, bytes)
            self.on_binary(message)
        if ws.is_blocked and not self._is_held:
            ws.pause_until_drained()

    def on_unfinished(self, ws: WebSocket, count_bytes: int) -> bool:
        try:
            self.runtime.pending.hold(count_bytes)
        except Unavailable:
            return False
        return True

    def beat(self) -> None:
        # One that is paused cannot be heard; whether it takes what is queued for it is the server's to time.
        if self.ws.heard != self._heard or self.ws.is_paused:
            self._heard = self.ws.heard
            self._missed = 0
            return
        self._missed += 1
        if self._missed >= self.runtime.app.websocket_options.missed_beats:
            self.close(GOING_AWAY, "nothing was heard for too long")
        else:
            self.ws.ping()

    def on_closed(self, ws: WebSocket, code: int, reason: str) -> None:
        self.first_came()
        self.runtime.heartbeats.discard(self)
        self.runtime.sockets.pop(self, None)
        self.cancel_calls()
