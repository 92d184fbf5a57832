import asyncio
from collections.abc import Callable
from typing import Any, Protocol

from polywire.server.hub import Hub

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
    _hub: Hub
    _engine: Any
    _transport: Any
    _flush_due: bool
    _heard: bool
    _reading: bool
    _peer_done: bool
    _half_closed: bool
    _retiring: bool
    _marker: int
    _unsent_bytes: int
    _idle_since: float
    _stalled_since: float
    _retires_at: float
    _awaited_since: float | None
    def _begin(self, hub: Hub, transport: asyncio.Transport, engine: Any, retires_at: float, tunnels: bool) -> None: ...
    def data_received(self, data: bytes) -> None: ...
    def _follow(self, tunnel: Any) -> None:
        """The engine has left the connection to its tunnel, which is the engine from now on."""
    def __call__(self) -> None:
        """The engine has something to send, or wants something else."""
    def flush(self) -> None:
        """Write what the engine has to send, then do as it wants."""
    def tick(self, now: float) -> None:
        """Look at the time-outs; `now` in monotonic seconds."""
