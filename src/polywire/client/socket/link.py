"""One WebSocket to a server: the handshake, messages in and out, and whether the server lives."""

from __future__ import annotations

import asyncio
import base64
import os
from collections.abc import Callable
from functools import partial
from time import monotonic
from typing import Any, Final, cast

from polywire.client.socket.calls import SocketCall
from polywire.client.target import Target
from polywire.codec import Format, message_codec
from polywire.errors import TOO_LARGE, Code, InvalidArgument, ResourceExhausted, RpcError
from polywire.protocols.grpc.status import error_told
from polywire.protocols.rpc.details import Packed
from polywire.protocols.websocket.messages import Welcome
from polywire.protocols.websocket.protobuf_framing import (
    ClientMessage,
    ClientMessageType,
    ServerMessage,
    ServerMessageType,
)
from polywire.schema import message_type
from polywire.wire.websocket import WebSocketEngine
from polywire.wire.websocket_key import accept_key

SUBPROTOCOL: Final = "polywire.v1.protobuf"
LOST: Final = 1006
_MOST_HEAD: Final = 16 * 1024
_CLOSE, _PING = 8, 9
_MISSED_BEATS: Final = 3
_LONGEST_BEAT_S: Final = 3600.0
_CLOSING_S: Final = 5.0
"""For what is queued to go out, once it is over."""
_OVERHEAD: Final = 64 * 1024
"""Of an envelope, beside its payload."""

_encode = message_codec(message_type(ClientMessage), Format.PROTOBUF).encode
_decode = message_codec(message_type(ServerMessage), Format.PROTOBUF).decode


class HandshakeRefused(ConnectionError):
    """The answer to the handshake was another one than 101. status: 0 where there was none in HTTP."""

    def __init__(self, status: int) -> None:
        super().__init__(f"the server answered the WebSocket's handshake with {status}")
        self.status = status


class SocketLink(asyncio.Protocol):
    """opened(): it has its welcome. closed(link, code, reason): once. leaving(link, reconnect_s): the server goes away.
    room(): a call has ended.
    """

    format = Format.PROTOBUF

    def __init__(
        self,
        target: Target,
        max_message_bytes: int,
        closed: Callable[[SocketLink, int, str], None],
        leaving: Callable[[SocketLink, float], None],
        room: Callable[[], None],
    ) -> None:
        loop = asyncio.get_running_loop()
        self.calls: dict[int, SocketCall] = {}
        self.welcome: asyncio.Future[Welcome] = loop.create_future()
        self.leaving = False
        self._target = target
        self._closed = closed
        self._leaves = leaving
        self._room = room
        self._loop = loop
        self._engine = WebSocketEngine(max_message_bytes + _OVERHEAD, is_client=True)
        self._key = base64.b64encode(os.urandom(16)).decode()
        self._head: bytearray | None = bytearray()
        """None once the handshake is over."""
        self._transport: asyncio.Transport | None = None
        self._token: str | None = None
        self._ended: tuple[int, str] | None = None
        """The code and reason that it is over with."""
        self.gone: asyncio.Future[None] = loop.create_future()
        """The socket is closed."""
        self._next_id = 1
        self._heard_at = monotonic()
        self._beat_s = 15.0
        self._missed = 0
        self._beat: asyncio.TimerHandle | None = None
        self._writable = asyncio.Event()
        self._writable.set()
        self._most_calls = 1
        self._most_bytes = 0
        self._credit = 0
        self.problem: Callable[[], RpcError] | None = None
        """Makes the error that the server has told of the connection itself."""

    # The connection.

    @property
    def _is_over(self) -> bool:
        return self._ended is not None

    async def open(self, token: str | None) -> None:
        """Connect, and wait for the server's welcome.

        Raises OSError, ssl.SSLError, HandshakeRefused, HandshakeClosed.
        """
        self._token = token
        target = self._target
        await self._loop.create_connection(
            lambda: self,
            target.host,
            target.port,
            ssl=target.tls,
            server_hostname=target.host if target.tls is not None else None,
        )
        welcome = await self.welcome
        if self._ended is not None:
            # It came together with the end, which nobody has been told of yet.
            raise HandshakeClosed(*self._ended, self.problem)
        self._most_calls = welcome.limits.calls
        self._most_bytes = welcome.limits.message_bytes
        self._credit = welcome.limits.credit
        self._beat_s = welcome.heartbeat_s
        self._listen()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        if self._is_over:
            self.gone = self._loop.create_future()
            self._transport.abort()
            return
        path = self._target.path or "/ws"
        self._transport.write(
            f"GET {path} HTTP/1.1\r\nHost: {self._target.authority}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {self._key}\r\nSec-WebSocket-Version: 13\r\nUser-Agent: polywire\r\n"
            f"Sec-WebSocket-Protocol: {SUBPROTOCOL}\r\n\r\n".encode()
        )

    def data_received(self, data: bytes) -> None:
        self._heard_at = monotonic()
        self._missed = 0
        if self._head is not None:
            self._head += data
            end = self._head.find(b"\r\n\r\n")
            if end < 0:
                if len(self._head) > _MOST_HEAD:
                    self._refused(0)
                return
            head, data = bytes(self._head[:end]), bytes(self._head[end + 4 :])
            self._head = None
            if not self._shake(head):
                return
        self._receive(data)

    def _shake(self, head: bytes) -> bool:
        """Read the answer to the handshake (RFC 6455 §4.1)."""
        status, *lines = head.decode("latin-1").split("\r\n")
        parts = status.split(" ", 2)
        code = parts[1] if len(parts) > 1 and parts[0].startswith("HTTP/") else ""
        number = int(code) if len(code) == 3 and code.isdecimal() else 0
        fields = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        if (
            number != 101
            or fields.get("sec-websocket-accept") != accept_key(self._key)
            or fields.get("sec-websocket-protocol") != SUBPROTOCOL
            or "sec-websocket-extensions" in fields
        ):
            self._refused(number)
            return False
        assert self._transport is not None
        if self._token is not None:
            self._send(ClientMessage(ClientMessageType.HELLO, token=self._token))
        return True

    def _refused(self, status: int) -> None:
        if not self.welcome.done():
            self.welcome.set_exception(HandshakeRefused(status))
            self.welcome.exception()
        self._over(LOST, "the handshake was refused")

    def _receive(self, data: bytes) -> None:
        if self._is_over:
            return
        engine = self._engine
        found = engine.receive_data(data)
        while engine.waiting:
            found += engine.receive_data(b"")
        for one in found:
            if type(one) is bytes:
                self._message(one)
            elif type(one) is tuple:
                self._control(*one)
            else:
                self._fail(1003, "messages are binary")
            if self._is_over:
                return
        if engine.failure is not None:
            self._fail(*engine.failure)

    def _control(self, opcode: int, payload: Any) -> None:
        if opcode == _PING:
            # Whoever pings without reading would have us keep the answers (RFC 6455 §5.5.3 asks for the last one only).
            if self._writable.is_set():
                self._write(self._engine.encode_pong(payload))
        elif opcode == _CLOSE:
            code, reason = payload
            self._write(self._engine.encode_close(code))
            self._over(code, reason)

    def _fail(self, code: int, reason: str) -> None:
        """The server does not keep to the protocol."""
        self._write(self._engine.encode_close(code, reason))
        self._over(code, reason)

    def connection_lost(self, exc: Exception | None) -> None:
        self.gone.set_result(None)
        self._over(LOST, "the connection was lost")

    def eof_received(self) -> bool:
        return False

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    async def drained(self) -> None:
        await self._writable.wait()

    def _over(self, code: int, reason: str) -> None:
        if self._is_over:
            return
        self._ended = code, reason
        self._writable.set()
        if self._beat is not None:
            self._beat.cancel()
        if self._transport is not None:
            self._transport.close()
            # A server that takes nothing would have it stay, with what is queued for it.
            self._loop.call_later(_CLOSING_S, self._transport.abort)
        elif not self.gone.done():
            self.gone.set_result(None)
        if not self.welcome.done():
            self.welcome.set_exception(HandshakeClosed(code, reason, self.problem))
            self.welcome.exception()  # nobody may wait for it any more
        self._closed(self, code, reason)

    def close(self) -> None:
        """Leave in order."""
        if not self._is_over and self._head is None:
            self._write(self._engine.encode_close(1000))
        self._over(1000, "")

    def abort(self) -> None:
        self._over(LOST, "the connection was given up")
        if self._transport is not None:
            self._transport.abort()

    def _listen(self) -> None:
        """Look twice in a heartbeat whether the server was heard; it answers a ping."""
        if self._is_over:
            return
        self._beat = self._loop.call_later(self._beat_s / 2, self._listen)
        if monotonic() - self._heard_at < self._beat_s / 2:
            return
        self._missed += 1
        if self._missed > _MISSED_BEATS:
            self.abort()
        else:
            self._write(self._engine.encode_ping())

    # Messages.

    def _write(self, data: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def _send(self, message: ClientMessage) -> None:
        self._write(self._engine.encode(_encode(message)))

    def _message(self, data: bytes) -> None:
        try:
            told: ServerMessage = _decode(data)
        except InvalidArgument:
            self._fail(4400, "the message is none of this protocol")
            return
        kind = told.type
        if kind is ServerMessageType.WELCOME:
            self._welcomed(told.welcome)
            return
        if kind is ServerMessageType.GOING_AWAY:
            self.leaving = True
            self._leaves(self, told.reconnect_s)
            return
        call = self.calls.get(told.id)
        if call is None:
            if kind is ServerMessageType.ERROR and not told.id:
                self.problem = _error_of(told)
            return
        if kind is ServerMessageType.NEXT:
            if call.room:
                call.next(told.message, told.position)
            else:
                call.overrun()
        elif kind is ServerMessageType.RESULT:
            call.result(told.message, told.metadata)
        elif kind is ServerMessageType.END:
            call.end(told.metadata)
        elif kind is ServerMessageType.CREDIT:
            call.credited(told.count)
        elif kind is ServerMessageType.ERROR:
            call.failed(_error_of(told)())
        if told.id not in self.calls:
            self._room()

    def _welcomed(self, told: Welcome | None) -> None:
        if self.welcome.done():
            return
        if told is None or not 0.0 < told.heartbeat_s <= _LONGEST_BEAT_S or told.limits.calls < 1:
            self._fail(4400, "the welcome has a heartbeat or a limit that cannot be")
        else:
            self.welcome.set_result(told)

    # What calls do.

    @property
    def is_full(self) -> bool:
        return len(self.calls) >= self._most_calls

    def start(self, call: SocketCall) -> None:
        id = self._next_id
        terms = call.terms
        timeout_s = None if terms.deadline is None else max(0.001, terms.deadline - monotonic())
        message = ClientMessage(
            ClientMessageType.CALL,
            id,
            call.method.full_name,
            b"" if call.method.shape.client_streaming else call.payload(self.format),
            timeout_s,
            terms.texts(),
            call.room,
            call.after,
        )
        wire = _encode(message)
        if len(wire) > self._most_bytes:
            problem = f"the message is longer than the server takes, {self._most_bytes} bytes"
            call.fail(ResourceExhausted(problem, reason=TOO_LARGE))
            return
        self._next_id += 1
        self.calls[id] = call
        self._write(self._engine.encode(wire))
        call.begun(self, id, self._credit)

    def item(self, call: SocketCall, payload: bytes) -> None:
        if self.calls.get(call.id) is call:
            self._send(ClientMessage(ClientMessageType.NEXT, call.id, message=payload))

    def end(self, call: SocketCall) -> None:
        if self.calls.get(call.id) is call:
            self._send(ClientMessage(ClientMessageType.END, call.id))

    def credit(self, call: SocketCall, count: int) -> None:
        self._send(ClientMessage(ClientMessageType.CREDIT, call.id, count=count))

    def cancel(self, call: SocketCall) -> None:
        self._send(ClientMessage(ClientMessageType.CANCEL, call.id))
        self.calls.pop(call.id, None)
        self._loop.call_soon(self._room)


class HandshakeClosed(ConnectionError):
    """The server closed the socket before its welcome, or with it. problem: makes the error that it told before."""

    def __init__(self, code: int, reason: str, problem: Callable[[], RpcError] | None) -> None:
        super().__init__(f"closed with {code} {reason}".rstrip())
        self.code = code
        self.problem = problem


def _error_of(told: ServerMessage) -> Callable[[], RpcError]:
    """Makes the error of a message, a new one for each who is told it."""
    details = [Packed(one.type_url, one.value) for one in told.details]
    code = Code(told.code) if 0 < told.code <= Code.UNAUTHENTICATED else Code.UNKNOWN
    return partial(error_told, code, told.text, details, told.reason, told.metadata)
