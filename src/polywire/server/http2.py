"""The driver of HTTP/2: what there is to time beyond the connection as a whole."""

from __future__ import annotations

import asyncio

from polywire.server.connection import Driver
from polywire.server.engine import TimedEngine
from polywire.server.hub import Hub


class Http2Driver(Driver[TimedEngine]):
    """Tells its engine the time, by which that counts abuse and gives up bodies that do not come and answers nobody
    takes; finds out by PING whether a silent peer still lives.
    """

    __slots__ = ("_heard_at", "_looked_at", "_pinged_at")

    protocol = "http2"

    def __init__(self, hub: Hub, transport: asyncio.Transport, engine: TimedEngine) -> None:
        super().__init__(hub, transport, engine)
        self._looked_at = self._heard_at = engine.now = hub.now
        self._pinged_at: float | None = None

    def tick(self, now: float) -> None:
        engine = self._engine
        if engine is None:
            return
        if now - self._looked_at >= self._hub.settings.write_timeout_s:
            self._looked_at = now
            engine.reset_unread()
        if self._heard:
            self._heard_at = now
            self._pinged_at = None
        elif self._is_dead(engine, now):
            self.abort()
            return
        super().tick(now)

    def _time_body(self, engine: TimedEngine, now: float, heard: bool) -> bool:
        """Each stream is timed on its own: what the others send says nothing about it."""
        engine.now = now
        if self._reading:
            engine.reset_stalled(self._hub.settings.body_timeout_s)
        return False

    def _is_dead(self, engine: TimedEngine, now: float) -> bool:
        """Ask a silent peer for a sign of life, and whether it has failed to give one.

        Idle connections are asked too, as grpc-go, hyper and Envoy do: a peer that is gone without FIN would hold them.
        While bytes wait in the transport, the PING waits behind them, and `write_timeout_s` decides.
        """
        settings = self._hub.settings
        if settings.keepalive_s is None or not self._reading or self._peer_done or self._unsent_bytes:
            self._heard_at = now
            self._pinged_at = None
        elif self._pinged_at is not None:
            return now - self._pinged_at >= settings.keepalive_timeout_s
        elif now - self._heard_at >= settings.keepalive_s:
            self._pinged_at = now
            engine.ping()
            self.flush()
        return False

    def _cut_off(self) -> None:
        engine = self._engine
        if engine is not None:
            engine.close()
            self.flush()
