"""`TopicStream`: one subscriber's events, from its queue or straight from the broker's delivery."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from polywire.errors import RpcError, Unavailable
from polywire.runtime.push import PushStream
from polywire.service.tracked import Tracked
from polywire.shared import Shared
from polywire.topics._delivery import Delivery
from polywire.topics.broker import Subscription
from polywire.topics.events import GapReason

if TYPE_CHECKING:
    from polywire.runtime.call import Call
    from polywire.runtime.runtime import Emit
    from polywire.topics.conversion import Conversion

T = TypeVar("T")
SLOW_CONSUMER = "SLOW_CONSUMER"
Item = tuple[Shared, str | None]
"""An event and the position to resume from; None: there is none."""


class TopicStream(Delivery, PushStream, Generic[T]):
    """The events of one subscription: an async iterator, to be closed (`aclose`) by whoever does not take them all.

    What comes while the subscriber does not take it is queued, boundedly: see `Topic`. Raises Unavailable
    (SLOW_CONSUMER) at the end of one that was too slow.
    """

    def __init__(
        self,
        open_: Callable[[TopicStream[T]], Awaitable[Subscription]],
        conversion: Conversion,
        after: str,
        bound: int,
        slow: str,
        tracked: bool,
    ) -> None:
        self._open_ = open_
        self._conversion = conversion
        self._after = after
        self._bound = bound
        self._slow = slow
        self._tracked = tracked
        self._subscription: Subscription | None = None
        self._backlog: deque[Item] = deque()
        """The greeting and the history: bounded by that, not by `bound`."""
        self._queue: deque[Item] = deque()
        self._dropped = False
        """Something of the queue was, and the subscriber has not been told yet."""
        self._last = ""
        self._news: asyncio.Future[None] | None = None
        self._error: RpcError | None = None
        self._failure: Exception | None = None
        self._closed = False

    # Opening and closing

    async def _open(self) -> None:
        subscription = self._subscription = await self._open_(self)
        conversion = self._conversion
        position = subscription.position
        lost = subscription.lost
        self._last = "" if position is None else str(position)
        greeting = conversion.greeting(position, self._after, lost)
        self._backlog.append((greeting, self._last or None))
        self._backlog.extend(conversion.items(subscription.backlog))
        if self._closed:
            await subscription.close()

    async def aclose(self) -> None:
        """End the subscription. May be called again."""
        self._closed = True
        self._emit = None
        self._queue.clear()
        self._backlog.clear()
        subscription, self._subscription = self._subscription, None
        if subscription is not None:
            await subscription.close()
        self._wake()

    # Delivery

    def _deliver_each(self, items: list[Item]) -> None:
        """Those that cannot go out all together."""
        emit: Emit | None = self._emit
        if emit is None:
            self._enqueue(items)
            self._wake()
            return
        call: Call = self._call
        sent = 0
        try:
            for item, id in items:
                sent += 1
                if not emit(call, item, id):
                    break
            else:
                self._last = items[-1][1] or ""
                call.moved += sent
                return
        except Exception as failure:
            self._failure = failure
        self._emit = None
        self._last = items[sent - 1][1] or ""
        call.moved += sent
        self._enqueue(items[sent:])
        self._wake()

    def _enqueue(self, items: Sequence[Item]) -> None:
        if self._closed or self._error is not None:
            return
        queue = self._queue
        if self._slow == "keep_latest":
            for item in items:
                self._replace(item)
        else:
            queue.extend(items)
        if len(queue) <= self._bound:
            return
        if self._slow == "disconnect":
            queue.clear()
            self._error = Unavailable(
                "the caller takes the messages more slowly than they come; come back with the last position",
                reason=SLOW_CONSUMER,
            )
            if self._call is not None:
                self._call.fail(self._error)
            return
        self._dropped = True
        while len(queue) > self._bound:
            queue.popleft()

    def _replace(self, item: Item) -> None:
        """Keep it instead of an older one of the same topic."""
        topic = item[0].value.topic
        queue = self._queue
        for index, (other, _) in enumerate(queue):
            if other.value.topic == topic:
                self._dropped = True
                del queue[index]
                break
        queue.append(item)

    def _wake(self) -> None:
        news, self._news = self._news, None
        if news is not None and not news.done():
            news.set_result(None)

    def _next(self) -> Item | None:
        """What is to be sent now; None: nothing. Raises what the stream ends with."""
        if self._failure is not None:
            raise self._failure
        if self._error is not None:
            raise self._error
        if self._backlog:
            item = self._backlog.popleft()
        elif self._dropped:
            self._dropped = False
            return self._conversion.gap(self._last, GapReason.SLOW), self._last or None
        elif self._queue:
            item = self._queue.popleft()
        else:
            return None
        self._last = item[1] or ""
        return item

    async def _wait(self) -> None:
        self._news = asyncio.get_running_loop().create_future()
        await self._news

    # As an iterator

    def __aiter__(self) -> TopicStream[T]:
        return self

    async def __anext__(self) -> Any:
        if self._subscription is None and not self._closed:
            await self._open()
        while True:
            if self._closed:
                raise StopAsyncIteration
            item = self._next()
            if item is not None:
                shared, id = item
                return Tracked(id or "live", shared.value) if self._tracked else shared.value
            await self._wait()

    # As a stream that sends by itself

    async def push(self, call: Call, emit: Emit, drained: Callable[[], Awaitable[None]]) -> None:
        self._call = call
        self._outlet = call.outlet
        try:
            if self._subscription is None:
                await self._open()
            while True:
                while (item := self._next()) is not None:
                    call.moved += 1
                    if not emit(call, *item):
                        await drained()
                if self._closed:
                    return
                self._emit = emit
                await self._wait()
                self._emit = None
                if self._closed:
                    return
                if self._failure is None:
                    await drained()
        finally:
            self._call = self._outlet = None
            await self.aclose()
