"""Streams out of and into handlers: what is sent, and that everything is closed however they end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from polywire import Cancelled, DeadlineExceeded, Internal, Message, NotFound, Service, query
from polywire.runtime.call import Call
from polywire.service import Invoke
from tests.runtime.harness import Started, running


class Item(Message):
    number: int


class HandMade:
    """An iterator that is no generator, and has no aclose."""

    def __init__(self, count: int) -> None:
        self.left = count

    def __aiter__(self) -> AsyncIterator[Item]:
        return self

    async def __anext__(self) -> Item:
        if not self.left:
            raise StopAsyncIteration
        self.left -= 1
        return Item(self.left)


class Streams(Service, package="test"):
    def __init__(self) -> None:
        self.closed = 0
        self.made = 0
        self.go = asyncio.Event()

    async def _count(self, count: int) -> AsyncIterator[Item]:
        try:
            for number in range(count):
                self.made += 1
                yield Item(number)
        finally:
            # Suspends, as a handler that gives a connection back does.
            await asyncio.sleep(0)
            self.closed += 1

    @query
    async def count(self, count: int) -> AsyncIterator[Item]:
        async for item in self._count(count):
            yield item

    @query
    async def returns_an_iterator(self, count: int) -> AsyncIterator[Item]:
        return self._count(count)

    @query
    def returns_one_plainly(self, count: int) -> AsyncIterator[Item]:
        return self._count(count)

    @query
    async def hand_made(self, count: int) -> AsyncIterator[Item]:
        return HandMade(count)

    @query
    async def not_a_stream(self) -> AsyncIterator[Item]:
        return [Item(1)]  # type: ignore[return-value]

    @query
    async def fails_before(self) -> AsyncIterator[Item]:
        raise NotFound("nothing to send")

    @query
    async def fails_after(self, count: int) -> AsyncIterator[Item]:
        try:
            for number in range(count):
                yield Item(number)
            raise NotFound("no more")
        finally:
            self.closed += 1

    @query
    async def waits(self) -> AsyncIterator[Item]:
        try:
            yield Item(1)
            await self.go.wait()
            yield Item(2)
        finally:
            self.closed += 1

    @query
    async def total(self, items: AsyncIterator[Item]) -> int:
        return sum([item.number async for item in items])

    @query
    async def doubled(self, items: AsyncIterator[Item]) -> AsyncIterator[Item]:
        async for item in items:
            yield Item(2 * item.number)

    @query
    async def by_keyword(self, *, items: AsyncIterator[Item]) -> AsyncIterator[Item]:
        async for item in items:
            yield item


def numbers(started: Started) -> list[int]:
    return [item.number for item in started.items]


@pytest.mark.parametrize("method", ["count", "returns_an_iterator", "returns_one_plainly", "hand_made"])
@pytest.mark.parametrize("count", [0, 1, 3])
async def test_every_item_then_the_end(method: str, count: int) -> None:
    service = Streams()
    async with running(service) as bench:
        started = bench.start(method, count=count)
        assert await started.outcome() is None
    assert sorted(numbers(started)) == list(range(count))
    if method == "returns_an_iterator":
        assert service.closed == 1
    assert len(started.told) == 1


async def test_an_error_before_the_first_item() -> None:
    async with running(Streams()) as bench:
        started = bench.start("fails_before")
        with pytest.raises(NotFound):
            await started.outcome()
    assert not started.items


async def test_an_error_in_the_middle_comes_after_what_was_sent() -> None:
    service = Streams()
    async with running(service) as bench:
        started = bench.start("fails_after", count=2)
        with pytest.raises(NotFound):
            await started.outcome()
    assert numbers(started) == [0, 1]
    assert service.closed == 1


async def test_what_is_no_stream_is_an_internal_error(caplog: pytest.LogCaptureFixture) -> None:
    async with running(Streams()) as bench:
        with pytest.raises(Internal):
            await bench.run("not_a_stream")
    assert len(caplog.records) == 1


@pytest.mark.parametrize("method", ["returns_an_iterator", "returns_one_plainly"])
async def test_an_item_that_cannot_be_sent_closes_the_handler(method: str, caplog: pytest.LogCaptureFixture) -> None:
    service = Streams()
    async with running(service) as bench:
        started = bench.make(method)
        started.call.input = started.call.method.input.cls(count=100)

        def emit(call: Call, item: Any) -> bool:
            raise TypeError("of the wrong type")

        bench.runtime.dispatch_stream(started.call, emit, started.drained.wait, started.done)
        with pytest.raises(Internal):
            await started.outcome()
        assert (service.made, service.closed) == (1, 1), "before the caller is told"
    assert len(caplog.records) == 1


async def test_a_full_peer_holds_the_handler_back() -> None:
    service = Streams()
    async with running(service) as bench:
        started = bench.make("returns_an_iterator")
        started.call.input = started.call.method.input.cls(count=3)
        started.is_full = True
        bench.dispatch(started)
        await asyncio.sleep(0)
        assert service.made == 1
        started.is_full = False
        started.drained.set()
        await started.outcome()
    assert numbers(started) == [0, 1, 2]


@pytest.mark.parametrize("is_full", [False, True])
async def test_cancelled_it_closes_the_handler_wherever_that_waits(is_full: bool) -> None:
    service = Streams()
    async with running(service) as bench:
        started = bench.make("waits")
        started.call.input = started.call.method.input.cls()
        started.is_full = is_full
        bench.dispatch(started)
        assert numbers(started) == [1]
        started.call.cancel()
        with pytest.raises(Cancelled):
            await started.outcome()
        assert service.closed == 1


async def test_a_deadline_ends_a_stream() -> None:
    service = Streams()
    async with running(service) as bench:
        started = bench.start("waits", timeout_s=0.001)
        with pytest.raises(DeadlineExceeded):
            await started.outcome()
        await started.ended()
    assert (numbers(started), service.closed) == ([1], 1)


async def _items(*given: int) -> AsyncIterator[Item]:
    for number in given:
        yield Item(number)


async def test_a_stream_in() -> None:
    async with running(Streams()) as bench:
        assert await bench.run("total", input=_items(1, 2, 3)) == 6
        assert await bench.run("total", input=_items()) == 0


@pytest.mark.parametrize(("method", "factor"), [("doubled", 2), ("by_keyword", 1)])
async def test_a_stream_each_way(method: str, factor: int) -> None:
    async with running(Streams()) as bench:
        started = bench.start(method, input=_items(1, 2))
        await started.outcome()
    assert numbers(started) == [factor, 2 * factor]


async def test_what_a_stream_in_raises_reaches_the_caller() -> None:
    async def broken() -> AsyncIterator[Item]:
        yield Item(1)
        raise Cancelled("the caller has left")

    async with running(Streams()) as bench:
        started = bench.start("doubled", input=broken())
        with pytest.raises(Cancelled):
            await started.outcome()
    assert numbers(started) == [2]


async def test_an_interceptor_may_wrap_a_stream() -> None:
    async def every_other(call: Call, proceed: Invoke) -> Any:
        async def filtered(items: AsyncIterator[Item]) -> AsyncIterator[Item]:
            async for item in items:
                if item.number % 2 == 0:
                    yield item

        return filtered(await proceed(call))

    async with running(Streams(), interceptors=[every_other]) as bench:
        started = bench.start("count", count=5)
        await started.outcome()
    assert numbers(started) == [0, 2, 4]


async def test_a_stream_that_waited_for_its_input_leaves_no_deadline_behind() -> None:
    async with running(Streams()) as bench:
        started = bench.make("hand_made", timeout_s=1e9)
        bench.runtime.await_input(started.call, started.done)
        started.call.input = started.call.method.input.cls(count=2)
        bench.dispatch(started)
        await started.outcome()
        assert started.call.task is None
        assert bench.runtime._wheel is not None
        assert not bench.runtime._wheel._slots
