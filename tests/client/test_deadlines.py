"""Time and cancellation: of one call, and along a chain of servers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from time import monotonic
from typing import Any

import pytest

import polywire
from polywire import Cancelled, DeadlineExceeded, Message, Service, current_call, query
from polywire.client.remote import timeout_text
from polywire.protocols.grpc.timeout import timeout_s
from tests.client.foreign import ForeignLab
from tests.client.servers import Script, running, scripted, until
from tests.live.server import Live
from tests.live.service import Blob, Lab
from tests.wire.http2_peer import SETTINGS


class Left(Message):
    seconds: float | None
    request_id: str


class Chain(Service, package="chain"):
    """A hop: takes its time, then calls the next one."""

    def __init__(self, next_hop: Any = None, takes_s: float = 0.0) -> None:
        self.next_hop = next_hop
        self.takes_s = takes_s
        self.started = asyncio.Event()
        self.ended = asyncio.Event()

    @query
    async def left(self) -> Left:
        """What the last hop sees of the caller's time."""
        if self.next_hop is None:
            call = current_call()
            return Left(call.remaining_s(), call.request_id)
        await asyncio.sleep(self.takes_s)
        return await self.next_hop.left()

    @query
    async def hang(self) -> Left:
        self.started.set()
        try:
            if self.next_hop is not None:
                return await self.next_hop.hang()
            await asyncio.Event().wait()
            raise AssertionError("unreachable")
        finally:
            self.ended.set()

    @query
    async def ticks(self) -> AsyncIterator[Left]:
        self.started.set()
        try:
            if self.next_hop is not None:
                async for tick in self.next_hop.ticks():
                    yield tick
            else:
                yield Left(None, "")
                await asyncio.Event().wait()
        finally:
            self.ended.set()


async def chain_of(stack: AsyncExitStack, *takes_s: float) -> tuple[Chain, list[Chain]]:
    """A client of the first of several servers, each of which calls the next."""
    hops: list[Chain] = []
    client: Any = None
    for seconds in reversed(takes_s):
        hops.insert(0, Chain(client, seconds))
        url = await stack.enter_async_context(running(hops[0]))
        channel = await stack.enter_async_context(polywire.connect(url))
        client = channel.client(Chain)
    return client, hops


async def test_what_is_left_of_a_deadline_reaches_the_last_hop() -> None:
    async with AsyncExitStack() as stack:
        a, _ = await chain_of(stack, 0.0, 0.4, 0.0)
        await a.left()  # connects
        with polywire.call_options(timeout_s=20.0, metadata={"x-request-id": "from-the-caller"}):
            left = await a.left()
        assert left.seconds is not None
        assert 15 < left.seconds <= 19.61
        assert left.request_id == "from-the-caller"


async def test_the_chain_ends_when_the_callers_time_is_over() -> None:
    async with AsyncExitStack() as stack:
        a, hops = await chain_of(stack, 0.0, 0.0, 0.0)
        started = monotonic()
        with polywire.call_options(timeout_s=0.3), pytest.raises(DeadlineExceeded):
            await a.hang()
        assert 0.29 <= monotonic() - started < 3
        for hop in hops:
            await asyncio.wait_for(hop.ended.wait(), 5)


async def test_a_hop_cannot_take_more_time_than_it_has() -> None:
    async with AsyncExitStack() as stack:
        last, hops = await chain_of(stack, 0.0)

        class Patient:
            async def left(self) -> Left:
                with polywire.call_options(timeout_s=1000.0):
                    return await last.left()

        url = await stack.enter_async_context(running(Chain(Patient())))
        channel = await stack.enter_async_context(polywire.connect(url))
        left = await channel.client(Chain, timeout_s=10.0).left()
        assert left.seconds is not None
        assert left.seconds <= 10
        assert len(hops) == 1


async def test_cancelling_the_first_caller_reaches_the_last_handler() -> None:
    async with AsyncExitStack() as stack:
        a, hops = await chain_of(stack, 0.0, 0.0, 0.0)
        task = asyncio.ensure_future(a.hang())
        await asyncio.wait_for(hops[-1].started.wait(), 5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        for hop in hops:
            await asyncio.wait_for(hop.ended.wait(), 5)


async def test_leaving_a_stream_reaches_the_last_handler() -> None:
    async with AsyncExitStack() as stack:
        a, hops = await chain_of(stack, 0.0, 0.0, 0.0)
        async for tick in a.ticks():
            assert tick.seconds is None
            break
        for hop in hops:
            await asyncio.wait_for(hop.ended.wait(), 5)


async def test_a_server_that_stays_silent() -> None:
    def settle(script: Script, data: bytes) -> None:
        if b"PRI" in data:
            script.transport.write(SETTINGS)

    async with scripted(settle) as (url, _), polywire.connect(url, timeout_s=0.1) as channel:
        lab = channel.client(Lab)
        with pytest.raises(DeadlineExceeded):
            await lab.get_item("a")
        with pytest.raises(DeadlineExceeded):
            await anext(lab.stream(1))


async def test_the_deadline_is_sent_and_the_call_reset(foreign: ForeignLab) -> None:
    async with polywire.connect(foreign.url) as channel:
        lab = channel.client(Lab)
        await lab.text(1)
        with polywire.call_options(timeout_s=0.2), pytest.raises(DeadlineExceeded):
            await lab.hangs()
        assert foreign.remaining[0] is None
        assert foreign.remaining[1] is not None
        assert 0 < foreign.remaining[1] <= 0.21
        await asyncio.wait_for(foreign.ended.wait(), 5)


async def test_cancelling_a_call_resets_it(foreign: ForeignLab) -> None:
    async with polywire.connect(foreign.url) as channel:
        task = asyncio.ensure_future(channel.client(Lab).hangs())
        await asyncio.wait_for(foreign.started.wait(), 5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.wait_for(foreign.ended.wait(), 5)
        assert foreign.cancelled == 1


async def test_a_deadline_over_a_whole_stream(live: Live) -> None:
    async def forever() -> AsyncIterator[Blob]:
        while True:
            yield Blob("x")
            await asyncio.sleep(0.01)

    async with polywire.connect(f"http://{live.authority}", timeout_s=0.2) as channel:
        lab = channel.client(Lab)
        with pytest.raises(DeadlineExceeded):
            async for _ in lab.echo(forever()):
                pass
        with pytest.raises(DeadlineExceeded):
            await lab.total(forever())


async def test_what_was_answered_in_time_may_be_read_later(live: Live) -> None:
    async with polywire.connect(f"http://{live.authority}") as channel:
        with polywire.call_options(timeout_s=1.0) as got:
            answers = channel.client(Lab).stream(3)
        assert await anext(answers) == Blob("x")
        await until(lambda: got.trailers.get("grpc-status") == "0")
        await asyncio.sleep(1.01)
        assert [one async for one in answers] == [Blob("x")] * 2


async def test_no_time_at_all(live: Live) -> None:
    async with polywire.connect(f"http://{live.authority}") as channel:
        lab = channel.client(Lab, timeout_s=0.0)
        with pytest.raises(DeadlineExceeded):
            await lab.get_item("a")
        with pytest.raises(DeadlineExceeded):
            await anext(lab.stream(1))
    assert live.finished == []


async def test_inner_options_win_and_metadata_adds_up(live: Live) -> None:
    async with polywire.connect(f"http://{live.authority}") as channel:
        lab = channel.client(Lab, timeout_s=0.0)
        with polywire.call_options(timeout_s=10.0, metadata={"given": "outer"}):
            with polywire.call_options() as got:
                await lab.beside()
            assert got.metadata.get("seen-text") == "outer"
            with polywire.call_options(metadata={"given": "inner"}) as got:
                await lab.beside()
            assert got.metadata.get("seen-text") == "outer, inner"


async def test_closing_the_channel_ends_what_runs(live: Live) -> None:
    async with polywire.connect(f"http://{live.authority}") as channel:
        lab = channel.client(Lab)
        endings: list[Any] = []

        async def endless() -> AsyncIterator[Blob]:
            try:
                yield Blob("x")
                await asyncio.Event().wait()
            finally:
                endings.append("closed")

        calls = [
            asyncio.ensure_future(lab.hangs()),
            asyncio.ensure_future(lab.total(endless())),
            asyncio.ensure_future(drain(lab.echo(endless()))),
        ]
        await until(lambda: live.lab.running == 3)
    for call in calls:
        with pytest.raises(Cancelled):
            await call
    assert endings == ["closed"] * 2
    with pytest.raises(Cancelled):
        await lab.get_item("a")
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def drain(items: AsyncIterator[Any]) -> None:
    async for _ in items:
        pass


@pytest.mark.parametrize("seconds", [1e-9, 0.0005, 0.05, 1.0, 99.9, 100.1, 5000.0, 1e6, 1e7, 1e12])
def test_grpc_timeout_is_never_shorter_and_hardly_longer(seconds: float) -> None:
    read = timeout_s(timeout_text(seconds).decode())
    if seconds > 99_999_999:
        assert read == 99_999_999
    else:
        assert seconds <= read <= seconds + 1e-6 or read <= seconds * 1.0001


@pytest.mark.parametrize(
    ("options", "wrong"),
    [
        ({"timeout_s": -1.0}, "timeout_s"),
        ({"timeout_s": float("nan")}, "timeout_s"),
        ({"compression": "zstd"}, "compression"),
        ({"metadata": {"a-bin": "text"}}, "-bin"),
        ({"metadata": {"grpc-timeout": "1S"}}, "not a name"),
        ({"metadata": {"a": "b\r\nc"}}, "printable"),
        ({"metadata": {"content-length": "5"}}, "not a name"),
    ],
)
def test_options_that_cannot_be(options: Any, wrong: str) -> None:
    with pytest.raises(ValueError, match=wrong), polywire.call_options(**options):
        pass
