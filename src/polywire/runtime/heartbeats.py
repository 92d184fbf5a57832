"""Heartbeats: one timer for all streams whose callers must hear something now and then."""

from __future__ import annotations

import asyncio
from typing import Final, Protocol

_AT_ONCE: Final = 64
"""Who beat in one turn of the loop: what each of them sends is a system call."""


class Beating(Protocol):
    """Somebody must hear something of it now and then."""

    def beat(self) -> None: ...


class Heartbeats:
    """Has whatever is added beat, twice in every `interval_s`; idle, it has no timer.

    Who beats notes for itself whether anything was sent since, and so needs no timer and no clock. Many beat
    little by little, within a quarter of the interval.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, interval_s: float) -> None:
        self._loop = loop
        self._half_s = interval_s / 2
        self._beating: dict[Beating, None] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._waiting: list[Beating] = []
        """Those of this time who have not beaten yet."""
        self._next: asyncio.TimerHandle | None = None
        self._pause_s = 0.0

    def add(self, beating: Beating) -> None:
        self._beating[beating] = None
        if self._timer is None:
            self._timer = self._loop.call_later(self._half_s, self._tick)

    def discard(self, beating: Beating) -> None:
        self._beating.pop(beating, None)

    def _tick(self) -> None:
        self._timer = self._loop.call_later(self._half_s, self._tick) if self._beating else None
        if self._next is None:
            self._waiting = list(self._beating)
            self._pause_s = self._half_s / 2 / (len(self._waiting) / _AT_ONCE + 1)
            self._beat_some()

    def _beat_some(self) -> None:
        some, self._waiting = self._waiting[:_AT_ONCE], self._waiting[_AT_ONCE:]
        self._next = self._loop.call_later(self._pause_s, self._beat_some) if self._waiting else None
        for beating in some:
            if beating in self._beating:
                beating.beat()

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
