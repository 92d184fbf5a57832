"""How a channel over a WebSocket treats its connections."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Literal, get_args

Transport = Literal["websocket", "http"]
Token = str | Callable[[], Awaitable[str]] | None
"""A bearer token, or what is awaited for one before each connection."""

FINAL_CODES: Final = frozenset({1002, 1003, 1007, 1008, 1009, 1010, 4400, 4401, 4403, 4404, 4406, 4409})
"""Close codes after which to stay away: what was sent would be refused again (docs/websocket.md)."""
TOKEN_REFUSED: Final = 4401


@dataclass(frozen=True, slots=True, kw_only=True)
class SocketSettings:
    """transports: what is tried, the best first. "http": calls as POST, streams as server-sent events, topics by long
    polling where events do not get through; needs the extra `polywire[http]`.

    window: items of a stream that wait here to be read; the server sends no more.
    max_waiting_calls: that wait for a connection; RESOURCE_EXHAUSTED (QUEUE_FULL) beyond it.
    max_message_bytes: of one that comes.
    connect_timeout_s: until a connection has brought its welcome.
    greeting_timeout_s: over HTTP, until a topic's first event has come; then it is polled.
    silence_s: over HTTP, after which a stream on which nothing came counts as lost; three heartbeats.
    poll_wait_s: how long the server may hold a poll.
    backoff_s, max_backoff_s: a wait before another attempt is random, below a bound that doubles from one to the other.
    stable_s: how long a connection lasts until that begins anew.

    Raises ValueError for what cannot be.
    """

    transports: tuple[Transport, ...] = ("websocket", "http")
    window: int = 64
    max_waiting_calls: int = 1000
    max_message_bytes: int = 4 * 1024 * 1024
    connect_timeout_s: float = 5.0
    greeting_timeout_s: float = 5.0
    silence_s: float = 45.0
    poll_wait_s: float = 25.0
    backoff_s: float = 0.5
    max_backoff_s: float = 30.0
    stable_s: float = 10.0

    def __post_init__(self) -> None:
        if not self.transports or any(name not in get_args(Transport) for name in self.transports):
            raise ValueError(f"transports={self.transports!r} must be some of {', '.join(get_args(Transport))}")
        for name in ("window", "max_waiting_calls", "max_message_bytes"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be 1 or more")
        for name in (
            "connect_timeout_s",
            "greeting_timeout_s",
            "silence_s",
            "poll_wait_s",
            "backoff_s",
            "max_backoff_s",
            "stable_s",
        ):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be above 0")
