"""Heartbeats: one timer for all streams whose callers must hear something now and then."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Heartbeats:
    """Calls back whatever is added, twice in every `interval_s`; idle, it has no timer.

    Who is called back notes for itself whether anything was sent since, and so needs no timer and no clock.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, interval_s: float) -> None:
        self._loop = loop
        self._half_s = interval_s / 2
        self._beating: set[Callable[[], None]] = set()
        self._timer: asyncio.TimerHandle | None = None

    def add(self, beat: Callable[[], None]) -> None:
        self._beating.add(beat)
        if self._timer is None:
            self._timer = self._loop.call_later(self._half_s, self._tick)

    def discard(self, beat: Callable[[], None]) -> None:
        self._beating.discard(beat)

    def _tick(self) -> None:
        self._timer = self._loop.call_later(self._half_s, self._tick) if self._beating else None
        for beat in list(self._beating):
            beat()

    def close(self) -> None:
        """Forget everybody."""
        self._beating.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
