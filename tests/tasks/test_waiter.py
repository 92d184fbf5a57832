"""Waiting for news and going on in place: a task must notice nothing of it."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import sys
import weakref
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from polywire.tasks.eager import CURRENT_CALL, PENDING, Feed, Waiter
from tests.tasks.test_eager import LOOPS, Starter

STATE: contextvars.ContextVar[str] = contextvars.ContextVar("state", default="outside")


class Mailbox:
    """A stream of items, as a protocol's reader is one: what is here, and news of more."""

    def __init__(self) -> None:
        self.items: list[Any] = []
        self.ended = False
        self.waiter = Waiter(asyncio.get_running_loop())
        self._next = Feed(self._pull, lambda: self.waiter)

    def __aiter__(self) -> Mailbox:
        return self

    def __anext__(self) -> Feed:
        return self._next

    def _pull(self) -> Any:
        if self.items:
            item = self.items.pop(0)
            if isinstance(item, Exception):
                raise item
            return item
        if self.ended:
            raise StopAsyncIteration
        return PENDING

    def put(self, *items: Any, end: bool = False) -> None:
        self.items += items
        self.ended = end
        self.waiter.wake()

    async def deliver(self, *items: Any, end: bool = False) -> None:
        """Put them from a callback of the loop, as a transport does: no task is current then."""
        delivered = asyncio.get_running_loop().create_future()

        def callback() -> None:
            self.put(*items, end=end)
            delivered.set_result(None)

        asyncio.get_running_loop().call_soon(callback)
        await delivered


Body = Callable[[Starter, Mailbox], Coroutine[Any, Any, None]]
CASES: list[Body] = []


def case(body: Body) -> Body:
    CASES.append(body)
    return body


def run(loop: str, body: Body) -> None:
    """Run a case three times; it must leave no task behind."""

    async def main() -> None:
        before = asyncio.all_tasks()
        start = Starter()
        # Three times: with a fresh spare, with a parked one, and with what a misbehaving first run left.
        for _ in range(3):
            await body(start, Mailbox())
            await asyncio.sleep(0)
        start.runner.close()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert asyncio.all_tasks() == before

    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        runner.run(main())
    gc.collect()


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("body", CASES, ids=lambda body: body.__name__)
def test_semantics(loop: str, body: Body) -> None:
    run(loop, body)


@case
async def goes_on_within_the_callback_that_brings_the_news(start: Starter, mailbox: Mailbox) -> None:
    seen: list[int] = []

    async def handler() -> int:
        async for item in mailbox:
            seen.append(item)
        return len(seen)

    started = start(handler())
    counts: list[int] = []

    def callback() -> None:
        for number in range(3):
            mailbox.put(number)
            counts.append(len(seen))
        mailbox.put(end=True)

    asyncio.get_running_loop().call_soon(callback)
    assert await started.outcome == 3
    assert seen == [0, 1, 2]
    assert counts[1:] == [2, 3], "the first may find the task on its way into its wait"


@case
async def is_one_task_all_along(start: Starter, mailbox: Mailbox) -> None:
    tasks: list[Any] = []

    async def handler() -> None:
        tasks.append(asyncio.current_task())
        async for _ in mailbox:
            tasks.append(asyncio.current_task())
        await asyncio.sleep(0)
        tasks.append(asyncio.current_task())

    started = start(handler())
    await mailbox.deliver(1)
    await mailbox.deliver(2)
    assert asyncio.current_task() is not started.task
    mailbox.put(3)  # while this task runs: by way of the loop
    await asyncio.sleep(0)
    await mailbox.deliver(end=True)
    await started.outcome
    assert set(tasks) == {started.task}
    assert len(tasks) == 5


@case
async def keeps_its_context(start: Starter, mailbox: Mailbox) -> None:
    seen: list[tuple[str, object]] = []

    async def handler() -> None:
        async for item in mailbox:
            seen.append((STATE.get(), CURRENT_CALL.get()))
            STATE.set(item)

    started = start(handler())
    await mailbox.deliver("a")
    await mailbox.deliver("b")
    await mailbox.deliver(end=True)
    await started.outcome
    assert seen == [("outside", started), ("a", started)]
    assert STATE.get() == "outside"


@case
async def may_wait_for_other_things_in_between(start: Starter, mailbox: Mailbox) -> None:
    other = Mailbox()
    seen: list[Any] = []

    async def handler() -> None:
        async for item in mailbox:
            await asyncio.sleep(0)
            seen.append(item)
            seen.append(await anext(aiter(other)))
            await asyncio.get_running_loop().run_in_executor(None, int)

    started = start(handler())
    for number in range(3):
        await mailbox.deliver(number)
        await other.deliver(-number)
    await mailbox.deliver(end=True)
    await started.outcome
    assert seen == [0, 0, 1, -1, 2, -2]


@case
async def news_before_the_task_has_taken_over_is_not_lost(start: Starter, mailbox: Mailbox) -> None:
    async def handler() -> list[int]:
        return [item async for item in mailbox]

    started = start(handler())
    mailbox.put(1, 2)  # this task is current, so the other has not even begun to wait
    mailbox.put(3, end=True)
    assert await started.outcome == [1, 2, 3]


@case
async def news_for_nobody_does_nothing(start: Starter, mailbox: Mailbox) -> None:
    await mailbox.deliver(1, end=True)

    async def handler() -> list[int]:
        return [item async for item in mailbox]

    assert await start(handler()).outcome == [1]


@case
async def errors_of_the_source_are_raised(start: Starter, mailbox: Mailbox) -> None:
    async def handler() -> list[Any]:
        seen = []
        try:
            async for item in mailbox:
                seen.append(item)
        except KeyError as error:
            seen.append(error.args[0])
        return seen

    started = start(handler())
    await mailbox.deliver(1)
    await mailbox.deliver(KeyError("bad"))
    assert await started.outcome == [1, "bad"]


@case
async def an_error_in_place_ends_the_task_as_any_other(start: Starter, mailbox: Mailbox) -> None:
    async def handler() -> None:
        async for _ in mailbox:
            raise ValueError("mine")

    started = start(handler())
    await mailbox.deliver(1)
    with pytest.raises(ValueError, match="mine"):
        await started.outcome
    assert started.finished == 1


@case
async def a_task_of_somebody_else_may_wait(start: Starter, mailbox: Mailbox) -> None:
    async def handler() -> list[Any]:
        async def read() -> list[Any]:
            return [item async for item in mailbox]

        async with asyncio.TaskGroup() as group:
            task = group.create_task(read())
        return task.result()

    started = start(handler())
    await asyncio.sleep(0)
    await mailbox.deliver(1)
    await asyncio.sleep(0)
    await mailbox.deliver(2, end=True)
    assert await started.outcome == [1, 2]


@case
async def two_cannot_wait_at_once(start: Starter, mailbox: Mailbox) -> None:
    async def handler() -> int:
        return await anext(mailbox.__aiter__())

    first = start(handler())
    await asyncio.sleep(0)
    second = start(handler())
    with pytest.raises(RuntimeError, match="already"):
        await second.outcome
    await mailbox.deliver(7)
    assert await first.outcome == 7


@case
async def one_may_wait_while_another_is_woken(start: Starter, mailbox: Mailbox) -> None:
    """Whoever comes first gets the item, and whoever would wait as the second is told: nobody waits for ever."""

    async def read() -> Any:
        return await anext(aiter(mailbox))

    for later in (1, 2):
        first = asyncio.create_task(read())
        await asyncio.sleep(0)
        mailbox.put(7)  # while this task runs: by way of the loop
        # Before the first is stepped.
        others = [start(read()).outcome for _ in range(later)]
        await asyncio.sleep(0)
        assert await others[0] == 7
        if later == 1:
            await mailbox.deliver(8)
            assert await first == 8
        else:
            with pytest.raises(RuntimeError, match="already"):
                await first
            await mailbox.deliver(8)
            assert await others[1] == 8


@case
async def anext_with_a_default(start: Starter, mailbox: Mailbox) -> None:
    async def handler() -> list[Any]:
        seen = []
        while (item := await anext(aiter(mailbox), None)) is not None:
            seen.append(item)
        return seen

    for own_task in (False, True):
        outcome = asyncio.ensure_future(handler()) if own_task else start(handler()).outcome
        await mailbox.deliver((1, 2))
        await mailbox.deliver(3)
        await mailbox.deliver(4, 5, end=True)
        assert await outcome == [(1, 2), 3, 4, 5]
        mailbox.ended = False
        started = start(handler())
        await mailbox.deliver(1)
        assert started.task is not None
        started.task.cancel()
        await asyncio.wait({started.task})
        assert started.outcome.cancelled()
        handled = handler()
        assert handled.send(None) is mailbox.waiter
        handled.close()


@case
async def items_may_be_anything(start: Starter, mailbox: Mailbox) -> None:
    """A tuple or an exception as an item would be mangled by way of StopIteration."""
    items: list[Any] = [(1, 2), (), None, StopIteration]

    async def handler() -> list[Any]:
        return [item async for item in mailbox]

    started = start(handler())
    for item in items:
        await mailbox.deliver(item)
    await mailbox.deliver(end=True)
    assert await started.outcome == items


@case
async def the_bare_waiter(start: Starter, mailbox: Mailbox) -> None:
    waiter = Waiter(asyncio.get_running_loop())
    turns: list[int] = []

    async def handler() -> None:
        for number in range(3):
            await waiter
            turns.append(number)

    started = start(handler())
    for number in range(3):
        asyncio.get_running_loop().call_soon(waiter.wake)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert turns == list(range(number + 1))
    await started.outcome


@case
async def the_loop_ends_while_it_waits(start: Starter, mailbox: Mailbox) -> None:
    async def handler() -> None:
        async for _ in mailbox:
            pass

    started = start(handler())
    await mailbox.deliver(1)
    assert started.task is not None
    assert started.task in asyncio.all_tasks()
    started.task.cancel()
    await asyncio.wait({started.task})
    assert started.task not in asyncio.all_tasks()
    assert started.outcome.cancelled()


@case
async def an_eager_child_takes_the_wait_over(start: Starter, mailbox: Mailbox) -> None:
    """It waits for the very waiter that its parent is being stepped for; both must be told."""

    async def read() -> Any:
        return await anext(aiter(mailbox))

    async def handler() -> list[Any]:
        seen = [await anext(aiter(mailbox))]
        child = start(read())
        await asyncio.wait({child.outcome})
        return [*seen, child.outcome.result()]

    started = start(handler())
    await mailbox.deliver(1)
    await mailbox.deliver(2)
    async with asyncio.timeout(5):
        assert await started.outcome == [1, 2]


@case
async def nothing_is_left_for_the_collector(start: Starter, mailbox: Mailbox) -> None:
    class Item:
        pass

    async def handler(mailbox: Mailbox) -> None:
        kept = Item()
        left.append(weakref.ref(kept))
        async for item in mailbox:
            if item == "raise":
                raise ValueError(item)

    left: list[weakref.ref[Item]] = []
    gc.disable()
    try:
        for last in ("end", "raise"):
            for in_place in (True, False):
                box = Mailbox()
                started = start(handler(box))
                await box.deliver(1)
                if in_place:
                    await box.deliver(*([last] if last == "raise" else []), end=True)
                else:
                    box.put(*([last] if last == "raise" else []), end=True)
                await asyncio.wait({started.outcome})
                assert (started.outcome.exception() is None) == (last == "end")
                task = weakref.ref(started.task)
                started.task = None  # from 3.12 on a task keeps its context, and that the call
                del started
                await asyncio.sleep(0)
                assert left.pop()() is None
                assert task() is None
    finally:
        gc.enable()


@case
async def news_from_within_the_call_s_own_context(start: Starter, mailbox: Mailbox) -> None:
    async def handler() -> list[Any]:
        return [item async for item in mailbox]

    started = start(handler())
    await mailbox.deliver(1)
    if sys.version_info >= (3, 12):
        assert started.task is not None
        context = started.task.get_context()
        asyncio.get_running_loop().call_soon(lambda: mailbox.put(2, end=True), context=context)
    else:
        mailbox.put(2, end=True)
    assert await started.outcome == [1, 2]
    assert asyncio.current_task() is not started.task
