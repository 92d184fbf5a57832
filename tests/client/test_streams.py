"""How streams end: left, dropped, failed on this side, finished early by the server."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import pytest

import polywire
from polywire import Aborted, Cancelled, Int32, InvalidInput, Message, Service, mutation, query
from tests.client.servers import running, until
from tests.live.server import Live
from tests.live.service import Blob, Lab


class Number(Message):
    value: Int32


class Early(Service, package="early"):
    """Answers before it has read everything."""

    def __init__(self) -> None:
        self.release = asyncio.Event()

    @mutation
    async def first(self, numbers: AsyncIterator[Number]) -> Number:
        return await anext(numbers)

    @mutation
    async def two(self, numbers: AsyncIterator[Number]) -> AsyncIterator[Number]:
        yield await anext(numbers)
        yield await anext(numbers)

    @mutation
    async def refuse(self, numbers: AsyncIterator[Number]) -> Number:
        await anext(numbers)
        raise Aborted("enough")

    @query
    async def later(self) -> AsyncIterator[Number]:
        yield Number(1)
        await self.release.wait()
        yield Number(2)


class Numbers:
    """An endless iterator that tells whether it was closed."""

    def __init__(self, pause_after: int = -1) -> None:
        self.given = 0
        self.closed = 0
        self._pause_after = pause_after

    def __aiter__(self) -> Numbers:
        return self

    async def __anext__(self) -> Number:
        if self.given == self._pause_after:
            await asyncio.Event().wait()
        self.given += 1
        return Number(self.given)

    async def aclose(self) -> None:
        self.closed += 1


async def test_leaving_the_loop_cancels_the_handler(live: Live) -> None:
    async with polywire.connect(f"http://{live.authority}") as channel:
        lab = channel.client(Lab)
        async for _ in lab.stream(count=2**31 - 1):
            break
        await until(lambda: live.finished and not live.lab.running)
        async for _ in lab.echo(endless()):
            break
        await until(lambda: len(live.finished) == 2 and not live.lab.running)


async def endless() -> AsyncIterator[Blob]:
    while True:
        yield Blob("x")
        await asyncio.sleep(0)


async def test_closing_waits_for_the_callers_iterator(live: Live) -> None:
    numbers = []

    async def items() -> AsyncIterator[Blob]:
        try:
            yield Blob("x")
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            numbers.append("closed")

    async with polywire.connect(f"http://{live.authority}") as channel:
        answers: Any = channel.client(Lab).echo(items())
        async with aclosing(answers):
            assert await anext(answers) == Blob("x")
        assert numbers == ["closed"]
        with pytest.raises(StopAsyncIteration):
            await anext(answers)
        await answers.aclose()


async def test_dropping_a_stream_in_another_thread(live: Live) -> None:
    async with polywire.connect(f"http://{live.authority}") as channel:
        kept: list[Any] = [channel.client(Lab).stream(count=2**31 - 1)]
        await anext(kept[0])

        def drop() -> None:
            kept.clear()
            gc.collect()

        thread = threading.Thread(target=drop)
        thread.start()
        await asyncio.to_thread(thread.join)
        await until(lambda: not live.lab.running)


async def test_a_stream_that_is_never_read_is_never_called(live: Live) -> None:
    async with polywire.connect(f"http://{live.authority}") as channel:
        lab = channel.client(Lab)
        lab.stream(1)
        lab.echo(endless())
        await lab.get_item("a")
    assert len(live.finished) == 1


async def test_what_the_callers_iterator_raises_comes_back(live: Live) -> None:
    class OwnError(Exception):
        pass

    async def broken() -> AsyncIterator[Blob]:
        yield Blob("x")
        raise OwnError

    async with polywire.connect(f"http://{live.authority}") as channel:
        lab = channel.client(Lab)
        with pytest.raises(OwnError):
            await lab.total(broken())
        await until(lambda: not live.lab.running)
        with pytest.raises(OwnError):
            async for _ in lab.echo(broken()):
                pass
        await until(lambda: not live.lab.running)


async def test_an_iterator_that_is_cancelled_by_itself(live: Live) -> None:
    async def cancelled() -> AsyncIterator[Blob]:
        yield Blob("x")
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        future.cancel()
        await future

    async with polywire.connect(f"http://{live.authority}") as channel:
        with pytest.raises(Cancelled, match="messages to send"):
            await channel.client(Lab).total(cancelled())
        await until(lambda: not live.lab.running)


async def test_a_message_that_breaks_its_schema(live: Live) -> None:
    async def wrong() -> AsyncIterator[Any]:
        yield Blob("x")
        yield "not a Blob"

    async with polywire.connect(f"http://{live.authority}") as channel:
        with pytest.raises(InvalidInput, match="expected Blob, got str"):
            await channel.client(Lab).total(wrong())


@pytest.mark.parametrize("pause_after", [-1, 2])
async def test_an_early_answer_stops_the_sender(pause_after: int) -> None:
    async with running(Early()) as url, polywire.connect(url) as channel:
        early: Any = channel.client(Early)
        for call in (early.first, early.refuse):
            numbers = Numbers(pause_after)
            if call is early.first:
                assert await call(numbers) == Number(1)
            else:
                with pytest.raises(Aborted, match="enough"):
                    await call(numbers)
            assert numbers.closed == 1
        numbers = Numbers(pause_after)
        assert [one async for one in early.two(numbers)] == [Number(1), Number(2)]
        assert numbers.closed == 1


async def test_cancelling_the_reader_cancels_the_call(live: Live) -> None:
    async with polywire.connect(f"http://{live.authority}") as channel:
        lab = channel.client(Lab)

        async def quiet() -> AsyncIterator[Blob]:
            await asyncio.Event().wait()
            yield Blob()

        task = asyncio.ensure_future(anext(lab.echo(quiet())))
        await until(lambda: live.lab.running == 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await until(lambda: not live.lab.running)


async def test_a_stream_has_one_reader() -> None:
    service = Early()
    async with running(service) as url, polywire.connect(url) as channel:
        answers = channel.client(Early).later()
        assert await anext(answers) == Number(1)
        reader = asyncio.ensure_future(anext(answers))
        await asyncio.sleep(0)
        with pytest.raises(RuntimeError, match="is being read already"):
            await anext(answers)
        service.release.set()
        assert await reader == Number(2)
        with pytest.raises(StopAsyncIteration):
            await anext(answers)


async def test_streams_that_nobody_reads_do_not_hold_up_calls(live: Live) -> None:
    async with polywire.connect(f"http://{live.authority}") as channel:
        lab = channel.client(Lab)
        stalled = [lab.stream(count=2**31 - 1, size=1000) for _ in range(8)]
        for answers in stalled:
            await anext(answers)
        assert len((await lab.text(1_000_000)).text) == 1_000_000
        del answers
        stalled.clear()
        await until(lambda: not live.lab.running)
