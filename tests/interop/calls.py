"""gRPC methods of `lab.Lab` through grpcio, with messages of Google's protobuf."""

from __future__ import annotations

from typing import Any

from tests.live import protos

IDENTITY = [("grpc.compression_enabled_algorithms_bitset", 1)]
"""Options of a channel that takes no gzip: what is large on this side is so on the wire."""


def unary(channel: Any, name: str) -> Any:
    path, _, output = protos.method(name)
    return channel.unary_unary(path, lambda message: message.SerializeToString(), output.FromString)


def stream(channel: Any, name: str) -> Any:
    """A method that streams its answers."""
    path, _, output = protos.method(name)
    return channel.unary_stream(path, lambda message: message.SerializeToString(), output.FromString)


def upload(channel: Any, name: str) -> Any:
    """A method that takes a stream."""
    path, _, output = protos.method(name)
    return channel.stream_unary(path, lambda message: message.SerializeToString(), output.FromString)


def both(channel: Any, name: str) -> Any:
    path, _, output = protos.method(name)
    return channel.stream_stream(path, lambda message: message.SerializeToString(), output.FromString)


def request(method: str, /, **fields: Any) -> Any:
    """The request message of a method."""
    return protos.method(method)[1](**fields)
