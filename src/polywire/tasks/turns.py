"""Work whose size its caller chooses, such as decompression, done a bounded amount a turn of the loop."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

MOST_BYTES: Final = 1024 * 1024
"""Of output, after which the rest waits for later turns: some milliseconds of decompression."""


class Turns:
    """Who asks first whether `is_open` and tells what it has done by `spend` leaves others their turns of the loop.

    What may not go on now is given to `wait`, and called in a later turn, in order. One for all calls of a loop.
    """

    def __init__(self) -> None:
        self._spent = 0
        self._waiting: deque[Callable[[], None]] = deque()
        self._next: asyncio.Handle | None = None

    @property
    def is_open(self) -> bool:
        """Whether something may be done in this turn: nobody waits, and not too much was done."""
        return self._spent < MOST_BYTES and not self._waiting

    def spend(self, count_bytes: int) -> None:
        """Tell how much was done."""
        self._spent += count_bytes
        self._arm()

    def wait(self, go_on: Callable[[], None]) -> None:
        """Have go_on() called when it is its turn."""
        self._waiting.append(go_on)
        self._arm()

    def pass_on(self) -> None:
        """End the turn: what has been called goes on by itself, soon."""
        self.spend(MOST_BYTES)

    def close(self) -> None:
        """Forget what waits."""
        self._waiting.clear()
        self._spent = 0
        if self._next is not None:
            self._next.cancel()
            self._next = None

    def _arm(self) -> None:
        if self._next is None:
            self._next = asyncio.get_running_loop().call_soon(self._begin)

    def _begin(self) -> None:
        self._next = None
        self._spent = 0
        try:
            while self._waiting and self._spent < MOST_BYTES:
                self._waiting.popleft()()
        finally:
            if self._waiting:
                self._arm()
