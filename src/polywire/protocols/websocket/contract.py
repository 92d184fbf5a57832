"""The envelopes of `polywire.v1.protobuf` as a .proto file."""

from __future__ import annotations

from collections.abc import AsyncIterator

from polywire.contract.proto import proto_texts
from polywire.protocols.websocket.messages import PACKAGE
from polywire.protocols.websocket.protobuf_framing import ClientMessage, ServerMessage
from polywire.service.operations import mutation
from polywire.service.service import Service


class Socket(Service, package=PACKAGE):
    """What goes over one WebSocket, written as a method."""

    @mutation
    async def talk(self, messages: AsyncIterator[ClientMessage]) -> AsyncIterator[ServerMessage]:
        raise NotImplementedError


def envelopes() -> str:
    """The text of `polywire/websocket/v1.proto`."""
    (text,) = proto_texts([Socket.__polywire__]).values()
    return text
