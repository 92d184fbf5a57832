"""What a driver needs of an engine: the connection's half of the dialect in `wire/sink.py`, as a type."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol


class Engine(Protocol):
    want_close: bool
    want_read: bool
    open_requests: int
    last_activity_marker: int
    awaiting_head: bool
    awaiting_body: bool
    on_output: Callable[[], None] | None
    on_refused: Callable[[Any, int, int], None] | None

    def receive_data(self, data: bytes) -> None: ...
    def receive_eof(self) -> None: ...
    def data_to_send(self) -> bytes: ...
    def shutdown(self) -> None: ...
    def timeout(self) -> None: ...
    def connection_lost(self) -> None: ...
    def pause_writing(self) -> None: ...
    def resume_writing(self) -> None: ...


class TunnelEngine(Engine, Protocol):
    """HTTP/1.1's, which leaves the connection to a tunnel after an Upgrade."""

    want_eof: bool


class TimedEngine(Engine, Protocol):
    """HTTP/2's, which counts abuse by the second, and times the bodies and answers of its streams one by one."""

    now: float

    def reset_stalled(self, limit_s: float) -> None: ...
    def reset_unread(self) -> None: ...
    def ping(self) -> None: ...
    def close(self, code: int = 0) -> None: ...
