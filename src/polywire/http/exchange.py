"""One HTTP request and its answer, whatever the HTTP version."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from time import monotonic_ns
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from polywire.errors import TOO_LARGE, UNSUPPORTED_MEDIA_TYPE, ResourceExhausted, RpcError, Unimplemented
from polywire.http.compression import ACCEPTED, SMALLEST_COMPRESSED_BYTES, choose_coding, compress, decompress
from polywire.request_id import request_id
from polywire.tasks.eager import Waiter
from polywire.wire.headers import HeaderBlock

if TYPE_CHECKING:
    from polywire.tasks.turns import Turns
    from polywire.wire.headers import Headers
    from polywire.wire.sink import Sink

T = TypeVar("T")
_NO_FIELDS = HeaderBlock()
Extra = tuple[tuple[bytes, bytes], ...]
_COMPRESSED = ("gzip", "x-gzip", "zstd", "br")
INTERNAL_ERROR = 2
"""What `reset` says of a failure of ours (RFC 9113 §7)."""


class Gone(ConnectionError):
    """The peer has left in the middle of the exchange."""


class Observer(Protocol):
    """Told once when an answer is complete, or broken off by either side: counters and the access log."""

    def __call__(self, exchange: Exchange) -> None: ...


class Writer(Protocol):
    sent_bytes: int


class Budget(Protocol):
    """What may be held of bodies that are not whole yet, by all exchanges together."""

    def hold(self, count_bytes: int, /) -> None:
        """Raises RpcError, having taken nothing, where it is used up."""

    def release(self, count_bytes: int, /) -> None: ...


class Gathering:
    """A body on its way, and whom to tell of it."""

    __slots__ = ("_budget", "_held", "is_whole", "limit_bytes", "parts", "refuse", "size", "then", "turns", "what")

    def __init__(
        self,
        limit_bytes: int,
        then: Callable[[Any, bytes], None],
        refuse: Callable[[Any, RpcError], None],
        what: Any,
        budget: Budget,
        turns: Turns,
    ) -> None:
        self.limit_bytes = limit_bytes
        self.then = then
        self.refuse = refuse
        self.what = what
        self.turns = turns
        self.parts: list[bytes] = []
        self.size = 0
        self.is_whole = False
        """All of it is here, and waits for its turn to be decompressed."""
        self._budget = budget
        self._held = 0

    def hold(self) -> None:
        """Take what has come out of the budget. Raises RpcError where it is used up."""
        self._budget.hold(self.size - self._held)
        self._held = self.size

    def drop(self) -> list[bytes]:
        """The body so far, which is no longer kept here."""
        self._budget.release(self._held)
        self._held = 0
        parts, self.parts = self.parts, []
        return parts


class Exchange:
    """One request and the way to answer it, once.

    Unary: `collect` the body, then `respond`; both work without suspending where the body is here already.
    Streaming: take from `sink` and await `readable`, `start`, `write` and `drain`, `finish`.
    In one loop, never from other threads.
    Text in the head, bytes in the body.
    """

    query = ""
    status = 0
    """Of the answer; 0 before there is one, 499 where the peer left first, 500 where we broke off first."""
    sent_body_bytes = 0
    variables: list[str]
    """The values of the path's variables, in order; set where a route matched."""
    origin_fields: Extra = ()
    """Told with the answer for the sake of the page that asks (`http.origin`)."""
    exposes_fields = False
    """The page may read every field of the answer; a browser wants each named (Fetch §3.2.3)."""
    writer: Writer | None = None
    """Who writes to the sink past `write`, and counts for itself."""
    _request_id: str | None = None
    _gone = False
    _blocked = False
    gathering: Gathering | None = None
    """The body that `collect` waits for; None while it waits for none."""
    _on_gone: Callable[[], None] | None = None
    _readable: Waiter | None = None
    _drained: Waiter | None = None
    _is_draining = False
    _others: list[Waiter] | tuple[()] = ()
    """Of those who wait beside the one at `_drained`."""

    def __init__(self, sink: Sink, peer: Any, observer: Observer | None = None) -> None:
        # Defaults stand in the class: this runs for every request.
        self.sink = sink
        self.peer = peer
        self.method = sink.method
        self.headers: Headers = sink.headers
        target = sink.target
        if "?" in target:
            self.path, _, self.query = target.partition("?")
        else:
            self.path = target
        self.started_ns = monotonic_ns()
        self._observer = observer

    @property
    def authority(self) -> str:
        return self.sink.authority

    @property
    def version(self) -> str:
        """`1.0`, `1.1` or `2`."""
        return self.sink.version

    @property
    def request_id(self) -> str:
        if self._request_id is None:
            self._request_id = request_id(self.headers.get("x-request-id"))
        return self._request_id

    # -- the request's body

    def take_whole(self, limit_bytes: int) -> bytes | None:
        """The whole body where it is here already, uncompressed and within the limit; None: `collect` it."""
        sink = self.sink
        if not sink.has_body:
            return b""
        if not sink.ended or sink.buffered_in_bytes > limit_bytes or "content-encoding" in self.headers:
            return None
        body = sink.take()
        sink.grant(len(body))
        return body

    def collect(
        self,
        limit_bytes: int,
        then: Callable[[T, bytes], None],
        refuse: Callable[[T, RpcError], None],
        what: T,
        budget: Budget,
        turns: Turns,
    ) -> None:
        """Gather the whole body, decompressed, and call then(what, body): at once where it is here already.

        limit_bytes bounds it as sent and as decompressed. budget: for what has come, until it is whole. turns: say when
        it may be decompressed. Instead of `then`, refuse(what, error) is called once for a body that is too large
        (TOO_LARGE), in an unknown coding (UNSUPPORTED_MEDIA_TYPE), broken (MALFORMED) or beyond the budget. Neither is
        called if the peer leaves or is answered first; `gathering` is not None until one is.
        """
        sink = self.sink
        body = self.take_whole(limit_bytes)
        if body is not None:
            then(what, body)
        elif sink.content_length > limit_bytes:
            refuse(what, _too_large(limit_bytes))
        else:
            self.gathering = Gathering(limit_bytes, then, refuse, what, budget, turns)
            sink.receiver = self
            self._gather(self.gathering)

    def _gather(self, gathering: Gathering) -> None:
        sink = self.sink
        part = sink.take()
        gathering.size += len(part)
        now = sink.ended and (gathering.turns.is_open or self._coding() not in _COMPRESSED)
        try:
            if gathering.size > gathering.limit_bytes:
                raise _too_large(gathering.limit_bytes)
            if not now:
                gathering.hold()
        except RpcError as error:
            self._stop_gathering()
            gathering.refuse(gathering.what, error)
            return
        gathering.parts.append(part)
        sink.grant(len(part))
        if now:
            self._decode(gathering)
        elif sink.ended:
            gathering.is_whole = True
            gathering.turns.wait(partial(self._decode_later, gathering))

    def _decode_later(self, gathering: Gathering) -> None:
        if self.gathering is not gathering:
            return  # answered, or the peer has left
        try:
            self._decode(gathering)
        except Exception:
            self.reset(INTERNAL_ERROR)
            raise

    def _decode(self, gathering: Gathering) -> None:
        self.gathering = None
        body = b"".join(gathering.drop())
        try:
            coding = self._coding()
            if coding in _COMPRESSED:
                body = decompress(coding, body, gathering.limit_bytes, gathering.turns.spend)
            elif coding != "identity":
                raise Unimplemented(
                    f"content-encoding {coding[:32]!r} is not supported; use one of {ACCEPTED}",
                    reason=UNSUPPORTED_MEDIA_TYPE,
                    metadata={"accept-encoding": ACCEPTED},
                )
        except RpcError as error:
            gathering.refuse(gathering.what, error)
            return
        gathering.then(gathering.what, body)

    def _coding(self) -> str:
        return (self.headers.get("content-encoding") or "identity").lower()

    def _stop_gathering(self) -> None:
        gathering, self.gathering = self.gathering, None
        if gathering is not None:
            gathering.drop()

    def readable(self) -> Waiter:
        """Await it for news of the body: more of it, its end, or that the peer has left."""
        waiter = self._readable
        if waiter is None:
            waiter = self._readable = Waiter(asyncio.get_running_loop())
            # The engine wakes the reader itself: a call of ours in between shows, once for every message.
            self.on_readable = waiter.wake  # type: ignore[method-assign, assignment]
            sink = self.sink
            sink.receiver = self
            sink.body_timed = False
            sink.grant(0)  # asks for the body where the peer waits to be asked
        return waiter

    # -- the answer

    def respond(
        self,
        status: int,
        block: HeaderBlock,
        body: bytes,
        extra: Extra = (),
        trailers: HeaderBlock | None = None,
        compressible: bool = False,
    ) -> None:
        """The whole answer at once. compressible: the body may be sent in a coding that the caller accepts."""
        if compressible and len(body) >= SMALLEST_COMPRESSED_BYTES:
            accepted = self.headers.get("accept-encoding")
            coding = None if accepted is None else choose_coding(accepted)
            if coding is not None:
                body = compress(coding, body)
                extra = (*extra, (b"content-encoding", coding.encode()))
        if self.origin_fields:
            extra = self._with_origin_fields(block, extra)
        self.status = status
        if self.gathering is not None:
            self._stop_gathering()
        if self._on_gone is not None:
            self._on_gone = None
        self.sent_body_bytes = len(body)
        self.sink.respond(status, block, body, extra, trailers)
        observer = self._observer
        if observer is not None:
            # Once: over HTTP/2 the peer may still leave while the answer waits for its credit.
            self._observer = None
            observer(self)

    def _with_origin_fields(self, block: HeaderBlock, extra: Extra) -> Extra:
        fields = (*extra, *self.origin_fields)
        if self.exposes_fields:
            names = {name for pairs in (block.pairs, extra) for name, _ in pairs}
            if names:
                fields = (*fields, (b"access-control-expose-headers", b", ".join(sorted(names))))
        return fields

    @property
    def is_blocked(self) -> bool:
        """More is queued than the peer takes, and it has not taken enough yet."""
        return self._blocked

    def inform(self, status: int, fields: Extra) -> None:
        """Send an interim answer (1xx), such as 103 Early Hints; without effect once the answer has begun."""
        if not self.status:
            self.sink.send_head(status, _NO_FIELDS, fields)

    def start(self, status: int, block: HeaderBlock, extra: Extra = ()) -> None:
        """Send the head of a streamed answer."""
        if self.origin_fields:
            extra = self._with_origin_fields(block, extra)
        self.status = status
        self.sink = self.sink.send_head(status, block, extra)

    def write(self, data: bytes) -> bool:
        """Queue body bytes; False: above the high-water mark, or the peer has left: await `drain` before more."""
        if self._gone:
            return False
        self.sent_body_bytes += len(data)
        if self.sink.send_data(data):
            return True
        self._blocked = True
        self.sink.receiver = self
        return False

    async def drain(self) -> None:
        """Wait until the peer has taken enough of what is queued; several tasks may. Raises Gone if it leaves."""
        while True:
            if self._gone or self.sink.closed:
                raise Gone("the peer has left")
            if not self._blocked:
                return
            if self._drained is None:
                self._drained = Waiter(asyncio.get_running_loop())
            elif self._is_draining:
                await self._drain_too()
                continue
            self._is_draining = True
            try:
                await self._drained
            finally:
                self._is_draining = False

    async def _drain_too(self) -> None:
        """Several streams share the exchange, and another one waits already."""
        waiter = Waiter(asyncio.get_running_loop())
        self._others = [*self._others, waiter]
        try:
            await waiter
        finally:
            self._others = [other for other in self._others if other is not waiter]

    def finish(self, trailers: HeaderBlock | None = None) -> None:
        """End a streamed answer."""
        self.sink.send_end(trailers)
        self._on_gone = None
        self._observed()

    def reset(self, code: int) -> None:
        """Break the exchange off with an error code of RFC 9113 §7; HTTP/1.1 closes the connection."""
        self._stop_gathering()
        self._on_gone = None
        self.status = self.status or 500
        self.sink.reset(code)
        self._observed()

    def _observed(self) -> None:
        writer, self.writer = self.writer, None
        if writer is not None:
            self.sent_body_bytes += writer.sent_bytes
        observer, self._observer = self._observer, None
        if observer is not None:
            observer(self)

    def on_observed(self, observer: Observer) -> None:
        """Have one more told, before the others, when it is over."""
        last = self._observer

        def both(exchange: Exchange) -> None:
            observer(exchange)
            if last is not None:
                last(exchange)

        self._observer = both

    # -- what the engine tells

    def watch(self, on_gone: Callable[[], None]) -> None:
        """Call on_gone() if the peer leaves before the answer is complete; at once if it has left already."""
        if self._gone:
            on_gone()
            return
        self._on_gone = on_gone
        self.sink.receiver = self

    def on_readable(self) -> None:
        if self.gathering is not None and not self.gathering.is_whole:
            self._gather(self.gathering)

    def on_writable(self) -> None:
        self._blocked = False
        if self._drained is not None:
            self._drained.wake()
            for waiter in self._others:
                waiter.wake()

    def on_gone(self) -> None:
        self._gone = True
        self._stop_gathering()
        self.status = self.status or 499
        self._observed()
        if self._on_gone is not None:
            # First, so that a call that is cancelled hears of that rather than of Gone.
            on_gone, self._on_gone = self._on_gone, None
            on_gone()
        for waiter in (self._readable, self._drained, *self._others):
            if waiter is not None:
                waiter.wake()


def _too_large(limit_bytes: int) -> ResourceExhausted:
    return ResourceExhausted(f"the body is larger than {limit_bytes} bytes", reason=TOO_LARGE)
