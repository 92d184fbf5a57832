"""GraphQL over WebSocket, `graphql-transport-ws`: operations of every kind side by side.

https://github.com/graphql/graphql-over-http/blob/main/rfcs/GraphQLOverWebSocket.md
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from polywire.errors import InvalidArgument, MalformedInput, ResourceExhausted, RpcError, Unavailable
from polywire.http.exchange import Exchange
from polywire.http.websocket import offered_subprotocols
from polywire.protocols.graphql.operation import Operation
from polywire.protocols.graphql.preparation import Preparation
from polywire.protocols.graphql.request import request_from_body
from polywire.protocols.graphql.schema import GraphqlRefusal
from polywire.protocols.parameters import with_parameters
from polywire.protocols.sockets import MOST_CALLS, TOO_MANY_CALLS, MessageSocket, SocketCarrier
from polywire.runtime.metadata import Metadata
from polywire.runtime.runtime import GOING_AWAY, Runtime

SUBPROTOCOL: Final = "graphql-transport-ws"

INVALID_MESSAGE: Final = 4400
UNAUTHORIZED: Final = 4401
SUBPROTOCOL_NOT_ACCEPTABLE: Final = 4406
INITIALISATION_TIMEOUT: Final = 4408
SUBSCRIBER_EXISTS: Final = 4409
TOO_MANY_INITIALISATIONS: Final = 4429
"""What it closes with."""

_LONGEST_SHOWN = 80
"""Characters of an id in the reason of a close, which has 123 bytes."""


class Message(msgspec.Struct):
    """What a client sends."""

    type: str
    id: str | None = None
    payload: msgspec.Raw = msgspec.Raw(b"")


_decode = msgspec.json.Decoder(Message).decode
_encode = msgspec.json.Encoder().encode


class Sockets:
    """The endpoint that takes WebSockets up."""

    def __init__(self, runtime: Runtime, preparation: Preparation, init_timeout_s: float) -> None:
        self._runtime = runtime
        self._preparation = preparation
        self._init_timeout_s = init_timeout_s

    def __call__(self, exchange: Exchange) -> None:
        GraphqlSocket(self._runtime, exchange, self._preparation).begin(self._init_timeout_s)


class GraphqlSocket(MessageSocket[Operation]):
    """One client. The texts of its `connection_init` count as metadata of all that it asks."""

    def __init__(self, runtime: Runtime, exchange: Exchange, preparation: Preparation) -> None:
        super().__init__(runtime, exchange)
        self._preparation = preparation
        self._metadata: Metadata | None = None
        """None before `connection_init`."""

    def begin(self, init_timeout_s: float) -> None:
        if SUBPROTOCOL in offered_subprotocols(self.exchange):
            if self.accept(SUBPROTOCOL):
                self.await_first(init_timeout_s, INITIALISATION_TIMEOUT, "Connection initialisation timeout")
        elif self.accept():
            self.ws.close(SUBPROTOCOL_NOT_ACCEPTABLE, "Subprotocol not acceptable")

    @property
    def is_needed(self) -> bool:
        """Queries and mutations are waited for; subscriptions begin anew elsewhere."""
        return not all(operation.subscribes for operation in self.calls.values())

    def on_text(self, text: str) -> None:
        try:
            message = _decode(text)
            if message.type == "subscribe":
                self._subscribe(message)
            elif message.type == "complete":
                self._complete(message)
            elif message.type == "ping":
                self._ping(message)
            elif message.type == "connection_init":
                self._init(message)
            elif message.type != "pong":
                raise MalformedInput("there is no such type")
        except (msgspec.DecodeError, RecursionError, MalformedInput):
            self.ws.close(INVALID_MESSAGE, "Invalid message received")

    def on_binary(self, data: bytes) -> None:
        self.ws.close(INVALID_MESSAGE, "Invalid message received")

    def _init(self, message: Message) -> None:
        if self._metadata is not None:
            self.ws.close(TOO_MANY_INITIALISATIONS, "Too many initialisation requests")
            return
        self._metadata = with_parameters(self.exchange.headers, _object(message.payload))
        self.first_came()
        self.ws.send('{"type":"connection_ack"}')

    def _ping(self, message: Message) -> None:
        payload = _object(message.payload)
        answer = {"type": "pong"} if payload is None else {"type": "pong", "payload": payload}
        self.ws.send(_encode(answer).decode())

    def _complete(self, message: Message) -> None:
        operation = self.calls.pop(_id(message), None)
        if operation is not None:
            operation.cancel()
            self.settle()

    def _subscribe(self, message: Message) -> None:
        id = _id(message)
        if self._metadata is None:
            self.ws.close(UNAUTHORIZED, "Unauthorized")
            return
        if id in self.calls:
            shown = id[:_LONGEST_SHOWN].encode()[:_LONGEST_SHOWN].decode(errors="ignore")
            self.ws.close(SUBSCRIBER_EXISTS, f"Subscriber for {shown} already exists")
            return
        try:
            request = request_from_body(bytes(message.payload))
        except InvalidArgument:
            raise MalformedInput("the payload is no request") from None
        operation = Operation(id, SocketCarrier(self.exchange, self._metadata), self)
        if self.is_full:
            problem = ResourceExhausted(f"more than {MOST_CALLS} operations at once", reason=TOO_MANY_CALLS)
            operation.refuse(problem)
            return
        if self.runtime.is_leaving:
            operation.refuse(Unavailable("the server is going away", reason=GOING_AWAY))
            return
        self.calls[id] = operation
        try:
            plan, variables = self._preparation.prepare(request)
            operation.start(plan, variables, None)
        except (RpcError, GraphqlRefusal) as problem:
            operation.refuse(problem)

    # What goes out

    def next(self, operation: Operation, response: bytes, id: str | None, /) -> bool:
        return self._tell(operation, "next", response)

    def failed(self, operation: Operation, errors: list[dict[str, Any]], /) -> None:
        self._forget(operation)
        # A subscription begins anew once the socket is closed, unless it is told of an error.
        if not (self.runtime.is_leaving and operation.subscribes):
            self._tell(operation, "error", _encode(errors))
        self.settle()

    def completed(self, operation: Operation, /) -> None:
        self._forget(operation)
        self.ws.send(f'{{"id":{_encode(operation.id).decode()},"type":"complete"}}')
        self.settle()

    async def drained(self) -> None:
        await self.ws.drained()

    def _tell(self, operation: Operation, kind: str, payload: bytes) -> bool:
        id = _encode(operation.id).decode()
        return self.ws.send(f'{{"id":{id},"type":"{kind}","payload":{payload.decode()}}}')

    def _forget(self, operation: Operation) -> None:
        if self.calls.get(operation.id) is operation:
            del self.calls[operation.id]


def _id(message: Message) -> str:
    if not message.id:
        raise MalformedInput("the message lacks an id")
    return message.id


def _object(payload: msgspec.Raw) -> dict[str, Any] | None:
    """Raises MalformedInput where it is there and no object, msgspec.DecodeError where it is no JSON."""
    told = msgspec.json.decode(payload) if payload else None
    if told is not None and not isinstance(told, dict):
        raise MalformedInput("the payload is an object")
    return told
