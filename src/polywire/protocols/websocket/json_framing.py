"""Messages as JSON in text frames."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from polywire.codec import Format
from polywire.errors import Code, MalformedInput, RpcError
from polywire.protocols.rest.errors import detail_json
from polywire.protocols.websocket.framing import Framing, Pairs
from polywire.protocols.websocket.messages import Received, Welcome

_decode = msgspec.json.Decoder(Received).decode
_encode = msgspec.json.Encoder().encode


class JsonFraming(Framing):
    name: Final = "polywire.v1.json"
    format = Format.PLAIN_JSON
    is_text = True

    def read(self, data: str) -> Received:
        try:
            return _decode(data)
        except msgspec.ValidationError as error:
            raise MalformedInput(f"the message is none of this protocol: {error}") from None
        except (msgspec.DecodeError, RecursionError):
            raise MalformedInput("the message is not JSON") from None

    def welcome(self, welcome: Welcome) -> str:
        return '{"type":"welcome",' + _encode(welcome).decode()[1:]

    def result(self, id: int, payload: bytes, metadata: Pairs | None) -> str:
        message = b',"message":' + payload if payload else b""
        return (b'{"type":"result","id":%d%b%b}' % (id, message, _beside(metadata))).decode()

    def next(self, id: int, payload: bytes, position: str | None) -> str:
        if position is None:
            return (b'{"type":"next","id":%d,"message":%b}' % (id, payload or b"null")).decode()
        return (
            b'{"type":"next","id":%d,"message":%b,"position":%b}' % (id, payload or b"null", _encode(position))
        ).decode()

    def end(self, id: int, metadata: Pairs | None) -> str:
        return (b'{"type":"end","id":%d%b}' % (id, _beside(metadata))).decode()

    def error(self, id: int, error: RpcError, request_id: str, metadata: Pairs | None) -> str:
        return _encode(error_message(id, error, request_id, metadata)).decode()

    def credit(self, id: int, count: int) -> str:
        return f'{{"type":"credit","id":{id},"count":{count}}}'

    def pong(self) -> str:
        return '{"type":"pong"}'

    def going_away(self, reconnect_s: float) -> str:
        return f'{{"type":"going_away","reconnect_s":{reconnect_s:g}}}'


def _beside(metadata: Pairs | None) -> bytes:
    return b',"metadata":' + _encode(metadata) if metadata else b""


def error_message(id: int, error: RpcError, request_id: str, metadata: Pairs | None) -> dict[str, Any]:
    """An error as a map: `code` by its name, `id` only where it is a call's, what is empty left out."""
    told: dict[str, Any] = {"type": "error"}
    if id:
        told["id"] = id
    told["code"] = Code(error.code).name
    if error.reason is not None:
        told["reason"] = error.reason
    told["message"] = error.message
    if error.details:
        told["details"] = [detail_json(detail) for detail in error.details]
    told["request_id"] = request_id
    if metadata:
        told["metadata"] = metadata
    return told
