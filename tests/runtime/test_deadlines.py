"""How long a call may take, who says so, and what ends it before its time."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Callable
from time import monotonic
from typing import Any

import pytest

from polywire import Cancelled, Code, DeadlineExceeded, Message, SchemaError, Service, Unavailable, mutation, query
from polywire.runtime import deadlines
from polywire.runtime.call import Call
from polywire.runtime.deadlines import TICK_S, DeadlineWheel
from tests.runtime.harness import running


class Item(Message):
    number: int


class Waiting(Service, package="test"):
    def __init__(self) -> None:
        self.ended: list[str] = []
        self.go = asyncio.Event()

    async def _wait(self) -> str:
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            self.ended.append("cancelled")
            raise
        finally:
            self.ended.append("over")
        return "done"

    @query
    async def plain(self) -> str:
        return await self._wait()

    @query(deadline_s=5.0)
    async def bounded(self) -> str:
        return await self._wait()

    @mutation(on_disconnect="finish")
    async def finishing(self) -> str:
        return await self._wait()

    @query
    async def stream(self) -> AsyncIterator[Item]:
        await self._wait()
        yield Item(1)

    @query(deadline_s=7.0)
    async def bounded_stream(self) -> AsyncIterator[Item]:
        await self._wait()
        yield Item(1)

    @query
    async def stubborn(self) -> str:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await self.go.wait()
        return "late"

    @query
    async def translates(self) -> str:
        try:
            return await self._wait()
        except asyncio.CancelledError:
            raise Unavailable("translated") from None


@pytest.mark.parametrize(
    ("method", "default", "asked", "seconds"),
    [
        ("plain", 30.0, None, 30.0),
        ("plain", 30.0, 3.0, 3.0),
        ("plain", 30.0, 300.0, 300.0),
        ("plain", None, None, None),
        ("plain", None, 3.0, 3.0),
        ("bounded", 30.0, None, 5.0),
        ("bounded", 1.0, None, 5.0),
        ("bounded", 30.0, 3.0, 3.0),
        ("bounded", 30.0, 300.0, 5.0),
        ("stream", 30.0, None, None),
        ("stream", 30.0, 3.0, 3.0),
        ("bounded_stream", 30.0, None, 7.0),
        ("bounded_stream", 30.0, 300.0, 7.0),
    ],
)
async def test_who_sets_the_deadline(
    method: str, default: float | None, asked: float | None, seconds: float | None
) -> None:
    async with running(Waiting(), default_deadline_s=default) as bench:
        call = bench.make(method, timeout_s=asked).call
        assert call.timeout_s == seconds
        if seconds is None:
            assert call.deadline is None
            assert call.remaining_s() is None
        else:
            assert call.deadline == call.started_ns / 1e9 + seconds
            remaining = call.remaining_s()
            assert remaining is not None
            assert seconds - 1 < remaining <= seconds


async def test_what_remains_shrinks_to_nothing_and_not_below() -> None:
    async with running(Waiting()) as bench:
        call = bench.make("plain", timeout_s=10.0).call
        call.started_ns -= 4_000_000_000
        remaining = call.remaining_s()
        assert remaining is not None
        assert 5.0 < remaining <= 6.0
        call.started_ns -= 60_000_000_000
        assert call.remaining_s() == 0.0


@pytest.mark.parametrize("deadline_s", [0, -1.0, math.inf, math.nan])
def test_a_deadline_is_a_time_span(deadline_s: float) -> None:
    with pytest.raises(SchemaError, match="deadline_s"):
        query(deadline_s=deadline_s)(lambda self: None)


async def test_a_deadline_that_passes_cancels() -> None:
    service = Waiting()
    async with running(service) as bench:
        started = bench.start("plain", timeout_s=0.001)
        with pytest.raises(DeadlineExceeded):
            await started.outcome()
        await started.ended()
        assert service.ended == ["cancelled", "over"]
        assert not bench.runtime.suspended
    assert len(started.told) == 1


async def test_a_deadline_is_told_on_time_to_the_caller_of_a_stubborn_handler() -> None:
    service = Waiting()
    async with running(service) as bench:
        started = bench.start("stubborn", timeout_s=0.001)
        with pytest.raises(DeadlineExceeded):
            await started.outcome()
        assert bench.runtime.suspended.keys() == {started.call}, "it still counts"
        service.go.set()
        await started.ended()
    assert len(started.told) == 1, "what it returned late goes nowhere"


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (Code.CANCELLED, Cancelled),
        (Code.DEADLINE_EXCEEDED, DeadlineExceeded),
        (Code.UNAVAILABLE, Unavailable),
        (Code.ABORTED, Cancelled),
    ],
)
async def test_cancelling_ends_with_the_code(code: Code, error: type[Exception]) -> None:
    service = Waiting()
    async with running(service) as bench:
        started = bench.start("plain")
        started.call.cancel(code)
        with pytest.raises(error):
            await started.outcome()
    assert service.ended == ["cancelled", "over"]


async def test_the_first_reason_to_cancel_is_the_one_that_is_told() -> None:
    async with running(Waiting()) as bench:
        started = bench.start("plain")
        started.call.cancel()
        started.call.cancel(Code.UNAVAILABLE)
        with pytest.raises(Cancelled):
            await started.outcome()


async def test_cancelling_what_is_over_does_nothing() -> None:
    service = Waiting()
    service.go.set()
    async with running(service) as bench:
        started = bench.start("plain")
        started.call.cancel()
        assert await started.outcome() == "done"
        assert started.call.cancel_code is None


async def test_a_handler_may_tell_its_cancellation_in_its_own_words() -> None:
    async with running(Waiting()) as bench:
        started = bench.start("translates")
        started.call.cancel()
        with pytest.raises(Unavailable, match="translated"):
            await started.outcome()


async def test_finishing_is_noted_for_the_protocols() -> None:
    async with running(Waiting()) as bench:
        assert bench.make("finishing").call.binding.finish_on_disconnect
        assert not bench.make("plain").call.binding.finish_on_disconnect


async def test_stopping_cancels_with_unavailable_and_waits() -> None:
    service = Waiting()
    async with running(service) as bench:
        started = [bench.start(method) for method in ("plain", "stream", "finishing")]
        await bench.runtime.stop()
        for one in started:
            ((value, error),) = one.told
            assert value is None
            assert isinstance(error, Unavailable)
    assert service.ended == ["cancelled", "over"] * 3


# The wheel, without a loop or a clock.


class FakeLoop:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        self.timers: list[tuple[float, Callable[[], None]]] = []
        monkeypatch.setattr(deadlines, "monotonic", lambda: self.now)

    def call_later(self, delay: float, callback: Callable[[], None]) -> FakeLoop:
        self.timers.append((self.now + delay, callback))
        return self

    def cancel(self) -> None:
        self.timers.clear()

    def advance(self, seconds: float) -> None:
        end = self.now + seconds
        while self.timers and self.timers[0][0] <= end:
            self.now, callback = self.timers.pop(0)
            callback()
        self.now = end


class Timed:
    timer_slot: int | None = None


@pytest.fixture
def loop(monkeypatch: pytest.MonkeyPatch) -> FakeLoop:
    return FakeLoop(monkeypatch)


@pytest.fixture
def expired() -> list[Any]:
    return []


@pytest.fixture
def wheel(loop: FakeLoop, expired: list[Any]) -> DeadlineWheel:
    return DeadlineWheel(loop, expired.append)  # type: ignore[arg-type]


def add(wheel: DeadlineWheel, deadline: float) -> Call:
    call: Call = Timed()  # type: ignore[assignment]
    wheel.add(call, deadline)
    return call


@pytest.mark.parametrize("after", [0.001, 0.01, 0.0999, 0.1, 2.5])
def test_never_early_and_hardly_late(loop: FakeLoop, wheel: DeadlineWheel, expired: list[Any], after: float) -> None:
    call = add(wheel, loop.now + after)
    loop.advance(after - 0.0005)
    assert not expired
    loop.advance(2 * TICK_S + 0.001)
    assert expired == [call]
    assert not loop.timers, "idle, it has no timer"


@pytest.mark.parametrize("before", [0.0, 0.5, 5000.0])
def test_a_deadline_that_has_passed_expires_at_the_next_tick(
    loop: FakeLoop, wheel: DeadlineWheel, expired: list[Any], before: float
) -> None:
    call = add(wheel, loop.now - before)
    assert not expired, "never from within add"
    loop.advance(2 * TICK_S)
    assert expired == [call]


def test_all_that_is_due_expires_after_the_loop_was_blocked(
    loop: FakeLoop, wheel: DeadlineWheel, expired: list[Any]
) -> None:
    calls = [add(wheel, loop.now + after) for after in (0.02, 0.5, 3.0)]
    later = add(wheel, loop.now + 30.0)
    loop.now += 10
    loop.advance(0)
    assert expired == calls
    loop.advance(20.1)
    assert expired == [*calls, later]


def test_what_is_removed_never_expires_and_takes_no_memory(
    loop: FakeLoop, wheel: DeadlineWheel, expired: list[Any]
) -> None:
    """However far away the deadlines are: callers choose them."""
    for hours in range(1000):
        call = add(wheel, loop.now + 3600.0 * hours)
        wheel.remove(call)
        wheel.remove(call)
    assert not wheel._slots
    loop.advance(1)
    assert not loop.timers
    assert not expired


def test_one_slot_holds_several(loop: FakeLoop, wheel: DeadlineWheel, expired: list[Any]) -> None:
    first, second = add(wheel, 1000.051), add(wheel, 1000.052)
    assert first.timer_slot == second.timer_slot
    wheel.remove(first)
    loop.advance(0.1)
    assert expired == [second]
    wheel.remove(second)


def test_it_starts_again_after_a_rest(loop: FakeLoop, wheel: DeadlineWheel, expired: list[Any]) -> None:
    add(wheel, loop.now + 0.02)
    loop.advance(100)
    call = add(wheel, loop.now + 0.02)
    loop.advance(0.01)
    assert call not in expired
    loop.advance(0.04)
    assert call in expired


def test_closed_it_forgets(loop: FakeLoop, wheel: DeadlineWheel, expired: list[Any]) -> None:
    call = add(wheel, loop.now + 0.02)
    wheel.close()
    wheel.remove(call)
    loop.advance(1)
    assert not expired


async def test_the_clock_is_that_of_the_calls() -> None:
    """`Call.deadline` is made of `monotonic_ns`, the wheel reads `monotonic`."""
    async with running(Waiting()) as bench:
        deadline = bench.make("plain", timeout_s=1.0).call.deadline
        assert deadline is not None
        assert abs(deadline - monotonic() - 1.0) < 0.5
