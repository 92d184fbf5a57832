"""Messages for those who poll, and events for those who listen."""

import asyncio
import random
import time
from collections import deque
from collections.abc import AsyncIterator
from typing import Annotated

from msgspec import Meta

from atlas.locked import LOCK
from polywire import Doc, Int32, Message, Service, current_call, mutation, query

MOST_MESSAGES = 1000
HOLD_S = 30.0


class Posted(Message):
    id: Int32
    user: str
    text: str
    timestamp: Annotated[float, Doc("Unix time in seconds.")]


class Measure(Message):
    timestamp: Annotated[float, Doc("Unix time in seconds.")]
    value: float


class Messages(Service, package="messages", lock=LOCK):
    """Keeps the last 1000 messages.

    hold_s: seconds that a long poll waits for news. interval_s: from one event to the next.
    """

    def __init__(self, hold_s: float = HOLD_S, interval_s: float = 1.0) -> None:
        self.hold_s = hold_s
        self.interval_s = interval_s
        self._messages: deque[Posted] = deque(maxlen=MOST_MESSAGES)
        self._last_id = 0
        self._news: asyncio.Event | None = None

    @mutation("POST /api/messages", status=201)
    async def post_message(
        self,
        user: Annotated[str, Meta(min_length=1, max_length=40)],
        text: Annotated[str, Meta(min_length=1, max_length=2000)],
    ) -> Posted:
        """Keeps a message, and wakes those who wait for one."""
        self._last_id += 1
        posted = Posted(self._last_id, user, text, time.time())
        self._messages.append(posted)
        if self._news is not None:
            self._news.set()
            self._news = None
        return posted

    @query("GET /api/messages", deadline_s=2 * HOLD_S)
    async def list_messages(
        self, since: Annotated[Int32, Meta(ge=0), Doc("The last id that was seen.")] = 0, wait: bool = False
    ) -> list[Posted]:
        """Those after `since`; with `wait` as soon as there are some, or none after 30 s.

        1000 at most: lint: allow unbounded-list.
        """
        if wait and self._last_id <= since:
            if self._news is None:
                self._news = asyncio.Event()
            try:
                async with asyncio.timeout(self.hold_s):
                    await self._news.wait()
            except TimeoutError:
                pass
        # What was there is there still: nothing new is 304 for whoever has this.
        current_call().response_metadata.add("etag", f'"{since}-{self._last_id}"')
        return [posted for posted in self._messages if posted.id > since]

    @query("GET /api/events")
    async def events(self) -> AsyncIterator[Measure]:
        """A measurement every second."""
        value = 50.0
        while True:
            value = min(max(value + random.gauss(0, 2), 0.0), 100.0)
            yield Measure(time.time(), round(value, 2))
            await asyncio.sleep(self.interval_s)
