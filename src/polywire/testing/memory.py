"""An in-memory transport at the waist: requests go to the site and answers come back, with no socket and no HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from polywire.wire.headers import HeaderBlock, Headers
from polywire.wire.sink import Receiver

HIGH_WATER_BYTES = 64 * 1024


@dataclass(slots=True)
class Answer:
    """A finished HTTP answer."""

    status: int
    headers: Headers
    body: bytes
    trailers: Headers = field(default_factory=Headers)
    informed: list[tuple[int, Headers]] = field(default_factory=list)
    """Interim answers (1xx) that came before."""

    @property
    def text(self) -> str:
        return self.body.decode()

    def json(self) -> Any:
        """The body parsed as JSON. Raises msgspec.DecodeError."""
        return msgspec.json.decode(self.body)


class MemorySink:
    """A `Sink` whose peer is a test: its request is given whole or piece by piece, its answer is gathered.

    body: the whole body, or None for a request that ends with its head; more=True leaves the body open for `feed`.
    """

    def __init__(
        self,
        method: str,
        target: str,
        headers: Iterable[tuple[str, str]] = (),
        body: bytes | None = None,
        *,
        version: str = "1.1",
        more: bool = False,
    ) -> None:
        self.method = method
        self.scheme = "http"
        self.target = target
        self.version = version
        self.tunnel: str | None = None
        self.headers = Headers(headers)
        self.authority = self.headers.get("host") or "testserver"
        self.trailers: Headers | None = None
        self.has_body = body is not None or more
        self.content_length = -1 if body is None or more else len(body)
        self.ended = not more
        self.closed = False
        self.buffered_out_bytes = 0
        self.receiver: Receiver | None = None
        self.body_timed = True
        self.granted_bytes = 0
        self.reset_code: int | None = None
        self.paused = False
        """True: `send_data` reports back-pressure until `resume`."""
        self._incoming = bytearray(body or b"")
        self._answer = Answer(0, Headers(), b"")
        self._parts: list[bytes] = []
        self._done: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._news = asyncio.Event()

    # What the site calls.

    @property
    def buffered_in_bytes(self) -> int:
        return len(self._incoming)

    def take(self) -> bytes:
        taken = bytes(self._incoming)
        self._incoming.clear()
        return taken

    def grant(self, count_bytes: int) -> None:
        self.granted_bytes += count_bytes

    def respond(
        self,
        status: int,
        block: HeaderBlock,
        body: bytes,
        extra: tuple[tuple[bytes, bytes], ...] = (),
        trailers: HeaderBlock | None = None,
    ) -> None:
        if self.closed:
            return
        self.send_head(status, block, extra)
        self._parts.append(b"" if self.method == "HEAD" else body)
        self.send_end(trailers)

    def send_head(self, status: int, block: HeaderBlock, extra: tuple[tuple[bytes, bytes], ...] = ()) -> MemorySink:
        headers = _received((*block.pairs, *extra))
        if 100 <= status < 200 and status != 101:
            self._answer.informed.append((status, headers))
            return self
        self._answer.status = status
        self._answer.headers = headers
        self._news.set()
        return self

    def send_data(self, data: bytes) -> bool:
        if self.closed:
            return True
        self._parts.append(data)
        self.buffered_out_bytes += len(data) if self.paused else 0
        self._news.set()
        return self.buffered_out_bytes < HIGH_WATER_BYTES

    def send_end(self, trailers: HeaderBlock | None = None) -> None:
        if self.closed:
            return
        self.closed = True
        self._answer.body = b"".join(self._parts)
        if trailers is not None:
            self._answer.trailers = _received(trailers.pairs)
        self._news.set()
        if not self._done.done():
            self._done.set_result(self._answer)

    def reset(self, code: int) -> None:
        if self.closed:
            return
        self.reset_code = code
        self._break_off(f"the exchange was reset with code {code}")

    # What the test calls.

    @property
    def status(self) -> int:
        """Of the answer, once its head is there; else 0."""
        return self._answer.status

    @property
    def sent_headers(self) -> Headers:
        """Of the answer's head, where that is there."""
        return self._answer.headers

    async def answer(self) -> Answer:
        """Wait for the whole answer. Raises ConnectionResetError if the exchange is broken off.

        Its body lacks what `received` has taken. May be awaited again, also after a cancellation.
        """
        return await asyncio.shield(self._done)

    async def headed(self) -> int:
        """Wait for the head of the answer; its status. Raises ConnectionResetError if the exchange is broken off."""
        while not self._answer.status:
            if self.closed:
                await self.answer()
            self._news.clear()
            await self._news.wait()
        return self._answer.status

    async def received(self) -> bytes:
        """Wait for body bytes and take those that came; b"" once the answer is complete."""
        while not self._parts and not self.closed:
            self._news.clear()
            await self._news.wait()
        taken = b"".join(self._parts)
        self._parts.clear()
        return taken

    def feed(self, data: bytes, *, end: bool = False, trailers: Sequence[tuple[str, str]] = ()) -> None:
        """Let more of the request's body arrive."""
        self._incoming += data
        self.ended = self.ended or end
        if trailers:
            self.trailers = Headers(trailers)
        if self.receiver is not None:
            self.receiver.on_readable()

    def resume(self) -> None:
        """Let the peer read everything that is queued."""
        self.paused = False
        self.buffered_out_bytes = 0
        if self.receiver is not None:
            self.receiver.on_writable()

    def leave(self) -> None:
        """Let the peer go away: `answer` raises from now on. Does nothing once the answer is complete."""
        if self.closed:
            return
        self._break_off("the peer has left")
        if self.receiver is not None:
            self.receiver.on_gone()

    def _break_off(self, why: str) -> None:
        self.closed = True
        self._news.set()
        if not self._done.done():
            self._done.set_exception(ConnectionResetError(why))
            # Looked at, so that nobody is warned where no test waits for the answer.
            self._done.exception()


def _received(pairs: Iterable[tuple[bytes, bytes]]) -> Headers:
    return Headers([(name.decode("latin-1"), value.decode("latin-1")) for name, value in pairs])
