"""ASGI applications beneath a path of ours (ASGI 3.0, HTTP and WebSocket 2.4, lifespan 2.0)."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, Final
from urllib.parse import unquote_to_bytes

from polywire.errors import Internal
from polywire.http.exchange import INTERNAL_ERROR, Exchange, Gone
from polywire.http.websocket import ABNORMAL, NORMAL, offered_subprotocols
from polywire.protocols.rest.errors import respond_error
from polywire.protocols.sockets import Cancellable, MessageSocket
from polywire.runtime.runtime import Runtime
from polywire.service.app import AsgiApp, Mount
from polywire.wire.headers import HeaderBlock

logger = logging.getLogger("polywire")

Event = dict[str, Any]
_OURS: Final = frozenset(
    {b"connection", b"date", b"keep-alive", b"server", b"transfer-encoding", b"upgrade", b"x-request-id"}
)
"""Fields that an application may name and the engine or the exchange says."""
_MOST_QUEUED: Final = 32
"""Messages that an application has not asked for yet; no more are read until it does."""
_FORBIDDEN: Final = 403


class MountServer:
    """What one `app.mount(...)` answers."""

    def __init__(self, mount: Mount, runtime: Runtime) -> None:
        self.path = mount.path
        self._below = f"{mount.path}/"
        self._app: AsgiApp = mount.app
        self._runtime = runtime
        self._tasks: set[asyncio.Task[None]] = set()
        self._lifespan: Lifespan | None = None
        self._state: dict[str, Any] = {}

    def takes(self, path: str) -> bool:
        return path.startswith(self._below) or path == self.path

    @property
    def open_requests(self) -> int:
        return len(self._tasks)

    async def start(self) -> None:
        """Let the application start up. Raises RuntimeError where it says that it cannot."""
        self._lifespan = Lifespan(self._app, self._state)
        await self._lifespan.startup()

    async def stop(self) -> None:
        """Cancel what still runs, and let the application shut down."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=5.0)
        if self._lifespan is not None:
            await self._lifespan.shutdown()

    def __call__(self, exchange: Exchange) -> None:
        try:
            scope = self._scope(exchange)
        except UnicodeDecodeError:
            exchange.respond(400, HeaderBlock([("content-type", "text/plain")]), b"the path is not UTF-8\n")
            return
        if exchange.sink.tunnel == "websocket":
            socket = SocketEvents(self._runtime, exchange)
            scope |= {"type": "websocket", "subprotocols": offered_subprotocols(exchange)}
            scope["scheme"] = "wss" if exchange.sink.scheme == "https" else "ws"
            self._run(exchange, self._app(scope, socket.receive, socket.send), socket.end)
            return
        request = RequestEvents(exchange)
        scope |= {"type": "http", "method": exchange.method, "scheme": exchange.sink.scheme}
        self._run(exchange, self._app(scope, request.receive, request.send), request.end)

    def _scope(self, exchange: Exchange) -> dict[str, Any]:
        peer = exchange.peer
        host, _, port = exchange.authority.rpartition(":")
        return {
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": exchange.version,
            "path": unquote_to_bytes(exchange.path).decode(),
            "raw_path": exchange.path.encode("latin-1"),
            "query_string": exchange.query.encode("latin-1"),
            "root_path": self.path,
            "headers": [(b"host", exchange.authority.encode("latin-1"))]
            + [
                (name.encode("latin-1"), value.encode("latin-1"))
                for name, value in exchange.headers.items()
                if name != "host"
            ],
            "client": (peer.address, peer.port) if peer.address else None,
            "server": (host, int(port)) if port.isdigit() else (exchange.authority, None),
            "extensions": {"websocket.http.response": {}},
            "state": self._state.copy(),
        }

    def _run(self, exchange: Exchange, answer: Any, end: Callable[[], None]) -> None:
        task = asyncio.get_running_loop().create_task(_guarded(exchange, answer, end))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def _guarded(exchange: Exchange, answer: Coroutine[Any, Any, None], end: Callable[[], None]) -> None:
    try:
        await answer
        end()
    except (Gone, asyncio.CancelledError):
        end()
    except Exception:
        name, request_id = f"{exchange.method} {exchange.path!r:.200}", exchange.request_id
        logger.exception(
            "%s failed in what is mounted there (request %s)", name, request_id, extra={"request_id": request_id}
        )
        if not exchange.status:
            respond_error(exchange, Internal("internal error"))
        end()


class RequestEvents:
    """One request and its answer, as the events of ASGI's HTTP protocol."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._over = asyncio.Event()
        self._asked = False
        """The whole body has been handed over."""
        self._head: tuple[int, list[tuple[bytes, bytes]]] | None = None
        self._begun = self._done = False
        exchange.watch(self._over.set)

    async def receive(self) -> Event:
        exchange, sink = self._exchange, self._exchange.sink
        while not self._asked and not self._over.is_set():
            part = sink.take()
            sink.grant(len(part))
            # What is taken last may be the end, and may not: the rest of a body shows itself later.
            if sink.ended and not sink.buffered_in_bytes:
                self._asked = True
                return {"type": "http.request", "body": part, "more_body": False}
            if part:
                return {"type": "http.request", "body": part, "more_body": True}
            await exchange.readable()
        await self._over.wait()
        return {"type": "http.disconnect"}

    async def send(self, event: Event) -> None:
        kind = event["type"]
        if self._over.is_set():
            raise Gone("the peer has left, or the answer is complete")
        if kind == "http.response.start" and self._head is None:
            self._head = int(event["status"]), _fields(event)
        elif kind == "http.response.body" and self._head is not None:
            await self._body(bytes(event.get("body", b"")), bool(event.get("more_body", False)))
        else:
            raise RuntimeError(f"{kind!r} is not expected now")

    async def _body(self, body: bytes, more: bool) -> None:
        assert self._head is not None
        status, headers = self._head
        exchange = self._exchange
        is_head = exchange.method == "HEAD"
        if not self._begun and not more and not is_head:
            self._done = True
            exchange.respond(status, _block(headers, length=False), body)
            self._over.set()
            return
        if not self._begun:
            self._begun = True
            exchange.start(status, _block(headers, length=True))
        if body and not is_head and not exchange.write(body):
            await exchange.drain()
        if not more:
            self._done = True
            exchange.finish()
            self._over.set()

    def end(self) -> None:
        """The application has returned, or was cancelled."""
        self._over.set()
        if self._done:
            return
        if self._exchange.status:
            self._exchange.reset(INTERNAL_ERROR)
        else:
            respond_error(self._exchange, Internal("internal error"))


def _fields(event: Event) -> list[tuple[bytes, bytes]]:
    """What an application says beside what is ours to say."""
    pairs = [(bytes(name).lower(), bytes(value)) for name, value in event.get("headers") or ()]
    return [(name, value) for name, value in pairs if name not in _OURS]


def _block(fields: list[tuple[bytes, bytes]], *, length: bool) -> HeaderBlock:
    """Raises ValueError for what is no field. length: of the body, where it is told beforehand."""
    return HeaderBlock([(name, value) for name, value in fields if length or name != b"content-length"])


class SocketEvents(MessageSocket[Cancellable]):
    """One WebSocket, as the events of ASGI's WebSocket protocol."""

    def __init__(self, runtime: Runtime, exchange: Exchange) -> None:
        super().__init__(runtime, exchange)
        self._events: deque[Event] = deque([{"type": "websocket.connect"}])
        self._news = asyncio.Event()
        self._accepted = self._over = False
        self._denial: tuple[int, list[tuple[bytes, bytes]]] | None = None
        exchange.watch(self._left)

    async def receive(self) -> Event:
        while not self._events:
            self._news.clear()
            await self._news.wait()
        event = self._events.popleft()
        if not self._events and self._accepted and not self._over:
            self.ws.resume()
        return event

    async def send(self, event: Event) -> None:
        kind = event["type"]
        if self._over:
            raise Gone("the WebSocket is closed")
        if self._accepted:
            await self._send_message(kind, event)
        elif kind == "websocket.accept":
            fields = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in _fields(event)]
            self._accepted = self.accept(event.get("subprotocol"), fields)
            self._over = not self._accepted
        elif kind == "websocket.close":
            self._refuse(_FORBIDDEN, [], b"")
        elif kind == "websocket.http.response.start":
            self._denial = int(event["status"]), _fields(event)
        elif kind == "websocket.http.response.body" and self._denial is not None:
            self._refuse(*self._denial, bytes(event.get("body", b"")))
        else:
            raise RuntimeError(f"{kind!r} is not expected now")

    async def _send_message(self, kind: str, event: Event) -> None:
        if kind == "websocket.send":
            data, text = event.get("bytes"), event.get("text")
            message = text if data is None else data
            if not isinstance(message, str | bytes):
                raise TypeError("websocket.send has neither text nor bytes")
            if not self.ws.send(message):
                await self.ws.drained()
        elif kind == "websocket.close":
            self.ws.close(int(event.get("code") or NORMAL), str(event.get("reason") or ""))
        else:
            raise RuntimeError(f"{kind!r} is not expected now")

    def on_text(self, text: str) -> None:
        self._queue({"type": "websocket.receive", "text": text})

    def on_binary(self, data: bytes) -> None:
        self._queue({"type": "websocket.receive", "bytes": data})

    def end(self) -> None:
        """The application has returned, or was cancelled."""
        if self._over:
            return
        if self._accepted:
            self.ws.close()
        else:
            self._refuse(500, [], b"")

    def _queue(self, event: Event) -> None:
        self._events.append(event)
        self._news.set()
        if len(self._events) >= _MOST_QUEUED:
            self.ws.pause()

    def on_closed(self, ws: Any, code: int, reason: str) -> None:
        super().on_closed(ws, code, reason)
        self._disconnected(code, reason)

    def _left(self) -> None:
        """Before it was accepted."""
        self._disconnected(ABNORMAL, "")

    def _disconnected(self, code: int, reason: str) -> None:
        if not self._over:
            self._over = True
            self._events.append({"type": "websocket.disconnect", "code": code, "reason": reason})
            self._news.set()

    def _refuse(self, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
        self._over = True
        self.exchange.respond(status, _block(headers, length=False), body)


class Lifespan:
    """An application's start and end; one that knows of neither raises, and is left alone."""

    def __init__(self, app: AsgiApp, state: dict[str, Any]) -> None:
        self._app = app
        self._state = state
        self._events: asyncio.Queue[Event] = asyncio.Queue()
        self._answers: asyncio.Queue[Event] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None

    async def startup(self) -> None:
        """Raises RuntimeError where the application says that it cannot start."""
        self._task = asyncio.get_running_loop().create_task(self._run())
        answer = await self._tell("startup")
        if answer is not None and answer["type"] == "lifespan.startup.failed":
            raise RuntimeError(f"what is mounted cannot start: {answer.get('message', '')}")

    async def shutdown(self) -> None:
        answer = await self._tell("shutdown")
        if answer is not None and answer["type"] == "lifespan.shutdown.failed":
            logger.error("what is mounted could not shut down: %s", answer.get("message", ""))
        if self._task is not None and not self._task.done():
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _run(self) -> None:
        scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": self._state}
        try:
            await self._app(scope, self._events.get, self._answers.put)
        except Exception as error:
            # So it says that it has none.
            logger.debug("what is mounted has no lifespan: %r", error)

    async def _tell(self, what: str) -> Event | None:
        """The answer to an event; None where the application has ended."""
        if self._task is None or self._task.done():
            return None
        self._events.put_nowait({"type": f"lifespan.{what}"})
        answer = asyncio.ensure_future(self._answers.get())
        await asyncio.wait([answer, self._task], return_when=asyncio.FIRST_COMPLETED)
        if answer.done():
            return answer.result()
        answer.cancel()
        return None
