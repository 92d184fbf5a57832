"""Deadlines of suspended calls: a wheel of 10 ms slots, because most calls never need one and none needs a timer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import monotonic

from polywire.runtime.call import Call

TICK_S = 0.01


class DeadlineWheel:
    """Calls `expire(call)` within 20 ms after its deadline. Adding and removing are O(1); idle, it has no timer.

    Only slots with a call in them are kept, however far away the deadlines are that callers ask for.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, expire: Callable[[Call], None]) -> None:
        self._loop = loop
        self._expire = expire
        self._slots: dict[int, set[Call]] = {}
        self._ticked = 0
        """The last slot that was looked at."""
        self._timer: asyncio.TimerHandle | None = None

    def add(self, call: Call, deadline: float) -> None:
        """deadline: on the monotonic clock, in seconds; one that has passed expires at the next tick."""
        if self._timer is None:
            self._ticked = int(monotonic() / TICK_S)
            self._timer = self._loop.call_later(TICK_S, self._tick)
        key = max(int(deadline / TICK_S), self._ticked) + 1
        slot = self._slots.get(key)
        if slot is None:
            slot = self._slots[key] = set()
        slot.add(call)
        call.timer_slot = key

    def remove(self, call: Call) -> None:
        key = call.timer_slot
        if key is not None:
            call.timer_slot = None
            slot = self._slots[key]
            slot.discard(call)
            if not slot:
                del self._slots[key]

    def _tick(self) -> None:
        now = int(monotonic() / TICK_S)
        due: list[Call] = []
        for key in range(self._ticked + 1, now + 1):
            due.extend(self._slots.pop(key, ()))
        self._ticked = now
        for call in due:
            call.timer_slot = None
        self._timer = self._loop.call_later(TICK_S, self._tick) if self._slots else None
        for call in due:
            self._expire(call)

    def close(self) -> None:
        """Forget every deadline."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for slot in self._slots.values():
            for call in slot:
                call.timer_slot = None
        self._slots.clear()
