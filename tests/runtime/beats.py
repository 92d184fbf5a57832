"""Heartbeats that a test waits for."""

from __future__ import annotations

import asyncio


class Beats:
    def __init__(self) -> None:
        self._queue: asyncio.Queue[None] = asyncio.Queue()

    def beat(self) -> None:
        self._queue.put_nowait(None)

    async def next(self) -> None:
        await self._queue.get()
