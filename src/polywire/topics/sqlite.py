"""`SqliteBroker`: topics of one process whose history survives it."""

from __future__ import annotations

import asyncio
import os
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Final, TypeVar

from polywire.errors import Unavailable
from polywire.topics.broker import History, Position, Publication
from polywire.topics.log import Log
from polywire.topics.memory import MemoryBroker
from polywire.topics.store import Batch, Store, Stored

T = TypeVar("T")
MOST_WRITES: Final = 1_000
"""Messages of one commit."""


@dataclass(slots=True)
class _Write:
    log: Log
    data: bytes
    history: History
    dedupe_id: str | None
    outcome: asyncio.Future[Position]


class SqliteBroker(MemoryBroker):
    """A broker within one process, which has a file.

    What `publish` has accepted is on disk: history, epoch, offsets and dedupe ids survive the process, killed or not,
    and a loss of power as far as the disk keeps what it was told to (WAL, synchronous=FULL). Messages that are
    published at the same time are committed together. Members do not survive.

    path: of the file, made where there is none; this broker has it alone.
    max_topics: that are held in memory at a time; the others are read again when they are asked for.
    Otherwise as MemoryBroker. `publish` raises Unavailable where the file cannot be written.
    """

    shared = False

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        max_topics: int = 100_000,
        dedupe_s: float = 300.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(max_topics=max_topics, dedupe_s=dedupe_s, clock=clock)
        self._path = os.fspath(path)
        self._store: Store
        self._thread: ThreadPoolExecutor
        self._writes: deque[_Write] = deque()
        self._writer: asyncio.Task[None] | None = None
        self._ids: dict[tuple[str, str], asyncio.Future[Position]] = {}
        """Dedupe ids that are being written."""
        self._trims: dict[str, int] = {}
        """By topic the oldest offset that is still kept; written with the next commit."""

    async def start(self) -> None:
        """Raises RuntimeError where the file is another process's or no database of a broker."""
        self._thread = ThreadPoolExecutor(1, "polywire-topics")
        try:
            self._store = await self._run(lambda: Store(self._path, self._epoch))
        except BaseException:
            self._thread.shutdown()
            raise
        self._epoch = self._store.epoch

    async def stop(self) -> None:
        if self._writer is not None:
            await self._writer
        trims, self._trims = self._trims, {}
        await self._run(lambda: self._store.commit(Batch([], [], trims, self._clock() - self._dedupe_s)))
        await self._run(self._store.close)
        self._thread.shutdown()
        self._logs.clear()
        await super().stop()

    async def publish(self, topic: str, data: bytes, history: History, *, dedupe_id: str | None = None) -> Position:
        log = await self._with_room(topic)
        if dedupe_id is not None:
            before = log.duplicate(dedupe_id, self._clock(), self._dedupe_s)
            if before is not None:
                return before
            under_way = self._ids.get((topic, dedupe_id))
            if under_way is not None:
                return await asyncio.shield(under_way)
        loop = asyncio.get_running_loop()
        write = _Write(log, data, history, dedupe_id, loop.create_future())
        log.writes += 1
        self._writes.append(write)
        if dedupe_id is not None:
            self._ids[topic, dedupe_id] = write.outcome
        if self._writer is None:
            self._writer = loop.create_task(self._write_all())
        return await asyncio.shield(write.outcome)

    async def _write_all(self) -> None:
        while self._writes:
            writes = [self._writes.popleft() for _ in range(min(MOST_WRITES, len(self._writes)))]
            now = self._clock()
            trims, self._trims = self._trims, {}
            try:
                batch = self._batch(writes, trims, now)
                await self._run(partial(self._store.commit, batch))
            except Exception as error:
                self._trims = {**trims, **self._trims}
                self._fail(writes, error)
                continue
            for write in writes:
                self._written(write, now)
        self._writer = None

    def _batch(self, writes: list[_Write], trims: dict[str, int], now: float) -> Batch:
        offsets: dict[str, int] = {}
        messages, topics = [], {}
        for write in writes:
            topic = write.log.topic
            offset = offsets[topic] = offsets.get(topic, write.log.offset) + 1
            messages.append((topic, offset, now, write.data if write.history.count else None, write.dedupe_id))
            topics[topic] = Stored(topic, offset, write.history)
        return Batch(messages, list(topics.values()), trims, now - self._dedupe_s)

    def _written(self, write: _Write, now: float) -> None:
        log = write.log
        self._settled(write)
        position = log.append(write.data, now, write.history, write.dedupe_id)
        self._trims[log.topic] = log.offset + 1 - len(log.kept)
        if not write.outcome.done():
            write.outcome.set_result(position)

    def _fail(self, writes: list[_Write], error: Exception) -> None:
        for write in writes:
            self._settled(write)
            if not write.outcome.done():
                failure = Unavailable("the message could not be stored", reason="NOT_STORED")
                failure.__cause__ = error
                write.outcome.set_exception(failure)
                write.outcome.exception()  # its publisher may have left

    def _settled(self, write: _Write) -> None:
        write.log.writes -= 1
        if write.dedupe_id is not None:
            self._ids.pop((write.log.topic, write.dedupe_id), None)

    async def _open(self, topic: str) -> Log:
        known = self._known(topic)
        if known is not None:
            return known
        since = self._clock() - self._dedupe_s
        loaded = await self._run(lambda: self._store.load(topic, since))
        # Another may have asked for it meanwhile.
        known = self._known(topic)
        if known is not None:
            return known
        log = self._add(topic)
        if loaded is not None:
            log.offset = loaded.topic.offset
            log.limits = loaded.topic.history
            for offset, at, data in loaded.messages:
                log.order += 1
                log.keep(Publication(topic, Position(log.epoch, offset), log.order, data, at))
            for id, offset, at in loaded.ids:
                log.dedupe[id] = (Position(log.epoch, offset), at)
            log.trim(self._clock())
        return log

    def _forgotten(self, log: Log) -> None:
        """It is in the file."""

    async def _run(self, function: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, function)
