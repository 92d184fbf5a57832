"""The promises of `Broker`, as one suite: each broker's own tests derive a class from it and say how to make one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest

from polywire.topics import Broker, History, Position, Publication
from polywire.topics.broker import Lost, What

KEEP = History(count=100)


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


class Inbox:
    """A subscriber that keeps what it gets."""

    def __init__(self) -> None:
        self.got: list[Publication] = []
        self.batches: list[Sequence[Publication]] = []
        self._news = asyncio.Event()

    def deliver(self, batch: Sequence[Publication]) -> None:
        self.batches.append(batch)
        self.got += batch
        self._news.set()

    async def until(self, count: int) -> list[Publication]:
        async with asyncio.timeout(10):
            while len(self.got) < count:
                self._news.clear()
                await self._news.wait()
        return self.got

    @property
    def texts(self) -> list[str]:
        return [one.data.decode() for one in self.got]


def texts(publications: Sequence[Publication]) -> list[str]:
    return [one.data.decode() for one in publications]


class BrokerSuite:
    """What every broker is held to."""

    def make(self, clock: Clock) -> AbstractAsyncContextManager[Broker]:
        """A broker that has been started, and is stopped at the end."""
        raise NotImplementedError

    @pytest.fixture
    def clock(self) -> Clock:
        return Clock()

    @pytest.fixture
    async def broker(self, clock: Clock) -> AsyncIterator[Broker]:
        async with self.make(clock) as broker:
            yield broker

    async def publish(self, broker: Broker, *data: str, topic: str = "t", history: History = KEEP) -> list[Position]:
        return [await broker.publish(topic, text.encode(), history) for text in data]

    async def test_offsets_count_from_one_and_delivery_is_in_order(self, broker: Broker) -> None:
        inbox = Inbox()
        subscription = await broker.subscribe("t", None, inbox.deliver)
        assert (subscription.lost, list(subscription.backlog)) == (None, [])
        positions = await self.publish(broker, *"abc")
        assert [position.offset for position in positions] == [1, 2, 3]
        assert len({position.epoch for position in positions}) == 1
        await inbox.until(3)
        assert inbox.texts == ["a", "b", "c"]
        assert [one.id for one in inbox.got] == [str(position) for position in positions]
        assert {one.topic for one in inbox.got} == {"t"}
        await subscription.close()

    async def test_a_publication_is_one_object_for_everybody(self, broker: Broker) -> None:
        first, second = Inbox(), Inbox()
        subscriptions = [await broker.subscribe("t", None, inbox.deliver) for inbox in (first, second)]
        await self.publish(broker, "a", "b")
        await first.until(2)
        await second.until(2)
        assert [id(batch) for batch in first.batches] == [id(batch) for batch in second.batches]
        for subscription in subscriptions:
            await subscription.close()

    async def test_nothing_is_delivered_within_publish_or_after_close(self, broker: Broker) -> None:
        inbox, other = Inbox(), Inbox()
        subscription = await broker.subscribe("t", None, inbox.deliver)
        watching = await broker.subscribe("t", None, other.deliver)
        await self.publish(broker, "a")
        await subscription.close()
        await subscription.close()
        await self.publish(broker, "b")
        await other.until(2)
        assert inbox.texts in ([], ["a"])
        await watching.close()

    async def test_topics_are_apart(self, broker: Broker) -> None:
        inbox = Inbox()
        subscription = await broker.subscribe("one", None, inbox.deliver)
        await self.publish(broker, "x", topic="two")
        await self.publish(broker, "a", topic="one")
        await inbox.until(1)
        assert (inbox.texts, inbox.got[0].offset) == (["a"], 1)
        await subscription.close()

    async def test_who_comes_back_gets_what_was_missed_and_then_what_is_live(self, broker: Broker) -> None:
        positions = await self.publish(broker, *"abcd")
        inbox = Inbox()
        subscription = await broker.subscribe("t", positions[1], inbox.deliver)
        assert subscription.lost is None
        assert texts(subscription.backlog) == ["c", "d"]
        assert subscription.position == positions[1]
        await self.publish(broker, "e")
        await inbox.until(1)
        assert inbox.texts == ["e"]
        await subscription.close()

    async def test_without_a_position_one_may_have_the_last_messages(self, broker: Broker) -> None:
        positions = await self.publish(broker, *"abcd")
        subscription = await broker.subscribe("t", None, Inbox().deliver, last=2)
        assert texts(subscription.backlog) == ["c", "d"]
        assert subscription.position == positions[1]
        await subscription.close()
        subscription = await broker.subscribe("t", None, Inbox().deliver)
        assert (texts(subscription.backlog), subscription.position) == ([], positions[3])
        await subscription.close()
        subscription = await broker.subscribe("t", None, Inbox().deliver, last=99)
        assert texts(subscription.backlog) == ["a", "b", "c", "d"]
        await subscription.close()

    async def test_what_is_published_while_one_subscribes_comes_once(self, broker: Broker) -> None:
        held = await broker.subscribe("t", None, Inbox().deliver)
        await self.publish(broker, "a")
        inbox = Inbox()
        subscription = await broker.subscribe("t", None, inbox.deliver, last=10)
        await self.publish(broker, "b")
        await inbox.until(2 - len(subscription.backlog))
        assert texts(subscription.backlog) + inbox.texts == ["a", "b"]
        await subscription.close()
        await held.close()

    async def test_history_is_bounded_by_count(self, broker: Broker) -> None:
        positions = await self.publish(broker, *"abcde", history=History(count=2))
        subscription = await broker.subscribe("t", positions[0], Inbox().deliver)
        assert (subscription.lost, texts(subscription.backlog)) == (Lost.HISTORY_GONE, ["d", "e"])
        await subscription.close()
        subscription = await broker.subscribe("t", positions[2], Inbox().deliver)
        assert (subscription.lost, texts(subscription.backlog)) == (None, ["d", "e"])
        await subscription.close()

    async def test_history_is_bounded_by_bytes(self, broker: Broker) -> None:
        await self.publish(broker, "aaaa", "bbbb", "cccc", history=History(count=9, max_bytes=8))
        assert texts((await broker.history("t", None, 9)).publications) == ["bbbb", "cccc"]
        await self.publish(broker, "d" * 9, history=History(count=9, max_bytes=8))
        assert texts((await broker.history("t", None, 9)).publications) == []

    async def test_history_is_bounded_by_age(self, broker: Broker, clock: Clock) -> None:
        limits = History(count=9, age_s=60)
        positions = await self.publish(broker, "a", history=limits)
        clock.now += 30
        await self.publish(broker, "b", history=limits)
        clock.now += 30
        page = await broker.history("t", positions[0], 9)
        assert (texts(page.publications), page.lost) == (["b"], None)
        clock.now += 30
        subscription = await broker.subscribe("t", positions[0], Inbox().deliver)
        assert (texts(subscription.backlog), subscription.lost) == ([], Lost.HISTORY_GONE)
        await subscription.close()

    async def test_without_history_one_who_missed_nothing_misses_nothing(self, broker: Broker) -> None:
        positions = await self.publish(broker, "a", "b", history=History())
        subscription = await broker.subscribe("t", positions[1], Inbox().deliver)
        assert subscription.lost is None
        await subscription.close()
        subscription = await broker.subscribe("t", positions[0], Inbox().deliver)
        assert subscription.lost is Lost.HISTORY_GONE
        await subscription.close()

    async def test_a_position_of_another_count_is_a_gap(self, broker: Broker) -> None:
        (position,) = await self.publish(broker, "a")
        for wrong in (Position("other", 1), Position(position.epoch, 2)):
            subscription = await broker.subscribe("t", wrong, Inbox().deliver)
            assert (subscription.lost, texts(subscription.backlog)) == (Lost.EPOCH_CHANGED, ["a"])
            await subscription.close()

    async def test_history_comes_in_pages(self, broker: Broker) -> None:
        positions = await self.publish(broker, *"abc")
        page = await broker.history("t", None, 2)
        assert (texts(page.publications), page.position) == (["a", "b"], positions[1])
        page = await broker.history("t", page.position, 2)
        assert (texts(page.publications), page.position) == (["c"], positions[2])
        page = await broker.history("t", page.position, 2)
        assert (texts(page.publications), page.position, page.lost) == ([], positions[2], None)

    async def test_the_position_of_a_topic_without_messages_can_be_resumed_from(self, broker: Broker) -> None:
        subscription = await broker.subscribe("t", None, Inbox().deliver)
        await self.publish(broker, "a")
        again = await broker.subscribe("t", subscription.position, Inbox().deliver)
        assert (again.lost, texts(again.backlog)) == (None, ["a"])
        await again.close()
        await subscription.close()

    async def test_a_dedupe_id_is_published_once(self, broker: Broker, clock: Clock) -> None:
        first = await broker.publish("t", b"a", KEEP, dedupe_id="1")
        assert await broker.publish("t", b"again", KEEP, dedupe_id="1") == first
        assert (await broker.publish("t", b"b", KEEP, dedupe_id="2")).offset == 2
        assert (await broker.publish("other", b"a", KEEP, dedupe_id="1")).offset == 1
        clock.now += 10_000
        assert (await broker.publish("t", b"c", KEEP, dedupe_id="1")).offset == 3

    async def test_publishers_at_once_with_one_id_publish_once(self, broker: Broker) -> None:
        positions = await asyncio.gather(*(broker.publish("t", b"a", KEEP, dedupe_id="1") for _ in range(5)))
        assert set(positions) == {positions[0]}
        assert positions[0].offset == 1

    async def test_a_pattern_hears_every_topic_that_fits(self, broker: Broker) -> None:
        inbox = Inbox()
        await self.publish(broker, "before", topic="p.one")
        subscription = await broker.subscribe_pattern("p.*", inbox.deliver)
        assert (subscription.position, list(subscription.backlog)) == (None, [])
        await self.publish(broker, "1", topic="p.one")
        await self.publish(broker, "x", topic="p.one.more")
        await self.publish(broker, "x", topic="q.one")
        await self.publish(broker, "2", topic="p.two")
        await inbox.until(2)
        assert [(one.topic, one.data) for one in inbox.got] == [("p.one", b"1"), ("p.two", b"2")]
        await subscription.close()
        watching = Inbox()
        other = await broker.subscribe("p.one", None, watching.deliver)
        await self.publish(broker, "3", topic="p.one")
        await watching.until(1)
        assert len(inbox.got) == 2
        await other.close()

    async def test_members_join_and_leave(self, broker: Broker) -> None:
        inbox = Inbox()
        subscription = await broker.subscribe("t", None, inbox.deliver)
        await broker.join("t", "s1", b"ann")
        await broker.join("t", "s2", b"ben")
        assert list(await broker.members("t", 9)) == [b"ann", b"ben"]
        assert list(await broker.members("t", 1)) == [b"ann"]
        await broker.leave("t", "s1")
        await broker.leave("t", "s1")
        await broker.leave("nowhere", "s1")
        assert list(await broker.members("t", 9)) == [b"ben"]
        await inbox.until(3)
        assert [(one.what, one.data) for one in inbox.got] == [
            (What.JOINED, b"ann"),
            (What.JOINED, b"ben"),
            (What.LEFT, b"ann"),
        ]
        assert {one.offset for one in inbox.got} == {0}
        assert list((await broker.history("t", None, 9)).publications) == []
        await subscription.close()

    async def test_a_publisher_at_full_speed_waits_for_delivery(self, broker: Broker) -> None:
        inbox = Inbox()
        subscription = await broker.subscribe("t", None, inbox.deliver)
        limits = History(count=10)
        for number in range(5_000):
            await broker.publish("t", b"%d" % number, limits)
        assert len(inbox.got) > 2_500, "most has been delivered by then, although nobody else asked for a turn"
        await inbox.until(5_000)
        assert inbox.texts == [str(number) for number in range(5_000)]
        await subscription.close()


@asynccontextmanager
async def started(broker: Broker) -> AsyncIterator[Broker]:
    await broker.start()
    try:
        yield broker
    finally:
        await broker.stop()
