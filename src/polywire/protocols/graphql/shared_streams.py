"""GraphQL over server-sent events, one stream for many operations (https://github.com/enisdenjo/graphql-sse, single).

A client reserves a stream (PUT), opens it by the token that it is given (GET), asks for operations (POST) whose
responses then come on the stream, and stops them (DELETE). Reservations are those of this process.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter, deque
from typing import Any, Final
from urllib.parse import parse_qs

from polywire.errors import AlreadyExists, InvalidArgument, NotFound, ResourceExhausted
from polywire.http.exchange import Exchange
from polywire.protocols.graphql.events import EventAnswer, encode
from polywire.protocols.graphql.operation import Operation
from polywire.protocols.sockets import MOST_CALLS, TOO_MANY_CALLS
from polywire.runtime.runtime import Runtime
from polywire.service.options import GraphqlOptions
from polywire.tasks.eager import Waiter
from polywire.wire import sse

STREAM_FIELD: Final = "x-graphql-event-stream-token"
TOO_MANY_STREAMS = "TOO_MANY_STREAMS"
_LONGEST_ID: Final = 200
_MOST_FIELDS: Final = 100


def parameter_of(exchange: Exchange, name: str) -> str | None:
    """One of the query string's. Raises InvalidArgument for what cannot be read."""
    try:
        values = parse_qs(exchange.query, max_num_fields=_MOST_FIELDS, errors="strict").get(name)
    except ValueError:
        raise InvalidArgument("the query string cannot be read") from None
    return values[0] if values else None


def token_of(exchange: Exchange) -> str | None:
    """What the client says that its stream is. Raises InvalidArgument."""
    token = exchange.headers.get(STREAM_FIELD)
    if token is None and exchange.query:
        token = parameter_of(exchange, "token")
    return token


class SharedStreams:
    """All streams that are reserved or open."""

    def __init__(self, runtime: Runtime, options: GraphqlOptions) -> None:
        self._runtime = runtime
        self._options = options
        self._streams: dict[str, SharedStream] = {}
        self._by_peer: Counter[str] = Counter()

    def reserve(self, exchange: Exchange) -> str:
        """The token of a new one. Raises ResourceExhausted."""
        options = self._options
        peer = exchange.peer.address
        if len(self._streams) >= options.max_streams or self._by_peer[peer] >= options.max_peer_streams:
            raise ResourceExhausted("too many event streams are reserved or open", reason=TOO_MANY_STREAMS)
        token = secrets.token_urlsafe(24)
        self._streams[token] = SharedStream(self, token, peer)
        self._by_peer[peer] += 1
        return token

    def find(self, token: str) -> SharedStream:
        """Raises NotFound."""
        stream = self._streams.get(token)
        if stream is None:
            raise NotFound("there is no such event stream; reserve one by PUT")
        return stream

    def forget(self, stream: SharedStream) -> None:
        del self._streams[stream.token]
        self._by_peer[stream.peer] -= 1
        if not self._by_peer[stream.peer]:
            del self._by_peer[stream.peer]

    @property
    def runtime(self) -> Runtime:
        return self._runtime

    @property
    def open_timeout_s(self) -> float:
        return self._options.init_timeout_s


class SharedStream:
    """One client's operations, and their outlet. What they answer before it is open is kept, boundedly."""

    def __init__(self, streams: SharedStreams, token: str, peer: str) -> None:
        self.token = token
        self.peer = peer
        self._streams = streams
        self._loop = asyncio.get_running_loop()
        self._answer: EventAnswer | None = None
        self._kept: deque[bytes] = deque()
        self._operations: dict[str, Operation] = {}
        self._waiters: list[Waiter] = []
        """Of operations that are ahead of the stream's opening."""
        self._timer = self._loop.call_later(streams.open_timeout_s, self.close)

    def open(self, exchange: Exchange) -> None:
        """Send events as the answer. Raises AlreadyExists where another one has them."""
        if self._answer is not None:
            raise AlreadyExists("the event stream is open already")
        self._timer.cancel()
        answer = self._answer = EventAnswer(self._streams.runtime, exchange)
        self._streams.runtime.add_socket(self)
        exchange.watch(self._gone)
        answer.write(sse.COMMENT)
        while self._kept:
            answer.write(self._kept.popleft())
        self._wake()

    def add(self, id: Any, exchange: Exchange) -> Operation:
        """An operation that may start. Raises InvalidArgument, AlreadyExists, ResourceExhausted."""
        if not isinstance(id, str) or not 0 < len(id) <= _LONGEST_ID:
            raise InvalidArgument("extensions.operationId must name the operation")
        if id in self._operations:
            raise AlreadyExists(f"the operation {id!r:.100} is under way already")
        if len(self._operations) >= MOST_CALLS or len(self._kept) >= MOST_CALLS or self._is_blocked:
            raise ResourceExhausted("too many operations on one event stream", reason=TOO_MANY_CALLS)
        operation = self._operations[id] = Operation(id, exchange, self)
        return operation

    def stop(self, id: str) -> None:
        """Stop an operation, if it is still under way."""
        operation = self._operations.pop(id, None)
        if operation is not None:
            operation.cancel()

    def go_away(self) -> None:
        """The server is going: the client reserves another stream, elsewhere."""
        if self._answer is not None:
            self._answer.finish()
        self.close()

    def close(self) -> None:
        """Stop everything."""
        self._timer.cancel()
        self._streams.runtime.sockets.pop(self, None)
        self._streams.forget(self)
        operations, self._operations = self._operations, {}
        for operation in operations.values():
            operation.cancel()
        self._kept.clear()
        self._wake()

    # As the outlet of its operations

    def next(self, operation: Operation, response: bytes, id: str | None, /) -> bool:
        data = b'{"id":%s,"payload":%s}' % (encode(operation.id), response)
        return self._write(sse.event(data, name="next"))

    def failed(self, operation: Operation, errors: list[dict[str, Any]], /) -> None:
        self.next(operation, encode({"errors": errors}), None)
        self.completed(operation)

    def completed(self, operation: Operation, /) -> None:
        if self._operations.get(operation.id) is operation:
            del self._operations[operation.id]
        self._write(sse.event(b'{"id":%s}' % encode(operation.id), name="complete"))

    async def drained(self) -> None:
        while self._answer is None and self._operations:
            waiter = Waiter(self._loop)
            self._waiters = [*self._waiters, waiter]
            try:
                await waiter
            finally:
                self._waiters = [other for other in self._waiters if other is not waiter]
        if self._answer is not None:
            await self._answer.drained()

    def _write(self, event: bytes) -> bool:
        if self._answer is None:
            self._kept.append(event)
            return False
        return self._answer.write(event)

    @property
    def _is_blocked(self) -> bool:
        return self._answer is not None and self._answer.is_blocked

    def _wake(self) -> None:
        for waiter in self._waiters:
            waiter.wake()

    def _gone(self) -> None:
        assert self._answer is not None
        self._answer.hush()
        self.close()
