"""What streams of all protocols have in common: the messages that come in, and the answer on its way out."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from polywire.errors import Cancelled
from polywire.http.exchange import Exchange, Gone
from polywire.runtime.call import Call
from polywire.tasks.eager import PENDING, Feed


class Outgoing:
    """A streamed answer on its way: the exchange that carries it, and whether its head is out."""

    __slots__ = ("exchange", "started")

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self.started = False

    async def drained(self) -> None:
        """Wait until the caller has taken enough of what was sent."""
        try:
            await self.exchange.drain()
        except Gone:
            # The call is cancelled, or runs on and what it sends goes nowhere; then others must get their turns.
            await asyncio.sleep(0)


class Splitter(Protocol):
    """Bytes in, messages out; one for each way of marking messages off. It holds one message's bytes at most."""

    @property
    def error(self) -> Exception | None:
        """What is wrong with the bytes after the messages that were given; nothing more comes out then."""

    def feed(self, data: bytes) -> list[Any]:
        """The messages that are complete now, as `MessageReader`'s `decode` takes them."""

    def end(self) -> list[Any]:
        """No more bytes come: what is left, if that is a message."""


class MessageReader:
    """The messages of a client stream, decoded one at a time; the peer gets credit as they are read.

    decode: makes a value of a message. unpack: where messages come with flags, decompresses one whose flags are set.
    Iterating raises Cancelled if the caller leaves, and what splitting, unpacking and decoding raise. Cancelled,
    nothing is lost.
    """

    __slots__ = ("_call", "_decode", "_feed", "_next", "_over", "_ready", "_splitter", "_take", "_unpack")

    def __init__(
        self,
        call: Call,
        exchange: Exchange,
        splitter: Splitter,
        decode: Callable[[bytes], Any],
        unpack: Callable[[bytes], bytes] | None = None,
    ) -> None:
        self._call = call
        self._take = exchange.take
        self._splitter = splitter
        self._feed = splitter.feed
        self._decode = decode
        self._unpack = unpack
        self._ready: list[Any] = []
        """Complete messages, the next one last."""
        self._over = False
        """No more messages come: the end, or the splitter's error."""
        self._next = Feed(self._pull, exchange.readable)

    def __aiter__(self) -> MessageReader:
        return self

    def __anext__(self) -> Awaitable[Any]:
        return self._next

    def _pull(self) -> Any:
        ready = self._ready
        while not ready:
            if self._over:
                raise self._splitter.error or StopAsyncIteration
            try:
                part = self._take()
            except Gone:
                raise Cancelled("the caller has left") from None
            if part is None:
                return PENDING
            ready = self._ready = self._feed(part) if part else self._splitter.end()
            ready.reverse()
            self._over = not part or self._splitter.error is not None
        self._call.moved += 1
        if self._unpack is None:
            return self._decode(ready.pop())
        flags, message = ready.pop()
        return self._decode(self._unpack(message) if flags else message)
