"""A server: a site behind listening sockets, from its start to its drained end."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import signal
import socket
import sys
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from typing import Any, Protocol

from polywire.runtime.call import Peer
from polywire.runtime.health import Health, State
from polywire.runtime.metrics import Family, Metrics
from polywire.server.hub import Hub
from polywire.server.listener import Listener, open_sockets
from polywire.server.settings import ServerSettings
from polywire.server.tls import server_context
from polywire.service.app import App

logger = logging.getLogger("polywire.server")

_LAST_WORDS_S = 1.0
"""What is left for answers to go out after calls were cancelled at the end of a drain."""
_POLL_S = 0.02


class Served(Protocol):
    """What a server needs of a `protocols.site.Site`."""

    health: Health
    metrics: Metrics

    @property
    def open_calls(self) -> int: ...
    def on_request(self, peer: Peer, sink: Any) -> None: ...
    async def start(self) -> None: ...
    async def stop(self) -> None: ...


class Server:
    """One site on one host and port.

    served: a site, or an App to make one of. settings: see there.
    sockets: bound (or listening) already, and owned from here on; None: opened as the settings say.
    After `start` it serves until `drain` or `abort`, one of which must be awaited.
    """

    def __init__(
        self,
        served: Served | App,
        settings: ServerSettings | None = None,
        sockets: Sequence[socket.socket] | None = None,
    ) -> None:
        if isinstance(served, App):
            from polywire.protocols.site import Site

            served = Site(served)
        self.site: Served = served
        self.settings = ServerSettings() if settings is None else settings
        self._sockets = sockets
        self._hub: Hub | None = None
        self._listeners: list[Listener] = []

    @property
    def port(self) -> int:
        """The port listened on; the system's choice for 0. Raises RuntimeError before start."""
        if not self._listeners:
            raise RuntimeError("the server has not been started")
        return self._listeners[0].port

    @property
    def open_connections(self) -> int:
        return 0 if self._hub is None else len(self._hub)

    async def start(self) -> None:
        """Run the site's start hooks, then listen.

        Raises ListenError, TlsError and what a hook raises; nothing is left open then.
        """
        context = server_context(self.settings)
        sockets = open_sockets(self.settings) if self._sockets is None else self._sockets
        self._hub = hub = Hub(self.site.on_request, self.settings, asyncio.get_running_loop())
        self._listeners = [Listener(hub, opened, context) for opened in sockets]
        try:
            await self.site.start()
            hub.start()
            for listener in self._listeners:
                listener.start()
        except BaseException:
            await self.abort()
            raise
        self.site.metrics.add_collector(self._families)
        self.site.health.state = State.SERVING

    async def drain(self, seconds: float | None = None) -> None:
        """Stop in order: fail readiness, stop accepting, let open calls end, close.

        seconds: how long they may take; None: `settings.drain_s`.
        Calls that are still open then are cancelled with UNAVAILABLE. Cancelling this stops at once.
        """
        hub = self._hub
        assert hub is not None, "the server has not been started"
        try:
            self.site.health.state = State.DRAINING
            if self.settings.pre_stop_s:
                await asyncio.sleep(self.settings.pre_stop_s)
            for listener in self._listeners:
                listener.close()
            hub.drain()
            limit_s = self.settings.drain_s if seconds is None else seconds
            if not await self._quiet_within(hub, limit_s):
                logger.warning("%d calls are still open after %g s: cancelling them", self.site.open_calls, limit_s)
        finally:
            await self.abort()

    async def abort(self) -> None:
        """Stop at once: open calls are cancelled with UNAVAILABLE, and get a moment to say so."""
        hub = self._hub
        assert hub is not None, "the server has not been started"
        for listener in self._listeners:
            listener.close()
            listener.abort()
        try:
            await self.site.stop()
            hub.drain()
            if len(hub):
                await self._quiet_within(hub, _LAST_WORDS_S)
        finally:
            await self._end(hub)

    async def _end(self, hub: Hub) -> None:
        hub.stop()
        hub.abort()
        for listener in self._listeners:
            await listener.wait_adopted()
        await self.site.health.close()
        # Transports tell their protocols of the end in the next turn.
        await asyncio.sleep(0)

    async def _quiet_within(self, hub: Hub, limit_s: float) -> bool:
        """Wait until no connection and no call is open; False after `limit_s`. Polled: it happens once in a life."""
        loop = asyncio.get_running_loop()
        until = loop.time() + limit_s
        while len(hub) or self.site.open_calls:
            if loop.time() >= until:
                return False
            await asyncio.sleep(_POLL_S)
        return True

    def _families(self) -> Iterable[Family]:
        assert self._hub is not None
        counts = self._hub.count_by_protocol()
        yield Family(
            "polywire_connections_open",
            "gauge",
            "Open connections, by protocol; new: it has not said yet.",
            [((("protocol", protocol),), float(count)) for protocol, count in counts.items()],
        )
        yield Family("polywire_calls_open", "gauge", "Calls suspended now.", (((), float(self.site.open_calls)),))


def run(
    make_site: Callable[[], Served],
    settings: ServerSettings,
    *,
    sockets: Sequence[socket.socket] | None = None,
    on_started: Callable[[Server], None] | None = None,
) -> int:
    """Serve until SIGTERM or SIGINT, drain, and return the exit code: 0, or 1 where a second signal cut it short.

    make_site: called within the new event loop (uvloop). on_started: called once the server listens.
    Raises what `Server.start` does.
    """
    main = _serve(make_site, settings, sockets, on_started)
    if sys.platform == "win32":
        return asyncio.run(main)
    import uvloop

    return uvloop.run(main)


async def _serve(
    make_site: Callable[[], Served],
    settings: ServerSettings,
    sockets: Sequence[socket.socket] | None,
    on_started: Callable[[Server], None] | None,
) -> int:
    server = Server(make_site(), settings, sockets)
    with _signals() as stops:
        if not await _finished_before(server.start(), stops[0]):
            return 0  # start() has undone itself
        if on_started is not None:
            on_started(server)
        # What is here now stays: the collector need not walk it again, and forked pages stay shared.
        gc.collect()
        gc.freeze()
        await stops[0].wait()
        return 0 if await _finished_before(server.drain(), stops[1]) else 1


@contextlib.contextmanager
def _signals() -> Iterator[tuple[asyncio.Event, asyncio.Event]]:
    """Two events: SIGTERM or SIGINT came once; it came again."""
    stops = (asyncio.Event(), asyncio.Event())

    def on_signal() -> None:
        stops[1 if stops[0].is_set() else 0].set()

    loop = asyncio.get_running_loop()
    numbers = (signal.SIGTERM, signal.SIGINT)
    for number in numbers:
        loop.add_signal_handler(number, on_signal)
    try:
        yield stops
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)


async def _finished_before(work: Coroutine[Any, Any, None], event: asyncio.Event) -> bool:
    """Do `work` unless `event` comes first, which cancels it. Raises what the work raises."""
    working = asyncio.ensure_future(work)
    waiting = asyncio.ensure_future(event.wait())
    try:
        await asyncio.wait((working, waiting), return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            working.result()
            return True
        working.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await working
        return False
    finally:
        working.cancel()
        waiting.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await waiting
