"""One socket of the polywire WebSocket protocol: its opening, its calls and its end."""

from __future__ import annotations

import math
import secrets
from collections.abc import Callable
from functools import lru_cache, partial
from time import monotonic
from typing import TYPE_CHECKING, Any

from polywire.errors import (
    Cancelled,
    MalformedInput,
    ResourceExhausted,
    RpcError,
    Unauthenticated,
    Unavailable,
    Unimplemented,
)
from polywire.http.exchange import Exchange
from polywire.http.gate import TOO_FAST
from polywire.http.rates import Bucket
from polywire.http.websocket import UNSUPPORTED_DATA, WebSocket
from polywire.protocols.parameters import WithParameters, with_own
from polywire.protocols.rpc.framing import too_large
from polywire.protocols.sockets import TOO_MANY_CALLS, MessageSocket, SocketCarrier
from polywire.protocols.websocket.authentication import Authentication, bearer_token
from polywire.protocols.websocket.framing import Framing, Pairs
from polywire.protocols.websocket.messages import (
    CREDIT,
    IDLE,
    INBOX,
    INVALID_MESSAGE,
    MOST_CREDIT,
    MOST_ID,
    SERVICE_RESTART,
    TOO_MANY,
    VERSION,
    AppInfo,
    Limits,
    Received,
    Welcome,
)
from polywire.protocols.websocket.streams import Inbox, Window
from polywire.runtime._outlet import SharedBatch
from polywire.runtime.call import Call
from polywire.runtime.metadata import Metadata, error_pairs
from polywire.runtime.runtime import GOING_AWAY

if TYPE_CHECKING:
    from polywire.protocols.websocket.server import Target, WebSocketServer

_CAPABILITIES = ["calls", "streams", "credit", "resume"]


class Running:
    """What the socket keeps of a call under way: `call.state`."""

    __slots__ = ("encode", "id", "inbox", "window")

    def __init__(self, id: int, encode: Callable[[Any], bytes]) -> None:
        self.id = id
        self.encode = encode
        self.window: Window | None = None
        """Of a streamed answer."""
        self.inbox: Inbox | None = None
        """Of a streamed request."""


class Session(MessageSocket[Call]):
    """One client. Its calls are known by the ids that it gives them."""

    leaving_code = SERVICE_RESTART

    def __init__(self, server: WebSocketServer, exchange: Exchange, framing: Framing) -> None:
        super().__init__(server.runtime, exchange)
        self._server = server
        self._options = options = server.options
        self.max_calls = options.max_calls
        self._framing = framing
        self._targets: dict[str, Target] = server.targets[framing.name]
        self._metadata: Metadata = exchange.headers
        self._limit = self.runtime.app.max_request_bytes
        self.principal: Any = None
        self.is_counted = False
        """Among those of its principal."""
        self._authentication: Authentication | None = None
        """Until the client is known, where it must be."""
        per_s = options.messages_per_s
        self._rate = None if per_s is None else Bucket(per_s, monotonic())
        self._count = 0
        """Messages that have come."""
        self._begun = 0
        """Calls that have come."""
        self._begun_before = 0
        """Of those, at the last beat."""
        self._quiet_since = monotonic()
        self._kept_bytes = 0
        """Of items that no handler has read yet."""

    # The opening

    def begin(self, subprotocol: str | None) -> None:
        if not self.accept(subprotocol, limits=self._server.limits):
            return
        self.ws.send(self._framing.welcome(self._welcome()))
        if self._options.authenticate is not None:
            self._authentication = Authentication(self, self._server)
            token = bearer_token(self.exchange.headers)
            if token is None:
                self._authentication.await_hello()
            else:
                self._authentication.ask(token)

    def _welcome(self) -> Welcome:
        app = self.runtime.app
        return Welcome(
            VERSION,
            secrets.token_urlsafe(12),
            self._server.id,
            AppInfo(app.name, app.version),
            _CAPABILITIES if app.broker is None else [*_CAPABILITIES, "topics"],
            app.heartbeat_s,
            Limits(self._options.max_message_bytes, self.max_calls, INBOX),
        )

    def _hello(self, message: Received) -> None:
        if self._count != 1:
            raise MalformedInput("hello may only be the first message")
        if message.token is not None:
            self._metadata = WithParameters(self._metadata, {"authorization": f"Bearer {message.token}"})
        if self._authentication is not None:
            self._authentication.ask(message.token)

    def known(self, principal: Any) -> None:
        """The client is who it says."""
        self._authentication = None
        self.principal = principal
        self.let_go()

    # What comes in

    def on_text(self, text: str) -> None:
        if not self._framing.is_text:
            self.ws.close(UNSUPPORTED_DATA, "messages are bytes")
            return
        self._take(text)

    def on_binary(self, data: bytes) -> None:
        if self._framing.is_text:
            self.ws.close(UNSUPPORTED_DATA, "messages are text")
            return
        self._take(data)

    def _take(self, data: str | bytes) -> None:
        self._count += 1
        if self._rate is not None and not self._rate.take(monotonic()):
            per_s = self._options.messages_per_s
            error = ResourceExhausted(f"more than {per_s:g} messages a second", reason=TOO_FAST)
            self.refuse(error, TOO_MANY, "too many messages")
            return
        try:
            message = self._framing.read(data)
            handler = _HANDLERS.get(message.type)
            if handler is None:
                raise MalformedInput(f"there is no type {message.type[:40]!r}")
            if self._authentication is not None and handler is not Session._hello:
                self._authentication.refuse(Unauthenticated("the first message must be hello", reason="NO_HELLO"))
                return
            handler(self, message)
        except MalformedInput as error:
            self.refuse(error, INVALID_MESSAGE, "that is no message of this protocol")

    def _call(self, message: Received) -> None:
        id = message.id
        if not 0 < id <= MOST_ID:
            raise MalformedInput(f"the id of a call is between 1 and {MOST_ID}")
        if id in self.calls:
            raise MalformedInput(f"the id {id} is in use")
        credit = _credit(message.credit or CREDIT)
        self._begun += 1
        target = self._targets.get(message.method)
        try:
            if self.is_full:
                raise ResourceExhausted(f"more than {self.max_calls} calls at once", reason=TOO_MANY_CALLS)
            if self.runtime.is_leaving:
                raise Unavailable("the server is going away", reason=GOING_AWAY)
            if target is None:
                raise Unimplemented(f"there is no method {message.method[:200]!r}")
            metadata = self._metadata if message.metadata is None else with_own(self._metadata, message.metadata)
        except RpcError as error:
            self.ws.send(self._framing.error(id, error, self.exchange.request_id, None))
            return
        call = Call(target.binding, SocketCarrier(self.exchange, metadata))
        call.state = running = Running(id, target.encode)
        call.principal = self.principal
        try:
            if message.timeout_s is not None:
                call.limit_time(_timeout_s(message.timeout_s))
            if message.after is not None:
                call._resume_after = message.after
            if target.streams_in:
                call.input = running.inbox = Inbox(self, call, id, target.decode)
            else:
                call.input = self.decoded(target.decode, bytes(message.input))
        except RpcError as error:
            self.runtime.reject(call, error, self._done)
            return
        self.calls[id] = call
        if target.streams_out:
            running.window = call.outlet = window = Window(self, credit)
            if self.ws.shares_frames:
                # One run of frames for all sockets whose clients have given their calls the same id.
                window.key = _shared_key(self._framing.name, id)
                window.encode = partial(self._frames, running)
            self.runtime.dispatch_stream(call, self._emit, window.drained, self._done)
        else:
            self.runtime.dispatch(call, self._done)

    def decoded(self, decode: Callable[[bytes], Any], payload: bytes) -> Any:
        """Raises ResourceExhausted (TOO_LARGE), and what decoding raises."""
        if len(payload) > self._limit:
            raise too_large(self._limit, len(payload))
        return decode(payload)

    # A call that is over may be spoken of for a while: its end is still on the way to the client.

    def _next(self, message: Received) -> None:
        call = self.calls.get(message.id)
        if call is not None:
            self._inbox(call).add(bytes(message.message))

    def _end(self, message: Received) -> None:
        call = self.calls.get(message.id)
        if call is not None:
            self._inbox(call).end()

    def _inbox(self, call: Call) -> Inbox:
        inbox: Inbox | None = call.state.inbox
        if inbox is None:
            raise MalformedInput(f"{call.method.full_name} takes no stream")
        return inbox

    def _cancel(self, message: Received) -> None:
        call = self.calls.get(message.id)
        if call is not None:
            call.cancel()

    def _credit(self, message: Received) -> None:
        call = self.calls.get(message.id)
        count = _credit(message.count)
        if call is not None and call.state.window is not None:
            call.state.window.add(count)

    def _ping(self, message: Received) -> None:
        self.ws.send(self._framing.pong())

    # Items that wait

    def keep(self, count_bytes: int) -> None:
        """An item waits for its handler; where many do, no more is read. Raises Unavailable (OVERLOADED)."""
        self.runtime.pending.hold(count_bytes)
        self._kept_bytes += count_bytes
        if self._kept_bytes > self._options.max_message_bytes:
            self.hold()

    def let_go_of(self, count_bytes: int) -> None:
        """An item waits no more."""
        self.runtime.pending.release(count_bytes)
        self._kept_bytes -= count_bytes
        if self._is_held and self._kept_bytes <= self._options.max_message_bytes // 2:
            self.let_go()

    def give_credit(self, id: int, count: int) -> None:
        self.ws.send(self._framing.credit(id, count))

    def beat(self) -> None:
        idle_s = self._options.idle_s
        if idle_s is not None:
            if self.calls or self._begun != self._begun_before:
                self._begun_before = self._begun
                self._quiet_since = monotonic()
            elif monotonic() - self._quiet_since >= idle_s:
                self.close(IDLE, "no call for too long")
                return
        super().beat()

    # What goes out

    def _emit(self, call: Call, item: Any, id: str | None = None, /) -> bool:
        running: Running = call.state
        window = running.window
        assert window is not None
        if window.is_over:
            return False
        window.credit -= 1
        return self.ws.send(self._next_item(running, item, id)) and window.credit > 0

    def _frames(self, running: Running, batch: SharedBatch) -> bytes:
        return b"".join(self.ws.frame(self._next_item(running, item, id)) for item, id in batch.items)

    def _next_item(self, running: Running, item: Any, id: str | None) -> str | bytes:
        return self._framing.next(running.id, running.encode(item), id)

    def _done(self, call: Call, value: Any, error: RpcError | None) -> None:
        # All is encoded before any of it counts: where that raises, this is called again.
        running: Running = call.state
        beside = _beside(call, error)
        if error is not None:
            message = self._framing.error(running.id, error, call.request_id, beside)
        elif running.window is not None:
            message = self._framing.end(running.id, beside)
        else:
            message = self._framing.result(running.id, running.encode(value), beside)
        if running.window is not None:
            running.window.end()
        self.calls.pop(running.id, None)
        self.ws.send(message)
        self.settle()

    # The end

    def refuse(self, error: RpcError, code: int, reason: str) -> None:
        """Say what is wrong with the socket, and close it."""
        self.ws.send(self._framing.error(0, error, self.exchange.request_id, None))
        self.close(code, reason)

    def go_away(self) -> None:
        self.ws.send(self._framing.going_away(self.runtime.reconnect_s))
        super().go_away()

    def cancel_calls(self) -> None:
        calls, self.calls = self.calls, {}
        for call in calls.values():
            running: Running = call.state
            if not call.binding.finish_on_disconnect:
                call.cancel()
            elif running.inbox is not None:
                running.inbox.fail(Cancelled("the caller has left"))
            if running.window is not None:
                running.window.wake()

    def on_closed(self, ws: WebSocket, code: int, reason: str) -> None:
        if self._authentication is not None:
            self._authentication.stop()
            self._authentication = None
        self._server.forget(self)
        super().on_closed(ws, code, reason)


@lru_cache(1024)
def _shared_key(framing: str, id: int) -> str:
    """One object for all who ask while it is kept, as it is found by identity first.

    Not interned: clients choose ids, and CPython 3.12 kept what is interned for good (until 3.12.7:
    https://github.com/python/cpython/issues/113993).
    """
    return f"{framing} {id}"


def _timeout_s(told: float) -> float:
    if not 0 < told < math.inf:
        raise MalformedInput("timeout_s must be above 0")
    return told


def _credit(told: int) -> int:
    if told < 1:
        raise MalformedInput("credit is 1 or more")
    return min(told, MOST_CREDIT)


def _beside(call: Call, error: RpcError | None) -> Pairs | None:
    """What goes along with a message: response metadata, trailers, and what the error brings."""
    if call._response_metadata is None and call._trailers is None and (error is None or not error.metadata):
        return None
    beside: Pairs = {}
    for metadata in (call._response_metadata, call._trailers):
        for name, value in () if metadata is None else metadata.wire_items():
            text = value.decode()
            key = name.decode()
            beside[key] = f"{beside[key]}, {text}" if key in beside else text
    if error is not None:
        beside |= dict(error_pairs(error.metadata))
    return beside


_HANDLERS: dict[str, Callable[[Session, Received], None]] = {
    "call": Session._call,
    "next": Session._next,
    "end": Session._end,
    "cancel": Session._cancel,
    "credit": Session._credit,
    "ping": Session._ping,
    "hello": Session._hello,
}
