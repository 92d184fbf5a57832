"""Runs calls: starts them, watches their deadlines, turns whatever happens into one answer."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import AsyncIterator, Awaitable, Callable
from time import monotonic, monotonic_ns
from typing import Any, Final, Protocol

from polywire.errors import (
    IDLE,
    Cancelled,
    Code,
    DeadlineExceeded,
    Internal,
    RpcError,
    Unavailable,
)
from polywire.runtime.binding import Binding, compose
from polywire.runtime.call import Call
from polywire.runtime.deadlines import DeadlineWheel
from polywire.runtime.heartbeats import Heartbeats
from polywire.runtime.metrics import Metrics
from polywire.runtime.pending import PendingBytes
from polywire.runtime.pool import ThreadPool
from polywire.runtime.push import PushStream
from polywire.schema.types import Method
from polywire.service.app import App
from polywire.service.tracked import Tracked
from polywire.tasks.eager import EagerRunner
from polywire.tasks.turns import Turns

logger = logging.getLogger("polywire")

GOING_AWAY = "GOING_AWAY"
"""The reason of UNAVAILABLE for what the server does not begin or go on with, as it is going."""
_RECONNECTS_PER_S: Final = 1_000
"""How fast the clients of a server that goes should come back elsewhere."""
_LEAST_SPREAD_S, _MOST_SPREAD_S = 0.5, 10.0
_LEAVING_TICK_S: Final = 0.05

Done = Callable[[Call, Any, RpcError | None], None]
"""done(call, value, error): encode the value, then send it, or send the error.

It encodes before it sends anything: if it raises, nothing has gone out, and it is called again with an INTERNAL error.
For server streams it is called once at the end, with no value.
"""


class Emit(Protocol):
    """Encodes and sends one item of a stream; False: `drained` must be awaited before the next.

    id: the item's position, where the method tells positions.
    """

    def __call__(self, call: Call, item: Any, id: str | None = None, /) -> bool: ...


class Work(Protocol):
    """What has a task until it ends: a call, or an endpoint that answers for itself."""

    task: asyncio.Task[Any] | None
    """While it is suspended."""

    def cancel(self, code: Code = ..., /) -> None: ...


class Socket(Protocol):
    """A connection on which calls come as messages."""

    def go_away(self) -> None:
        """Say that the server is going, and let calls under way end."""


class Runtime:
    """All calls of one process. Made outside of a loop; `start` ties it to the running one."""

    def __init__(self, app: App, metrics: Metrics) -> None:
        self.app = app
        self.metrics = metrics
        self.pool = ThreadPool(app.thread_pool_size)
        self.pending = PendingBytes(app.max_pending_bytes)
        self.turns = Turns()
        """For decompression."""
        # Dicts, as sets take three times as much for each of thousands.
        self.suspended: dict[Work, None] = {}
        """Calls that have a task, and endpoints of the user's own: what draining waits for."""
        self.sockets: dict[Socket, None] = {}
        """Connections of messages that are open, by `add_socket`: told when the server goes."""
        self.is_leaving = False
        """The server is going."""
        self.reconnect_s = _LEAST_SPREAD_S
        """Within which clients should come back elsewhere, once the server goes."""
        self._ended_a_tick = 1
        self._leaving: asyncio.TimerHandle | None = None
        self._runner: EagerRunner | None = None
        self._wheel: DeadlineWheel | None = None
        self.heartbeats: Heartbeats
        """From `start` on."""
        self._begin = _not_started
        self._on_finish = self._finish

    def start(self) -> None:
        loop = asyncio.get_running_loop()
        self._runner = EagerRunner(loop)
        self._begin = self._runner.start
        self._wheel = DeadlineWheel(loop, self._expire)
        self.heartbeats = Heartbeats(loop, self.app.heartbeat_s)

    def go_away(self, within_s: float) -> None:
        """The server is going: tell the sockets, and end the subscriptions that can go on elsewhere.

        within_s: until `stop`; what else runs may go on until then. Clients have `reconnect_s` to move by themselves.
        Those who have not are ended within as long again, a few at a time: they should not all come back at once.
        """
        if self.is_leaving:
            return
        self.is_leaving = True
        loop = asyncio.get_running_loop()
        count = len(self.sockets) + len(self.suspended)
        spread_s = max(_LEAST_SPREAD_S, min(_MOST_SPREAD_S, count / _RECONNECTS_PER_S))
        spread_s = self.reconnect_s = min(spread_s, within_s / 2)
        self._ended_a_tick = max(1, math.ceil(count * _LEAVING_TICK_S / spread_s)) if spread_s else count + 1
        self._leaving = loop.call_later(spread_s, self._end_subscriptions)
        for socket in list(self.sockets):
            socket.go_away()

    def _end_subscriptions(self) -> None:
        calls = [one for one in self.suspended if isinstance(one, Call) and one.subscribes and one.cancel_code is None]
        for call in calls[: self._ended_a_tick]:
            call.fail(Unavailable("the server is going away; come back with the last position", reason=GOING_AWAY))
        # There may be more, of requests that were on their way.
        self._leaving = asyncio.get_running_loop().call_later(_LEAVING_TICK_S, self._end_subscriptions)

    def add_socket(self, socket: Socket) -> None:
        """Count a socket among `sockets`. One that comes while the server goes is told so in the next turn."""
        self.sockets[socket] = None
        if self.is_leaving:
            asyncio.get_running_loop().call_soon(self._tell_late, socket)

    def _tell_late(self, socket: Socket) -> None:
        if socket in self.sockets:
            socket.go_away()

    async def stop(self) -> None:
        """Cancel what still runs, with UNAVAILABLE, and wait until it has ended. So is answered what comes later."""
        self._begin = _too_late
        if self._leaving is not None:
            self._leaving.cancel()
        tasks = [work.task for work in self.suspended if work.task is not None]
        for work in list(self.suspended):
            work.cancel(Code.UNAVAILABLE)
        if tasks:
            await asyncio.wait(tasks, timeout=5.0)
        self.pool.close()
        self.turns.close()
        if self._wheel is not None:
            self._wheel.close()
            self.heartbeats.close()
        if self._runner is not None:
            self._runner.close()

    def bind(self, method: Method, instance: object, protocol: str, *, own: bool = False) -> Binding:
        """Make a method ready to be called over a protocol.

        own: a service that polywire brings, such as gRPC's health: the app's interceptors are not for it, as they are
        not for `/health`. A probe has no token.
        """
        invoke = compose(method, instance, () if own else self.app.interceptors, self.pool)
        metrics = self.metrics.method(method.full_name, protocol)
        idle_s = None if own else self.app.stream_idle_s
        return Binding(method, protocol, invoke, metrics, self.app.default_deadline_s, idle_s)

    def await_input(self, call: Call, done: Done) -> None:
        """Let the deadline of a call run while its input is still on the way; `dispatch` or `reject` comes later.

        If the deadline passes before, `done` is told, and neither may be called any more: look at `call.answered`.
        """
        call.done = done
        deadline = call.deadline
        if deadline is not None and self._wheel is not None and call.timer_slot is None:
            self._wheel.add(call, deadline)

    def abandon(self, call: Call) -> None:
        """Forget a call whose caller left while its input was on the way; without effect once it has been dispatched.

        Its deadline may be years ahead, as callers choose it, so the wheel must not keep it until then.
        """
        if call.task is None and not call.answered:
            self.reject(call, Cancelled("the caller has left"), call.done)

    def dispatch(self, call: Call, done: Done) -> None:
        """Run a call with one answer. `done` is called before this returns where the handler never suspends."""
        if call.timer_slot is not None and self._wheel is not None:
            self._wheel.remove(call)
        call.done = done
        if self._begin(call.binding.invoke(call), call, self._on_finish):
            self._suspended(call)

    def dispatch_stream(self, call: Call, emit: Emit, drained: Callable[[], Awaitable[None]], done: Done) -> None:
        """Run a call whose answer is a stream: `emit` for each item, `done` once at the end."""
        if call.timer_slot is not None and self._wheel is not None:
            self._wheel.remove(call)
        call.done = done
        binding = call.binding
        if binding.method.tracked:
            stream = _tracked_stream(call, emit, drained)
        elif binding.idle_s is not None:
            stream = _counted_stream(call, emit, drained)
        else:
            stream = _stream(call, emit, drained)
        if self._begin(stream, call, self._on_finish):
            self._suspended(call)

    def begin(self, coro: Any, work: Work, finish: Callable[[Any, Any, BaseException | None], None]) -> None:
        """Step a coroutine that is no call's, and count it among `suspended` until it ends.

        finish(work, value, error): called once, within its last step; it takes it out of `suspended`.
        """
        if self._begin(coro, work, finish, False):
            self.suspended[work] = None

    def _suspended(self, call: Call) -> None:
        self.suspended[call] = None
        idle_s = call.binding.idle_s
        if idle_s is not None:
            call.still = (_moved(call), monotonic())
            self._arm_idle(call, idle_s)
        elif self._wheel is not None:
            deadline = call.deadline
            if deadline is not None:
                self._wheel.add(call, deadline)

    def _arm_idle(self, call: Call, idle_s: float) -> None:
        """Look again after half the idle time-out, or at the deadline if that is nearer."""
        assert self._wheel is not None
        due = monotonic() + idle_s / 2
        deadline = call.deadline
        self._wheel.add(call, due if deadline is None else min(due, deadline))

    def _stands_still(self, call: Call, idle_s: float) -> bool:
        """Whether no message has gone either way for `idle_s`."""
        before, since = call.still
        now = monotonic()
        moved = _moved(call)
        if moved != before:
            call.still = (moved, now)
            return False
        return now - since >= idle_s

    def reject(self, call: Call, error: Exception, done: Done) -> None:
        """Answer a call that never reached its handler, because its input was refused."""
        if call.timer_slot is not None and self._wheel is not None:
            self._wheel.remove(call)
        call.done = done
        self._answer(call, None, error)

    def _finish(self, call: Call, value: Any, exc: BaseException | None) -> None:
        if call.task is not None:
            self.suspended.pop(call, None)
            # A cancelled task keeps its exception, and that the frames which keep the call.
            call.task = None
            if self._wheel is not None:
                self._wheel.remove(call)
            if call.answered:
                if exc is not None and not isinstance(exc, (RpcError, asyncio.CancelledError)):
                    self._unexpected(call, exc)
                return
        if exc is None and call._callbacks is None:
            # What `_answer` does, for the usual outcome.
            call.answered = True
            code = 0
            try:
                call.done(call, value, None)
            except Exception as failure:
                code = self._tell_again(call, failure).code
            call.binding.record(code, monotonic_ns() - call.started_ns)
        else:
            self._answer(call, value, exc)

    def _expire(self, call: Call) -> None:
        idle_s = call.binding.idle_s
        deadline = call.deadline
        error = DeadlineExceeded("the deadline has passed")
        if idle_s is not None and call.task is not None and (deadline is None or monotonic() < deadline):
            if not self._stands_still(call, idle_s):
                self._arm_idle(call, idle_s)
                return
            error = DeadlineExceeded(f"no message for {idle_s:g} s", reason=IDLE)
        # The caller is answered now, whatever the handler makes of its cancellation; a thread cannot be stopped at all.
        if not call.answered:
            self._answer(call, None, error)
        call.cancel(Code.DEADLINE_EXCEEDED)

    def _answer(self, call: Call, value: Any, exc: BaseException | None) -> None:
        call.answered = True
        error = None if exc is None else self._error_of(call, exc)
        try:
            call.done(call, value, error)
        except Exception as failure:
            # A result of the wrong type, or an error whose details or metadata cannot be sent.
            error = self._tell_again(call, failure)
        call.binding.record(0 if error is None else error.code, monotonic_ns() - call.started_ns)
        callbacks, call._callbacks = call._callbacks, None
        if callbacks is not None:
            # No longer the call's, as they may refer to it.
            for callback in callbacks:
                try:
                    callback(call, error)
                except Exception:
                    logger.exception("on_done of %s failed", call.method.full_name)

    def _tell_again(self, call: Call, failure: Exception) -> RpcError:
        """`done` could not send what it was given, and has sent nothing: let it say INTERNAL."""
        error = self._unexpected(call, failure)
        call.done(call, None, error)
        return error

    def _error_of(self, call: Call, exc: BaseException) -> RpcError:
        if isinstance(exc, RpcError):
            return exc
        if isinstance(exc, asyncio.CancelledError) and call.cancel_code is not None:
            if call.failure is not None:
                return call.failure
            return _CANCELLED.get(call.cancel_code, Cancelled)(_CANCELLED_TEXT.get(call.cancel_code, "cancelled"))
        return self._unexpected(call, exc)

    def _unexpected(self, call: Call, exc: BaseException) -> RpcError:
        """What an unforeseen exception tells the caller: nothing but that it happened. The log has the rest."""
        logger.error(
            "%s failed (request %s)",
            call.method.full_name,
            call.request_id,
            exc_info=exc,
            extra={"request_id": call.request_id, "method": call.method.full_name},
        )
        return Internal("internal error")


_CANCELLED: dict[Code, type[RpcError]] = {
    Code.CANCELLED: Cancelled,
    Code.DEADLINE_EXCEEDED: DeadlineExceeded,
    Code.UNAVAILABLE: Unavailable,
}
_CANCELLED_TEXT = {
    Code.CANCELLED: "the caller cancelled the call",
    Code.DEADLINE_EXCEEDED: "the deadline has passed",
    Code.UNAVAILABLE: "the server is shutting down",
}


def _moved(call: Call) -> int:
    """Messages of a stream that have gone either way, by whichever way."""
    return call.moved if call.outlet is None else call.moved + call.outlet.moved


def _not_started(coro: Any, call: Any, finish: Any, is_current: bool = True) -> bool:
    coro.close()
    raise RuntimeError("the runtime has not been started: await site.start() in the loop that serves")


def _too_late(coro: Any, call: Any, finish: Any, is_current: bool = True) -> bool:
    """Instead of `EagerRunner.start`, once the server stops: connections that are open may still bring something."""
    coro.close()
    finish(call, None, Unavailable(_CANCELLED_TEXT[Code.UNAVAILABLE]) if is_current else asyncio.CancelledError())
    return False


async def _stream(call: Call, emit: Emit, drained: Callable[[], Awaitable[None]]) -> None:
    items: AsyncIterator[Any] = await call.binding.invoke(call)
    try:
        if isinstance(items, PushStream):
            await items.push(call, _without_positions(call, emit), drained)
            return
        async for item in items:
            if not emit(call, item):
                await drained()
    finally:
        await _close(items)


async def _counted_stream(call: Call, emit: Emit, drained: Callable[[], Awaitable[None]]) -> None:
    items: AsyncIterator[Any] = await call.binding.invoke(call)
    try:
        if isinstance(items, PushStream):
            await items.push(call, _without_positions(call, emit), drained)
            return
        async for item in items:
            call.moved += 1
            if not emit(call, item):
                await drained()
    finally:
        await _close(items)


async def _tracked_stream(call: Call, emit: Emit, drained: Callable[[], Awaitable[None]]) -> None:
    items: AsyncIterator[Tracked[Any]] = await call.binding.invoke(call)
    try:
        if isinstance(items, PushStream):
            await items.push(call, emit, drained)
            return
        async for item in items:
            if type(item) is not Tracked:
                raise TypeError(f"{call.method.full_name} yielded {type(item).__name__}, declared is Tracked[...]")
            call.moved += 1
            if not emit(call, item.value, item.id):
                await drained()
    finally:
        await _close(items)


def _without_positions(call: Call, emit: Emit) -> Emit:
    """For methods that do not tell them: their items are sent one by one like all others."""
    call.outlet = None
    return lambda call, item, id=None, /: emit(call, item.value)


async def _close(items: Any) -> None:
    # A generator's own finally runs here, not when the collector gets round to it.
    close = getattr(items, "aclose", None)
    if close is not None:
        await close()
