"""Typed clients: the same service from the other side, over gRPC or a WebSocket."""

from polywire.client.channel import Channel, connect
from polywire.client.options import CallOptions, Received, call_options
from polywire.client.settings import ChannelSettings
from polywire.client.socket.channel import SocketChannel, connect_websocket
from polywire.client.socket.settings import SocketSettings

__all__ = [
    "CallOptions",
    "Channel",
    "ChannelSettings",
    "Received",
    "SocketChannel",
    "SocketSettings",
    "call_options",
    "connect",
    "connect_websocket",
]
