"""Messages as MessagePack in binary frames: the maps that JSON has."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from polywire.codec import Format
from polywire.errors import MalformedInput, RpcError
from polywire.protocols.websocket.framing import Framing, Pairs
from polywire.protocols.websocket.json_framing import error_message
from polywire.protocols.websocket.messages import Received, Welcome

_decode = msgspec.msgpack.Decoder(Received).decode
_encode = msgspec.msgpack.Encoder().encode
_NIL = b"\xc0"


class MessagePackFraming(Framing):
    name: Final = "polywire.v1.msgpack"
    format = Format.MESSAGE_PACK
    is_text = False

    def read(self, data: bytes) -> Received:
        try:
            return _decode(data)
        except msgspec.ValidationError as error:
            raise MalformedInput(f"the message is none of this protocol: {error}") from None
        except (msgspec.DecodeError, RecursionError, UnicodeError):
            raise MalformedInput("the message is not MessagePack") from None

    def welcome(self, welcome: Welcome) -> bytes:
        return _encode({"type": "welcome", **msgspec.to_builtins(welcome)})

    def result(self, id: int, payload: bytes, metadata: Pairs | None) -> bytes:
        told: dict[str, Any] = {"type": "result", "id": id}
        if payload:
            told["message"] = msgspec.Raw(payload)
        return _encode(_beside(told, metadata))

    def next(self, id: int, payload: bytes, position: str | None) -> bytes:
        told: dict[str, Any] = {"type": "next", "id": id, "message": msgspec.Raw(payload or _NIL)}
        if position is not None:
            told["position"] = position
        return _encode(told)

    def end(self, id: int, metadata: Pairs | None) -> bytes:
        return _encode(_beside({"type": "end", "id": id}, metadata))

    def error(self, id: int, error: RpcError, request_id: str, metadata: Pairs | None) -> bytes:
        return _encode(error_message(id, error, request_id, metadata))

    def credit(self, id: int, count: int) -> bytes:
        return _encode({"type": "credit", "id": id, "count": count})

    def pong(self) -> bytes:
        return _encode({"type": "pong"})

    def going_away(self, reconnect_s: float) -> bytes:
        return _encode({"type": "going_away", "reconnect_s": reconnect_s})


def _beside(told: dict[str, Any], metadata: Pairs | None) -> dict[str, Any]:
    if metadata:
        told["metadata"] = metadata
    return told
