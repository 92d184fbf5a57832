"""A WebSocket over an exchange's tunnel: an Upgrade of HTTP/1.1 (RFC 6455 §4.2) or an extended CONNECT (RFC 8441)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal, Protocol, get_args

from polywire.http._websocket import WebSocket as WebSocket
from polywire.http.exchange import Exchange
from polywire.tasks.turns import Turns
from polywire.wire.headers import HeaderBlock
from polywire.wire.websocket_deflate import answer
from polywire.wire.websocket_key import accept_key, is_key

NORMAL: Final = 1000
GOING_AWAY: Final = 1001
UNSUPPORTED_DATA: Final = 1003
POLICY_VIOLATION: Final = 1008
INTERNAL_ERROR: Final = 1011
ABNORMAL: Final = 1006
"""What the end of a connection without a close counts as; never sent."""

_USED_UP: Final = ("connection", "upgrade", "sec-websocket-key", "sec-websocket-version", "sec-websocket-extensions")
"""Fields of the handshake that say nothing any more once it is over."""
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


class Listener(Protocol):
    """Takes what comes over a WebSocket."""

    def on_message(self, ws: WebSocket, message: str | bytes, /) -> None:
        """Each message, within the read that brought it."""

    def on_unfinished(self, ws: WebSocket, count_bytes: int, /) -> bool:
        """So many bytes more, or fewer, are kept of a message that is not whole.

        False: more may not be; the socket is closed with 1013.
        """

    def on_closed(self, ws: WebSocket, code: int, reason: str, /) -> None:
        """Once, however it ends: the peer's code, ours where the peer broke the protocol, 1006 where it left without a
        close.
        """


def offered_subprotocols(exchange: Exchange) -> list[str]:
    """What the peer would speak, in the order of its preference (RFC 6455 §11.3.4)."""
    offered = ", ".join(exchange.headers.get_all("sec-websocket-protocol"))
    return [name for part in offered.split(",") if (name := part.strip())]


def accept(
    exchange: Exchange,
    limits: WebSocketLimits,
    listener: Listener,
    *,
    subprotocol: str | None = None,
    fields: Iterable[tuple[str, str]] = (),
    turns: Turns | None = None,
) -> WebSocket | None:
    """Take up the tunnel that an exchange asks for; None: the handshake was wrong, and has been answered.

    fields: further ones of the handshake's answer.
    turns: of the process, in which compressed messages are unpacked; needed unless `limits` has them off.
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
        assert turns is not None, "what is compressed is unpacked in turns"
        offers = ", ".join(exchange.headers.get_all("sec-websocket-extensions"))
        agreed = answer(offers, keep_context=limits.deflate == "context_takeover")
        if agreed is not None:
            said, deflate = agreed
            fields.append(("sec-websocket-extensions", said))
    for name in _USED_UP:
        exchange.headers.drop(name)
    return WebSocket(exchange, limits, listener, status, HeaderBlock(fields), deflate, turns)


def _refuse(exchange: Exchange, status: int, problem: str, fields: list[tuple[str, str]]) -> None:
    exchange.respond(status, HeaderBlock([*_REFUSAL, *fields]), f"{problem}\n".encode())


class SocketClosed(ConnectionError):
    """The WebSocket is closed. code: the peer's, or ours where we closed it; 1006 where it was lost."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"closed with {code} {reason}".rstrip())
        self.code = code
        self.reason = reason
