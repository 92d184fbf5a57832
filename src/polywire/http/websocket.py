"""A WebSocket over an exchange's tunnel: an Upgrade of HTTP/1.1 (RFC 6455 §4.2) or an extended CONNECT (RFC 8441)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

from polywire.http.exchange import Exchange, Gone
from polywire.wire.headers import HeaderBlock
from polywire.wire.websocket import WebSocketEngine
from polywire.wire.websocket_deflate import DeflateParameters, answer
from polywire.wire.websocket_key import accept_key, is_key

logger = logging.getLogger("polywire")

NORMAL: Final = 1000
GOING_AWAY: Final = 1001
UNSUPPORTED_DATA: Final = 1003
POLICY_VIOLATION: Final = 1008
INTERNAL_ERROR: Final = 1011
ABNORMAL: Final = 1006
"""What the end of a connection without a close counts as; never sent."""

_PING, _PONG = 9, 10
_CANCEL = 8
"""What `reset` says of a peer that does not end (RFC 9113 §7)."""
_REFUSAL = [("content-type", "text/plain; charset=utf-8")]

Deflate = Literal["off", "no_context_takeover", "context_takeover"]


@dataclass(frozen=True, slots=True, kw_only=True)
class WebSocketLimits:
    """What one WebSocket may take.

    max_message_bytes: a longer message closes it with 1009; at most 2^31-1.
    close_timeout_s: seconds that the peer is given to answer a close, and then to end the connection.
    deflate: what permessage-deflate (RFC 7692) is agreed to, where a client offers it. With `context_takeover` messages
    refer to those before them; that saves bytes and costs 50 kB for each connection (of a client that cannot limit its
    window, 80 kB), where `no_context_takeover` costs nothing.

    Raises ValueError for what cannot be.
    """

    max_message_bytes: int = 1024 * 1024
    close_timeout_s: float = 5.0
    deflate: Deflate = "off"

    def __post_init__(self) -> None:
        if not 0 < self.max_message_bytes < 2**31:
            raise ValueError(f"max_message_bytes must be between 1 and {2**31 - 1}, not {self.max_message_bytes}")
        if not self.close_timeout_s > 0:
            raise ValueError(f"close_timeout_s must be above 0, not {self.close_timeout_s}")
        if self.deflate not in get_args(Deflate):
            raise ValueError(f"deflate must be one of {', '.join(get_args(Deflate))}, not {self.deflate!r}")


OnMessage = Callable[["WebSocket", "str | bytes"], None]
OnMessages = Callable[["WebSocket", "list[str | bytes]"], None]
OnClosed = Callable[["WebSocket", int, str], None]


def offered_subprotocols(exchange: Exchange) -> list[str]:
    """What the peer would speak, in the order of its preference (RFC 6455 §11.3.4)."""
    offered = ", ".join(exchange.headers.get_all("sec-websocket-protocol"))
    return [name for part in offered.split(",") if (name := part.strip())]


def accept(
    exchange: Exchange,
    limits: WebSocketLimits,
    on_message: OnMessage,
    on_closed: OnClosed,
    *,
    subprotocol: str | None = None,
    fields: Iterable[tuple[str, str]] = (),
) -> WebSocket | None:
    """Take up the tunnel that an exchange asks for; None: the handshake was wrong, and has been answered.

    on_message(ws, message): each message, within the read that brought it. on_closed(ws, code, reason): once, however
    it ends: the peer's code, ours where the peer broke the protocol, 1006 where it left without a close.
    fields: further ones of the handshake's answer.
    """
    fields = [*fields] if subprotocol is None else [*fields, ("sec-websocket-protocol", subprotocol)]
    if exchange.headers.get("sec-websocket-version") != "13":
        _refuse(exchange, 426, "this server speaks version 13 of WebSocket", [("sec-websocket-version", "13")])
        return None
    if exchange.method == "CONNECT":
        status = 200
    else:
        key = exchange.headers.get("sec-websocket-key") or ""
        if not is_key(key):
            _refuse(exchange, 400, "sec-websocket-key must be 16 bytes in base64", [])
            return None
        status = 101
        fields.append(("sec-websocket-accept", accept_key(key)))
    deflate = None
    if limits.deflate != "off":
        offers = ", ".join(exchange.headers.get_all("sec-websocket-extensions"))
        agreed = answer(offers, keep_context=limits.deflate == "context_takeover")
        if agreed is not None:
            said, deflate = agreed
            fields.append(("sec-websocket-extensions", said))
    return WebSocket(exchange, limits, on_message, on_closed, status, HeaderBlock(fields), deflate)


def _refuse(exchange: Exchange, status: int, problem: str, fields: list[tuple[str, str]]) -> None:
    exchange.respond(status, HeaderBlock([*_REFUSAL, *fields]), f"{problem}\n".encode())


class SocketClosed(ConnectionError):
    """The WebSocket is closed. code: the peer's, or ours where we closed it; 1006 where it was lost."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"closed with {code} {reason}".rstrip())
        self.code = code
        self.reason = reason


class WebSocket:
    """One WebSocket that is open, of the server's end. In one loop, never from other threads.

    The peer gets credit for what has been taken: while it is paused, nothing more is read.
    """

    __slots__ = (
        "_close_timer",
        "_closing",
        "_engine",
        "_is_over",
        "_limits",
        "_next_turn",
        "_on_closed",
        "_on_message",
        "_paused",
        "_queued",
        "_reading",
        "_resumes",
        "exchange",
        "heard",
        "on_messages",
        "shares_frames",
        "state",
    )

    def __init__(
        self,
        exchange: Exchange,
        limits: WebSocketLimits,
        on_message: OnMessage,
        on_closed: OnClosed,
        status: int,
        block: HeaderBlock,
        deflate: DeflateParameters | None,
    ) -> None:
        self.exchange = exchange
        self.state: Any = None
        """For the protocol that speaks over it."""
        self.heard = 0
        """Reads that have brought something, a pong perhaps: whether the peer lives."""
        self.shares_frames = deflate is None
        """A message has the same frame on all of them: nothing is compressed."""
        self.on_messages: OnMessages | None = None
        """Told instead of `on_message` where a read has brought nothing but messages: all of them at once."""
        self._limits = limits
        self._engine = WebSocketEngine(limits.max_message_bytes, deflate=deflate)
        self._on_message = on_message
        self._on_closed = on_closed
        self._paused = False
        self._resumes = False
        """It is paused until the peer has taken what is queued."""
        self._reading = False
        self._next_turn: asyncio.Handle | None = None
        """In which more of what has come is unpacked."""
        self._queued: list[Any] = []
        """What a read has brought and nobody has taken yet, the next one last."""
        self._closing: tuple[int, str] | None = None
        """What we have said that we close with."""
        self._close_timer: asyncio.TimerHandle | None = None
        self._is_over = False
        exchange.start(status, block)
        exchange.watch(self._gone)
        exchange.on_readable = self._readable  # type: ignore[method-assign]
        exchange.on_writable = self._writable  # type: ignore[method-assign]
        exchange.sink.receiver = exchange
        exchange.sink.body_timed = False
        exchange.sink.grant(0)

    @property
    def is_open(self) -> bool:
        """Messages can be sent."""
        return self._closing is None and not self._is_over

    @property
    def closing(self) -> tuple[int, str] | None:
        """The code and reason that we have closed it with; None: we have not."""
        return self._closing

    @property
    def is_blocked(self) -> bool:
        """More is queued than the peer takes."""
        return self.exchange.is_blocked

    @property
    def is_paused(self) -> bool:
        """Nothing is taken, and so nothing heard of the peer."""
        return self._paused

    def send(self, message: str | bytes) -> bool:
        """Queue a message; False: above the high-water mark, or closed: await `drained` before more."""
        if not self.is_open:
            return False
        return self.exchange.write(self._engine.encode(message))

    def frame(self, message: str | bytes) -> bytes:
        """The frame of a message, for `send_frame`."""
        return self._engine.encode(message)

    def send_frame(self, frame: bytes) -> bool:
        """As `send`, of what `frame` made, on this socket or on another one; where `shares_frames` of both."""
        if not self.is_open:
            return False
        return self.exchange.write(frame)

    def ping(self) -> None:
        """Ask whether the peer lives: `heard` grows with its answer. Not where it takes nothing in any case."""
        if self.is_open and not self.exchange.is_blocked:
            self.exchange.write(self._engine.encode_ping())

    async def drained(self) -> None:
        """Wait until the peer has taken enough of what is queued. Returns at once where it has left."""
        if self.is_open:
            try:
                await self.exchange.drain()
                return
            except Gone:
                pass
        await asyncio.sleep(0)

    def pause(self) -> None:
        """Take no more messages until `resume`."""
        self._paused = True

    def pause_until_drained(self) -> None:
        """Take no more messages until the peer has taken what is queued for it: it asks faster than it reads."""
        self._paused = self._resumes = True

    def resume(self) -> None:
        self._resumes = False
        if self._paused:
            self._paused = False
            self._readable()

    def _writable(self) -> None:
        Exchange.on_writable(self.exchange)
        if self._resumes:
            self.resume()

    def close(self, code: int = NORMAL, reason: str = "") -> None:
        """Begin the closing handshake (RFC 6455 §7.1.2); `on_closed` comes with the peer's answer, or after a while.

        Does nothing where it is closing already. Raises ValueError for a code that is never sent.
        """
        if not self.is_open:
            return
        self.exchange.write(self._engine.encode_close(code, reason))
        self._closing = (code, reason)
        # What the peer still sends is read on for its close to be found.
        self._paused = self._resumes = False
        self._wait_for_peer(self._abandon)
        self._readable()

    def _wait_for_peer(self, then: Callable[[], None]) -> None:
        self._close_timer = asyncio.get_running_loop().call_later(self._limits.close_timeout_s, then)

    def _stop_waiting(self) -> None:
        if self._close_timer is not None:
            self._close_timer.cancel()
            self._close_timer = None

    def _readable(self) -> None:
        # What takes a message may pause, resume and close: the loop that called it goes on by itself.
        if self._reading or self._next_turn is not None:
            return
        self._reading = True
        try:
            self._read()
        except Exception:
            request_id = self.exchange.request_id
            logger.exception("a WebSocket failed (request %s)", request_id, extra={"request_id": request_id})
            self._fail(INTERNAL_ERROR, "internal error")
        finally:
            self._reading = False
        if self._is_over:
            self._drop()

    def _read(self) -> None:
        sink = self.exchange.sink
        engine = self._engine
        while not self._paused and not self._is_over:
            if self._queued:
                self._take(self._queued.pop())
                continue
            if engine.failure is not None:
                self._fail(*engine.failure)
                return
            if engine.waiting:
                # Much was unpacked: others have their turn before there is more.
                self._next_turn = asyncio.get_running_loop().call_soon(self._go_on)
                return
            part = sink.take()
            if not part:
                if sink.ended:
                    self._gone()
                return
            sink.grant(len(part))
            self.heard += 1
            self._receive(part)

    def _go_on(self) -> None:
        self._next_turn = None
        if not self._is_over:
            self._receive(b"")
        self._readable()

    def _receive(self, data: bytes) -> None:
        found = self._engine.receive_data(data)
        if self.on_messages is not None and self._closing is None and tuple not in map(type, found):
            self.on_messages(self, found)
            return
        found.reverse()
        self._queued = found

    def _drop(self) -> None:
        """What comes after the end: the peer may not know of it yet."""
        sink = self.exchange.sink
        part = sink.take()
        if part:
            sink.grant(len(part))
        if sink.ended:
            self._stop_waiting()

    def _take(self, one: Any) -> None:
        if type(one) is not tuple:
            if self._closing is None:
                self._on_message(self, one)
            return
        opcode, payload = one
        if opcode == _PING:
            # One who takes nothing gets no pongs either: they would pile up.
            if self._closing is None and not self.exchange.is_blocked:
                self.exchange.write(self._engine.encode_pong(payload))
        elif opcode != _PONG:
            self._closed_by_peer(*payload)

    def _closed_by_peer(self, code: int, reason: str) -> None:
        if self._closing is None:
            self.exchange.write(self._engine.encode_close(code))
        else:
            code, reason = self._closing
        self._ended(code, reason)

    def _fail(self, code: int, reason: str) -> None:
        if self._closing is None:
            self.exchange.write(self._engine.encode_close(code, reason))
        self._ended(code, reason)

    def _abandon(self) -> None:
        """The peer has not answered our close in time."""
        self._close_timer = None
        assert self._closing is not None
        self._ended(*self._closing)

    def _gone(self) -> None:
        """The peer says nothing more; in the middle of a closing handshake that does."""
        self._ended(*(self._closing or (ABNORMAL, "")))

    def _ended(self, code: int, reason: str) -> None:
        if self._is_over:
            return
        self._is_over = True
        self._queued = []
        self._stop_waiting()
        sink = self.exchange.sink
        if not sink.closed:
            self.exchange.finish()
            if not sink.closed and not sink.ended:
                self.exchange.watch(self._stop_waiting)
                self._wait_for_peer(self._break_off)
        on_closed = self._on_closed
        # They refer to what refers to this: it must go now, not when the collector comes.
        self._on_message = self._on_closed = _nothing
        self.on_messages = None
        on_closed(self, code, reason)

    def _break_off(self) -> None:
        """The peer has not ended its side in time: it may send for ever."""
        self._close_timer = None
        self.exchange.reset(_CANCEL)


def _nothing(*_: Any) -> None:
    pass
