"""The one clever thing in the house: an eager step inside a real task. Every promise of asyncio.Task is tried."""

from __future__ import annotations

import asyncio
import contextvars
import gc
from collections.abc import Callable, Coroutine
from typing import Any

import anyio
import anyio.to_thread
import pytest
import uvloop

from polywire.tasks.eager import CURRENT_CALL, EagerRunner

LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
STATE: contextvars.ContextVar[str] = contextvars.ContextVar("state", default="outside")


class Started:
    """Stands for a call: what the runner sets and what `finish` was told."""

    def __init__(self) -> None:
        self.task: asyncio.Task[Any] | None = None
        self.outcome: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.suspended = False
        self.finished = 0


class Starter:
    def __init__(self) -> None:
        self.runner = EagerRunner(asyncio.get_running_loop())

    def __call__(self, coro: Coroutine[Any, Any, Any]) -> Started:
        started = Started()
        started.suspended = self.runner.start(coro, started, self.finish)
        return started

    @staticmethod
    def finish(call: Started, value: Any, error: BaseException | None) -> None:
        call.finished += 1
        if isinstance(error, asyncio.CancelledError):
            call.outcome.cancel()
        elif error is not None:
            call.outcome.set_exception(error)
        else:
            call.outcome.set_result(value)


Body = Callable[[Starter], Coroutine[Any, Any, None]]
CASES: list[Body] = []


def case(body: Body) -> Body:
    CASES.append(body)
    return body


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("body", CASES, ids=lambda body: body.__name__)
def test_semantics(loop: str, body: Body) -> None:
    async def main() -> None:
        before = asyncio.all_tasks()
        start = Starter()
        # Three times: with a fresh spare, with a parked one, and with what a misbehaving first run left.
        for _ in range(3):
            await body(start)
            await asyncio.sleep(0)
        start.runner.close()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert asyncio.all_tasks() == before

    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        runner.run(main())
    gc.collect()


@case
async def ends_at_once(start: Starter) -> None:
    async def handler() -> int:
        return 1

    started = start(handler())
    assert not started.suspended
    assert started.task is None
    assert started.finished == 1
    assert started.outcome.result() == 1


@case
async def is_the_current_task_before_and_after_suspending(start: Starter) -> None:
    outer = asyncio.current_task()

    async def handler() -> tuple[Any, Any]:
        first = asyncio.current_task()
        await asyncio.sleep(0)
        return first, asyncio.current_task()

    started = start(handler())
    assert asyncio.current_task() is outer
    first, second = await started.outcome
    assert first is second is started.task
    assert isinstance(first, asyncio.Task)


@case
async def has_a_context_of_its_own(start: Starter) -> None:
    async def handler() -> tuple[str, Any]:
        assert STATE.get() == "outside"
        STATE.set("inside")
        await asyncio.sleep(0)
        return STATE.get(), CURRENT_CALL.get()

    started = start(handler())
    assert STATE.get() == "outside"
    state, call = await started.outcome
    assert state == "inside"
    assert call is started
    assert CURRENT_CALL.get(None) is None


@case
async def a_child_task_inherits_the_context(start: Starter) -> None:
    async def child() -> str:
        return STATE.get()

    async def handler() -> str:
        STATE.set("inherited")
        return await asyncio.create_task(child())

    assert await start(handler()).outcome == "inherited"


@case
async def errors_reach_finish(start: Starter) -> None:
    async def at_once() -> None:
        raise ValueError("first step")

    async def later() -> None:
        await asyncio.sleep(0)
        raise ValueError("later")

    for handler in (at_once, later):
        with pytest.raises(ValueError, match=r"first step|later"):
            await start(handler()).outcome


@case
async def timeout_in_the_eager_part(start: Starter) -> None:
    async def handler() -> int:
        try:
            async with asyncio.timeout(0.01):
                await asyncio.Event().wait()
        except TimeoutError:
            task = asyncio.current_task()
            assert task is not None
            return task.cancelling()
        return -1

    assert await start(handler()).outcome == 0


@case
async def wait_for_gather_and_shield(start: Starter) -> None:
    async def handler() -> list[int]:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.Event().wait(), 0.005)
        return await asyncio.gather(asyncio.shield(asyncio.sleep(0, 1)), asyncio.sleep(0, 2))

    assert await start(handler()).outcome == [1, 2]


@case
async def task_group_cancels_its_parent(start: Starter) -> None:
    async def fails() -> None:
        await asyncio.sleep(0)
        raise KeyError

    async def handler() -> str:
        caught = "missed"
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(fails())
                await asyncio.Event().wait()
        except* KeyError:
            caught = "caught"
        return caught

    assert await start(handler()).outcome == "caught"


@case
async def can_be_cancelled_from_outside(start: Starter) -> None:
    log: list[str] = []

    async def handler() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError as error:
            log.append(str(error.args))
            raise
        finally:
            log.append("finally")

    started = start(handler())
    assert started.task is not None
    started.task.cancel("bye")
    with pytest.raises(asyncio.CancelledError):
        await started.outcome
    assert log == ["('bye',)", "finally"]
    assert started.finished == 1


@case
async def can_swallow_a_cancellation(start: Starter) -> None:
    async def handler() -> str:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await asyncio.sleep(0)
            return "went on"
        return ""

    started = start(handler())
    await asyncio.sleep(0)
    assert started.task is not None
    started.task.cancel()
    assert await started.outcome == "went on"


@case
async def cancelling_itself_bites_at_the_next_await(start: Starter) -> None:
    reached: list[str] = []

    async def handler() -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        reached.append("went on")
        await asyncio.sleep(10)
        reached.append("too far")

    with pytest.raises(asyncio.CancelledError):
        await start(handler()).outcome
    assert reached == ["went on"]


@case
async def cancelling_itself_and_ending_does_not_reach_the_next_call(start: Starter) -> None:
    async def cancels_itself() -> int:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        return 1

    async def innocent() -> int:
        await asyncio.sleep(0)
        return 2

    for _ in range(3):
        assert await start(cancels_itself()).outcome == 1
        assert await start(innocent()).outcome == 2


@case
async def starts_within_another(start: Starter) -> None:
    async def inner() -> Any:
        await asyncio.sleep(0)
        return asyncio.current_task()

    async def outer() -> bool:
        mine = asyncio.current_task()
        started = start(inner())
        assert asyncio.current_task() is mine
        theirs = await started.outcome
        return theirs is started.task is not mine

    assert await start(outer()).outcome is True


@case
async def several_wait_for_one_future(start: Starter) -> None:
    shared: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def handler() -> int:
        return await shared

    waiting = [start(handler()) for _ in range(5)]
    shared.set_result(3)
    assert [await started.outcome for started in waiting] == [3] * 5


@case
async def is_listed_only_while_suspended(start: Starter) -> None:
    async def handler() -> None:
        await asyncio.sleep(0)

    started = start(handler())
    assert started.task in asyncio.all_tasks()
    await started.outcome
    await asyncio.sleep(0)
    assert started.task not in asyncio.all_tasks()


@case
async def a_burst_needs_many_spares(start: Starter) -> None:
    async def handler(number: int) -> int:
        await asyncio.sleep(0)
        return number

    burst = [start(handler(number)) for number in range(200)]
    assert [await started.outcome for started in burst] == list(range(200))


@case
async def yielding_something_else_is_an_error(start: Starter) -> None:
    class Bad:
        def __await__(self) -> Any:
            yield "not a future"

    async def handler() -> None:
        await Bad()

    with pytest.raises(RuntimeError, match="bad yield"):
        await start(handler()).outcome


@case
async def anyio_scopes_work(start: Starter) -> None:
    async def handler() -> int:
        with anyio.move_on_after(0.005) as scope:
            await anyio.sleep(3)
        assert scope.cancelled_caught
        async with anyio.create_task_group() as group:
            group.start_soon(anyio.sleep, 0)
        async with anyio.create_task_group() as group:
            group.start_soon(anyio.sleep, 10)
            group.cancel_scope.cancel()
        with anyio.CancelScope() as scope:
            scope.cancel()
            await anyio.sleep(1)
        return await anyio.to_thread.run_sync(lambda: 7)

    assert await start(handler()).outcome == 7


@case
async def can_be_waited_for_as_a_task(start: Starter) -> None:
    async def handler() -> None:
        await asyncio.sleep(0)

    started = start(handler())
    assert started.task is not None
    done, pending = await asyncio.wait({started.task}, timeout=1)
    assert (len(done), len(pending)) == (1, 0)
    await started.outcome
