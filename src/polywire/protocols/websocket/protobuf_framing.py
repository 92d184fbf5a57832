"""Messages as protobuf in binary frames: two envelopes, whose payloads are bytes of the method's own messages."""

from __future__ import annotations

from enum import Enum
from typing import Final

import msgspec

from polywire.codec import Format, message_codec
from polywire.errors import Code, InvalidArgument, MalformedInput, RpcError
from polywire.protocols.rpc.details import ErrorInfo, error_details, pack
from polywire.protocols.websocket.framing import Framing, Pairs
from polywire.protocols.websocket.messages import PACKAGE, Received, Welcome
from polywire.schema import Message, UInt32, message_type


class ClientMessageType(Enum):
    HELLO = "hello"
    CALL = "call"
    NEXT = "next"
    END = "end"
    CANCEL = "cancel"
    CREDIT = "credit"
    PING = "ping"


class ServerMessageType(Enum):
    WELCOME = "welcome"
    RESULT = "result"
    NEXT = "next"
    END = "end"
    ERROR = "error"
    CREDIT = "credit"
    PONG = "pong"
    GOING_AWAY = "going_away"


class ClientMessage(Message, package=PACKAGE):
    """What a client sends: all kinds in one."""

    type: ClientMessageType
    id: int = 0
    method: str = ""
    input: bytes = b""
    timeout_s: float | None = None
    metadata: dict[str, str] = {}
    credit: UInt32 = 0
    after: str | None = None
    message: bytes = b""
    count: UInt32 = 0
    token: str | None = None


class Detail(Message, package=PACKAGE):
    """`google.protobuf.Any` on the wire."""

    type_url: str
    value: bytes


class ServerMessage(Message, package=PACKAGE):
    """What the server sends: all kinds in one."""

    type: ServerMessageType
    id: int = 0
    message: bytes = b""
    position: str | None = None
    metadata: dict[str, str] = {}
    code: UInt32 = 0
    """Of an error: `google.rpc.Code`."""
    reason: str | None = None
    text: str = ""
    """An error's own words, for people."""
    details: list[Detail] = []
    """As in `google.rpc.Status`, but for the reason."""
    request_id: str = ""
    count: UInt32 = 0
    reconnect_s: float = 0.0
    welcome: Welcome | None = None


_decode = message_codec(message_type(ClientMessage), Format.PROTOBUF).decode
_encode = message_codec(message_type(ServerMessage), Format.PROTOBUF).encode
_KINDS = {kind: kind.value for kind in ClientMessageType}


# What is sent most is put together of bytes: `type` and the tags of `id` and `message`, fields 1, 2 and 3.
_RESULT = _encode(ServerMessage(ServerMessageType.RESULT)) + b"\x10"
_NEXT = _encode(ServerMessage(ServerMessageType.NEXT)) + b"\x10"
_PAYLOAD = b"\x1a"


def _varint(number: int) -> bytes:
    if number < 0x80:
        return bytes((number,))
    found = bytearray()
    while number >= 0x80:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    found.append(number)
    return bytes(found)


class ProtobufFraming(Framing):
    name: Final = "polywire.v1.protobuf"
    format = Format.PROTOBUF
    is_text = False

    def read(self, data: bytes) -> Received:
        try:
            told: ClientMessage = _decode(data)
        except InvalidArgument as error:
            raise MalformedInput(f"the message is none of this protocol: {error.message}") from None
        return Received(
            _KINDS[told.type],
            told.id,
            told.method,
            msgspec.Raw(told.input),
            told.timeout_s,
            told.metadata or None,
            told.credit,
            told.after,
            msgspec.Raw(told.message),
            told.count,
            told.token,
        )

    def welcome(self, welcome: Welcome) -> bytes:
        return _encode(ServerMessage(ServerMessageType.WELCOME, welcome=welcome))

    def result(self, id: int, payload: bytes, metadata: Pairs | None) -> bytes:
        if metadata:
            return _encode(ServerMessage(ServerMessageType.RESULT, id, payload, None, metadata))
        return _RESULT + _varint(id) + _PAYLOAD + _varint(len(payload)) + payload

    def next(self, id: int, payload: bytes, position: str | None) -> bytes:
        if position is not None:
            return _encode(ServerMessage(ServerMessageType.NEXT, id, payload, position))
        return _NEXT + _varint(id) + _PAYLOAD + _varint(len(payload)) + payload

    def end(self, id: int, metadata: Pairs | None) -> bytes:
        return _encode(ServerMessage(ServerMessageType.END, id, metadata=metadata or {}))

    def error(self, id: int, error: RpcError, request_id: str, metadata: Pairs | None) -> bytes:
        return _encode(
            ServerMessage(
                ServerMessageType.ERROR,
                id,
                metadata=metadata or {},
                code=int(Code(error.code)),
                reason=error.reason,
                text=error.message,
                details=_details(error),
                request_id=request_id,
            )
        )

    def credit(self, id: int, count: int) -> bytes:
        return _encode(ServerMessage(ServerMessageType.CREDIT, id, count=count))

    def pong(self) -> bytes:
        return _encode(ServerMessage(ServerMessageType.PONG))

    def going_away(self, reconnect_s: float) -> bytes:
        return _encode(ServerMessage(ServerMessageType.GOING_AWAY, reconnect_s=reconnect_s))


def _details(error: RpcError) -> list[Detail]:
    """All but the reason, which has a field of its own."""
    packed = [pack(detail) for detail in error_details(error, "") if type(detail) is not ErrorInfo]
    return [Detail(one.type_url, one.value) for one in packed]
