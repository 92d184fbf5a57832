"""A wait that ends by cancellation, from without, in place, or by a time-out: as for any other task."""

from __future__ import annotations

import asyncio
from typing import Any

import anyio
import pytest

from polywire.tasks.eager import CURRENT_CALL
from tests.tasks.test_eager import LOOPS, Started, Starter
from tests.tasks.test_waiter import STATE, Body, Mailbox, run

CASES: list[Body] = []


def case(body: Body) -> Body:
    CASES.append(body)
    return body


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("body", CASES, ids=lambda body: body.__name__)
def test_semantics(loop: str, body: Body) -> None:
    run(loop, body)


@case
async def is_cancelled_while_it_waits(start: Starter, mailbox: Mailbox) -> None:
    stopped: list[Any] = []

    async def handler() -> None:
        try:
            async for _ in mailbox:
                pass
        except asyncio.CancelledError:
            stopped.append(asyncio.current_task())
            raise

    started = start(handler())
    await mailbox.deliver(1)
    assert started.task is not None
    started.task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await started.outcome
    assert stopped == [started.task]
    assert started.task.cancelled()


@case
async def is_cancelled_and_told_at_the_same_time(start: Starter, mailbox: Mailbox) -> None:
    async def handler() -> str:
        try:
            async for _ in mailbox:
                pass
        except asyncio.CancelledError:
            return "cancelled"
        return "ended"

    for first_cancel in (True, False):
        box = Mailbox()
        mailbox = box
        started = start(handler())
        await box.deliver(1)

        def both(box: Mailbox = box, started: Started = started, first_cancel: bool = first_cancel) -> None:
            assert started.task is not None
            if first_cancel:
                started.task.cancel()
                box.put(end=True)
            else:
                box.put(2)
                started.task.cancel()

        asyncio.get_running_loop().call_soon(both)
        assert await started.outcome == "cancelled"


@case
async def cancels_itself_in_place(start: Starter, mailbox: Mailbox) -> None:
    async def handler() -> str:
        try:
            async for _ in mailbox:
                task = asyncio.current_task()
                assert task is not None
                task.cancel()
        except asyncio.CancelledError:
            return "cancelled"
        return "ended"

    started = start(handler())
    await mailbox.deliver(1)
    await mailbox.deliver(2)
    assert await started.outcome == "cancelled"


@case
async def a_cancelled_wait_can_be_taken_up_again(start: Starter, mailbox: Mailbox) -> None:
    async def handler() -> list[Any]:
        try:
            await anext(mailbox.__aiter__())
        except asyncio.CancelledError:
            task = asyncio.current_task()
            assert task is not None
            task.uncancel()
        return [item async for item in mailbox]

    started = start(handler())
    await asyncio.sleep(0)
    assert started.task is not None
    started.task.cancel()
    await asyncio.sleep(0)
    await mailbox.deliver(1)
    await mailbox.deliver(2, end=True)
    assert await started.outcome == [1, 2]


@case
async def timeouts_work(start: Starter, mailbox: Mailbox) -> None:
    reading = asyncio.Event()
    deadlines: list[asyncio.Timeout] = []

    async def handler() -> list[Any]:
        seen: list[Any] = []
        for _ in range(2):
            try:
                async with asyncio.timeout(None) as deadline:
                    deadlines.append(deadline)
                    reading.set()
                    async for item in mailbox:
                        seen.append(item)
            except TimeoutError:
                seen.append("late")
        try:
            await asyncio.wait_for(anext(mailbox.__aiter__()), 0.001)
        except TimeoutError:
            seen.append("later")
        return seen

    started = start(handler())
    for item in (1, 2):
        await reading.wait()
        reading.clear()
        await mailbox.deliver(item)
        deadlines.pop().reschedule(asyncio.get_running_loop().time())
    assert await started.outcome == [1, "late", 2, "late", "later"]


@case
async def anyio_scopes_work(start: Starter, mailbox: Mailbox) -> None:
    scopes: list[anyio.CancelScope] = []
    reading = asyncio.Event()

    async def handler() -> list[Any]:
        seen: list[Any] = []
        with anyio.CancelScope() as scope:
            scopes.append(scope)
            async for item in mailbox:
                seen.append(item)
        async with anyio.create_task_group() as group:

            async def child() -> None:
                reading.set()
                seen.append(await anext(mailbox.__aiter__()))

            group.start_soon(child)
        return [*seen, scope.cancelled_caught]

    started = start(handler())
    await mailbox.deliver(1)
    await mailbox.deliver(2)
    scopes[0].cancel()
    await reading.wait()
    await mailbox.deliver(3)
    assert await started.outcome == [1, 2, 3, True]


@case
async def cancels_itself_in_place_and_then_waits_for_another(start: Starter, mailbox: Mailbox) -> None:
    """What a task waits for is cancelled with it: the child here, as with a task that the loop steps."""
    seen: list[tuple[str, object]] = []

    async def handler() -> None:
        async for _ in mailbox:
            child = asyncio.ensure_future(asyncio.sleep(60))
            task = asyncio.current_task()
            assert task is not None
            task.cancel("enough")
            try:
                await child
            except asyncio.CancelledError:
                seen.append((STATE.get(), CURRENT_CALL.get()))
                assert child.cancelled()
                task.uncancel()
            return

    started = start(handler())
    await mailbox.deliver(1)
    await started.outcome
    assert seen == [("outside", started)]


@case
async def cancels_itself_in_place_and_then_gives_way(start: Starter, mailbox: Mailbox) -> None:
    """A bare yield cannot be cancelled in its stead; the error is thrown in the call's own context."""
    seen: list[object] = []

    async def handler() -> None:
        async for item in mailbox:
            STATE.set(item)
            task = asyncio.current_task()
            assert task is not None
            task.cancel()
            try:
                await asyncio.sleep(0)
            except asyncio.CancelledError:
                seen.extend((STATE.get(), CURRENT_CALL.get(), asyncio.current_task()))
                raise

    started = start(handler())
    await mailbox.deliver("mine")
    with pytest.raises(asyncio.CancelledError):
        await started.outcome
    assert seen == ["mine", started, started.task]
    assert STATE.get() == "outside"


@case
async def cancels_itself_in_place_and_returns(start: Starter, mailbox: Mailbox) -> None:
    async def handler() -> str:
        async for _ in mailbox:
            task = asyncio.current_task()
            assert task is not None
            task.cancel()
            break
        return "done"

    started = start(handler())
    await mailbox.deliver(1)
    assert await started.outcome == "done"
    assert started.task is not None
    assert started.task.cancelled(), "as every task that ends with a cancellation on its way"


@case
async def why_it_was_cancelled_in_place_is_told(start: Starter, mailbox: Mailbox) -> None:
    async def handler() -> object:
        try:
            async for _ in mailbox:
                task = asyncio.current_task()
                assert task is not None
                task.cancel("enough")
        except asyncio.CancelledError as error:
            return error.args
        return None

    started = start(handler())
    await mailbox.deliver(1)
    assert await started.outcome == ("enough",)
