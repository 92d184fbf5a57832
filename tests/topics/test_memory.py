"""`MemoryBroker`: the promises of every broker, and its own bounds."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager

import pytest

from polywire import ResourceExhausted
from polywire.topics import Broker, History, MemoryBroker
from polywire.topics.broker import Lost
from tests.topics.suite.promises import BrokerSuite, Clock, Inbox, started


class TestMemoryBroker(BrokerSuite):
    def make(self, clock: Clock) -> AbstractAsyncContextManager[Broker]:
        return started(MemoryBroker(clock=clock))


async def test_the_topic_that_was_used_longest_ago_makes_room() -> None:
    broker = MemoryBroker(max_topics=2)
    keep = History(count=9)
    first = await broker.publish("a", b"1", keep)
    await broker.publish("b", b"1", keep)
    await broker.publish("c", b"1", keep)
    subscription = await broker.subscribe("a", first, Inbox().deliver)
    assert subscription.lost is Lost.EPOCH_CHANGED, "it was forgotten, and that is told"


async def test_topics_that_are_listened_to_stay() -> None:
    broker = MemoryBroker(max_topics=2)
    held = [await broker.subscribe(topic, None, Inbox().deliver) for topic in "ab"]
    with pytest.raises(ResourceExhausted):
        await broker.publish("c", b"1", History())
    await held[0].close()
    await broker.publish("c", b"1", History())


async def test_asking_for_topics_that_nobody_publishes_to_keeps_nothing() -> None:
    broker = MemoryBroker(max_topics=2)
    for number in range(10):
        await broker.history(f"a{number}", None, 1)
        await (await broker.subscribe(f"a{number}", None, Inbox().deliver)).close()
        await broker.join(f"a{number}", "s", b"")
        await broker.leave(f"a{number}", "s")
    assert not broker._logs
    first, second = [(await broker.history("a", None, 1)).position for _ in range(2)]
    assert first == second, "one may come back to it"
