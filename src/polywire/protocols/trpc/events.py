"""A subscription as server-sent events, as httpSubscriptionLink reads them."""

from __future__ import annotations

from typing import Any

from polywire.errors import RpcError
from polywire.http.exchange import Exchange
from polywire.protocols.rest.streams import UNBUFFERED
from polywire.protocols.streams import Outgoing
from polywire.protocols.trpc.errors import error_shape
from polywire.protocols.trpc.procedure import Procedure
from polywire.protocols.trpc.requests import last_event_id
from polywire.runtime.call import Call
from polywire.runtime.runtime import Runtime
from polywire.wire import sse
from polywire.wire.headers import HeaderBlock

_HEAD = HeaderBlock([("content-type", "text/event-stream"), *UNBUFFERED])
_CONNECTED = sse.event(b"{}", name="connected")
_PING = sse.event(b"", name="ping")
_RETURN = sse.event(b"", name="return")


class Subscription:
    """One stream of events; its head goes out at once, so that errors are events too."""

    def __init__(self, runtime: Runtime, procedure: Procedure, exchange: Exchange) -> None:
        self._runtime = runtime
        self._procedure = procedure
        self._out = Outgoing(exchange)
        self._silent = False

    def run(self, call: Call, given: bytes, resumed: str | None) -> None:
        """given: the input in JSON, b"" where it is undefined. resumed: the last event that the caller has seen."""
        call._resume_after = resumed if resumed is not None else last_event_id(given)
        exchange = self._out.exchange
        exchange.start(200, _HEAD, ((b"x-request-id", call.request_id.encode()),))
        self._out.write(_CONNECTED)
        if not self._procedure.read(call, given, self._done):
            return
        self._runtime.dispatch_stream(call, self._emit, self._out.drained, self._done)
        if call.answered:
            return
        self._runtime.heartbeats.add(self)
        call.on_done(self._hush)
        if not self._procedure.binding.finish_on_disconnect:
            exchange.watch(call.cancel)

    def _emit(self, call: Call, item: Any, id: str | None = None, /) -> bool:
        data = self._procedure.encode(item)
        self._silent = False
        return self._out.write(sse.event(data, id=id))

    def _done(self, call: Call, value: Any, error: RpcError | None) -> None:
        if error is None:
            self._out.write(_RETURN)
        else:
            shape = error_shape(error, self._procedure.path, call.request_id)
            self._out.write(sse.event(shape, name="serialized-error"))
        self._out.exchange.finish()

    def beat(self) -> None:
        if self._silent and not self._out.exchange.is_blocked:
            self._out.write(_PING)
        self._silent = True

    def _hush(self, call: Call, error: RpcError | None) -> None:
        self._runtime.heartbeats.discard(self)
