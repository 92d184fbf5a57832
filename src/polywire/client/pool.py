"""The connections of a channel: opened when they are needed, shared by all calls, replaced when they end."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import random
import ssl
from collections import deque
from collections.abc import Callable, Coroutine
from time import monotonic
from typing import Any

from polywire.client.connection import Connection
from polywire.client.settings import ChannelSettings
from polywire.client.target import Target
from polywire.errors import Cancelled, DeadlineExceeded, ResourceExhausted, RpcError, Unavailable

logger = logging.getLogger("polywire.client")

_GROWTH = 1.6
_JITTER = 0.2
_CLOSING_S = 2.0
"""How long closing waits for what is written to go out."""
_GOODBYE_S = 0.5
"""How long for the server's close_notify (RFC 8446 §6.1); nothing depends on it."""


class Pool:
    """Belongs to the running loop. What waits for a connection is served in the order of coming."""

    def __init__(self, target: Target, settings: ChannelSettings) -> None:
        self.loop = asyncio.get_running_loop()
        self.target = target
        self.settings = settings
        self.closed = False
        self.tasks: set[asyncio.Task[None]] = set()
        """What sends the messages of client streams, and opens connections."""
        self._open: list[Connection] = []
        """Connections that take calls."""
        self._all: set[Connection] = set()
        self._waiting: deque[tuple[asyncio.Future[None], bool]] = deque()
        """Calls without a connection, and whether they outlast failed attempts."""
        self._connecting = False
        self._failures = 0
        self._retry_at = 0.0
        self._last_failure: tuple[Exception | None, str] = (None, "")

    def take(self) -> Connection | None:
        """A connection with room for a call right now."""
        if not self._waiting:
            for connection in self._open:
                if connection.engine.room:
                    return connection
        return None

    async def acquire(self, wait_for_ready: bool, deadline: float | None) -> Connection:
        """A connection with room for a call, which must be opened before anything else is awaited.

        deadline: on the monotonic clock. Raises Unavailable where the server cannot be reached, DeadlineExceeded,
        ResourceExhausted if too many wait, Cancelled once the channel is closed.
        """
        connection = self.take()
        first = True
        while connection is None:
            if len(self._waiting) >= self.settings.max_waiting_calls:
                raise ResourceExhausted(f"{len(self._waiting)} calls wait for a connection already")
            if self.closed:
                raise Cancelled("the channel is closed")
            if not self._open and self._retry_at > monotonic() and not wait_for_ready:
                raise _unreachable(*self._last_failure)
            turn: asyncio.Future[None] = self.loop.create_future()
            entry = (turn, wait_for_ready)
            (self._waiting.append if first else self._waiting.appendleft)(entry)
            first = False
            self._connect_if_due()
            try:
                async with asyncio.timeout(None if deadline is None else max(0.0, deadline - monotonic())):
                    await turn
            except BaseException as error:
                if entry in self._waiting:
                    self._waiting.remove(entry)
                else:
                    self._admit()  # the turn is somebody else's now
                if isinstance(error, TimeoutError):
                    raise DeadlineExceeded("the deadline has passed before there was a connection") from None
                raise
            connection = next((one for one in self._open if one.engine.room), None)
        return connection

    def spawn(self, work: Coroutine[Any, Any, None], context: contextvars.Context | None = None) -> asyncio.Task[None]:
        task = self.loop.create_task(work, context=context)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return task

    async def close(self) -> None:
        """End all calls with CANCELLED, and all tasks and connections; nothing is left when this returns."""
        self.closed = True
        self._fail_waiting(lambda: Cancelled("the channel is closed"), patient=True)
        own = asyncio.current_task()
        tasks = [task for task in self.tasks if task is not own]
        for task in tasks:
            task.cancel()
        for connection in list(self._all):
            connection.close()
        ends: list[asyncio.Future[None]] = [*tasks, *(connection.lost for connection in self._all)]
        if ends:
            await asyncio.wait(ends, timeout=_CLOSING_S)
        for connection in list(self._all):
            connection.abort()
            await connection.lost

    # Connecting.

    def _connect_if_due(self) -> None:
        if (
            self._waiting
            and not self._connecting
            and not self.closed
            and len(self._open) < self.settings.max_connections
        ):
            self._connecting = True
            # The connection outlives the call that needs it first: it must not run in that call's context.
            self.spawn(self._connect(), contextvars.Context())

    async def _connect(self) -> None:
        try:
            while self._waiting and len(self._open) < self.settings.max_connections:
                await asyncio.sleep(self._retry_at - monotonic())
                try:
                    connection = await self._attempt()
                except Exception as error:
                    self._failed(error)
                    continue
                self._failures = 0
                self._open.append(connection)
                self._admit()
                await asyncio.sleep(0)  # let them take the room before asking whether it was enough
        finally:
            self._connecting = False

    async def _attempt(self) -> Connection:
        target, loop = self.target, self.loop
        connection = Connection(loop, self.settings, self._changed, self._lost)
        try:
            async with asyncio.timeout(self.settings.connect_timeout_s):
                if target.path is not None:
                    await loop.create_unix_connection(lambda: connection, target.path)
                else:
                    tls_options: dict[str, Any] = {}
                    if target.tls is not None:
                        tls_options = {"server_hostname": target.host, "ssl_shutdown_timeout": _GOODBYE_S}
                    transport, _ = await loop.create_connection(
                        lambda: connection, target.host, target.port, ssl=target.tls, **tls_options
                    )
                    tls = transport.get_extra_info("ssl_object")
                    if tls is not None and tls.selected_alpn_protocol() != "h2":
                        raise ConnectionRefusedError("the server does not speak HTTP/2 over TLS")
                if connection.is_made:
                    self._all.add(connection)
                failure = await connection.settled
        except BaseException:
            if connection.is_made:
                self._all.add(connection)
                connection.abort()
            raise
        if failure is not None:
            raise failure
        if connection.engine.draining:
            raise ConnectionResetError("the server takes no calls")
        return connection

    def _failed(self, error: Exception) -> None:
        settings = self.settings
        pause_s = min(settings.backoff_s * _GROWTH**self._failures, settings.max_backoff_s)
        self._failures = min(self._failures + 1, 64)
        self._retry_at = monotonic() + pause_s * random.uniform(1 - _JITTER, 1 + _JITTER)  # noqa: S311 -- no secret
        note = f"cannot connect to {self.target}: {_reason(error)}"
        logger.debug("%s", note)
        self._last_failure = error.with_traceback(None), note  # its frames would keep the connection
        self._fail_waiting(lambda: _unreachable(error, note), patient=False)

    def _fail_waiting(self, make_error: Callable[[], RpcError], *, patient: bool) -> None:
        """End the waiting calls, without patient=True only those that do not wait for better times."""
        kept = deque(entry for entry in self._waiting if entry[1] and not patient)
        for turn, wait_for_ready in self._waiting:
            if (patient or not wait_for_ready) and not turn.done():
                turn.set_exception(make_error())
        self._waiting = kept

    # What connections tell.

    def _changed(self, connection: Connection) -> None:
        if connection.engine.draining:
            if connection in self._open:
                self._open.remove(connection)
                self._connect_if_due()
        elif self._waiting:
            self._admit()

    def _lost(self, connection: Connection) -> None:
        self._all.discard(connection)
        if connection in self._open:
            self._open.remove(connection)
            self._connect_if_due()

    def _admit(self) -> None:
        """Let waiting calls go on, as many as there is room for."""
        room = sum(connection.engine.room for connection in self._open)
        while room > 0 and self._waiting:
            turn, _ = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                room -= 1
        if self._waiting:
            self._connect_if_due()


def _unreachable(cause: Exception | None, note: str) -> Unavailable:
    """The message goes to whoever calls the handler that lets it pass: where we connect to is not theirs to know."""
    error = Unavailable("the service cannot be reached")
    error.__cause__ = cause
    error.add_note(note)
    return error


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "it took too long"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {error.verify_message}"
    return (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
