"""Payloads in MessagePack: the maps of plain JSON, read and written by way of it, so that both mean the same.

Bytes, decimals and dates are texts as in JSON; `bin` and the timestamp extension are taken as well.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import msgspec

from polywire.errors import MalformedInput

_unpack = msgspec.msgpack.Decoder().decode
_pack = msgspec.msgpack.Encoder().encode
_to_json = msgspec.json.Encoder().encode
_from_json = msgspec.json.Decoder().decode


def packed_decoder(decode: Callable[[bytes], Any]) -> Callable[[bytes], Any]:
    """`decode` of plain JSON, for MessagePack. Raises MalformedInput, and what `decode` raises."""

    def decode_packed(data: bytes) -> Any:
        return decode(_json_of(data) if data else b"")

    return decode_packed


def packed_encoder(encode: Callable[[Any], bytes]) -> Callable[[Any], bytes]:
    """`encode` of plain JSON, for MessagePack; no bytes stay none."""

    def encode_packed(value: Any) -> bytes:
        text = encode(value)
        return _pack(_from_json(text)) if text else b""

    return encode_packed


def _json_of(data: bytes) -> bytes:
    try:
        value = _unpack(data)
        if b"\xcb" in data or b"\xca" in data:
            _check_finite(value)
        return _to_json(value)
    except (msgspec.MsgspecError, RecursionError, UnicodeError, ValueError, TypeError, OverflowError):
        raise MalformedInput("the payload is not MessagePack that JSON could say") from None


def _check_finite(value: Any) -> None:
    """JSON writes null for what is no number; a float's first byte may also be part of something else."""
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError("not finite")
    elif isinstance(value, dict):
        for each in value.values():
            _check_finite(each)
    elif isinstance(value, list):
        for each in value:
            _check_finite(each)
