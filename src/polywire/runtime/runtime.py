"""Runs calls: starts them, watches their deadlines, turns whatever happens into one answer."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from time import monotonic_ns
from typing import Any

from polywire.errors import (
    Cancelled,
    Code,
    DeadlineExceeded,
    Internal,
    RpcError,
    Unavailable,
)
from polywire.runtime._eager import EagerRunner
from polywire.runtime.binding import Binding, compose
from polywire.runtime.call import Call
from polywire.runtime.deadlines import DeadlineWheel
from polywire.runtime.metrics import Metrics
from polywire.runtime.pool import ThreadPool
from polywire.schema.types import Method
from polywire.service.app import App

logger = logging.getLogger("polywire")

Done = Callable[[Call, Any, RpcError | None], None]
"""done(call, value, error): encode the value, then send it, or send the error.

It encodes before it sends anything: if it raises, nothing has gone out, and it is called again with an INTERNAL error.
For server streams it is called once at the end, with no value.
"""
Emit = Callable[[Call, Any], bool]
"""emit(call, item): encode and send one item of a stream; False: await `drained` before the next."""


class Runtime:
    """All calls of one process. Made outside of a loop; `start` ties it to the running one."""

    def __init__(self, app: App, metrics: Metrics) -> None:
        self.app = app
        self.metrics = metrics
        self.pool = ThreadPool(app.thread_pool_size)
        self.suspended: set[Call] = set()
        """Calls that have a task: what draining waits for."""
        self._runner: EagerRunner | None = None
        self._wheel: DeadlineWheel | None = None
        self._begin = _not_started
        self._on_finish = self._finish

    def start(self) -> None:
        loop = asyncio.get_running_loop()
        self._runner = EagerRunner(loop)
        self._begin = self._runner.start
        self._wheel = DeadlineWheel(loop, self._expire)

    async def stop(self) -> None:
        """Cancel what still runs, with UNAVAILABLE, and wait until it has ended."""
        tasks = [call.task for call in self.suspended if call.task is not None]
        for call in list(self.suspended):
            call.cancel(Code.UNAVAILABLE)
        if tasks:
            await asyncio.wait(tasks, timeout=5.0)
        self.pool.close()
        if self._wheel is not None:
            self._wheel.close()
        if self._runner is not None:
            self._runner.close()

    def bind(self, method: Method, instance: object, protocol: str, *, own: bool = False) -> Binding:
        """Make a method ready to be called over a protocol.

        own: a service that polywire brings, such as gRPC's health: the app's interceptors are not for it, as they are
        not for `/health`. A probe has no token.
        """
        invoke = compose(method, instance, () if own else self.app.interceptors, self.pool)
        metrics = self.metrics.method(method.full_name, protocol)
        return Binding(method, protocol, invoke, metrics, self.app.default_deadline_s)

    def await_input(self, call: Call, done: Done) -> None:
        """Let the deadline of a call run while its input is still on the way; `dispatch` or `reject` comes later.

        If the deadline passes before, `done` is told, and neither may be called any more: look at `call.answered`.
        """
        call.done = done
        deadline = call.deadline
        if deadline is not None and self._wheel is not None:
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
        if self._begin(_stream(call, emit, drained), call, self._on_finish):
            self._suspended(call)

    def _suspended(self, call: Call) -> None:
        self.suspended.add(call)
        deadline = call.deadline
        if deadline is not None and self._wheel is not None:
            self._wheel.add(call, deadline)

    def reject(self, call: Call, error: Exception, done: Done) -> None:
        """Answer a call that never reached its handler, because its input was refused."""
        if call.timer_slot is not None and self._wheel is not None:
            self._wheel.remove(call)
        call.done = done
        self._answer(call, None, error)

    def _finish(self, call: Call, value: Any, exc: BaseException | None) -> None:
        if call.task is not None:
            self.suspended.discard(call)
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
        # The caller is answered now, whatever the handler makes of its cancellation; a thread cannot be stopped at all.
        if not call.answered:
            self._answer(call, None, DeadlineExceeded("the deadline has passed"))
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
        if call._callbacks is not None:
            for callback in call._callbacks:
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


def _not_started(coro: Any, call: Any, finish: Any) -> bool:
    coro.close()
    raise RuntimeError("the runtime has not been started: await site.start() in the loop that serves")


async def _stream(call: Call, emit: Emit, drained: Callable[[], Awaitable[None]]) -> None:
    items: AsyncIterator[Any] = await call.binding.invoke(call)
    try:
        async for item in items:
            if not emit(call, item):
                await drained()
    finally:
        # A generator's own finally runs here, not when the collector gets round to it.
        close = getattr(items, "aclose", None)
        if close is not None:
            await close()
