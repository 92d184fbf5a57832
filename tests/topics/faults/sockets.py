"""A topic over WebSockets: polywire's own protocol in its three framings, and graphql-transport-ws."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import msgspec

from polywire.codec import Format, message_codec, method_codec
from polywire.protocols.websocket.protobuf_framing import ClientMessage, ClientMessageType, ServerMessage
from polywire.schema import message_type
from polywire.wire.websocket import WebSocketEngine

from .app import METHODS
from .pipes import Pipe, connected, upgraded
from .streams import Feed, Seen, of_json, of_message

_CLOSE, _PING = 8, 9
_CREDIT = 64
_write = message_codec(message_type(ClientMessage), Format.PROTOBUF).encode
_read = message_codec(message_type(ServerMessage), Format.PROTOBUF).decode
Open = Callable[[int, str, str], AbstractAsyncContextManager[Pipe]]


class Socket:
    """Messages over a pipe."""

    def __init__(self, pipe: Pipe) -> None:
        self._pipe = pipe
        self._engine = WebSocketEngine(1 << 24, is_client=True)

    async def send(self, message: str | bytes) -> None:
        await self._pipe.send(self._engine.encode(message))

    async def __aiter__(self) -> AsyncIterator[Any]:
        """What comes, until the server closes."""
        while True:
            for found in self._engine.receive_data(await self._pipe.receive()):
                if type(found) is not tuple:
                    yield found
                elif found[0] == _CLOSE:
                    if found[1][0] not in (1001, 1012):
                        raise RuntimeError(f"closed with {found[1]}")
                    raise EOFError
                elif found[0] == _PING:
                    await self._pipe.send(self._engine.encode_pong(found[1]))
            if self._engine.failure is not None:
                raise RuntimeError(str(self._engine.failure))


def in_maps(
    open_: Open, subprotocol: str, encode: Callable[[Any], str | bytes], decode: Callable[[Any], Any]
) -> Callable[[int, Feed, str | None], AsyncIterator[Seen]]:
    """JSON and MessagePack, which have the same members."""

    async def subscribe(port: int, feed: Feed, after: str | None) -> AsyncIterator[Seen]:
        call = {"type": "call", "id": 1, "method": f"{feed.service}/Subscribe", "input": {"lane": feed.lane}}
        call |= {"credit": 2 * _CREDIT} | ({} if after is None else {"after": after})
        async with open_(port, "/ws", subprotocol) as pipe:
            socket = Socket(pipe)
            await socket.send(encode(call))
            count = 0
            async for found in socket:
                message = decode(found)
                if message["type"] == "next":
                    yield of_json(message["position"], message["message"])
                    count += 1
                    if count % _CREDIT == 0:
                        await socket.send(encode({"type": "credit", "id": 1, "count": _CREDIT}))
                elif message["type"] != "welcome":
                    _ended(message["type"], message)

    return subscribe


async def in_protobuf(port: int, feed: Feed, after: str | None) -> AsyncIterator[Seen]:
    name = f"{feed.service}/Subscribe"
    codec = method_codec(METHODS[name], Format.PROTOBUF)
    given = codec.encode_input(METHODS[name].input.cls(lane=feed.lane))
    async with upgraded(port, "/ws", "polywire.v1.protobuf") as pipe:
        socket = Socket(pipe)
        call = ClientMessage(ClientMessageType.CALL, 1, name, given, credit=2 * _CREDIT, after=after)
        await socket.send(_write(call))
        count = 0
        async for found in socket:
            message: ServerMessage = _read(found)
            if message.type.value == "next":
                event = of_message(codec.decode_result(message.message))
                yield event._replace(position=message.position or "")
                count += 1
                if count % _CREDIT == 0:
                    await socket.send(_write(ClientMessage(ClientMessageType.CREDIT, 1, count=_CREDIT)))
            elif message.type.value != "welcome":
                _ended(message.type.value, message)


def _ended(kind: str, message: Any) -> None:
    """The call is over: come back, if it is because we were slow or the server goes."""
    if (
        kind not in ("end", "complete", "going_away")
        and "UNAVAILABLE" not in str(message)
        and "SLOW" not in str(message)
    ):
        raise RuntimeError(str(message))
    raise EOFError(str(message))


async def graphql(port: int, feed: Feed, after: str | None) -> AsyncIterator[Seen]:
    text = "subscription ($lane: String!, $after: String) { %s(lane: $lane, after: $after) { %s } }"
    query = text % (feed.name, "position data { number text } gap { reason }")
    payload = {"query": query, "variables": {"lane": feed.lane, "after": after}}
    async with upgraded(port, "/graphql", "graphql-transport-ws") as pipe:
        socket = Socket(pipe)
        await socket.send(json.dumps({"type": "connection_init"}))
        async for found in socket:
            message = json.loads(found)
            if message["type"] == "connection_ack":
                await socket.send(json.dumps({"type": "subscribe", "id": "1", "payload": payload}))
            elif message["type"] == "ping":
                await socket.send(json.dumps({"type": "pong"}))
            elif message["type"] == "next":
                event = message["payload"]["data"][feed.name]
                yield of_json(event["position"], event)
            else:
                _ended("complete", message)


def _json(value: Any) -> str:
    return json.dumps(value)


json_socket = in_maps(upgraded, "polywire.v1.json", _json, json.loads)
json_socket_http2 = in_maps(connected, "polywire.v1.json", _json, json.loads)
msgpack_socket = in_maps(upgraded, "polywire.v1.msgpack", msgspec.msgpack.encode, msgspec.msgpack.decode)
