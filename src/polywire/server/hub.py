"""What the connections of one server share: settings, a coarse clock, common headers, and the ticker over them all."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from email.utils import formatdate
from typing import Any, Protocol

from polywire.runtime.call import Peer
from polywire.server._epoll import EPOLL, Poller
from polywire.server._flow import FlushQueue
from polywire.server.settings import ServerSettings
from polywire.server.trust import Policy
from polywire.wire.headers import CommonHeaders, HeaderBlock

logger = logging.getLogger("polywire.server")


class Watched(Protocol):
    """Something that holds a socket."""

    protocol: str
    """`http1`, `http2`, or `new` while that is not known: a label of the metrics."""

    def tick(self, now: float) -> None:
        """Look at the time-outs; `now` in monotonic seconds."""

    def drain(self) -> None:
        """End as soon as what is open allows."""

    def abort(self) -> None:
        """End at once."""


class Hub:
    """Shared by all connections of a server, and the set of them.

    on_request: takes each request, as (peer, sink).
    on_refused: told of each request that an engine has answered by itself, as (peer, sink, status, body_bytes).
    `now` is the monotonic time of the last tick: free to read, good enough to time out by. `common.block` is replaced
    whenever the second changes (RFC 9110 §6.6.1).
    """

    __slots__ = (
        "_date_second",
        "_new",
        "_ticker",
        "_watched",
        "clock",
        "common",
        "draining_since",
        "loop",
        "now",
        "on_refused",
        "on_request",
        "policy",
        "poller",
        "queue",
        "settings",
        "wall",
    )

    def __init__(
        self,
        on_request: Callable[[Peer, Any], None],
        settings: ServerSettings,
        loop: asyncio.AbstractEventLoop,
        *,
        on_refused: Callable[[Peer, Any, int, int], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.on_request = on_request
        self.on_refused = on_refused
        self.settings = settings
        self.policy = Policy.of(settings)
        self.loop = loop
        self.clock = clock
        self.wall = wall
        self.now = clock()
        self.common = CommonHeaders()
        self.draining_since: float | None = None
        # Dicts, as sets take three times as much for each of thousands; what comes and goes would leave gaps in them.
        self._watched: dict[Watched, None] = {}
        self._new: dict[Watched, None] = {}
        self.queue = FlushQueue(loop, clock)
        """Connections that have something to write."""
        self.poller: Poller | None = None
        """Of sockets in clear text, from `start` to `close`; None where there is no epoll."""
        self._date_second = -1
        self._ticker: asyncio.TimerHandle | None = None
        self._renew_date()

    def __len__(self) -> int:
        return len(self._watched) + len(self._new)

    def add(self, watched: Watched) -> None:
        self._place_of(watched)[watched] = None

    def discard(self, watched: Watched) -> None:
        self._place_of(watched).pop(watched, None)

    def _place_of(self, watched: Watched) -> dict[Watched, None]:
        return self._new if watched.protocol == "new" else self._watched

    def count_by_protocol(self) -> dict[str, int]:
        """Open connections: `http1`, `http2`, and `new` for those that have not said yet."""
        counts = {"http1": 0, "http2": 0, "new": 0}
        for watched in self._all():
            counts[watched.protocol] += 1
        return counts

    def _all(self) -> list[Watched]:
        return [*self._new, *self._watched]

    def start(self) -> None:
        """Let time pass, tick every `settings.tick_s` until `stop`, and take sockets. Raises OSError."""
        if EPOLL:
            self.poller = Poller(self.loop)
        self._ticker = self.loop.call_later(self.settings.tick_s, self._on_timer)

    def stop(self) -> None:
        if self._ticker is not None:
            self._ticker.cancel()
            self._ticker = None

    def tick(self) -> None:
        """Renew the clock and the date, and let every connection look at its time-outs."""
        now = self.now = self.clock()
        self._renew_date()
        for watched in self._all():
            try:
                watched.tick(now)
            except Exception:
                logger.exception("a connection failed while its time-outs were looked at; it is aborted")
                watched.abort()

    def drain(self) -> None:
        """Ask every connection to end as soon as it can."""
        if self.draining_since is None:
            self.draining_since = self.clock()
        for watched in self._all():
            watched.drain()

    def abort(self) -> None:
        """End every connection at once."""
        for watched in self._all():
            watched.abort()

    def close(self) -> None:
        """Everything has been aborted."""
        if self.poller is not None:
            self.poller.close()

    def _on_timer(self) -> None:
        self._ticker = self.loop.call_later(self.settings.tick_s, self._on_timer)
        self.tick()

    def _renew_date(self) -> None:
        second = int(self.wall())
        if second == self._date_second:
            return
        self._date_second = second
        pairs = [("date", formatdate(second, usegmt=True))]
        if self.settings.server_header is not None:
            pairs.append(("server", self.settings.server_header))
        self.common.block = HeaderBlock(pairs)
