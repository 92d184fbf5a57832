"""Calls that are a stream in one direction or both."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Generator
from time import monotonic
from typing import Any

from polywire.client.connection import Connection
from polywire.client.options import CallOptions
from polywire.client.outcome import error_of_answer, error_of_code, error_of_head, unreadable
from polywire.client.pool import Pool
from polywire.client.remote import CANCEL, Remote, Terms
from polywire.errors import Cancelled, DeadlineExceeded, Internal, RpcError
from polywire.protocols.rpc.framing import decompressed, message_splitter
from polywire.runtime.metadata import Metadata
from polywire.wire.headers import Headers
from polywire.wire.http2_client import REFUSED, ClientStream

_REPLAYED_BYTES = 64 * 1024
"""What has been sent of a client stream is kept up to this size, until the server answers: it may have refused it."""


class StreamCall:
    """The state of one call; `ClientReceiver`. It starts with the first `next`.

    It does not know the object that its caller holds: when that is dropped, the call is abandoned.
    """

    def __init__(
        self, pool: Pool, remote: Remote, options: CallOptions, message: bytes | None, items: AsyncIterable[Any] | None
    ) -> None:
        self.ready: list[tuple[int, bytes]] = []
        """Complete messages, the next one last."""
        self.error: BaseException | None = None
        """What ends the call on this side: it is raised at once, whatever was received."""
        self.over = False
        """The caller has been told how it ended."""
        self._pool = pool
        self._remote = remote
        self._options = options
        self._items = items
        self._replay: list[bytes] | None = [] if message is None else [message]
        self._replay_bytes = 0
        self._sent_all = message is not None
        self._terms: Terms | None = None
        self._stream: ClientStream | None = None
        self._connection: Connection | None = None
        self._heard_before = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._writable: asyncio.Future[None] | None = None
        self._sender: asyncio.Task[None] | None = None
        self._splitter = message_splitter(pool.settings.max_response_bytes)
        self._uncredited = 0
        self._status = 0
        self._headers: Metadata = Headers()
        self._trailers: Metadata | None = None
        self._ended = False
        self._code: int | None = None
        self._retried = False

    # The caller's side.

    async def next(self) -> Any:
        """The next message. Raises StopAsyncIteration at the end, and whatever ends the call otherwise.

        Cancelled, it cancels the call.
        """
        if self.over:
            raise StopAsyncIteration
        if self._waiter is not None:
            raise RuntimeError(f"{self._remote.method.full_name}: the stream is being read already")
        try:
            await self._fill()
            return self.pop()
        except asyncio.CancelledError:
            self.abandon()
            raise
        except BaseException:
            self.abandon()
            await self.settle()
            raise

    def pop(self) -> Any:
        compressed, data = self.ready.pop()
        try:
            if compressed:
                data = decompressed(data, self._pool.settings.max_response_bytes, self._headers.get("grpc-encoding"))
            return self._remote.decode(data)
        except RpcError as error:
            self.abandon()
            raise unreadable(error) from None

    def abandon(self) -> None:
        """The call is over for its caller: what still runs of it is cancelled."""
        self.over = True
        self.ready.clear()
        if self._timer is not None:
            self._timer.cancel()
        if self._stream is not None:
            self._stream.reset(CANCEL)
        if self._sender is not None:
            self._sender.cancel()

    def abandon_from_anywhere(self) -> None:
        """As `abandon`, for a finalizer: those run in whichever thread collects."""
        loop = self._pool.loop
        if self._stream is None or self.over or loop.is_closed():
            return
        if asyncio._get_running_loop() is loop:
            self.abandon()
        else:
            loop.call_soon_threadsafe(self.abandon)

    async def settle(self) -> None:
        """Wait until nothing reads from the caller's iterator any more."""
        if self._sender is not None and not self._sender.done():
            await asyncio.wait([self._sender])

    async def _fill(self) -> None:
        """Return when there is a message; raise when there is none to come."""
        if self._stream is None:
            await self._begin()
        while not self.ready or self.error is not None:
            stream = self._stream
            assert stream is not None
            if self.error is not None:
                raise self.error
            if self._splitter.error is not None:
                raise unreadable(self._splitter.error)
            if self._splitter.waiting:
                self.ready = self._splitter.feed(b"")
                self.ready.reverse()
                continue
            if self._uncredited:
                # Everything has been consumed: now the server may send more.
                stream.grant(self._uncredited)
                self._uncredited = 0
            part = stream.take()
            if part:
                self._uncredited = len(part)
                self.ready = self._splitter.feed(part)
                self.ready.reverse()
            elif self._code is not None:
                if not self._may_retry():
                    raise self._broken_off(self._code)
                self._retried = True
                await self._begin()
            elif self._ended:
                raise self._outcome()
            else:
                self._waiter = self._pool.loop.create_future()
                try:
                    await self._waiter
                finally:
                    self._waiter = None

    async def _begin(self) -> None:
        terms = self._terms
        if terms is None:
            terms = self._terms = Terms(self._options)
        terms.check()
        connection = self._pool.take()
        if connection is None:
            connection = await self._pool.acquire(terms.wait_for_ready, terms.deadline)
        if terms.deadline is not None and self._timer is None:
            self._timer = self._pool.loop.call_later(terms.deadline - monotonic(), self._expire)
        self._code = None
        self._connection = connection
        self._heard_before = connection.heard_at
        body = b"".join(self._replay or ())
        head = self._remote.head(terms.gzip)
        self._stream = connection.open(self, head, terms.fields(), body, self._sent_all)
        if self._items is not None and self._sender is None:
            self._sender = self._pool.spawn(self._send(self._items, terms.gzip))
        self.on_writable()

    def _may_retry(self) -> bool:
        """Whether no handler has seen the call (RFC 9113 §8.7), and all that was sent can be sent again."""
        return self._code == REFUSED and not self._retried and self._replay is not None and not self._pool.closed

    def _broken_off(self, code: int) -> RpcError:
        if self._pool.closed:
            return Cancelled("the channel is closed")
        if self._terms is not None and self._terms.expired:
            return DeadlineExceeded("the deadline has passed")
        return error_of_code(code)

    def _outcome(self) -> Exception:
        error = error_of_answer(self._status, self._headers, self._trailers)
        if error is not None:
            return error
        self._splitter.end()
        return StopAsyncIteration() if self._splitter.error is None else unreadable(self._splitter.error)

    # What the engine tells.

    def on_head(self, status: int, headers: Metadata, /) -> None:
        self._replay = None
        self._status = status
        self._headers = headers
        if self._options.received is not None:
            self._options.received.metadata = headers
        error = error_of_head(status, headers)
        if error is not None:
            self._fail(error)

    def on_readable(self) -> None:
        self._wake()

    def on_end(self, trailers: Metadata | None, /) -> None:
        self._ended = True
        self._trailers = trailers
        if self._options.received is not None:
            self._options.received.trailers = self._headers if trailers is None else trailers
        if self._sender is not None:
            self._sender.cancel()
        self._wake()

    def on_gone(self, code: int, /) -> None:
        self._code = code
        if self._sender is not None and not self._may_retry():
            self._sender.cancel()
        self._wake()

    def on_writable(self) -> None:
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _expire(self) -> None:
        if self._ended:
            return  # it has been answered in time; the caller may read on
        connection = self._connection
        if connection is not None and connection.heard_at == self._heard_before:
            connection.probe()
        self._fail(DeadlineExceeded("the deadline has passed"))

    def _fail(self, error: BaseException) -> None:
        """End the call from this side."""
        if self.error is None:
            self.error = error
        if self._stream is not None:
            self._stream.reset(CANCEL)
        if self._sender is not None and self._sender is not asyncio.current_task(self._pool.loop):
            self._sender.cancel()
        self._wake()

    # Sending what the caller's iterator gives.

    async def _send(self, items: AsyncIterable[Any], gzip: bool) -> None:
        iterator = aiter(items)
        try:
            async for item in iterator:
                await self._put(self._remote.frame(item, gzip))
            self._sent_all = True
            if self._stream is not None:
                self._stream.send_end()
        except asyncio.CancelledError:
            if self.error is None and self._code is None and not self._ended and not self.over:
                self._fail(Cancelled("what gives the messages to send was cancelled"))
            raise
        except Exception as error:
            self._fail(error)
        finally:
            await self._close(iterator)

    async def _close(self, iterator: AsyncIterator[Any]) -> None:
        close = getattr(iterator, "aclose", None)
        if close is not None:
            try:
                await close()
            except Exception as error:
                self._fail(error)

    async def _put(self, data: bytes) -> None:
        """Queue a message, and wait while too much is queued."""
        while self._code is not None:
            await self._pause()
        if self._replay is not None:
            self._replay.append(data)
            self._replay_bytes += len(data)
            if self._replay_bytes > _REPLAYED_BYTES:
                self._replay = None
        assert self._stream is not None
        if not self._stream.send_data(data):
            await self._pause()

    async def _pause(self) -> None:
        """Until the stream takes more, or there is another one."""
        self._writable = self._pool.loop.create_future()
        try:
            await self._writable
        finally:
            self._writable = None


class Responses:
    """The messages of a call, `async for`. Dropped or closed before the end, it cancels the call.

    The call starts with the first message that is asked for. Awaited, it gives itself: methods may be declared either
    way.
    """

    __slots__ = ("__weakref__", "_call")

    def __init__(self, call: StreamCall) -> None:
        self._call = call

    def __aiter__(self) -> Responses:
        return self

    async def __anext__(self) -> Any:
        call = self._call
        if call.ready and call.error is None:
            return call.pop()
        return await call.next()

    def __await__(self) -> Generator[Any, None, Responses]:
        return self
        yield

    async def aclose(self) -> None:
        """Cancel the call if it has not ended; returns when nothing of it runs any more."""
        if not self._call.over:
            self._call.abandon()
        await self._call.settle()

    def __del__(self) -> None:
        self._call.abandon_from_anywhere()


async def call_client_stream(call: StreamCall) -> Any:
    """The one answer of a client stream."""
    try:
        result = await call.next()
    except StopAsyncIteration:
        raise Internal("the server answered OK without a message") from None
    try:
        await call.next()
    except StopAsyncIteration:
        return result
    call.abandon()
    await call.settle()
    raise Internal("the server answered with more than one message")
