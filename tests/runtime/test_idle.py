"""Streams that stand still, positions of their items, and what a call knows of its stream."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from time import monotonic
from typing import Any

import pytest

from polywire import (
    App,
    Cancelled,
    DeadlineExceeded,
    Internal,
    Message,
    Service,
    Tracked,
    Unavailable,
    current_call,
    query,
)
from polywire.errors import IDLE
from polywire.runtime import runtime as runtime_module
from tests.runtime.harness import Bench, Started, running


class Item(Message):
    number: int


class Feeds(Service, package="idle"):
    def __init__(self) -> None:
        self.closed = 0
        self.queue: asyncio.Queue[Any] = asyncio.Queue()

    async def _queued(self) -> AsyncIterator[Any]:
        try:
            while (item := await self.queue.get()) is not None:
                yield item
        finally:
            self.closed += 1

    @query(idle_s=0.02)
    async def soon(self) -> AsyncIterator[Item]:
        return self._queued()

    @query(idle_s=1000)
    async def late(self) -> AsyncIterator[Item]:
        return self._queued()

    @query
    async def as_the_app(self) -> AsyncIterator[Item]:
        return self._queued()

    @query
    async def unary(self) -> Item:
        return Item(await self.queue.get())

    @query(idle_s=0.02)
    async def total(self, items: AsyncIterator[Item]) -> int:
        try:
            return sum([item.number async for item in items])
        finally:
            self.closed += 1

    @query
    async def tracked(self) -> AsyncIterator[Tracked[Item]]:
        return self._queued()

    @query
    async def resumed(self) -> str:
        return repr(current_call().resume_after)

    @query
    async def stubborn(self) -> AsyncIterator[Item]:
        """Swallows its cancellation, and takes its time."""
        yield Item(1)
        try:
            await self.queue.get()
        except asyncio.CancelledError:
            await asyncio.sleep(0)
            self.closed += 1


class Clock:
    """The runtime's clock, and a look at all idle streams when a test says so."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = float(round(monotonic()))  # whole seconds add up without rounding
        monkeypatch.setattr(runtime_module, "monotonic", lambda: self.now)

    def look(self, bench: Bench, started: Started, after_s: float) -> bool:
        """Whether the stream has been ended."""
        self.now += after_s
        bench.runtime._expire(started.call)
        return started.call.answered


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


@pytest.mark.parametrize("method", ["soon", "total"])
async def test_a_stream_that_stands_still_is_ended(method: str) -> None:
    async def silent() -> AsyncIterator[Item]:
        await asyncio.Event().wait()
        yield Item(1)

    service = Feeds()
    async with running(service) as bench:
        started = bench.start(method, input=silent() if method == "total" else None)
        with pytest.raises(DeadlineExceeded) as caught:
            await started.outcome()
        assert (caught.value.reason, caught.value.message) == (IDLE, "no message for 0.02 s")
        await started.ended()
    assert service.closed == 1
    assert len(started.told) == 1


async def test_a_peer_that_takes_nothing_stands_still_too() -> None:
    service = Feeds()
    async with running(service) as bench:
        started = bench.make("soon")
        started.call.input = started.call.method.input.cls()
        started.is_full = True
        service.queue.put_nowait(Item(1))
        bench.dispatch(started)
        with pytest.raises(DeadlineExceeded) as caught:
            await started.outcome()
        assert caught.value.reason == IDLE
        await started.ended()
    assert service.closed == 1


async def test_each_message_out_counts(clock: Clock) -> None:
    service = Feeds()
    async with running(service) as bench:
        started = bench.start("late")
        for number in range(5):
            assert not clock.look(bench, started, 900)
            service.queue.put_nowait(Item(number))
            await settle()
            assert not clock.look(bench, started, 900), "the message came in between"
        assert not clock.look(bench, started, 900)
        assert clock.look(bench, started, 100)
        with pytest.raises(DeadlineExceeded):
            await started.outcome()
        await started.ended()


async def test_each_message_in_counts(clock: Clock) -> None:
    async with running(Feeds(), stream_idle_s=1000) as bench:
        started = bench.start("as_the_app")
        for _ in range(3):
            started.call.moved += 1  # as the reader of messages does
            assert not clock.look(bench, started, 999)
        assert clock.look(bench, started, 1000)
        await started.ended()


async def test_whichever_comes_first_ends_it(clock: Clock) -> None:
    async with running(Feeds()) as bench:
        deadline = bench.start("late", timeout_s=500)
        assert not clock.look(bench, deadline, 499)
        assert clock.look(bench, deadline, 2)
        with pytest.raises(DeadlineExceeded) as caught:
            await deadline.outcome()
        assert caught.value.reason is None
        idle = bench.start("late", timeout_s=5000)
        assert clock.look(bench, idle, 1000)
        with pytest.raises(DeadlineExceeded) as caught:
            await idle.outcome()
        assert caught.value.reason == IDLE
        await deadline.ended()
        await idle.ended()


async def test_a_deadline_ends_a_stream_that_may_idle_for_longer() -> None:
    async with running(Feeds()) as bench:
        started = bench.start("late", timeout_s=0.01)
        with pytest.raises(DeadlineExceeded) as caught:
            await started.outcome()
        assert caught.value.reason is None
        await started.ended()


async def test_whose_time_counts() -> None:
    async with running(Feeds(), stream_idle_s=7.0) as bench:
        allowed = {name: bench.make(name).call.binding.idle_s for name in ("soon", "late", "as_the_app", "unary")}
        assert allowed == {"soon": 0.02, "late": 1000, "as_the_app": 7.0, "unary": None}
        (table,) = [one for one in bench.service.methods if one.python_name == "as_the_app"]
        assert bench.runtime.bind(table, bench.instance, "test", own=True).idle_s is None
    assert App(Feeds()).stream_idle_s is None


async def test_a_stream_that_ends_leaves_no_timer_behind() -> None:
    service = Feeds()
    async with running(service) as bench:
        started = bench.start("late")
        service.queue.put_nowait(None)
        await started.outcome()
        assert bench.runtime._wheel is not None
        assert not bench.runtime._wheel._slots


async def test_items_and_their_positions() -> None:
    service = Feeds()
    async with running(service) as bench:
        started = bench.start("tracked")
        for number in (1, 2, 3):
            service.queue.put_nowait(Tracked(f"p{number}", Item(number)))
        service.queue.put_nowait(None)
        await started.outcome()
    assert started.items == [Item(1), Item(2), Item(3)]
    assert started.ids == ["p1", "p2", "p3"]


class Positioned(Tracked[Item]):
    pass


@pytest.mark.parametrize("wrong", [Item(2), ("p2", Item(2)), "p2", Positioned("p2", Item(2))])
async def test_what_is_no_tracked_item_is_an_internal_error(wrong: Any, caplog: pytest.LogCaptureFixture) -> None:
    service = Feeds()
    async with running(service) as bench:
        started = bench.start("tracked")
        for item in (Tracked("p1", Item(1)), wrong):
            service.queue.put_nowait(item)
        with pytest.raises(Internal) as caught:
            await started.outcome()
    assert caught.value.message == "internal error"
    assert (started.items, service.closed) == ([Item(1)], 1)
    assert f"Feeds/Tracked yielded {type(wrong).__name__}, declared is Tracked[...]" in caplog.text


@pytest.mark.parametrize("method", ["late", "as_the_app", "tracked"])
async def test_a_producer_that_waits_for_its_peer_is_cancelled_there(method: str) -> None:
    service = Feeds()
    async with running(service) as bench:
        started = bench.make(method)
        started.call.input = started.call.method.input.cls()
        started.is_full = True
        item = Item(1)
        service.queue.put_nowait(Tracked("p", item) if method == "tracked" else item)
        bench.dispatch(started)
        await settle()
        assert started.items == [item]
        started.call.cancel()
        with pytest.raises(Cancelled):
            await started.outcome()
        assert service.closed == 1


async def test_stopping_ends_streams_as_unavailable() -> None:
    service = Feeds()
    async with running(service) as bench:
        started = bench.start("tracked")
    with pytest.raises(Unavailable):
        await started.outcome()
    assert service.closed == 1


async def test_a_stream_that_swallows_its_deadline_is_answered_all_the_same() -> None:
    service = Feeds()
    async with running(service) as bench:
        started = bench.start("stubborn", timeout_s=0.001)
        with pytest.raises(DeadlineExceeded):
            await started.outcome()
        await started.ended()
    assert service.closed == 1
    assert len(started.told) == 1


@pytest.mark.parametrize(
    ("headers", "position"),
    [
        ([], None),
        ([("last-event-id", "p7")], "p7"),
        ([("last-event-id", "")], ""),
        ([("last-event-id", "é→".encode().decode("latin-1"))], "é→"),
        ([("last-event-id", "\xe9")], "\xe9"),
    ],
)
async def test_where_to_go_on(headers: list[tuple[str, str]], position: str | None) -> None:
    async with running(Feeds()) as bench:
        started = bench.make("resumed", headers=headers)
        assert started.call.resume_after == position
        started.call.input = started.call.method.input.cls()
        assert await bench.dispatch(started).outcome() == repr(position)


async def test_metadata_is_sent_by_protocols_that_can() -> None:
    sent: list[int] = []
    async with running(Feeds()) as bench:
        call = bench.make("unary").call
        call.send_metadata()
        call.send_head = lambda _: sent.append(1)
        call.send_metadata()
    assert sent == [1]
