"""The connection of a channel over a WebSocket: when to try again, by what, and which calls wait for it."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import random
from collections import deque
from collections.abc import Callable, Coroutine
from functools import partial
from time import monotonic
from typing import Any

from polywire.client.socket.calls import SocketCall
from polywire.client.socket.http_link import HttpLink
from polywire.client.socket.link import LOST, HandshakeClosed, HandshakeRefused, SocketLink
from polywire.client.socket.settings import FINAL_CODES, TOKEN_REFUSED, SocketSettings, Token
from polywire.client.target import Target
from polywire.errors import Cancelled, ResourceExhausted, RpcError, Unauthenticated, Unavailable

logger = logging.getLogger("polywire.client")

QUEUE_FULL = "QUEUE_FULL"
"""The reason of RESOURCE_EXHAUSTED where too many calls wait for a connection."""
_PATIENCE = 3
"""Failures in a row after which another transport is tried in place of one that has worked before."""
_CLOSING_S = 2.0

AnyLink = SocketLink | HttpLink


class Session:
    """Belongs to the running loop. Connects when the first call is made, and stays connected."""

    def __init__(self, target: Target, settings: SocketSettings, token: Token) -> None:
        self.loop = asyncio.get_running_loop()
        self.settings = settings
        self._end_of_all: Callable[[], RpcError] | None = None
        """Makes what every call ends with, once the server does not want us or the channel is closed."""
        self._target = target
        self._token = token
        self._link: AnyLink | None = None
        """Takes calls."""
        self._open: set[AnyLink] = set()
        """Whose sockets are not closed yet."""
        self._old: set[AnyLink] = set()
        """Which the server is leaving, with calls that cannot move."""
        self._failure: Exception | None = None
        """Of the last attempt, until the next one."""
        self._calls: set[SocketCall] = set()
        """All that are not over, wherever they are."""
        self._waiting: deque[SocketCall] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._connecting: asyncio.Task[None] | None = None
        self._choice = 0
        self._worked: set[int] = set()
        self._failures = 0
        self._refusals = 0
        self._backoff_s = settings.backoff_s
        self._opened_at = 0.0

    @property
    def transport(self) -> str | None:
        """By what calls go now; None: there is no connection."""
        return None if self._link is None else self.settings.transports[self._choice]

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = self.loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    # Calls.

    def start(self, call: SocketCall) -> None:
        """Take a call on, as soon as there is a connection with room for it.

        Raises ResourceExhausted, Unavailable where nobody could be reached just now, and what all ends with.
        """
        if self._end_of_all is not None:
            raise self._end_of_all()
        if self._failure is not None and not call.terms.wait_for_ready:
            raise self._unreachable(self._failure)
        if len(self._waiting) >= self.settings.max_waiting_calls:
            raise ResourceExhausted("too many calls wait for a connection", reason=QUEUE_FULL)
        self._calls.add(call)
        self._waiting.append(call)
        self._flush()

    def again(self, call: SocketCall, pause_s: float = 0.0) -> None:
        """Once more, after so many seconds, when its reader has room: it has been waited for the longest."""
        if self._end_of_all is not None:
            call.fail(self._end_of_all())
        elif pause_s or not call.room:
            self.spawn(self._later(call, pause_s))
        else:
            self._waiting.appendleft(call)
            self.loop.call_soon(self._flush)

    async def _later(self, call: SocketCall, pause_s: float) -> None:
        await asyncio.sleep(pause_s)
        await call.has_room()
        if not call.is_over:
            self.again(call)

    def ended(self, call: SocketCall) -> None:
        self._calls.discard(call)
        if call in self._waiting:
            self._waiting.remove(call)
        self.loop.call_soon(self._flush)

    def _flush(self) -> None:
        link = self._link
        while self._waiting and link is not None and link is self._link and not link.leaving and not link.is_full:
            call = self._waiting.popleft()
            if not call.is_over:
                link.start(call)
        for old in list(self._old):
            if not old.calls:
                self._old.discard(old)
                old.close()
        if self._waiting and self._connecting is None and (link is None or link.leaving) and self._end_of_all is None:
            # One that goes away with its first words would else be come back to as fast as the network is.
            self._connect(0.0 if link is None else self._pause_s())

    # Connections.

    def _connect(self, delay_s: float = 0.0) -> None:
        # It outlives the call that needs it first: it must not run in that call's context.
        self._connecting = self.loop.create_task(self._keep_connecting(delay_s), context=contextvars.Context())
        self._connecting.add_done_callback(self._connected)

    def _connected(self, task: asyncio.Task[None]) -> None:
        self._connecting = None
        if not task.cancelled() and task.exception() is not None:
            logger.error("connecting failed", exc_info=task.exception())
            self._end(lambda: Unavailable("the client has failed"))
        self._flush()

    async def _keep_connecting(self, delay_s: float) -> None:
        while self._end_of_all is None:
            await asyncio.sleep(delay_s)
            self._failure = None
            link = self._new_link()
            self._open.add(link)
            link.gone.add_done_callback(partial(self._gone, link))
            try:
                async with asyncio.timeout(self.settings.connect_timeout_s):
                    await link.open(await self.token())
            except Exception as error:
                link.close()
                delay_s = self._judge(error)
                continue
            except BaseException:
                link.close()
                raise
            self._failures = 0
            self._failure = None
            self._worked.add(self._choice)
            self._opened_at = monotonic()
            if self._link is not None:
                self._old.add(self._link)
            self._link = link
            self._move()
            return

    def _gone(self, link: AnyLink, _: asyncio.Future[None]) -> None:
        self._open.discard(link)

    async def token(self) -> str | None:
        """The one to use now."""
        return await self._token() if callable(self._token) else self._token

    def _new_link(self) -> AnyLink:
        settings = self.settings
        if settings.transports[self._choice] == "http":
            return HttpLink(self._target, settings, self.token, self._cut_off, self._flush)
        return SocketLink(self._target, settings.max_message_bytes, self._lost, self._leaving, self._flush)

    def _judge(self, error: Exception) -> float:
        """What it means that there is no connection: how long to wait before the next attempt."""
        logger.debug("cannot connect to %s: %r", self._target, error)
        if isinstance(error, HandshakeClosed) and self._is_final(error.code, str(error), error.problem):
            return 0.0
        if isinstance(error, HandshakeRefused) and error.status in (401, 403):
            self._end(lambda: Unauthenticated("the server refuses the connection"))
            return 0.0
        self._failures += 1
        unsuitable = isinstance(error, HandshakeRefused) and error.status not in (429, 502, 503, 504)
        patience = _PATIENCE if self._choice in self._worked and not unsuitable else 1
        if self._failures >= patience and len(self.settings.transports) > 1:
            self._failures = 0
            self._choice = (self._choice + 1) % len(self.settings.transports)
            if self._choice:
                return 0.0
        self._fail_waiting(error)
        return self._pause_s()

    def _fail_waiting(self, error: Exception) -> None:
        """Nobody can be reached, and it will be a while until that is tried again."""
        self._failure = error.with_traceback(None)  # its frames would keep the connection
        for call in [one for one in self._waiting if not one.terms.wait_for_ready and not one.is_resumable]:
            call.fail(self._unreachable(self._failure))

    def _unreachable(self, cause: Exception) -> Unavailable:
        """Where we connect to is not for those to know who call the handler that lets it pass."""
        problem = Unavailable("the service cannot be reached")
        problem.__cause__ = cause
        problem.add_note(f"cannot connect to {self._target}: {cause or type(cause).__name__}")
        return problem

    def _pause_s(self) -> float:
        """Full jitter: anywhere below a bound that doubles."""
        if monotonic() - self._opened_at >= self.settings.stable_s and self._link is None and self._opened_at:
            self._backoff_s, self._opened_at, self._refusals = self.settings.backoff_s, 0.0, 0
        bound, self._backoff_s = self._backoff_s, min(self._backoff_s * 2, self.settings.max_backoff_s)
        return bound * random.random()  # noqa: S311 -- no secret

    def _is_final(self, code: int, reason: str, problem: Callable[[], RpcError] | None) -> bool:
        """Whether a close code says to stay away; then every call ends with that, or as the server has told before."""
        if code == TOKEN_REFUSED and callable(self._token) and self._refusals == 0:
            self._refusals += 1
            return False
        if code not in FINAL_CODES:
            return False
        if problem is not None:
            self._end(problem)
            return True
        kind = Unauthenticated if code == TOKEN_REFUSED else Unavailable
        text = f"the server has closed the connection for good: {reason or code}"
        self._end(lambda: kind(text, reason=f"CLOSED_{code}"))
        return True

    def _lost(self, link: AnyLink, code: int, reason: str) -> None:
        current = link is self._link
        if current:
            self._link = None
        self._old.discard(link)
        if current:
            self._is_final(code, reason, link.problem if isinstance(link, SocketLink) else None)
        calls = list(link.calls.values())
        for call in reversed(calls):
            call.lost(seen=code != TOKEN_REFUSED)
        if self._waiting and self._connecting is None and self._end_of_all is None:
            self._connect(self._pause_s())

    def _cut_off(self, link: HttpLink, error: Exception) -> None:
        """A request could not be sent."""
        if link is self._link:
            self._lost(link, LOST, str(error))
            self._fail_waiting(error)

    def _leaving(self, link: SocketLink, reconnect_s: float) -> None:
        if link is self._link and self._connecting is None and self._end_of_all is None:
            # It is for the server to say, within what is our own longest pause.
            span_s = min(max(0.0, reconnect_s), self.settings.max_backoff_s)
            delay_s = span_s * random.random()  # noqa: S311 -- no secret
            if monotonic() - self._opened_at < self.settings.stable_s:
                # One that sends everybody away at once would be asked again and again.
                delay_s = max(delay_s, self._pause_s())
            self._connect(delay_s)

    def _move(self) -> None:
        """Calls that can be resumed go to the new connection; what is left of the old ones ends with its calls."""
        for old in list(self._old):
            for call in reversed([one for one in old.calls.values() if one.is_resumable]):
                old.cancel(call)
                call.lost()

    # The end.

    def _end(self, make_error: Callable[[], RpcError]) -> None:
        self._end_of_all = make_error
        links = [*self._old, *([] if self._link is None else [self._link])]
        self._link = None
        self._old.clear()
        for call in list(self._calls):
            call.fail(make_error())
        for link in links:
            link.close()

    async def close(self) -> None:
        """End all calls with CANCELLED; no task or socket is left."""
        self._end(lambda: Cancelled("the channel is closed"))
        own = asyncio.current_task()
        tasks = [task for task in self._tasks if task is not own]
        if self._connecting is not None:
            tasks.append(self._connecting)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=_CLOSING_S)
        ends = [link.gone for link in self._open]
        if ends:
            await asyncio.wait(ends, timeout=_CLOSING_S)
        for link in list(self._open):
            link.abort()
