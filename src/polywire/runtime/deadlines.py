"""Deadlines of suspended calls: a wheel of 10 ms slots, because most calls never need one and none needs a timer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import monotonic

from polywire.runtime.call import Call

TICK_S = 0.01


class DeadlineWheel:
    """Calls `expire(call)` within 10 ms after its deadline. Adding and removing are O(1); idle, it has no timer."""

    def __init__(self, loop: asyncio.AbstractEventLoop, expire: Callable[[Call], None]) -> None:
        self._loop = loop
        self._expire = expire
        self._slots: dict[int, set[Call]] = {}
        self._timer: asyncio.TimerHandle | None = None

    def add(self, call: Call, deadline: float) -> None:
        key = int(deadline / TICK_S) + 1
        slot = self._slots.get(key)
        if slot is None:
            slot = self._slots[key] = set()
        slot.add(call)
        call.timer_slot = slot
        if self._timer is None:
            self._timer = self._loop.call_later(TICK_S, self._tick)

    def remove(self, call: Call) -> None:
        if call.timer_slot is not None:
            call.timer_slot.discard(call)
            call.timer_slot = None

    def _tick(self) -> None:
        now = int(monotonic() / TICK_S)
        due = [key for key in self._slots if key <= now]
        for key in due:
            for call in self._slots.pop(key):
                call.timer_slot = None
                self._expire(call)
        self._timer = self._loop.call_later(TICK_S, self._tick) if self._slots else None

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._slots.clear()
