"""A runtime without a protocol: calls go in as values, and outcomes come back as they would be told to a protocol."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from time import monotonic_ns
from typing import Any

from polywire import App, RpcError, Service
from polywire.request_id import request_id
from polywire.runtime.call import UNKNOWN_PEER, Call
from polywire.runtime.metrics import Metrics
from polywire.runtime.runtime import Runtime
from polywire.wire.headers import Headers


class Started:
    """A call under way, and what its protocol was told."""

    def __init__(self, call: Call) -> None:
        self.call = call
        self.told: list[tuple[Any, RpcError | None]] = []
        self.items: list[Any] = []
        self.ids: list[str | None] = []
        self._over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.drained = asyncio.Event()
        self.is_full = False
        """True: `emit` asks to wait for `drained`."""

    def done(self, call: Call, value: Any, error: RpcError | None) -> None:
        assert call is self.call
        self.told.append((value, error))
        if not self._over.done():
            self._over.set_result(None)

    def emit(self, call: Call, item: Any, id: str | None = None, /) -> bool:
        assert call is self.call
        self.items.append(item)
        self.ids.append(id)
        return not self.is_full

    async def outcome(self) -> Any:
        """Wait until the protocol was told; the value, or the error raised."""
        await self._over
        ((value, error),) = self.told
        if error is not None:
            raise error
        return value

    async def ended(self) -> None:
        """Wait until the handler itself is over."""
        if self.call.task is not None:
            await asyncio.wait({self.call.task})


class Carried:
    """What brings a call of these tests."""

    def __init__(self, headers: Iterable[tuple[str, str]] = ()) -> None:
        self.headers = Headers(headers)
        self.peer = UNKNOWN_PEER
        self.started_ns = monotonic_ns()
        self.request_id = request_id(self.headers.get("x-request-id"))


class Bench:
    """A started runtime over one service."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        ((self.service, self.instance),) = runtime.app.services

    def make(
        self, method: str, *, headers: Iterable[tuple[str, str]] = (), timeout_s: float | None = None, input: Any = None
    ) -> Started:
        """A call that is not dispatched yet. timeout_s: what the caller asked for."""
        (table,) = [one for one in self.service.methods if one.python_name == method]
        binding = self.runtime.bind(table, self.instance, "test")
        call = Call(binding, Carried(headers))
        if timeout_s is not None:
            call.limit_time(timeout_s)
        call.input = input
        return Started(call)

    def dispatch(self, started: Started) -> Started:
        if started.call.method.shape.server_streaming:
            self.runtime.dispatch_stream(started.call, started.emit, started.drained.wait, started.done)
        else:
            self.runtime.dispatch(started.call, started.done)
        return started

    def start(self, method: str, *, timeout_s: float | None = None, input: Any = None, **fields: Any) -> Started:
        """Dispatch a call. input: instead of the fields of the request message."""
        started = self.make(method, timeout_s=timeout_s)
        started.call.input = started.call.method.input.cls(**fields) if input is None else input
        return self.dispatch(started)

    async def run(self, method: str, **options: Any) -> Any:
        return await self.start(method, **options).outcome()


@asynccontextmanager
async def running(service: Service, **options: Any) -> AsyncIterator[Bench]:
    """A runtime that must leave nothing behind. options: of the App."""
    before = asyncio.all_tasks()
    runtime = Runtime(App(service, **options), Metrics())
    runtime.start()
    try:
        yield Bench(runtime)
    finally:
        await runtime.stop()
    assert not runtime.suspended
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == before
