"""GraphQL over server-sent events, one stream for each operation (https://github.com/enisdenjo/graphql-sse, distinct).

Each response is an event `next`, the end an event `complete`. What a document is refused for comes as a response too,
as an EventSource tells its reader nothing of other answers.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from polywire.http.exchange import Exchange
from polywire.protocols.graphql.operation import Operation
from polywire.protocols.rest.negotiation import EVENT_STREAM
from polywire.protocols.rest.streams import UNBUFFERED
from polywire.protocols.streams import Outgoing
from polywire.runtime.runtime import Runtime
from polywire.wire import sse
from polywire.wire.headers import HeaderBlock

HEAD: Final = HeaderBlock([("content-type", EVENT_STREAM), *UNBUFFERED])
_COMPLETE: Final = sse.event(b"", name="complete", id=sse.END_ID)
encode = msgspec.json.Encoder().encode


class EventAnswer:
    """A streamed answer, with comments in its silence: to be ended, or hushed once its reader has left."""

    def __init__(self, runtime: Runtime, exchange: Exchange) -> None:
        self._heartbeats = runtime.heartbeats
        self._out = Outgoing(exchange)
        self._silent = False
        exchange.start(200, HEAD, ((b"x-request-id", exchange.request_id.encode()),))
        self._heartbeats.add(self)

    @property
    def is_blocked(self) -> bool:
        return self._out.exchange.is_blocked

    def write(self, event: bytes) -> bool:
        """False: await `drained` before more."""
        self._silent = False
        return self._out.write(event)

    async def drained(self) -> None:
        await self._out.drained()

    def finish(self) -> None:
        self.hush()
        self._out.exchange.finish()

    def hush(self) -> None:
        """Nothing more is sent."""
        self._heartbeats.discard(self)

    def beat(self) -> None:
        if self._silent and not self._out.exchange.is_blocked:
            self._out.write(sse.COMMENT)
        self._silent = True


class DistinctStream:
    """The outlet of one operation."""

    def __init__(self, runtime: Runtime, exchange: Exchange) -> None:
        self._answer = EventAnswer(runtime, exchange)
        self.operation = Operation("", exchange, self)
        exchange.watch(self._gone)

    def next(self, operation: Operation, response: bytes, id: str | None, /) -> bool:
        return self._answer.write(sse.event(response, name="next", id=id))

    def failed(self, operation: Operation, errors: list[dict[str, Any]], /) -> None:
        self._answer.write(sse.event(encode({"errors": errors}), name="next"))
        self.completed(operation)

    def completed(self, operation: Operation, /) -> None:
        # A browser that comes back with its id is sent away.
        self._answer.write(_COMPLETE)
        self._answer.finish()

    async def drained(self) -> None:
        await self._answer.drained()

    def _gone(self) -> None:
        self._answer.hush()
        self.operation.cancel()
