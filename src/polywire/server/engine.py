"""What a driver needs of an engine: the connection's half of the dialect in `wire/sink.py`, as a type."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol


class Engine(Protocol):
    want_close: bool
    want_read: bool
    open_requests: int
    last_activity_marker: int
    awaiting_head: bool
    awaiting_body: bool
    on_output: Callable[[], None] | None

    def receive_data(self, data: bytes) -> None: ...
    def receive_eof(self) -> None: ...
    def data_to_send(self) -> bytes: ...
    def shutdown(self) -> None: ...
    def timeout(self) -> None: ...
    def connection_lost(self) -> None: ...
    def pause_writing(self) -> None: ...
    def resume_writing(self) -> None: ...


class TimedEngine(Engine, Protocol):
    """HTTP/2's, which counts abuse by the second, and whose peers give credit for each answer."""

    now: float

    def reset_unread(self) -> None: ...
