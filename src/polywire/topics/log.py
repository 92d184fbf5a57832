"""One topic in memory: its count, its history, its members and who listens."""

from __future__ import annotations

import asyncio
import re
from collections import OrderedDict, deque
from collections.abc import Sequence
from itertools import islice
from typing import Final

from polywire.topics._delivery import Listener as Listener
from polywire.topics._delivery import PatternListener as PatternListener
from polywire.topics.broker import Deliver, History, Lost, Page, Position, Publication, What
from polywire.topics.fanout import Fanout, Receiver

MOST_PENDING: Final = 1_024
MOST_PENDING_BYTES: Final = 1 << 20
"""Of publications that not everybody has been told yet; publishers wait beyond it."""
MOST_DEDUPE_IDS: Final = 10_000


class Log:
    """The messages of one topic, and its subscribers. Everything here happens in the loop, at once."""

    def __init__(self, topic: str, epoch: str, fanout: Fanout, patterns: Sequence[PatternGroup] = ()) -> None:
        self.topic = topic
        self.epoch = epoch
        self.offset = 0
        self.order = 0
        self.kept: deque[Publication] = deque()
        self.kept_bytes = 0
        self.limits = History()
        self.listeners: dict[Listener, None] = {}
        self._readers: list[Receiver] | None = None
        """The same, for the fan-out; None once they have changed."""
        self.patterns = patterns
        """Those that fit; replaced when they change."""
        self.members: dict[str, bytes] = {}
        self.writes = 0
        """Messages that are on their way to where they are durable."""
        self.dedupe: OrderedDict[str, tuple[Position, float]] = OrderedDict()
        self._fanout = fanout
        self._pending: list[Publication] = []
        self._pending_bytes = 0
        self._telling = False
        self._room: asyncio.Event | None = None

    @property
    def position(self) -> Position:
        return Position(self.epoch, self.offset)

    @property
    def is_idle(self) -> bool:
        """Nobody listens, so that it may be forgotten with what it keeps."""
        return not (self.listeners or self.members or self._telling or self.writes)

    @property
    def is_empty(self) -> bool:
        """Forgotten, it would be missed by nobody."""
        return self.is_idle and not self.offset

    # Publishing

    @property
    def is_full(self) -> bool:
        """A publisher is ahead of delivery: it must await `room`."""
        return len(self._pending) >= MOST_PENDING or self._pending_bytes >= MOST_PENDING_BYTES

    async def room(self) -> None:
        """Wait until what is being delivered has been."""
        if self._room is None:
            self._room = asyncio.Event()
        await self._room.wait()

    def duplicate(self, dedupe_id: str, now: float, dedupe_s: float) -> Position | None:
        """Where that was published before; ids that are too old are forgotten."""
        ids = self.dedupe
        while ids and (len(ids) > MOST_DEDUPE_IDS or next(iter(ids.values()))[1] <= now - dedupe_s):
            ids.popitem(last=False)
        found = ids.get(dedupe_id)
        return None if found is None else found[0]

    def append(self, data: bytes, now: float, limits: History, dedupe_id: str | None = None) -> Position:
        """Give a message its position, keep it and tell it."""
        self.offset += 1
        position = Position(self.epoch, self.offset)
        self.limits = limits
        publication = self._tell(data, now, What.MESSAGE, position)
        if limits.count:
            self.keep(publication)
        if dedupe_id is not None:
            self.dedupe[dedupe_id] = (position, now)
        self.trim(now)
        return position

    def keep(self, publication: Publication) -> None:
        self.kept.append(publication)
        self.kept_bytes += len(publication.data)

    def trim(self, now: float) -> None:
        """Let go of what the history keeps no longer."""
        limits, kept = self.limits, self.kept
        oldest = None if limits.age_s is None else now - limits.age_s
        while kept and (
            len(kept) > limits.count
            or self.kept_bytes > limits.max_bytes
            or (oldest is not None and kept[0].at <= oldest)
        ):
            self.kept_bytes -= len(kept.popleft().data)

    def tell(self, data: bytes, now: float, what: What) -> None:
        """Of a member that has joined or left."""
        self._tell(data, now, what, self.position)

    def _tell(self, data: bytes, now: float, what: What, position: Position) -> Publication:
        self.order += 1
        publication = Publication(self.topic, position, self.order, data, now, what)
        if self.listeners or self.patterns:
            self._pending.append(publication)
            self._pending_bytes += len(data)
            if not self._telling:
                self._telling = True
                self._fanout.add(self)
        return publication

    # As a source of the fan-out

    def begin_pass(self) -> tuple[tuple[Publication, ...], list[Receiver]]:
        batch = tuple(self._pending)
        self._pending.clear()
        self._pending_bytes = 0
        if self._readers is None:
            self._readers = list(self.listeners)
        if not self.patterns:
            return batch, self._readers
        return batch, [*self._readers, *(one for group in self.patterns for one in group.listeners)]

    def end_pass(self) -> bool:
        if self._room is not None:
            self._room.set()
            self._room = None
        self._telling = bool(self._pending)
        return self._telling

    # Reading

    def after(self, after: Position | None, now: float) -> tuple[int, Lost | None]:
        """How many of what is kept, from the oldest on, are to be skipped, and what is lost."""
        self.trim(now)
        first = self.offset + 1 - len(self.kept)
        if after is None:
            return 0, None
        if after.epoch != self.epoch or after.offset > self.offset:
            return 0, Lost.EPOCH_CHANGED
        if after.offset + 1 < first:
            return 0, Lost.HISTORY_GONE
        return after.offset + 1 - first, None

    def page(self, after: Position | None, limit: int, now: float) -> Page:
        skip, lost = self.after(after, now)
        found = tuple(islice(self.kept, skip, skip + limit))
        first = self.offset - len(self.kept) + skip
        return Page(found, Position(self.epoch, first + len(found)), lost)

    def add(self, listener: Listener) -> None:
        self.listeners[listener] = None
        self._readers = None

    def discard(self, listener: Listener) -> None:
        self.listeners.pop(listener, None)
        self._readers = None

    def subscribe(self, after: Position | None, deliver: Deliver, last: int, now: float) -> LogSubscription:
        skip, lost = self.after(after, now)
        if after is None:
            skip = max(0, len(self.kept) - last)
        backlog = tuple(islice(self.kept, skip, None))
        listener = Listener(deliver, self.order)
        self.add(listener)
        return LogSubscription(self, listener, Position(self.epoch, self.offset - len(backlog)), lost, backlog)


class PatternGroup:
    """Everybody who subscribes to one pattern, whose `*` is one segment."""

    __slots__ = ("_fits", "listeners", "pattern")

    def __init__(self, pattern: str) -> None:
        parts = ("[^.]+" if part == "*" else re.escape(part) for part in pattern.split("."))
        self.pattern = pattern
        self._fits = re.compile(r"\.".join(parts)).fullmatch
        self.listeners: dict[Listener, None] = {}

    def fits(self, topic: str) -> bool:
        return self._fits(topic) is not None


class LogSubscription:
    """See `Subscription`."""

    def __init__(
        self, log: Log, listener: Listener, position: Position, lost: Lost | None, backlog: Sequence[Publication]
    ) -> None:
        self.position = position
        self.lost = lost
        self.backlog = backlog
        self._log = log
        self._listener = listener

    async def close(self) -> None:
        self._listener.close()
        self._log.discard(self._listener)
