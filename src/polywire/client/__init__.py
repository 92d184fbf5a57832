"""Typed clients: the same service from the other side, over gRPC."""

from polywire.client.channel import Channel, connect
from polywire.client.options import CallOptions, Received, call_options
from polywire.client.settings import ChannelSettings

__all__ = ["CallOptions", "Channel", "ChannelSettings", "Received", "call_options", "connect"]
