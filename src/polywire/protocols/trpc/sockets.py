"""tRPC over a WebSocket, as wsLink speaks it: calls and subscriptions side by side."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

import msgspec

from polywire.errors import Code, InvalidArgument, MalformedInput, NotFound, ResourceExhausted, RpcError
from polywire.http.exchange import Exchange
from polywire.http.websocket import POLICY_VIOLATION
from polywire.protocols.parameters import with_parameters
from polywire.protocols.sockets import MOST_CALLS, TOO_MANY_CALLS, MessageSocket, SocketCarrier
from polywire.protocols.trpc.errors import error_shape
from polywire.protocols.trpc.procedure import Procedure
from polywire.protocols.trpc.requests import last_event_id
from polywire.runtime.call import Call
from polywire.runtime.metadata import Metadata
from polywire.runtime.runtime import GOING_AWAY, Runtime

_FIRST_MESSAGE_S = 10.0
"""That a client which has announced connection parameters is given for them."""
_MOST_BATCHED = 100
_METHODS = frozenset({"query", "mutation", "subscription"})


class Params(msgspec.Struct, rename="camel"):
    path: str
    input: msgspec.Raw = msgspec.Raw(b"")
    last_event_id: str | int | None = None


class Message(msgspec.Struct):
    """What a client sends."""

    method: str
    id: int | str | None = None
    params: Params | None = None
    data: msgspec.Raw = msgspec.Raw(b"")
    jsonrpc: str | None = None


_decode = msgspec.json.Decoder(Message).decode
_decode_many = msgspec.json.Decoder(list[msgspec.Raw]).decode
_encode = msgspec.json.Encoder().encode


class Sockets:
    """The endpoint that takes WebSockets up."""

    def __init__(self, runtime: Runtime, by_path: dict[str, Procedure]) -> None:
        self._runtime = runtime
        self._by_path = by_path

    def __call__(self, exchange: Exchange) -> None:
        TrpcSocket(self._runtime, exchange, self._by_path).begin()


class TrpcSocket(MessageSocket[Call]):
    """One client. Its calls are known by the ids that it gives them."""

    def __init__(self, runtime: Runtime, exchange: Exchange, by_path: dict[str, Procedure]) -> None:
        super().__init__(runtime, exchange)
        self._by_path = by_path
        self._metadata: Metadata = exchange.headers
        self._awaits_parameters = False
        self._had_time = False
        """To move, since it was told that the server goes."""

    def begin(self) -> None:
        self._awaits_parameters = "connectionParams=1" in self.exchange.query.split("&")
        if self.accept() and self._awaits_parameters:
            self.await_first(_FIRST_MESSAGE_S, POLICY_VIOLATION, "no connection parameters came")

    def go_away(self) -> None:
        # The client opens another socket and moves there; this one goes on until it has.
        self.ws.send('{"id":null,"method":"reconnect"}')
        self.first_came()
        self._timer = asyncio.get_running_loop().call_later(self.runtime.reconnect_s, self._leave)

    def _leave(self) -> None:
        """Close the socket once nothing runs on it any more."""
        self._had_time = True
        self.settle()

    @property
    def is_needed(self) -> bool:
        return not self._had_time or super().is_needed

    def on_text(self, text: str) -> None:
        if text == "PING":
            self.ws.send("PONG")
            return
        if text == "PONG":
            return
        if self._awaits_parameters:
            self._take_parameters(text)
            return
        if text.lstrip()[:1] == "[":
            try:
                messages = _decode_many(text)
            except (msgspec.DecodeError, RecursionError):
                self._tell_error(None, MalformedInput("the message is not JSON"), None)
                return
            if len(messages) > _MOST_BATCHED:
                self._tell_error(None, InvalidArgument(f"a batch has at most {_MOST_BATCHED} messages"), None)
                return
            for raw in messages:
                self._take(raw)
        else:
            self._take(text)

    def _take_parameters(self, text: str) -> None:
        self._awaits_parameters = False
        self.first_came()
        try:
            message = _decode(text)
            told = msgspec.json.decode(message.data) if message.data else None
            if message.method != "connectionParams":
                raise MalformedInput("the first message must be connectionParams")
            self._metadata = with_parameters(self.exchange.headers, told)
        except (msgspec.DecodeError, RecursionError):
            self._refuse_connection(MalformedInput("the first message must be connectionParams"))
        except RpcError as error:
            self._refuse_connection(error)

    def _refuse_connection(self, error: RpcError) -> None:
        self._tell_error(None, error, None)
        self.ws.close(POLICY_VIOLATION, "the connection parameters are refused")

    def _take(self, raw: str | msgspec.Raw) -> None:
        try:
            message = _decode(raw)
        except (msgspec.DecodeError, RecursionError):
            self._tell_error(None, MalformedInput("the message is no tRPC message in JSON"), None)
            return
        if message.method == "subscription.stop":
            self._stop(message)
        elif message.method in _METHODS and message.params is not None and message.id is not None:
            try:
                self._start(message, message.params)
            except RpcError as error:
                self._tell_error(message, error, message.params.path)
        elif message.method != "connectionParams":
            self._tell_error(message, MalformedInput("the message lacks method, id or params"), None)

    def _start(self, message: Message, params: Params) -> None:
        if message.id in self.calls:
            raise InvalidArgument(f"Duplicate id {message.id}")
        if self.is_full:
            raise ResourceExhausted(f"more than {MOST_CALLS} calls at once", reason=TOO_MANY_CALLS)
        procedure = self._by_path.get(params.path)
        if procedure is None or procedure.kind != message.method:
            raise NotFound(f'No procedure found on path "{params.path[:200]}"')
        call = procedure.call(SocketCarrier(self.exchange, self._metadata), None)
        given = bytes(params.input)
        if procedure.is_subscription:
            self._subscribe(message, params, procedure, call, given)
            return
        self.calls[message.id] = call
        procedure.start(call, given, partial(self._done, message, procedure))

    def _subscribe(self, message: Message, params: Params, procedure: Procedure, call: Call, given: bytes) -> None:
        resumed = params.last_event_id
        call._resume_after = str(resumed) if resumed is not None else last_event_id(given)
        self.calls[message.id] = call
        ended = partial(self._ended, message, procedure)
        if procedure.read(call, given, ended):
            self._tell(message, b'{"type":"started"}')
            emit = partial(self._emit, message, procedure)
            self.runtime.dispatch_stream(call, emit, self.ws.drained, ended)

    def _stop(self, message: Message) -> None:
        call = self.calls.get(message.id)
        if call is not None:
            call.cancel()

    # What goes out

    def _done(self, message: Message, procedure: Procedure, call: Call, value: Any, error: RpcError | None) -> None:
        if error is None:
            data = procedure.encode(value)
            self.calls.pop(message.id, None)
            self._tell(message, b'{"type":"data","data":' + data + b"}" if data else b'{"type":"data"}')
        else:
            self.calls.pop(message.id, None)
            self._tell_error(message, error, procedure.path)
        self.settle()

    def _emit(self, message: Message, procedure: Procedure, call: Call, item: Any, id: str | None = None, /) -> bool:
        data = procedure.encode(item)
        if id is None:
            return self._tell(message, b'{"type":"data","data":' + data + b"}")
        position = _encode(id)
        tracked = b'{"type":"data","id":%s,"data":{"id":%s,"data":%s}}' % (position, position, data)
        return self._tell(message, tracked)

    def _ended(self, message: Message, procedure: Procedure, call: Call, value: Any, error: RpcError | None) -> None:
        was_stopped = call.cancel_code is Code.CANCELLED
        self.calls.pop(message.id, None)
        if error is not None and error is call.failure and error.reason == GOING_AWAY:
            # Whatever it is told here is the end for the client; what it has when its socket closes, it asks for anew.
            self._leave()
            return
        if error is not None and not was_stopped:
            self._tell_error(message, error, procedure.path)
        self._tell(message, b'{"type":"stopped"}')
        self.settle()

    def _tell(self, message: Message, result: bytes) -> bool:
        return self.ws.send(self._envelope(message, b'"result":' + result))

    def _tell_error(self, message: Message | None, error: RpcError, path: str | None) -> None:
        shape = error_shape(error, path, self.exchange.request_id)
        self.ws.send(self._envelope(message, b'"error":' + shape))

    def _envelope(self, message: Message | None, member: bytes) -> str:
        id = b"null" if message is None else _encode(message.id)
        version = b'"jsonrpc":"2.0",' if message is not None and message.jsonrpc == "2.0" else b""
        return (b'{"id":%s,%s%s}' % (id, version, member)).decode()
