"""A worker's side of the channel: which end it is told, and what it says of its counts."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest

from polywire.runtime.metrics import Metrics
from polywire.runtime.snapshot import decode, encode, merge
from polywire.server import tally, worker
from polywire.server.channel import Channel, Message
from polywire.server.worker import Seat


class Bench:
    """A seat, and its parent's end."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        self.parent = Channel(ours)
        self.seat = Seat(Channel(theirs), [])
        self.metrics = Metrics()
        self.metrics.http_statuses[200] = 3
        self.ended = asyncio.Event()
        self.cut = asyncio.Event()
        self.ends = 0

    def attach(self) -> None:
        self.seat.attach(self.metrics, self.end, self.cut.set)

    def end(self) -> None:
        self.ends += 1
        self.ended.set()

    async def hear(self) -> Message:
        async with asyncio.timeout(5):
            while True:
                found = self.parent.receive()
                if found:
                    return found[0]
                await asyncio.sleep(0.001)


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    made = Bench()
    made.attach()
    yield made
    made.seat.detach()
    made.parent.close()


@pytest.mark.parametrize(("topic", "retiring"), [(worker.RETIRE, True), (worker.STOP, False)])
async def test_the_parent_says_how_it_ends(bench: Bench, topic: str, retiring: bool) -> None:
    bench.parent.send(topic)
    await asyncio.wait_for(bench.ended.wait(), 5)
    assert bench.seat.retiring is retiring
    bench.parent.send(worker.CUT)
    await asyncio.wait_for(bench.cut.wait(), 5)


async def test_a_signal_alone_leaves_the_sockets_to_another(bench: Bench) -> None:
    bench.seat.on_terminate()
    assert (bench.ends, bench.seat.retiring) == (1, True)


async def test_a_signal_beside_the_parents_word_means_the_end_for_all(bench: Bench) -> None:
    bench.parent.send(worker.STOP)
    bench.seat.on_terminate()
    assert bench.ended.is_set()
    assert bench.seat.retiring is False


async def test_a_parent_that_is_gone_means_the_end(bench: Bench) -> None:
    bench.parent.close()
    await asyncio.wait_for(bench.ended.wait(), 5)
    assert bench.seat.retiring is False


async def test_it_reports_when_asked_and_at_its_end(bench: Bench) -> None:
    bench.parent.send(tally.REPORT, id=9)
    told = await bench.hear()
    assert (told.topic, told.id) == (tally.REPORT, 9)
    assert decode(told.body).statuses == {200: 3}
    bench.metrics.http_statuses[200] += 1
    bench.seat.detach()
    assert decode((await bench.hear()).body).statuses == {200: 4}


async def test_one_question_serves_all_who_ask_meanwhile(bench: Bench) -> None:
    gather = bench.metrics.gather
    assert gather is not None
    askers = [asyncio.ensure_future(gather()) for _ in range(3)]
    asked = await bench.hear()
    assert asked.topic == tally.ASK
    bench.parent.send(tally.SUM, encode(merge([decode(asked.body)] * 2)), asked.id)
    texts = await asyncio.wait_for(asyncio.gather(*askers), 5)
    assert all(text is not None and b'polywire_http_requests_total{status="200"} 6' in text for text in texts)
    assert bench.parent.receive() == []


async def test_a_parent_that_does_not_answer_is_not_waited_for(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "_SUM_S", 0.02)
    assert await bench.seat.gather() is None
