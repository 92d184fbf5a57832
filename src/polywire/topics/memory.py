"""`MemoryBroker`: topics of one process, which end with it."""

from __future__ import annotations

import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from itertools import count, islice

from polywire.errors import ResourceExhausted
from polywire.topics.broker import Deliver, History, Page, Position, What
from polywire.topics.fanout import Fanout
from polywire.topics.log import Listener, Log, LogSubscription, PatternGroup, PatternListener

TOO_MANY_TOPICS = "TOO_MANY_TOPICS"


class MemoryBroker:
    """A broker within one process. Nothing survives its end: the next process counts in another epoch.

    max_topics: that are held at a time. Beyond it the topic that nobody listens to and that was used longest ago is
    forgotten with its history (who comes back to it is told EPOCH_CHANGED); where all are listened to, publishing and
    subscribing to another one raises ResourceExhausted.
    dedupe_s: seconds that a `dedupe_id` is remembered; of each topic the last 10,000.
    clock: seconds since 1970.
    """

    shared = False

    def __init__(
        self, *, max_topics: int = 100_000, dedupe_s: float = 300.0, clock: Callable[[], float] = time.time
    ) -> None:
        self._max_topics = max_topics
        self._dedupe_s = dedupe_s
        self._clock = clock
        self._fanout = Fanout()
        self._logs: OrderedDict[str, Log] = OrderedDict()
        """The one that was used last at the end."""
        self._patterns: dict[str, PatternGroup] = {}
        self._epochs = map(f"{secrets.token_hex(5)}-{{:x}}".format, count())
        self._epoch = next(self._epochs)
        """Of topics that are new; another one once a topic has been forgotten whose messages were counted in it."""

    async def start(self) -> None:
        """Nothing to do."""

    async def stop(self) -> None:
        self._fanout.close()

    async def publish(self, topic: str, data: bytes, history: History, *, dedupe_id: str | None = None) -> Position:
        log = await self._with_room(topic)
        now = self._clock()
        if dedupe_id is not None and (before := log.duplicate(dedupe_id, now, self._dedupe_s)) is not None:
            return before
        return log.append(data, now, history, dedupe_id)

    async def subscribe(
        self, topic: str, after: Position | None, deliver: Deliver, *, last: int = 0
    ) -> MemorySubscription:
        log = await self._open(topic)
        subscription = log.subscribe(after, deliver, last, self._clock())
        return MemorySubscription(self, topic, subscription)

    async def subscribe_pattern(self, pattern: str, deliver: Deliver) -> PatternSubscription:
        group = self._patterns.get(pattern)
        if group is None:
            group = self._patterns[pattern] = PatternGroup(pattern)
            for topic, log in self._logs.items():
                if group.fits(topic):
                    log.patterns = (*log.patterns, group)
        listener = PatternListener(deliver, 0)
        group.listeners[listener] = None
        return PatternSubscription(self, group, listener)

    async def history(self, topic: str, after: Position | None, limit: int) -> Page:
        log = await self._open(topic)
        page = log.page(after, limit, self._clock())
        self._forget_empty(topic)
        return page

    async def join(self, topic: str, session: str, data: bytes) -> None:
        log = await self._open(topic)
        log.members[session] = data
        log.tell(data, self._clock(), What.JOINED)

    async def leave(self, topic: str, session: str) -> None:
        log = self._logs.get(topic)
        data = None if log is None else log.members.pop(session, None)
        if log is not None and data is not None:
            log.tell(data, self._clock(), What.LEFT)
            self._forget_empty(topic)

    async def members(self, topic: str, limit: int) -> Sequence[bytes]:
        log = self._logs.get(topic)
        return () if log is None else tuple(islice(log.members.values(), limit))

    async def _open(self, topic: str) -> Log:
        """The topic, which is used at once: nothing else may be awaited before. Raises ResourceExhausted."""
        return self._known(topic) or self._add(topic)

    async def _with_room(self, topic: str) -> Log:
        """As `_open`, once delivery has caught up."""
        log = await self._open(topic)
        while log.is_full:
            await log.room()
            log = await self._open(topic)
        return log

    def _known(self, topic: str) -> Log | None:
        log = self._logs.get(topic)
        if log is not None:
            self._logs.move_to_end(topic)
        return log

    def _add(self, topic: str) -> Log:
        if len(self._logs) >= self._max_topics:
            self._make_room()
        log = self._logs[topic] = Log(topic, self._epoch, self._fanout, self._patterns_for(topic))
        return log

    def _make_room(self) -> None:
        for topic, log in islice(self._logs.items(), 100):
            if log.is_idle:
                del self._logs[topic]
                self._forgotten(log)
                return
        raise ResourceExhausted(f"there are {self._max_topics} topics already", reason=TOO_MANY_TOPICS)

    def _forgotten(self, log: Log) -> None:
        """It was, with the messages that it kept."""
        if log.offset:
            self._epoch = next(self._epochs)

    def _forget_empty(self, topic: str) -> None:
        """What nobody has published to needs no memory once nobody asks for it."""
        log = self._logs.get(topic)
        if log is not None and log.is_empty:
            del self._logs[topic]

    def _patterns_for(self, topic: str) -> tuple[PatternGroup, ...]:
        return tuple(group for group in self._patterns.values() if group.fits(topic))

    def _forget_pattern(self, group: PatternGroup) -> None:
        del self._patterns[group.pattern]
        for topic, log in self._logs.items():
            if group.fits(topic):
                log.patterns = tuple(other for other in log.patterns if other is not group)


class MemorySubscription(LogSubscription):
    """A subscription whose topic is forgotten where it was the only reason to have it."""

    def __init__(self, broker: MemoryBroker, topic: str, of: LogSubscription) -> None:
        super().__init__(of._log, of._listener, of.position, of.lost, of.backlog)
        self._broker = broker
        self._topic = topic

    async def close(self) -> None:
        await super().close()
        self._broker._forget_empty(self._topic)


class PatternSubscription:
    """See `Subscription`."""

    position = None
    lost = None
    backlog = ()

    def __init__(self, broker: MemoryBroker, group: PatternGroup, listener: Listener) -> None:
        self._broker = broker
        self._group = group
        self._listener = listener

    async def close(self) -> None:
        if self._listener.close():
            del self._group.listeners[self._listener]
            if not self._group.listeners:
                self._broker._forget_pattern(self._group)
