"""Plain functions run in threads, so that they never block the loop."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any

from polywire.errors import Unavailable

QUEUED_PER_THREAD = 64


class ThreadPool:
    """A bounded pool with a bounded queue. A running thread cannot be stopped: its slot counts until it ends."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._executor: ThreadPoolExecutor | None = None
        self._pending = 0

    async def run(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """function(*arguments) in a thread, with the caller's context variables.

        Raises Unavailable (THREADS_BUSY) when too many calls wait already. Cancelled, a call that has not started
        never runs; one that has goes on unheard.
        """
        if self._pending >= self.size * (QUEUED_PER_THREAD + 1):
            raise Unavailable("the server is too busy", reason="THREADS_BUSY")
        if self._executor is None:
            self._executor = ThreadPoolExecutor(self.size, thread_name_prefix="polywire")
        loop = asyncio.get_running_loop()
        self._pending += 1
        job = self._executor.submit(copy_context().run, _run, function, arguments)
        job.add_done_callback(lambda _: _tell(loop, self._ended))
        return await asyncio.wrap_future(job)

    def _ended(self) -> None:
        self._pending -= 1

    def close(self) -> None:
        if self._executor is not None:
            self._executor.shutdown(wait=False, cancel_futures=True)
            self._executor = None


def _tell(loop: asyncio.AbstractEventLoop, callback: Callable[[], None]) -> None:
    # A thread may outlive the loop, which says so by RuntimeError; there is nobody left to tell then.
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(callback)


def _run(function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    try:
        return function(*arguments)
    except StopIteration as error:
        # No future takes a StopIteration: the call would hang (as in PEP 479).
        raise RuntimeError("the function raised StopIteration") from error
