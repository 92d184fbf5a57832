"""Calls of a channel over a WebSocket: what outlives a connection, and what each sees of it."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import AsyncIterator, Callable
from time import monotonic
from typing import TYPE_CHECKING, Any, Protocol

from polywire.client.options import CallOptions
from polywire.client.remote import Terms
from polywire.codec import Format, method_codec
from polywire.codec.results import WrongResult
from polywire.errors import Cancelled, Code, DeadlineExceeded, Internal, InvalidInput, RpcError, Unavailable
from polywire.schema.types import Method, MethodKind
from polywire.wire.headers import Headers

if TYPE_CHECKING:
    from polywire.client.socket.session import Session

CONNECTION_LOST = "CONNECTION_LOST"
"""The reason of UNAVAILABLE where a call was sent and its connection lost: nobody knows whether it has run."""


class Link(Protocol):
    """One connection, of whatever kind. It tells its calls what comes for them."""

    format: Format
    """Of payloads."""
    calls: dict[int, SocketCall]
    """Under way on it."""

    @property
    def is_full(self) -> bool:
        """No more calls may begin."""

    def start(self, call: SocketCall) -> None: ...

    def item(self, call: SocketCall, payload: bytes) -> None:
        """Send one item of the call's own stream, for which there is credit."""

    def end(self, call: SocketCall) -> None:
        """End that stream."""

    def credit(self, call: SocketCall, count: int) -> None:
        """Let the server send so many more items."""

    def cancel(self, call: SocketCall) -> None:
        """Nobody is interested in it any more."""

    async def drained(self) -> None:
        """Wait until the server takes what is queued for it."""

    def close(self) -> None: ...


class SocketCall:
    """One call, from its beginning to its end, over as many connections as that takes.

    It is sent again where nothing is known to have been done by it: it was not sent, its method only asks or may be
    repeated, or it goes on after a position.
    """

    def __init__(
        self,
        session: Session,
        method: Method,
        options: CallOptions,
        value: Any,
        items: AsyncIterator[Any] | None,
        after: str | None = None,
    ) -> None:
        self.session = session
        self.method = method
        self.id = 0
        """On its connection."""
        self.link: Link | None = None
        self.window = session.settings.window
        self.position = after
        """Of the last item that was read."""
        self.after = after
        """Of the last item that has come: what the call goes on after."""
        self.terms = Terms(options)
        self.may_send = 0
        """Items of our own stream for which there is credit."""
        self._received = options.received
        self._value = value
        self._items = items
        self._payloads: dict[Format, bytes] = {}
        self._decode: Callable[[bytes], Any] | None = None
        self._results: deque[tuple[Any, str | None]] = deque()
        self._taken = 0
        """Items that were read since credit was given."""
        self._error: BaseException | None = None
        """What is raised after the results."""
        self._waiter: asyncio.Future[None] | None = None
        self._credit: asyncio.Event = asyncio.Event()
        self._sending: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._got_any = False
        self._setbacks = 0
        """Times in a row that it had to come back."""
        self._roomy = asyncio.Event()
        self.terms.check()
        if self.terms.deadline is not None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(self.terms.deadline - monotonic(), self._expire)
        # Before anything is sent, as it would be refused all the same.
        if items is None:
            self.payload(Format.PROTOBUF)

    @property
    def is_over(self) -> bool:
        return self._error is not None

    @property
    def is_resumable(self) -> bool:
        """It can go on over another connection with nothing lost or doubled."""
        return self._items is None and self.method.tracked and self.after is not None

    def payload(self, form: Format) -> bytes:
        """The input as it is sent. Raises InvalidInput for what breaks its schema."""
        found = self._payloads.get(form)
        if found is None:
            found = self._payloads[form] = self._encoded(form, self._value)
        return found

    def _encoded(self, form: Format, value: Any) -> bytes:
        try:
            return method_codec(self.method, form).encode_input(value)
        except WrongResult as error:
            raise InvalidInput(str(error)) from None

    # What the link tells.

    def begun(self, link: Link, id: int, may_send: int) -> None:
        """It has been sent on a connection."""
        self.link, self.id = link, id
        self._decode = method_codec(self.method, link.format).decode_result
        self._taken = 0
        self.may_send = may_send
        if self._items is not None:
            self._sending = self.session.spawn(self._send(link, self._items))

    def result(self, payload: bytes, metadata: dict[str, str]) -> None:
        self._hand_on(payload, None)
        self.end(metadata)

    def next(self, payload: bytes, position: str | None) -> None:
        self._got_any = True
        self._setbacks = 0
        if position is not None:
            self.after = position
        self._hand_on(payload, position)

    def overrun(self) -> None:
        """The server has sent an item that it had no credit for."""
        self._stop(Internal("the server sends more than it has credit for"))

    def _hand_on(self, payload: bytes, position: str | None) -> None:
        assert self._decode is not None
        try:
            self._results.append((self._decode(payload), position))
        except RpcError as error:
            self._stop(Internal(f"the server's answer is wrong: {error.message}"))
        self._wake()

    def end(self, metadata: dict[str, str]) -> None:
        if self._received is not None:
            self._received.trailers = Headers(list(metadata.items()))
        self._finish(StopAsyncIteration())

    def failed(self, error: RpcError) -> None:
        """The server has ended it with an error."""
        if error.code == Code.UNAVAILABLE and self.is_resumable:
            # It was slow, or the server goes: it comes back, as a browser would.
            self._leave_link()
            self.session.again(self, self._pause_s())
            return
        self._finish(error)

    def credited(self, count: int) -> None:
        self.may_send += count
        self._credit.set()

    def lost(self, *, seen: bool = True, pause: bool = False) -> None:
        """The connection is gone. seen: False: the server has not looked at it. pause: wait before coming back."""
        self._leave_link()
        if self.is_over:
            return
        asks = self.method.kind is MethodKind.QUERY or self.method.idempotent
        resumes = self.is_resumable or (self.method.tracked and self._items is None)
        if self._items is None and (not seen or resumes or (asks and not self._got_any)):
            self.session.again(self, self._pause_s() if pause else 0.0)
        else:
            self._finish(Unavailable("the connection was lost", reason=CONNECTION_LOST))

    def _pause_s(self) -> float:
        """Full jitter, below a bound that doubles until an item comes."""
        settings = self.session.settings
        bound: float = min(settings.backoff_s * 2**self._setbacks, settings.max_backoff_s)
        self._setbacks = min(self._setbacks + 1, 30)
        return bound * random.random()  # noqa: S311 -- no secret

    def fail(self, error: BaseException) -> None:
        """End it here, whatever the server does."""
        self._finish(error)

    @property
    def room(self) -> int:
        """How many items more may wait to be read."""
        return max(0, self.window - len(self._results))

    async def has_room(self) -> None:
        """Wait until fewer items than `window` wait to be read."""
        while not self.room and not self.is_over:
            self._roomy.clear()
            await self._roomy.wait()

    # What its caller does.

    async def one(self) -> Any:
        """The one result."""
        try:
            return await self.read()
        except StopAsyncIteration:
            raise Internal("the server answered without a message") from None

    async def read(self) -> Any:
        """The next item. Raises StopAsyncIteration at the end, and the RpcError that it ends with."""
        while not self._results:
            if self._error is not None:
                raise self._error
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            except asyncio.CancelledError:
                self.stop()
                raise
            finally:
                self._waiter = None
        value, position = self._results.popleft()
        if position is not None:
            self.position = position
        self._roomy.set()
        self._taken += 1
        if self._taken * 2 >= self.window and self.link is not None:
            self.link.credit(self, self._taken)
            self._taken = 0
        return value

    def stop(self) -> None:
        """Cancel it, here and at the server."""
        self._stop(Cancelled("the call was cancelled"))

    def _expire(self) -> None:
        self._stop(DeadlineExceeded("the deadline has passed"))

    def _stop(self, error: RpcError) -> None:
        if self.is_over:
            return
        if self.link is not None:
            self.link.cancel(self)
        self._finish(error)

    def _finish(self, error: BaseException) -> None:
        if self.is_over:
            return
        self._error = error
        if self._timer is not None:
            self._timer.cancel()
        self._leave_link()
        self.session.ended(self)
        self._roomy.set()
        self._wake()

    def _leave_link(self) -> None:
        link, self.link = self.link, None
        if link is not None:
            link.calls.pop(self.id, None)
        sending, self._sending = self._sending, None
        if sending is not None and sending is not asyncio.current_task():
            sending.cancel()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def _send(self, link: Link, items: AsyncIterator[Any]) -> None:
        """Send what the caller's own stream gives, as there is credit for it."""
        try:
            async for item in items:
                payload = self._encoded(link.format, item)
                while not self.may_send:
                    self._credit.clear()
                    await self._credit.wait()
                self.may_send -= 1
                link.item(self, payload)
                await link.drained()
            link.end(self)
        except asyncio.CancelledError:
            raise
        except Exception as error:
            # It is the caller's own, and reaches it as it is.
            if self.link is not None:
                self.link.cancel(self)
            self._finish(error)
        finally:
            close = getattr(items, "aclose", None)
            if close is not None:
                await close()
