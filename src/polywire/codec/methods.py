"""The codec of a method in one format: what a protocol calls for every request."""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from polywire.codec._protobuf import ProtobufCodec
from polywire.codec.json import Profile, json_reader, json_writer
from polywire.codec.message_pack import packed_decoder, packed_encoder
from polywire.schema.types import MessageType, Method, ResultForm
from polywire.shared import Shared


class Format(enum.Enum):
    PROTOBUF = "protobuf"
    PLAIN_JSON = "plain_json"
    PROTO_JSON = "proto_json"
    MESSAGE_PACK = "message_pack"
    """The maps of plain JSON."""


@dataclass(frozen=True, slots=True)
class MethodCodec:
    """Four functions between Python values and bytes; native, so call them without a wrapper.

    Decoding raises `MalformedInput` or `InvalidInput`, encoding `WrongResult`. A result is the handler's bare one, or
    one element of its stream: what the format wraps is wrapped here. An element of a tracked stream may be `Shared`.
    """

    decode_input: Callable[[bytes], Any]
    encode_result: Callable[[Any], bytes]
    encode_input: Callable[[Any], bytes]
    decode_result: Callable[[bytes], Any]


@dataclass(frozen=True, slots=True)
class MessageCodec:
    """The codec of one message type by itself, for error details and the like. Raises as `MethodCodec` does."""

    encode: Callable[[Any], bytes]
    decode: Callable[[bytes], Any]


_PROFILES = {Format.PLAIN_JSON: Profile.PLAIN, Format.PROTO_JSON: Profile.PROTO}


@lru_cache(maxsize=4096)
def message_codec(message: MessageType, format: Format) -> MessageCodec:
    """The codec of a message type; the same object for the same arguments."""
    if format is Format.PROTOBUF:
        codec = _protobuf(message)
        return MessageCodec(codec.encode, codec.decode)
    if format is Format.MESSAGE_PACK:
        plain = message_codec(message, Format.PLAIN_JSON)
        return MessageCodec(packed_encoder(plain.encode), packed_decoder(plain.decode))
    profile = _PROFILES[format]
    return MessageCodec(json_writer(message, profile).encode, json_reader(message, profile).decode)


@lru_cache(maxsize=4096)
def method_codec(method: Method, format: Format) -> MethodCodec:
    """The codec of a method; the same object for the same arguments.

    An EMPTY result is None: an empty message, in plain JSON and MessagePack no bytes at all. A WRAPPED one stands in
    its wrapper message in protobuf and proto JSON and bare in the other two.
    """
    received = message_codec(method.input, format)
    encode_result, decode_result = _result(method, format)
    if method.tracked:
        encode_result = _sharing(encode_result, format)
    return MethodCodec(received.decode, encode_result, received.encode, decode_result)


def _sharing(encode: Callable[[Any], bytes], format: Format) -> Callable[[Any], bytes]:
    """Encodes what many streams send but once."""

    def encode_item(item: Any) -> bytes:
        if type(item) is not Shared:
            return encode(item)
        found: bytes = item.encoded(format, encode)
        return found

    return encode_item


@lru_cache(maxsize=4096)
def _protobuf(message: MessageType) -> ProtobufCodec:
    return ProtobufCodec(message)


def _result(method: Method, format: Format) -> tuple[Callable[[Any], bytes], Callable[[bytes], Any]]:
    if format is Format.MESSAGE_PACK:
        encode, decode = _result(method, Format.PLAIN_JSON)
        return packed_encoder(encode), packed_decoder(decode)
    if method.result_form is ResultForm.MESSAGE:
        codec = message_codec(method.output, format)
        return codec.encode, codec.decode
    if format is Format.PROTOBUF:
        binary = _protobuf(method.output)
        if method.result_form is ResultForm.EMPTY:
            return binary.encode_empty, binary.decode_empty
        return binary.encode_wrapped, binary.decode_wrapped
    writer = json_writer(method.output, _PROFILES[format])
    reader = json_reader(method.output, _PROFILES[format])
    if method.result_form is ResultForm.EMPTY:
        return writer.encode_empty, reader.decode_empty
    if format is Format.PLAIN_JSON:
        return writer.encode_bare, reader.decode_bare
    return writer.encode_wrapped, reader.decode_wrapped
