"""One message out, one message in."""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import Any

from polywire.client.options import CallOptions
from polywire.client.outcome import error_of_answer, error_of_code, error_of_head, unreadable
from polywire.client.pool import Pool
from polywire.client.remote import CANCEL, Remote, Terms
from polywire.errors import TOO_LARGE, Cancelled, DeadlineExceeded, ResourceExhausted, RpcError
from polywire.protocols.rpc.framing import PREFIX_BYTES, read_prefix, unframe_one
from polywire.runtime.metadata import Metadata
from polywire.wire.http2_client import REFUSED, ClientStream


class UnaryAttempt:
    """Collects the answer of one request; `ClientReceiver`."""

    __slots__ = ("body", "code", "done", "error", "headers", "limit", "parts", "size", "status", "stream", "trailers")

    stream: ClientStream
    headers: Metadata
    trailers: Metadata | None

    def __init__(self, done: asyncio.Future[None], limit_bytes: int) -> None:
        self.done = done
        self.limit = limit_bytes
        self.body = b""
        self.parts: list[bytes] | None = None
        self.size = 0
        self.status = 0
        self.code: int | None = None
        """Where the answer was broken off."""
        self.error: RpcError | None = None

    def on_head(self, status: int, headers: Metadata, /) -> None:
        self.status = status
        self.headers = headers
        error = error_of_head(status, headers)
        if error is not None:
            self._give_up(error)

    def on_readable(self) -> None:
        part = self.stream.take()
        self.size += len(part)
        if self.size > self.limit + PREFIX_BYTES:
            self._give_up(ResourceExhausted(f"the answer is larger than {self.limit} bytes", reason=TOO_LARGE))
        elif not self.body:
            self.body = part
        elif self.parts is None:
            self.parts = [self.body, part]
        else:
            self.parts.append(part)
        if not self.stream.ended:
            if len(self.body) >= PREFIX_BYTES and self.parts is None:
                try:
                    read_prefix(self.body, self.limit)
                except RpcError as error:
                    self._give_up(unreadable(error))
            self.stream.grant(len(part))

    def on_end(self, trailers: Metadata | None, /) -> None:
        self.trailers = trailers
        self._finish()

    def on_gone(self, code: int, /) -> None:
        self.code = code
        self._finish()

    def on_writable(self) -> None:
        """The one message is queued as a whole."""

    def expire(self) -> None:
        if not self.done.done():
            self._give_up(DeadlineExceeded("the deadline has passed"))

    def whole(self) -> bytes:
        return self.body if self.parts is None else b"".join(self.parts)

    def _give_up(self, error: RpcError) -> None:
        self.error = error
        self.stream.reset(CANCEL)
        self._finish()

    def _finish(self) -> None:
        if not self.done.done():
            self.done.set_result(None)


async def call_unary(pool: Pool, remote: Remote, message: bytes, options: CallOptions) -> Any:
    """Make the call and give its result. Raises the RpcError that it ends with; cancelled, it cancels the call."""
    terms = Terms(options)
    attempt = await _attempt(pool, remote, message, terms)
    if attempt.code == REFUSED and not pool.closed:
        # No handler has seen it (RFC 9113 §8.7): once more, whatever the method does.
        attempt = await _attempt(pool, remote, message, terms)
    received = options.received
    if received is not None and attempt.status:
        received.metadata = attempt.headers
        if attempt.code is None and attempt.error is None:
            received.trailers = attempt.headers if attempt.trailers is None else attempt.trailers
    if attempt.error is not None:
        raise attempt.error
    if attempt.code is not None:
        if pool.closed:
            raise Cancelled("the channel is closed")
        raise DeadlineExceeded("the deadline has passed") if terms.expired else error_of_code(attempt.code)
    trailers = attempt.trailers
    if trailers is None or trailers.get("grpc-status") != "0":
        error = error_of_answer(attempt.status, attempt.headers, trailers)
        if error is not None:
            raise error
    try:
        return remote.decode(unframe_one(attempt.whole(), attempt.limit, attempt.headers.get("grpc-encoding")))
    except RpcError as error:
        raise unreadable(error) from None


async def _attempt(pool: Pool, remote: Remote, message: bytes, terms: Terms) -> UnaryAttempt:
    terms.check()
    connection = pool.take()
    if connection is None:
        connection = await pool.acquire(terms.wait_for_ready, terms.deadline)
    deadline = terms.deadline
    done = pool.loop.create_future()
    attempt = UnaryAttempt(done, pool.settings.max_response_bytes)
    extra = terms.fields()
    timer = None
    if deadline is not None:
        timer = pool.loop.call_later(deadline - monotonic(), attempt.expire)
    started = connection.heard_at
    attempt.stream = connection.open(attempt, remote.head(terms.gzip), extra, message, True)
    try:
        await done
    except asyncio.CancelledError:
        attempt.stream.reset(CANCEL)
        raise
    finally:
        if timer is not None:
            timer.cancel()
    if isinstance(attempt.error, DeadlineExceeded) and connection.heard_at == started:
        connection.probe()
    return attempt
