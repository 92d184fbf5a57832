"""Heartbeats: one timer for all streams whose callers must hear something now and then."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

_AT_ONCE: Final = 64
"""Called back in one turn of the loop: what each of them sends is a system call."""


class Heartbeats:
    """Calls back whatever is added, twice in every `interval_s`; idle, it has no timer.

    Who is called back notes for itself whether anything was sent since, and so needs no timer and no clock. Many are
    called back little by little, within a quarter of the interval.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, interval_s: float) -> None:
        self._loop = loop
        self._half_s = interval_s / 2
        self._beating: set[Callable[[], None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._waiting: list[Callable[[], None]] = []
        """Those of this time who have not been called back yet."""
        self._next: asyncio.TimerHandle | None = None
        self._pause_s = 0.0

    def add(self, beat: Callable[[], None]) -> None:
        self._beating.add(beat)
        if self._timer is None:
            self._timer = self._loop.call_later(self._half_s, self._tick)

    def discard(self, beat: Callable[[], None]) -> None:
        self._beating.discard(beat)

    def _tick(self) -> None:
        self._timer = self._loop.call_later(self._half_s, self._tick) if self._beating else None
        if self._next is None:
            self._waiting = list(self._beating)
            self._pause_s = self._half_s / 2 / (len(self._waiting) / _AT_ONCE + 1)
            self._beat_some()

    def _beat_some(self) -> None:
        some, self._waiting = self._waiting[:_AT_ONCE], self._waiting[_AT_ONCE:]
        self._next = self._loop.call_later(self._pause_s, self._beat_some) if self._waiting else None
        for beat in some:
            if beat in self._beating:
                beat()

    def close(self) -> None:
        """Forget everybody."""
        self._beating.clear()
        self._waiting.clear()
        if self._next is not None:
            self._next.cancel()
            self._next = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
