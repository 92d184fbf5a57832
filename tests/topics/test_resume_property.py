"""Whatever is published, cut off, resumed and trimmed: every message once and in order, or a gap before the rest."""

from __future__ import annotations

import asyncio
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from polywire.topics import History, MemoryBroker, Position
from tests.topics.suite.promises import Clock, Inbox, texts

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("publish"), st.integers(1, 6)),
        st.tuples(st.just("turn"), st.integers(0, 3)),
        st.tuples(st.just("cut"), st.integers(0, 3)),
        st.tuples(st.just("wait"), st.integers(1, 50)),
        st.tuples(st.just("forget"), st.just(0)),
    ),
    max_size=40,
)


class Reader:
    """One who comes back again and again, and what it has seen."""

    def __init__(self, broker: MemoryBroker) -> None:
        self.broker = broker
        self.position: Position | None = None
        self.seen: list[str | None] = []
        """None: a gap."""
        self.inbox = Inbox()
        self.subscription: Any = None

    async def open(self) -> None:
        self.inbox = Inbox()
        asked = self.position
        self.subscription = await self.broker.subscribe("t", asked, self.inbox.deliver)
        if asked is None or self.subscription.lost is not None:
            self.position = self.subscription.position
        if self.subscription.lost is not None:
            self.seen.append(None)
        assert self.subscription.position == self.position
        self.take(self.subscription.backlog)

    def take(self, publications: Any) -> None:
        for one in publications:
            assert self.position is not None
            assert one.offset == self.position.offset + 1
            self.position = Position.parse(one.id)
        self.seen += texts(publications)

    async def cut(self, after: int) -> None:
        """Leave, having seen so many of what has been delivered."""
        self.take(self.inbox.got[:after])
        await self.subscription.close()


@given(STEPS, st.integers(0, 8), st.one_of(st.none(), st.integers(5, 60)))
@settings(max_examples=300, deadline=None)
def test_every_message_once_and_in_order_or_a_gap(steps: list[tuple[str, int]], count: int, age_s: int | None) -> None:
    asyncio.run(_run(steps, History(count=count, age_s=age_s)))


async def _run(steps: list[tuple[str, int]], history: History) -> None:
    clock = Clock()
    broker = MemoryBroker(max_topics=2, clock=clock)
    reader = Reader(broker)
    await reader.open()
    published = 0
    for what, number in steps:
        if what == "publish":
            for _ in range(number):
                await broker.publish("t", str(published).encode(), history)
                published += 1
        elif what == "turn":
            for _ in range(number):
                await asyncio.sleep(0)
        elif what == "wait":
            clock.now += number
        elif what == "cut":
            await reader.cut(number)
            await reader.open()
        else:
            await reader.cut(0)
            for other in ("x", "y", "z"):
                await broker.publish(other, b"", history)
            await reader.open()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    reader.take(reader.inbox.got)
    expected = 0
    told = False
    for one in reader.seen:
        if one is None:
            told = True
            continue
        assert int(one) == expected or (told and int(one) > expected)
        expected = int(one) + 1
        told = False
    assert expected == published or told, "what is missing at the end has been told"
    await reader.subscription.close()
    await broker.stop()
