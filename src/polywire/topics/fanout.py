"""Delivery in turns: many subscribers must not hold the loop."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from time import perf_counter
from typing import Final, Protocol

from polywire.topics._delivery import tell
from polywire.topics.broker import Publication

TURN_S: Final = 0.001
MOST_A_TURN: Final = 128
"""Told before their connections write: what has been touched is written while it is still in the processor's caches."""
_BETWEEN_LOOKS: Final = 32


class Receiver(Protocol):
    def take(self, batch: tuple[Publication, ...], /) -> None:
        """Deliver what of the batch is new to this one."""


class Source(Protocol):
    """A topic with news."""

    def begin_pass(self) -> tuple[tuple[Publication, ...], list[Receiver]]:
        """Everything that is to be told now, and to whom."""

    def end_pass(self) -> bool:
        """Everybody has been told; True: there is more by now."""


class Fanout:
    """Tells the news of topics, a hundred readers or a millisecond of every turn of the loop, a topic at a time.

    What is published within one turn is one batch, so that each connection writes once.
    """

    def __init__(self, clock: Callable[[], float] = perf_counter) -> None:
        self._clock = clock
        self._waiting: deque[Source] = deque()
        self._batch: tuple[Publication, ...] = ()
        self._receivers: list[Receiver] | None = None
        self._place = 0
        """Of the receiver that is told next."""
        self._handle: asyncio.Handle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def add(self, source: Source) -> None:
        """A topic has news; once until its `end_pass`."""
        self._waiting.append(source)
        if self._handle is None:
            self._loop = asyncio.get_running_loop()
            self._handle = self._loop.call_soon(self._turn)

    def close(self) -> None:
        self._waiting.clear()
        self._receivers = None
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _turn(self) -> None:
        end = self._clock() + TURN_S
        while self._waiting:
            source = self._waiting[0]
            if self._receivers is None:
                self._batch, self._receivers = source.begin_pass()
                self._place = 0
            if not self._tell(end):
                break
            self._receivers = None
            self._batch = ()
            self._waiting.popleft()
            if source.end_pass():
                self._waiting.append(source)
                # News of this very turn: they go with those of the next one.
                break
        assert self._loop is not None
        self._handle = self._loop.call_soon(self._turn) if self._waiting else None

    def _tell(self, end: float) -> bool:
        """False: enough for one turn, and perhaps not everybody has been told."""
        assert self._receivers is not None
        count = len(self._receivers)
        for _ in range(MOST_A_TURN // _BETWEEN_LOOKS):
            self._place = tell(self._receivers, self._place, _BETWEEN_LOOKS, self._batch)
            if self._place == count:
                return True
            if self._clock() >= end:
                return False
        return False
