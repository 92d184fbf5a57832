"""The client's side of each framing: messages as JSON would have them, to and from what is on the wire."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from polywire.codec import Format, WrongResult, message_codec, method_codec
from polywire.errors import Code
from polywire.protocols.rpc.details import BadRequest
from polywire.protocols.websocket.protobuf_framing import (
    ClientMessage,
    ClientMessageType,
    ServerMessage,
    ServerMessageType,
)
from polywire.schema import message_type
from polywire.schema.types import Method
from polywire.testing import TestClient
from polywire.testing.websocket import TestSocket
from tests.protocols.websocket.desk import Note

_write = message_codec(message_type(ClientMessage), Format.PROTOBUF).encode
_read = message_codec(message_type(ServerMessage), Format.PROTOBUF).decode
_MEMBERS = {
    ServerMessageType.RESULT: ("id",),
    ServerMessageType.NEXT: ("id",),
    ServerMessageType.END: ("id",),
    ServerMessageType.CREDIT: ("id", "count"),
    ServerMessageType.GOING_AWAY: ("reconnect_s",),
}


class Tongue:
    """JSON, and the base of the others."""

    name = "polywire.v1.json"

    def __init__(self, client: TestClient, ws: TestSocket | None = None) -> None:
        self.client = client
        self.ws = ws
        self.methods: dict[int, Method] = {}
        """By the id of a call."""

    def send(self, message: dict[str, Any]) -> None:
        assert self.ws is not None
        self.ws.send(self.encode(message))

    async def receive(self) -> dict[str, Any]:
        assert self.ws is not None
        return self.decode(await self.ws.receive())

    def encode(self, message: dict[str, Any]) -> str | bytes:
        return json.dumps(message)

    def decode(self, data: str | bytes) -> dict[str, Any]:
        assert isinstance(data, str)
        decoded: dict[str, Any] = json.loads(data)
        return decoded


class MessagePack(Tongue):
    name = "polywire.v1.msgpack"

    def encode(self, message: dict[str, Any]) -> bytes:
        return msgspec.msgpack.encode(message)

    def decode(self, data: str | bytes) -> dict[str, Any]:
        assert isinstance(data, bytes)
        decoded: dict[str, Any] = msgspec.msgpack.decode(data)
        return decoded


class Protobuf(Tongue):
    name = "polywire.v1.protobuf"

    def encode(self, message: dict[str, Any]) -> bytes:
        told = {name: value for name, value in message.items() if name != "unknown"}
        if "method" in told:
            method = self.client._methods.get(told["method"])
            if method is not None:
                self.methods[told["id"]] = method
        for name in ("input", "message"):
            if name in told and not isinstance(told[name], bytes):
                method = self.methods.get(told["id"])
                told[name] = b"" if method is None else self._payload(method, told[name])
        return _write(ClientMessage(ClientMessageType(told.pop("type")), **told))

    def _payload(self, method: Method, value: Any) -> bytes:
        try:
            return method_codec(method, Format.PROTOBUF).encode_input(method.input.cls(**value))
        except WrongResult:
            # What the method's own message must not hold, written as one that has the same fields.
            return message_codec(message_type(Note), Format.PROTOBUF).encode(Note(**value))

    def decode(self, data: str | bytes) -> dict[str, Any]:
        assert isinstance(data, bytes)
        told: ServerMessage = _read(data)
        decoded: dict[str, Any] = {"type": told.type.value}
        if told.type is ServerMessageType.WELCOME:
            return {**decoded, **msgspec.to_builtins(told.welcome)}
        if told.type is ServerMessageType.ERROR:
            decoded |= self._error(told)
        decoded |= {name: getattr(told, name) for name in _MEMBERS.get(told.type, ())}
        if told.type in (ServerMessageType.RESULT, ServerMessageType.NEXT):
            method = self.methods[told.id]
            value = method_codec(method, Format.PROTOBUF).decode_result(told.message)
            text = method_codec(method, Format.PLAIN_JSON).encode_result(value)
            if text:
                decoded["message"] = json.loads(text)
        if told.position is not None:
            decoded["position"] = told.position
        if told.metadata:
            decoded["metadata"] = told.metadata
        return decoded

    def _error(self, told: ServerMessage) -> dict[str, Any]:
        error: dict[str, Any] = {"code": Code(told.code).name, "message": told.text, "request_id": told.request_id}
        if told.id:
            error["id"] = told.id
        if told.reason is not None:
            error["reason"] = told.reason
        details: list[Any] = []
        for packed in told.details:
            if packed.type_url.endswith("/google.rpc.BadRequest"):
                bad = message_codec(message_type(BadRequest), Format.PROTOBUF).decode(packed.value)
                details += [{"field": one.field, "reason": one.description} for one in bad.field_violations]
            else:
                note = message_codec(message_type(Note), Format.PROTOBUF).decode(packed.value)
                details.append({"type": "Note", **msgspec.to_builtins(note)})
        if details:
            error["details"] = details
        return error


TONGUES: list[type[Tongue]] = [Tongue, MessagePack, Protobuf]
