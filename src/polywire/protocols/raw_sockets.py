"""WebSockets for a protocol of the user's own: what `@app.websocket(...)` declares is answered here."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Generator, Mapping
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
from polywire.protocols.sockets import Cancellable, MessageSocket
from polywire.runtime.call import Peer
from polywire.runtime.metadata import Metadata
from polywire.runtime.runtime import Runtime
from polywire.service.app import SocketRoute
from polywire.tasks.eager import CURRENT_CALL, PENDING, Feed, Waiter
from polywire.wire.headers import HeaderBlock

logger = logging.getLogger("polywire")

_MOST_QUEUED: Final = 32
"""Messages that the handler has not asked for yet; no more are read until it has."""
_TEXT: Final = HeaderBlock([("content-type", "text/plain; charset=utf-8")])


class WebSocket:
    """One peer of an endpoint of `@app.websocket(...)`; `async for message in ws` gives what it sends, text or bytes.

    The iteration ends when the socket is closed, by either side, after what came before. A handler that has not ended
    `grace_s` later is cancelled. In one loop, never from other threads; one task at a time receives, any number send.
    """

    __slots__ = ("_session", "metadata", "parameters", "path", "peer", "query", "request_id", "subprotocol")

    def __init__(self, session: RawSession, subprotocol: str | None, parameters: Mapping[str, str]) -> None:
        exchange = session.exchange
        self._session = session
        self.subprotocol = subprotocol
        """What was agreed to speak, of those that the endpoint has; None: it has none."""
        self.parameters = parameters
        """Of the path, by name, decoded."""
        self.metadata: Metadata = exchange.headers
        """The fields of the handshake, `cookie` and `authorization` among them."""
        self.peer: Peer = exchange.peer
        self.path = exchange.path
        self.query = exchange.query
        """What came after the question mark, as it was sent."""
        self.request_id = exchange.request_id
        """The same that the access log tells."""

    def __aiter__(self) -> WebSocket:
        return self

    def __anext__(self) -> Awaitable[str | bytes]:
        feed: Feed = self._session.feed
        return feed

    async def receive(self) -> str | bytes:
        """The next message. Raises SocketClosed at the end. Cancelled, no message is lost."""
        try:
            return await self._session.feed  # type: ignore[no-any-return]
        except StopAsyncIteration:
            raise self._session.closed_error() from None

    def send(self, message: str | bytes) -> Awaitable[None]:
        """Queue a message at once, as text or as bytes; awaited, it waits while the peer takes less than is sent.

        Who never awaits it is not held up, and the queue grows. Awaited, it raises SocketClosed where the socket is
        closed. Raises TypeError for what is neither text nor bytes. Cancelled, the message goes out all the same.
        """
        if self._session.ws.send(message):
            return _SENT
        return self._session.drained()

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


class _Sent:
    """Awaits nothing."""

    def __await__(self) -> Generator[Any, Any, None]:
        return _NOTHING  # type: ignore[return-value]


_NOTHING: Final = iter(())
_SENT: Final = _Sent()


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

    task: asyncio.Task[Any] | None = None
    """While the handler is suspended."""

    def __init__(self, endpoint: RawEndpoint, exchange: Exchange) -> None:
        super().__init__(endpoint.runtime, exchange)
        self.outcome: tuple[int, str] | None = None
        self._endpoint = endpoint
        self._ready: deque[str | bytes] = deque()
        self._is_over = False
        """No message comes any more."""
        self._grace: asyncio.TimerHandle | None = None
        self._waiter: Waiter | None = None
        self.feed: Any = Feed(self._pull, self._news)

    def begin(self, subprotocol: str | None) -> None:
        route = self._endpoint.route
        if not self.accept(subprotocol, limits=self._endpoint.limits):
            return
        self.ws.on_messages = self._messages
        parameters = dict(zip(route.parameters, self.exchange.variables, strict=True)) if route.parameters else {}
        ws = WebSocket(self, subprotocol, parameters)
        self.runtime.begin(_handle(route.handler(ws)), self, self._finish)

    # Towards the handler

    def _pull(self) -> Any:
        ready = self._ready
        if not ready:
            if self.ws.is_paused and not self._is_over:
                # Within a read it only says so; else it brings more at once, or the end.
                self._go_on()
            if not ready:
                if self._is_over:
                    raise StopAsyncIteration
                return PENDING
        return ready.popleft()

    def _news(self) -> Waiter:
        self._waiter = Waiter(asyncio.get_running_loop())
        return self._waiter

    def _messages(self, ws: Wire, messages: list[str | bytes]) -> None:
        ready = self._ready
        ready.extend(messages)
        if self._waiter is not None:
            self._waiter.wake()
        if len(ready) >= _MOST_QUEUED or (ready and sum(map(len, ready)) >= self._endpoint.limits.max_message_bytes):
            ws.pause()
        elif ws.is_blocked:
            ws.pause_until_drained()

    def _message(self, ws: Wire, message: str | bytes) -> None:
        self._messages(ws, [message])
        if self._ready:
            # A close may come right behind it, after which nothing is answered.
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
        self._is_over = True
        if self._waiter is not None:
            self._waiter.wake()

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

    def _closed(self, ws: Wire, code: int, reason: str) -> None:
        super()._closed(ws, code, reason)
        self.outcome = (code, reason)
        self._is_over = True
        if self.task is not None:
            self._grace = asyncio.get_running_loop().call_later(self._endpoint.route.grace_s, self.cancel)
        if self._waiter is not None:
            self._waiter.wake()

    def _finish(self, session: RawSession, value: Any, error: BaseException | None) -> None:
        self.runtime.suspended.discard(self)
        self.task = None
        if self._grace is not None:
            self._grace.cancel()
        self.feed = _OVER
        if error is None:
            self.ws.close()
        elif isinstance(error, asyncio.CancelledError):
            self.ws.close(GOING_AWAY, "the server is going away")
        elif not (isinstance(error, SocketClosed) and not self.ws.is_open):
            name, request_id = f"the WebSocket endpoint {self._endpoint.route.path}", self.exchange.request_id
            logger.error("%s failed (request %s)", name, request_id, exc_info=error, extra={"request_id": request_id})
            self.ws.close(INTERNAL_ERROR, "internal error")
        self._is_over = True
        self._ready.clear()


def _end() -> Any:
    raise StopAsyncIteration


def _no_news() -> Any:
    raise AssertionError("there is nothing to wait for")


_OVER: Final = Feed(_end, _no_news)


async def _handle(answer: Awaitable[None]) -> None:
    # What runs here is no call: it has no deadline to hand on, and no input.
    CURRENT_CALL.set(None)
    await answer
