"""What streams of all protocols have in common: the messages that come in, and the answer on its way out."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from polywire.errors import Cancelled, RpcError
from polywire.http.exchange import Exchange, Gone
from polywire.runtime.call import Call
from polywire.runtime.runtime import Runtime
from polywire.tasks.eager import PENDING, Feed


class Outgoing:
    """A streamed answer on its way: the exchange that carries it, and whether its head is out."""

    __slots__ = ("exchange", "started", "write")

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self.write = exchange.write
        self.started = False

    async def drained(self) -> None:
        """Wait until the caller has taken enough of what was sent."""
        try:
            await self.exchange.drain()
        except Gone:
            # The call is cancelled, or runs on and what it sends goes nowhere; then others must get their turns.
            await asyncio.sleep(0)


class Splitter(Protocol):
    """Bytes in, messages out; one for each way of marking messages off.

    It holds the bytes of one message that is not whole, and those of one `feed` that were not split yet.
    """

    @property
    def error(self) -> Exception | None:
        """What is wrong with the bytes after the messages that were given; nothing more comes out then."""

    @property
    def is_clear(self) -> bool:
        """Nothing is kept and nothing is wrong: the rest need not be looked at."""

    @property
    def waiting(self) -> int:
        """How many bytes are not split yet, because enough messages were given; `feed(b"")` goes on with them."""

    @property
    def unfinished(self) -> int:
        """How many bytes of a message that is not whole are kept."""

    def feed(self, data: bytes, /) -> list[Any]:
        """The messages that are complete now, as `MessageReader`'s `decode` takes them; some hundred at most."""

    def end(self) -> list[Any]:
        """No more bytes come: what is left, if that is a message."""


class MessageReader:
    """The messages of a client stream, decoded one at a time; the peer gets credit as they are read.

    It gets credit for the bytes of a message that is not whole, too, else none could be larger than a window; these
    count for the runtime's `pending`.
    decode: makes a value of a message. unpack: where messages come with flags, decompresses one whose flags are set,
    when it is its turn.
    Iterating raises Cancelled if the caller leaves or the call is over, Unavailable (OVERLOADED) where too much is
    pending, and what splitting, unpacking and decoding raise. Cancelled, nothing is lost.
    """

    __slots__ = (
        "_call",
        "_counts",
        "_decode",
        "_exchange",
        "_feed",
        "_grant",
        "_has_turn",
        "_held",
        "_keeps",
        "_next",
        "_over",
        "_pending",
        "_ready",
        "_sink",
        "_splitter",
        "_take",
        "_turns",
        "_uncredited",
        "_unpack",
        "_waiting",
        "_waits_for_turn",
    )

    def __init__(
        self,
        runtime: Runtime,
        call: Call,
        exchange: Exchange,
        splitter: Splitter,
        decode: Callable[[bytes], Any],
        unpack: Callable[[bytes], bytes] | None = None,
    ) -> None:
        self._pending = runtime.pending
        self._turns = runtime.turns
        self._call: Any = call
        """None once it is over."""
        self._counts = call.binding.idle_s is not None
        self._exchange = exchange
        self._sink = sink = exchange.sink
        self._take = sink.take
        self._grant = sink.grant
        self._splitter = splitter
        self._feed = splitter.feed
        self._decode = decode
        self._unpack = unpack
        self._ready: list[Any] = []
        """Complete messages, the next one last."""
        self._waiting = 0
        """Bytes that the splitter has not split yet."""
        self._uncredited = 0
        """Bytes that the peer has no credit for yet: of `_ready`, and those that wait."""
        self._held = 0
        """Bytes that count for `pending`."""
        self._keeps = False
        """The splitter has kept something."""
        self._over: Exception | type[Exception] | None = None
        """What is raised after the messages that are ready: no more come."""
        self._has_turn = self._waits_for_turn = False
        self._next = Feed(self._pull, exchange.readable)
        call.on_done(self._close)

    def __aiter__(self) -> MessageReader:
        return self

    def __anext__(self) -> Awaitable[Any]:
        return self._next

    def _pull(self) -> Any:
        ready = self._ready
        while not ready:
            if self._uncredited:
                # What was split has been read.
                self._grant(self._uncredited - self._waiting)
                self._uncredited = self._waiting
            if self._over is not None:
                raise self._over
            if self._waiting:
                ready = self._ready = self._feed(b"")
            else:
                part = self._take()
                if part:
                    self._uncredited = len(part)
                    ready = self._ready = self._feed(part)
                elif self._sink.ended:
                    ready = self._ready = self._splitter.end()
                    self._over = StopAsyncIteration
                elif self._sink.closed:
                    raise Cancelled("the caller has left")
                else:
                    return PENDING
            ready.reverse()
            if self._keeps or not self._splitter.is_clear:
                self._look()
        if self._unpack is None:
            message = ready.pop()
        else:
            flags, message = ready.pop()
            if flags:
                if not self._is_in_turn():
                    ready.append((flags, message))
                    return PENDING
                message = self._unpack(message)
        if self._counts:
            self._call.moved += 1
        return self._decode(message)

    def _look(self) -> None:
        """What the splitter keeps, and whether it goes on. Beyond the budget for it, nothing more is read."""
        splitter = self._splitter
        self._waiting = splitter.waiting
        self._keeps = not splitter.is_clear
        if splitter.error is not None:
            self._over = splitter.error
        self._pending.release(self._held)
        self._held = 0
        try:
            self._pending.hold(splitter.unfinished)
            self._held = splitter.unfinished
        except RpcError as error:
            self._stop(error)

    def _stop(self, error: Exception) -> None:
        self._over = error
        self._waiting = 0
        self._splitter = _EMPTY
        self._feed = _EMPTY.feed

    def _is_in_turn(self) -> bool:
        """Whether a message may be decompressed now; if not, the reader is woken when it may."""
        if self._has_turn or (not self._waits_for_turn and self._turns.is_open):
            self._has_turn = False
            return True
        if not self._waits_for_turn:
            self._waits_for_turn = True
            self._turns.wait(self._take_turn)
        return False

    def _take_turn(self) -> None:
        self._waits_for_turn = False
        if self._call is None:
            return
        self._has_turn = True
        self._exchange.on_readable()
        if self._has_turn:
            # A task of the handler's own reads, and goes on by itself.
            self._turns.pass_on()

    def _close(self, call: Call, error: RpcError | None) -> None:
        """The call is over: let go of what was received, and of what refers back here."""
        self._pending.release(self._held)
        self._held = 0
        self._ready = []
        self._stop(Cancelled("the call is over"))
        self._call = None
        self._next = _CLOSED


class _Empty:
    """What splits nothing."""

    error = None
    is_clear = True
    waiting = unfinished = 0

    def feed(self, data: bytes, /) -> list[Any]:
        return []

    def end(self) -> list[Any]:
        return []


def _raise_over() -> Any:
    raise Cancelled("the call is over")


def _no_news() -> Any:
    raise AssertionError("there is nothing to wait for")


_EMPTY = _Empty()
_CLOSED = Feed(_raise_over, _no_news)
