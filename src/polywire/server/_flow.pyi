import asyncio
from collections.abc import Callable
from typing import Any, Protocol

class Flushed(Protocol):
    """Something that has bytes to write."""

    def flush(self) -> None:
        """Write some of them; ask for another turn where there are more."""

    def abort(self) -> None:
        """End at once."""

class FlushQueue:
    def __init__(self, loop: asyncio.AbstractEventLoop, clock: Callable[[], float]) -> None: ...
    def __len__(self) -> int: ...
    def add(self, driver: Flushed) -> int:
        """Flush a driver soon."""

    def flush(self) -> None: ...

class Flow:
    _engine: Any
    _transport: Any
    _flush_due: bool
    _heard: bool
    _reading: bool
    _peer_done: bool
    _half_closed: bool
    def _begin(self, transport: asyncio.Transport, engine: Any, queue: FlushQueue, tunnels: bool) -> None: ...
    def data_received(self, data: bytes) -> None: ...
    def _on_output(self) -> None: ...
    def flush(self) -> None:
        """Write what the engine has to send, then do as it wants."""
