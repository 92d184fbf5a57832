"""Typed values to bytes and back, driven by the schema's tables: protobuf, two JSON profiles, REST parameters."""

from polywire.codec.methods import Format, MessageCodec, MethodCodec, message_codec, method_codec
from polywire.codec.parameters import request_binder
from polywire.codec.results import WrongResult

__all__ = [
    "Format",
    "MessageCodec",
    "MethodCodec",
    "WrongResult",
    "message_codec",
    "method_codec",
    "request_binder",
]
