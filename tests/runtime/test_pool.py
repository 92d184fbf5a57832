"""Plain functions in threads: how many, what they see, and what becomes of those that nobody waits for any more."""

from __future__ import annotations

import asyncio
import threading
from contextvars import ContextVar
from typing import Any

import pytest

from polywire import DeadlineExceeded, Internal, NotFound, Service, Unavailable, current_call, query
from polywire.runtime import pool
from polywire.runtime.call import Call
from polywire.runtime.pool import ThreadPool
from polywire.service import Invoke
from tests.runtime.harness import running

TENANT: ContextVar[str] = ContextVar("tenant")
LONG_S = 10.0


class Threaded(Service, package="test"):
    def __init__(self) -> None:
        self.entered = threading.Semaphore(0)
        self.release = threading.Event()
        self.ran: list[str] = []

    @query
    def where(self) -> list[str]:
        return [threading.current_thread().name, current_call().request_id, TENANT.get("nobody")]

    @query
    def blocks(self, name: str) -> str:
        self.entered.release()
        self.ran.append(name)
        assert self.release.wait(LONG_S)
        return name

    @query
    def raises(self, name: str) -> str:
        raise RAISED[name]


RAISED: dict[str, Exception] = {
    "rpc": NotFound("no such thing"),
    "plain": ZeroDivisionError("secret"),
    "stop": StopIteration("secret"),
}


async def entered(service: Threaded) -> None:
    assert await asyncio.to_thread(service.entered.acquire, timeout=LONG_S)


async def test_a_thread_sees_its_call_and_the_context() -> None:
    async def authenticate(call: Call, proceed: Invoke) -> Any:
        TENANT.set("acme")
        return await proceed(call)

    async with running(Threaded(), interceptors=[authenticate]) as bench:
        started = bench.start("where")
        name, request_id, tenant = await started.outcome()
    assert name.startswith("polywire")
    assert request_id == started.call.request_id
    assert tenant == "acme"
    assert TENANT.get("nobody") == "nobody"


@pytest.mark.parametrize(("name", "error"), [("rpc", NotFound), ("plain", Internal), ("stop", Internal)])
async def test_errors_come_back(name: str, error: type[Exception]) -> None:
    """StopIteration as well, which no future takes: the call would hang."""
    async with running(Threaded()) as bench:
        with pytest.raises(error):
            await bench.run("raises", name=name)


async def test_the_pool_is_bounded_and_so_is_its_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "QUEUED_PER_THREAD", 2)
    service = Threaded()
    async with running(service, thread_pool_size=1) as bench:
        taken = [bench.start("blocks", name=str(number)) for number in range(3)]
        await entered(service)
        assert service.ran == ["0"], "one thread, one call"
        with pytest.raises(Unavailable) as caught:
            await bench.run("blocks", name="one too many")
        assert caught.value.reason == "THREADS_BUSY"
        service.release.set()
        assert [await one.outcome() for one in taken] == ["0", "1", "2"]
        await asyncio.sleep(0)
        assert await bench.run("blocks", name="again") == "again"
    assert "one too many" not in service.ran


async def test_cancelled_before_its_start_it_never_runs() -> None:
    service = Threaded()
    async with running(service, thread_pool_size=1) as bench:
        first = bench.start("blocks", name="first")
        waiting = bench.start("blocks", name="waiting")
        await entered(service)
        waiting.call.cancel()
        await waiting.ended()
        service.release.set()
        await first.outcome()
        assert await bench.run("blocks", name="last") == "last"
    assert service.ran == ["first", "last"]


async def test_a_thread_that_outlives_its_deadline_keeps_its_slot(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "QUEUED_PER_THREAD", 0)
    service = Threaded()
    async with running(service, thread_pool_size=1) as bench:
        started = bench.start("blocks", name="long", timeout_s=0.02)
        with pytest.raises(DeadlineExceeded):
            await started.outcome()
        assert service.ran == ["long"]
        await started.ended()
        assert not bench.runtime.suspended
        with pytest.raises(Unavailable):
            await bench.run("blocks", name="next")
        threads, ended = bench.runtime.pool, asyncio.Event()
        give_back = threads._ended
        monkeypatch.setattr(threads, "_ended", lambda: (give_back(), ended.set()))
        service.release.set()
        await ended.wait()
        assert await bench.run("blocks", name="next") == "next"


async def test_stopping_answers_for_threads_that_go_on() -> None:
    service = Threaded()
    async with running(service) as bench:
        started = bench.start("blocks", name="long")
        await entered(service)
        await bench.runtime.stop()
        with pytest.raises(Unavailable):
            await started.outcome()
        service.release.set()


def test_a_thread_may_outlive_the_loop(caplog: pytest.LogCaptureFixture) -> None:
    threads = ThreadPool(1)
    release = threading.Event()
    ended = threading.Event()

    def block() -> None:
        assert release.wait(LONG_S)

    async def main() -> None:
        task = asyncio.create_task(threads.run(block))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert threads._executor is not None
    last = threads._executor.submit(ended.set)
    release.set()
    last.result(LONG_S)
    assert ended.is_set()
    threads.close()
    threads.close()
    assert not caplog.records


async def test_no_thread_is_made_before_it_is_needed() -> None:
    threads = ThreadPool(4)
    assert threads._executor is None
    threads.close()
