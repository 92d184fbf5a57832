"""The polywire WebSocket protocol: all services of an app, at one path."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

from polywire.codec import method_codec
from polywire.errors import ResourceExhausted
from polywire.http.exchange import Exchange
from polywire.http.gate import TOO_MANY_SOCKETS
from polywire.http.websocket import WebSocketLimits, offered_subprotocols
from polywire.protocols.endpoint import Endpoint, ProtocolServer
from polywire.protocols.websocket.framing import Framing
from polywire.protocols.websocket.json_framing import JsonFraming
from polywire.protocols.websocket.messages import SUBPROTOCOL_NOT_ACCEPTABLE
from polywire.protocols.websocket.msgpack_framing import MessagePackFraming
from polywire.protocols.websocket.protobuf_framing import ProtobufFraming
from polywire.protocols.websocket.session import Session
from polywire.runtime.binding import Binding
from polywire.runtime.runtime import Runtime

PROTOCOL: Final = "websocket"
_JSON = JsonFraming()
FRAMINGS: dict[str, Framing] = {framing.name: framing for framing in (_JSON, MessagePackFraming(), ProtobufFraming())}


class Target(NamedTuple):
    """A method as one framing offers it."""

    binding: Binding
    decode: Callable[[bytes], Any]
    encode: Callable[[Any], bytes]
    streams_in: bool
    streams_out: bool


class WebSocketServer(ProtocolServer):
    """Takes up sockets, and knows the methods that are called on them."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self.options = options = runtime.app.websocket_options
        self.limits = WebSocketLimits(max_message_bytes=options.max_message_bytes, deflate=options.deflate)
        self._principals: Counter[Any] = Counter()
        """Sockets that are open, by who has opened them; counted where they are bounded."""
        self.targets: dict[str, dict[str, Target]] = {name: {} for name in FRAMINGS}
        """By framing and full name."""
        if options.path is not None:
            for service, instance in runtime.app.services:
                for method in service.methods:
                    self._add(runtime.bind(method, instance, PROTOCOL))
        self._id: str | None = None

    def _add(self, binding: Binding) -> None:
        for name, framing in FRAMINGS.items():
            method = binding.method
            codec = method_codec(method, framing.format)
            self.targets[name][method.full_name] = Target(
                binding,
                codec.decode_input,
                codec.encode_result,
                method.shape.client_streaming,
                method.shape.server_streaming,
            )

    @property
    def id(self) -> str:
        """Of this process: made when it is asked for, as workers are forked."""
        if self._id is None:
            self._id = os.urandom(6).hex()
        return self._id

    def count(self, session: Session, principal: Any) -> None:
        """One more socket of a principal. Raises ResourceExhausted (TOO_MANY_SOCKETS) where that is too many."""
        most = self.options.max_per_principal
        if most is None:
            return
        if self._principals[principal] >= most:
            raise ResourceExhausted(f"more than {most} WebSockets of one user", reason=TOO_MANY_SOCKETS)
        self._principals[principal] += 1
        session.is_counted = True

    def forget(self, session: Session) -> None:
        """A socket is closed."""
        if session.is_counted:
            self._principals[session.principal] -= 1
            if not self._principals[session.principal]:
                del self._principals[session.principal]

    def websockets(self) -> Iterator[tuple[str, Endpoint]]:
        if self.options.path is not None:
            yield self.options.path, self.open

    def open(self, exchange: Exchange) -> None:
        offered = offered_subprotocols(exchange)
        framing = next((FRAMINGS[name] for name in offered if name in FRAMINGS), None)
        session = Session(self, exchange, framing or _JSON)
        if framing is not None or not offered:
            session.begin(None if framing is None else framing.name)
        elif session.accept():
            session.ws.close(SUBPROTOCOL_NOT_ACCEPTABLE, f"the subprotocols here are {', '.join(FRAMINGS)}")
