"""Streams on a socket: what may be sent of them, and what has come and was not read yet."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from polywire.errors import Cancelled, MalformedInput, ResourceExhausted, RpcError
from polywire.protocols._socket_outlet import SocketOutlet
from polywire.protocols.websocket.messages import INBOX, MOST_CREDIT
from polywire.runtime._outlet import SharedBatch
from polywire.runtime.call import Call
from polywire.tasks.eager import PENDING, Feed, Waiter

if TYPE_CHECKING:
    from polywire.protocols.websocket.session import Session

CREDIT_EXCEEDED = "CREDIT_EXCEEDED"
"""The reason of RESOURCE_EXHAUSTED where a client sends items that it has no credit for."""


class Window(SocketOutlet):
    """How many items of a call's answer may be sent yet, and the way of those that many sockets are sent alike.

    `is_over`: the call has been answered. A handler that does not stop sends to nobody, for its id may be another's.
    """

    __slots__ = ("_session", "_waiter")

    def __init__(self, session: Session, credit: int) -> None:
        super().__init__(session.ws, credit)
        self._session = session
        self._waiter: Waiter | None = None

    def add(self, count: int) -> None:
        self.credit = min(self.credit + count, MOST_CREDIT)
        self.wake()

    def end(self) -> None:
        """The call is over; let go of what refers back to it."""
        self.is_over = True
        self.key = None
        self.encode = _no_frames

    def wake(self) -> None:
        if self._waiter is not None:
            self._waiter.wake()

    async def drained(self) -> None:
        """Wait until there is credit, and the socket takes more. Does not wait where nobody is sent to any more."""
        ws = self._session.ws
        while ws.is_open and not self.is_over and (self.credit <= 0 or ws.is_blocked):
            if ws.is_blocked:
                await ws.drained()
            else:
                if self._waiter is None:
                    self._waiter = Waiter(asyncio.get_running_loop())
                await self._waiter
        if self.is_over or not ws.is_open:
            # The call is cancelled, or runs on and what it sends goes nowhere; then others must get their turns.
            await asyncio.sleep(0)


def _no_frames(batch: SharedBatch) -> bytes:
    raise AssertionError("the call is over")


class Inbox:
    """The items of a client stream, decoded one at a time as the handler reads them; the client gets credit for those.

    Iterating raises what decoding raises, in its place; ResourceExhausted (CREDIT_EXCEEDED), Unavailable (OVERLOADED)
    where the process holds too much, and Cancelled once the call is over.
    """

    __slots__ = ("_call", "_counts", "_decode", "_id", "_items", "_next", "_over", "_session", "_taken", "_waiter")

    def __init__(self, session: Session, call: Call, id: int, decode: Callable[[bytes], Any]) -> None:
        self._session = session
        self._call: Call | None = call
        self._counts = call.binding.idle_s is not None
        self._id = id
        self._decode = decode
        self._items: deque[bytes] = deque()
        self._taken = 0
        """Items that the client has not got credit for yet."""
        self._over: Exception | type[Exception] | None = None
        """What is raised after the items that are there: no more come."""
        self._waiter = Waiter(asyncio.get_running_loop())
        self._next = Feed(self._pull, self._news)
        call.on_done(self._close)

    def __aiter__(self) -> Inbox:
        return self

    def __anext__(self) -> Awaitable[Any]:
        return self._next

    def add(self, item: bytes) -> None:
        """One more has come. Raises MalformedInput after the end."""
        if self._over is not None:
            if self._over is StopAsyncIteration:
                raise MalformedInput(f"the stream {self._id} has ended")
            return
        if len(self._items) + self._taken >= INBOX:
            self._stop(ResourceExhausted(f"more than {INBOX} items without credit", reason=CREDIT_EXCEEDED))
        else:
            try:
                self._session.keep(len(item))
            except RpcError as error:
                self._stop(error)
            else:
                self._items.append(item)
        self._waiter.wake()

    def end(self) -> None:
        """No more come."""
        if self._over is None:
            self._over = StopAsyncIteration
            self._waiter.wake()

    def fail(self, error: RpcError) -> None:
        """Raise it after the items that are there."""
        if self._over is None:
            self._over = error
            self._waiter.wake()

    def _news(self) -> Waiter:
        return self._waiter

    def _pull(self) -> Any:
        if not self._items:
            if self._over is not None:
                raise self._over
            return PENDING
        item = self._items.popleft()
        self._session.let_go_of(len(item))
        self._taken += 1
        if self._taken >= INBOX // 2 and self._over is None:
            self._session.give_credit(self._id, self._taken)
            self._taken = 0
        if self._counts and self._call is not None:
            self._call.moved += 1
        return self._session.decoded(self._decode, item)

    def _stop(self, error: Exception) -> None:
        for item in self._items:
            self._session.let_go_of(len(item))
        self._items.clear()
        self._over = error

    def _close(self, call: Call, error: RpcError | None) -> None:
        """The call is over: let go of what has come, and of what refers back here."""
        self._stop(Cancelled("the call is over"))
        self._call = None
        self._next = _CLOSED


def _raise_over() -> Any:
    raise Cancelled("the call is over")


def _no_news() -> Any:
    raise AssertionError("there is nothing to wait for")


_CLOSED = Feed(_raise_over, _no_news)
