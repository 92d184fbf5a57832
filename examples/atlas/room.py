"""A room: what one member says all members hear, in one order. Within one process, and nothing is kept."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, suppress
from typing import Generic, TypeVar

from polywire import ResourceExhausted

T = TypeVar("T")


class Member(Generic[T]):
    """One who is in a room. Iterated once, it gives what is said from its coming on, and ends when it is told to."""

    def __init__(self, most_waiting: int) -> None:
        self._waiting: deque[T] = deque()
        self._most_waiting = most_waiting
        self._news = asyncio.Event()
        self._over = False
        self._error: BaseException | None = None

    def hear(self, item: T) -> None:
        if self._over:
            return
        if len(self._waiting) == self._most_waiting:
            # Whoever does not listen is let go: neither the others nor the memory wait for it.
            self._waiting.clear()
            self.end(ResourceExhausted("you read too slowly and have missed messages", reason="SLOW_CONSUMER"))
            return
        self._waiting.append(item)
        self._news.set()

    def end(self, error: BaseException | None = None) -> None:
        """Nothing more is heard; what waits still is given, then `error` is raised if there is one."""
        if not self._over:
            self._over, self._error = True, error
            self._news.set()

    async def __aiter__(self) -> AsyncIterator[T]:
        while True:
            while self._waiting:
                yield self._waiting.popleft()
            if self._over:
                if self._error is not None:
                    raise self._error
                return
            self._news.clear()
            await self._news.wait()


class Room(Generic[T]):
    """Who is in it, and what they say to each other.

    most_members: more are refused with ROOM_FULL.
    most_waiting: messages that may wait for one member; it is let go with SLOW_CONSUMER at the next.
    """

    def __init__(self, most_members: int = 1000, most_waiting: int = 256) -> None:
        self.members: set[Member[T]] = set()
        self._most_members = most_members
        self._most_waiting = most_waiting

    def say(self, item: T) -> None:
        for member in self.members:
            member.hear(item)

    async def visit(self, said: AsyncIterator[T], stamp: Callable[[T], T]) -> AsyncIterator[T]:
        """Be in the room for as long as `said` goes on: everybody hears it, stamped, and this yields what is heard.

        At its end what was said until then is still heard. However it ends, the member is gone afterwards.
        """
        member = self._enter()
        speaking = asyncio.create_task(self._speak(said, stamp, member))
        try:
            async with aclosing(aiter(member)) as heard:  # type: ignore[type-var]
                async for item in heard:
                    yield item
        finally:
            self.members.discard(member)
            speaking.cancel()
            with suppress(asyncio.CancelledError):
                await speaking

    async def listen(self) -> AsyncIterator[T]:
        """Be in the room without saying anything, for as long as this is iterated."""
        member = self._enter()
        try:
            async with aclosing(aiter(member)) as heard:  # type: ignore[type-var]
                async for item in heard:
                    yield item
        finally:
            self.members.discard(member)

    def _enter(self) -> Member[T]:
        if len(self.members) >= self._most_members:
            raise ResourceExhausted(f"there are {self._most_members} people here already", reason="ROOM_FULL")
        member: Member[T] = Member(self._most_waiting)
        self.members.add(member)
        return member

    async def _speak(self, said: AsyncIterator[T], stamp: Callable[[T], T], member: Member[T]) -> None:
        try:
            async for item in said:
                self.say(stamp(item))
                # Many may have come in one packet: everybody gets a turn to hear each.
                await asyncio.sleep(0)
            member.end()
        except Exception as error:
            member.end(error)
