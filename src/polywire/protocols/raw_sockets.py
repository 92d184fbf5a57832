"""WebSockets for a protocol of the user's own: what `@app.websocket(...)` declares is answered here."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from polywire.errors import Code
from polywire.http.exchange import Exchange
from polywire.http.websocket import (
    ABNORMAL,
    GOING_AWAY,
    INTERNAL_ERROR,
    NORMAL,
    SocketClosed,
    WebSocketLimits,
    offered_subprotocols,
)
from polywire.http.websocket import WebSocket as Wire
from polywire.protocols._raw_socket import RawSocket
from polywire.protocols.sockets import Cancellable, MessageSocket
from polywire.runtime.call import Peer
from polywire.runtime.metadata import Metadata
from polywire.runtime.runtime import Runtime
from polywire.service.app import SocketRoute
from polywire.tasks.eager import Mailbox
from polywire.wire.headers import HeaderBlock

logger = logging.getLogger("polywire")

_MOST_QUEUED: Final = 32
"""Messages that the handler has not asked for yet; no more are read until it has."""
_NONE: Final[Mapping[str, str]] = MappingProxyType({})
_NO_CALLS: Final[dict[Any, Cancellable]] = {}
_TEXT: Final = HeaderBlock([("content-type", "text/plain; charset=utf-8")])


class WebSocket(RawSocket):
    """One peer of an endpoint of `@app.websocket(...)`; `async for message in ws` gives what it sends, text or bytes.

    The iteration ends when the socket is closed, by either side, after what came before. A handler that has not ended
    `grace_s` later is cancelled. In one loop, never from other threads; one task at a time receives, any number send.
    """

    _session: RawSession
    __slots__ = ("parameters", "subprotocol")

    def __init__(self, session: RawSession, subprotocol: str | None, parameters: Mapping[str, str]) -> None:
        self._begin(session, session.ws, session.mailbox)
        self.subprotocol = subprotocol
        """What was agreed to speak, of those that the endpoint has; None: it has none."""
        self.parameters = parameters
        """Of the path, by name, decoded."""

    @property
    def metadata(self) -> Metadata:
        """The fields of the handshake, `cookie` and `authorization` among them."""
        return self._session.exchange.headers

    @property
    def peer(self) -> Peer:
        return self._session.exchange.peer  # type: ignore[no-any-return]

    @property
    def path(self) -> str:
        return self._session.exchange.path

    @property
    def query(self) -> str:
        """What came after the question mark, as it was sent."""
        return self._session.exchange.query

    @property
    def request_id(self) -> str:
        """The same that the access log tells."""
        return self._session.exchange.request_id

    async def receive(self) -> str | bytes:
        """The next message. Raises SocketClosed at the end. Cancelled, no message is lost."""
        try:
            return await self._session.mailbox  # type: ignore[no-any-return]
        except StopAsyncIteration:
            raise self._session.closed_error() from None

    def close(self, code: int = NORMAL, reason: str = "") -> None:
        """Begin the closing handshake: what is queued still goes out, and nothing more comes than what is here.

        reason: at most 123 bytes in UTF-8. Does nothing where it is closing already. Raises ValueError for a code that
        is never sent (RFC 6455 §7.4) and for a longer reason.
        """
        self._session.ws.close(code, reason)
        self._session.stop_receiving()

    @property
    def closed(self) -> tuple[int, str] | None:
        """The code and reason with which it ended; None: it is open, or closing."""
        return self._session.outcome


class RawEndpoint:
    """Takes up the WebSockets of one route."""

    def __init__(self, route: SocketRoute, runtime: Runtime) -> None:
        self.route = route
        self.runtime = runtime
        self.limits = WebSocketLimits(max_message_bytes=route.max_message_bytes, deflate=route.deflate)

    def __call__(self, exchange: Exchange) -> None:
        subprotocol = None
        if self.route.subprotocols:
            offered = offered_subprotocols(exchange)
            subprotocol = next((name for name in self.route.subprotocols if name in offered), None)
            if subprotocol is None:
                known = ", ".join(self.route.subprotocols)
                exchange.respond(400, _TEXT, f"sec-websocket-protocol must offer one of {known}\n".encode())
                return
        RawSession(self, exchange).begin(subprotocol)


class RawSession(MessageSocket[Cancellable]):
    """What carries one handler: messages on their way to it, its task, and its end."""

    __slots__ = ("_endpoint", "mailbox", "outcome", "task")

    def __init__(self, endpoint: RawEndpoint, exchange: Exchange) -> None:
        super().__init__(endpoint.runtime, exchange)
        self.calls = _NO_CALLS
        self.task: asyncio.Task[Any] | None = None
        """While the handler is suspended."""
        self.outcome: tuple[int, str] | None = None
        self._endpoint = endpoint
        self.mailbox = Mailbox(_MOST_QUEUED, endpoint.limits.max_message_bytes, self)

    def begin(self, subprotocol: str | None) -> None:
        route = self._endpoint.route
        if not self.accept(subprotocol, limits=self._endpoint.limits):
            return
        self.ws.mailbox = self.mailbox
        parameters = dict(zip(route.parameters, self.exchange.variables, strict=True)) if route.parameters else _NONE
        ws = WebSocket(self, subprotocol, parameters)
        self.runtime.begin(route.handler(ws), self, self._finish)

    # Towards the handler

    def on_message(self, ws: Wire, message: str | bytes) -> None:
        mailbox = self.mailbox
        mailbox.receive(ws, [message])
        if len(mailbox):
            # A close may come right behind it, after which nothing is answered.
            mailbox.holds = True
            ws.pause()

    def on_text(self, text: str) -> None:
        raise AssertionError("messages are taken as they are")

    # From the handler

    async def drained(self) -> None:
        if not self.ws.is_open:
            raise self.closed_error()
        await self.ws.drained()

    def stop_receiving(self) -> None:
        """No more comes than what is here, since it closes."""
        self.mailbox.end()

    def closed_error(self) -> SocketClosed:
        return SocketClosed(*(self.outcome or self.ws.closing or (ABNORMAL, "")))

    # The end

    def go_away(self) -> None:
        super().go_away()
        self.stop_receiving()

    def cancel(self, code: Code = Code.CANCELLED) -> None:
        """Stop the handler."""
        if self.task is not None:
            self.task.cancel()

    def on_closed(self, ws: Wire, code: int, reason: str) -> None:
        super().on_closed(ws, code, reason)
        self.outcome = (code, reason)
        if self.task is not None:
            self._timer = asyncio.get_running_loop().call_later(self._endpoint.route.grace_s, self.cancel)
        self.mailbox.end()

    @staticmethod
    def _finish(session: RawSession, value: Any, error: BaseException | None) -> None:
        session.runtime.suspended.pop(session, None)
        session.task = None
        if session._timer is not None:
            session._timer.cancel()
        if error is None:
            session.ws.close()
        elif isinstance(error, asyncio.CancelledError):
            session.ws.close(GOING_AWAY, "the server is going away")
        elif not (isinstance(error, SocketClosed) and not session.ws.is_open):
            name, request_id = f"the WebSocket endpoint {session._endpoint.route.path}", session.exchange.request_id
            logger.error("%s failed (request %s)", name, request_id, exc_info=error, extra={"request_id": request_id})
            session.ws.close(INTERNAL_ERROR, "internal error")
        session.mailbox.end()
        session.mailbox.clear()
