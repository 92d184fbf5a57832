"""Streams over REST: newline-delimited JSON in, and out as that or as server-sent events, by `Accept`."""

from __future__ import annotations

from random import uniform
from typing import Any

from polywire.codec import Format, method_codec
from polywire.errors import (
    NOT_ACCEPTABLE,
    UNSUPPORTED_MEDIA_TYPE,
    Code,
    InvalidArgument,
    RpcError,
    Unimplemented,
)
from polywire.http.exchange import Exchange
from polywire.protocols.rest.errors import envelope, respond_error
from polywire.protocols.rest.lines import LineSplitter
from polywire.protocols.rest.negotiation import EVENT_STREAM, NDJSON, accepted_stream, is_ndjson
from polywire.protocols.rest.route import RestRoute
from polywire.protocols.streams import MessageReader, Outgoing
from polywire.runtime._outlet import ExchangeOutlet, SharedBatch
from polywire.runtime.binding import Binding
from polywire.runtime.call import Call
from polywire.runtime.runtime import Runtime
from polywire.schema.types import Method, Route
from polywire.wire import sse
from polywire.wire.headers import HeaderBlock

UNBUFFERED = [("cache-control", "no-cache, no-transform"), ("x-accel-buffering", "no"), ("vary", "accept")]
"""A proxy that keeps a stream back, to compress it, say, would end it in effect."""
_BLOCKS = {
    NDJSON: HeaderBlock([("content-type", NDJSON), ("x-content-type-options", "nosniff"), *UNBUFFERED]),
    EVENT_STREAM: HeaderBlock([("content-type", EVENT_STREAM), *UNBUFFERED]),
}
_EMPTY = HeaderBlock()
_WORTH_ANOTHER_TRY = frozenset({Code.UNAVAILABLE, Code.DEADLINE_EXCEEDED, Code.ABORTED, Code.RESOURCE_EXHAUSTED})
"""After these a browser may connect again by itself; after every other error it is told to stay away."""


class ClientStreamRoute(RestRoute):
    """A route whose request is a stream and whose answer is one value."""

    __slots__ = ("_decode",)

    def __init__(self, runtime: Runtime, binding: Binding, method: Method, route: Route) -> None:
        super().__init__(runtime, binding, method, route)
        self._decode = method_codec(method, Format.PLAIN_JSON).decode_input

    def _take_input(self, call: Call, exchange: Exchange) -> None:
        if not take_lines(self._runtime, call, exchange, self._limit, self._decode):
            self._refuse(call, _not_ndjson())
            return
        self._launch(call)


class ServerStreamRoute(RestRoute):
    """A route whose answer is a stream. `call.state` is a `Streaming` once the call runs."""

    __slots__ = ("_emit", "_event", "_event_key", "_method_input")

    def __init__(self, runtime: Runtime, binding: Binding, method: Method, route: Route) -> None:
        super().__init__(runtime, binding, method, route)
        self._status = method.status or 200
        self._emit = self._send
        self._event_key = (EVENT_STREAM, method.event)
        self._event = method.event
        codec = method_codec(method, Format.PLAIN_JSON)
        self._method_input = codec.decode_input if method.shape.client_streaming else None

    def _check_accept(self, accept: str) -> None:
        if accepted_stream(accept) is None:
            raise InvalidArgument(f"the answer can only be {NDJSON} or {EVENT_STREAM}", reason=NOT_ACCEPTABLE)

    def _take_input(self, call: Call, exchange: Exchange) -> None:
        form = accepted_stream(exchange.headers.get("accept") or "*/*") or NDJSON
        if form == EVENT_STREAM and call.resume_after == sse.END_ID:
            # Told by no handler: the stream that this browser followed is over.
            exchange.respond(204, _EMPTY, b"", (_request_id(call),))
        elif exchange.method == "HEAD":
            # Not at once: that would tell a length (RFC 9110 §8.6).
            exchange.start(self._status, _BLOCKS[form], (_request_id(call),))
            exchange.finish()
        elif self._method_input is None:
            super()._take_input(call, exchange)
        elif take_lines(self._runtime, call, exchange, self._limit, self._method_input):
            self._launch(call)
        else:
            self._refuse(call, _not_ndjson())

    def _launch(self, call: Call) -> None:
        exchange: Exchange = call.state
        form = accepted_stream(exchange.headers.get("accept") or "*/*") or NDJSON
        call.state = streaming = Streaming(exchange, self._status, form, self._runtime.app.sse_retry_s)
        call.send_head = streaming.start
        if form == EVENT_STREAM:
            call.outlet = streaming.outlet = ExchangeOutlet(exchange, self._events)
            streaming.outlet_key = self._event_key
        self._runtime.dispatch_stream(call, self._emit, streaming.drained, self._done)
        if call.answered:
            return
        if form == EVENT_STREAM:
            streaming.call = call
            self._runtime.heartbeats.add(streaming)
            call.on_done(self._hush)
        if not self._binding.finish_on_disconnect:
            exchange.watch(call.cancel)

    def _hush(self, call: Call, error: RpcError | None) -> None:
        streaming: Streaming = call.state
        self._runtime.heartbeats.discard(streaming)
        streaming.call = None

    def _send(self, call: Call, item: Any, id: str | None = None, /) -> bool:
        streaming: Streaming = call.state
        value = self._encode(item)
        if not streaming.started:
            streaming.start(call)
        if streaming.form == EVENT_STREAM:
            return streaming.exchange.write(sse.event(value, name=self._event, id=id))
        return streaming.exchange.write(value + b"\n")

    def _events(self, batch: SharedBatch) -> bytes:
        """The same for every reader, positions and all."""
        return b"".join(sse.event(self._encode(item), name=self._event, id=id) for item, id in batch.items)

    def _answer(self, call: Call, value: Any, error: RpcError | None) -> None:
        """The end of the stream, or its error."""
        streaming: Streaming | Exchange = call.state
        if isinstance(streaming, Exchange):
            assert error is not None, "a stream that never ran can only be refused"
            respond_error(streaming, error, _extra(call))
        elif error is not None and not streaming.started:
            respond_error(streaming.exchange, error, _extra(call))
        else:
            streaming.start(call)
            last = _last_words(streaming.form, call, error)
            if last:
                streaming.exchange.write(last)
            streaming.exchange.finish(None if call._trailers is None else HeaderBlock(call._trailers.wire_items()))


class Streaming(Outgoing):
    """A stream over REST on its way, and whether anything was sent since it was last looked at."""

    __slots__ = ("_heard_bytes", "_retry_s", "_status", "call", "form", "outlet", "outlet_key")

    def __init__(self, exchange: Exchange, status: int, form: str, retry_s: float | None) -> None:
        super().__init__(exchange)
        self._status = status
        self._retry_s = retry_s
        self.form = form
        self._heard_bytes = -1
        """What had been sent at the last beat."""
        self.outlet: ExchangeOutlet | None = None
        self.outlet_key: Any = None
        self.call: Call | None = None
        """While it beats."""

    def start(self, call: Call) -> None:
        """Send the head, the first time."""
        if not self.started:
            self.started = True
            self.exchange.start(self._status, _BLOCKS[self.form], (_request_id(call), *_extra(call)))
            if self.form == EVENT_STREAM and self._retry_s is not None:
                # Those whom one server loses at once should not come back at once.
                self.exchange.write(sse.retry(self._retry_s * uniform(0.5, 1.5)))  # noqa: S311 -- no secret
            if self.outlet is not None:
                self.outlet.key = self.outlet_key

    def beat(self) -> None:
        """Send a comment where nothing else was sent since the last beat; not to one who takes nothing."""
        assert self.call is not None
        if self._heard_bytes == self.exchange.sent_body_bytes and not self.exchange.is_blocked:
            self.start(self.call)
            self.exchange.write(sse.COMMENT)
        self._heard_bytes = self.exchange.sent_body_bytes


def take_lines(runtime: Runtime, call: Call, exchange: Exchange, limit_bytes: int, decode: Any) -> bool:
    """Let the call read its input line by line; False where the body is declared as something else."""
    headers = exchange.headers
    if (
        not is_ndjson(headers.get("content-type") or "")
        or (headers.get("content-encoding") or "identity") != "identity"
    ):
        return False
    call.input = MessageReader(runtime, call, exchange, LineSplitter(limit_bytes), decode)
    return True


def _not_ndjson() -> RpcError:
    return Unimplemented(
        f"the body must be {NDJSON}, one JSON value a line, without a content-encoding", reason=UNSUPPORTED_MEDIA_TYPE
    )


def _request_id(call: Call) -> tuple[bytes, bytes]:
    return b"x-request-id", call.request_id.encode()


def _extra(call: Call) -> tuple[tuple[bytes, bytes], ...]:
    return () if call._response_metadata is None else call._response_metadata.wire_items()


def _last_words(form: str, call: Call, error: RpcError | None) -> bytes:
    if form == NDJSON:
        return b"" if error is None else envelope(error, call.request_id) + b"\n"
    if error is None:
        return sse.event(b"{}", name="end", id=sse.END_ID)
    end = None if error.code in _WORTH_ANOTHER_TRY else sse.END_ID
    return sse.event(envelope(error, call.request_id), name="failure", id=end)
