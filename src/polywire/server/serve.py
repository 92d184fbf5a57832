"""A server: a site behind listening sockets, from its start to its drained end."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import signal
import socket
import ssl
import sys
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from typing import Any, Protocol

from polywire.runtime.call import Peer
from polywire.runtime.health import Health, State
from polywire.runtime.metrics import Family, Metrics
from polywire.server.hub import Hub
from polywire.server.listener import Listener, open_sockets
from polywire.server.settings import ServerSettings
from polywire.server.tls import reload_certificates, server_context
from polywire.server.worker import Seat
from polywire.service.app import App

logger = logging.getLogger("polywire.server")

_LAST_WORDS_S = 1.0
"""What is left for answers to go out after calls were cancelled at the end of a drain."""
_POLL_S = 0.02


class Served(Protocol):
    """What a server needs of a `protocols.site.Site`."""

    health: Health
    metrics: Metrics
    drain_s: float

    @property
    def open_calls(self) -> int: ...
    def on_request(self, peer: Peer, sink: Any) -> None: ...
    def on_refused(self, peer: Peer, sink: Any, status: int, body_bytes: int) -> None: ...
    async def start(self) -> None: ...
    def go_away(self, within_s: float) -> None: ...
    async def stop(self) -> None: ...


class Server:
    """One site on one host and port.

    served: a site, or an App to make one of. settings: see there.
    sockets: bound (or listening) already, and owned from here on; None: opened as the settings say.
    context: TLS, made by `server_context` already (workers share the keys of its tickets); None: made at the start.
    After `start` it serves until `drain` or `abort`, one of which must be awaited.
    """

    def __init__(
        self,
        served: Served | App,
        settings: ServerSettings | None = None,
        sockets: Sequence[socket.socket] | None = None,
        context: ssl.SSLContext | None = None,
    ) -> None:
        if isinstance(served, App):
            from polywire.protocols.site import Site

            served = Site(served)
        self.site: Served = served
        self.settings = ServerSettings() if settings is None else settings
        self._sockets = sockets
        self._context = context
        self._hub: Hub | None = None
        self._listeners: list[Listener] = []

    @property
    def port(self) -> int:
        """The port listened on; the system's choice for 0. Raises RuntimeError before start."""
        if not self._listeners:
            raise RuntimeError("the server has not been started")
        return self._listeners[0].port

    @property
    def drain_s(self) -> float:
        """How long open calls may take when draining: the settings', else the app's."""
        return self.site.drain_s if self.settings.drain_s is None else self.settings.drain_s

    @property
    def open_connections(self) -> int:
        return 0 if self._hub is None else len(self._hub)

    async def start(self) -> None:
        """Run the site's start hooks, then listen.

        Raises ListenError, TlsError and what a hook raises; nothing is left open then.
        """
        if self._context is None:
            self._context = server_context(self.settings)
        sockets = open_sockets(self.settings) if self._sockets is None else self._sockets
        self._hub = hub = Hub(
            self.site.on_request, self.settings, asyncio.get_running_loop(), on_refused=self.site.on_refused
        )
        self._listeners = [Listener(hub, opened, self._context) for opened in sockets]
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

    def reload_certificates(self) -> bool:
        """Read the certificates again, for connections to come; False where they are not good, which is logged."""
        return reload_certificates(self._context, self.settings)

    async def drain(self, seconds: float | None = None, *, seat: Seat | None = None) -> None:
        """Stop in order: fail readiness, stop accepting, let open calls end, close.

        seconds: how long they may take; None: `drain_s`.
        seat: of a worker; readiness stays as it is where another goes on accepting from the same sockets.
        Calls that are still open then are cancelled with UNAVAILABLE. Cancelling this stops at once.
        """
        hub = self._hub
        assert hub is not None, "the server has not been started"
        try:
            if seat is None or not seat.retiring:
                self.site.health.state = State.DRAINING
                if self.settings.pre_stop_s:
                    await asyncio.sleep(self.settings.pre_stop_s)
            for listener in self._listeners:
                # A socket that others accept from too keeps what waits in it.
                listener.close(take_rest=seat is None or not seat.retiring)
            if seat is not None:
                seat.deaf()
            limit_s = self.drain_s if seconds is None else seconds
            self.site.go_away(limit_s)
            hub.drain()
            if self.site.open_calls and limit_s and (seat is None or not seat.retiring):
                # Whoever pressed Ctrl-C is to know what it waits for.
                logger.info("%s: waiting for up to %g s, a second signal ends at once", self._open_calls(), limit_s)
            if not await self._quiet_within(hub, limit_s) and self.site.open_calls:
                logger.warning("%s after %g s: cancelled", self._open_calls(), limit_s)
        finally:
            await self.abort()

    def _open_calls(self) -> str:
        count = self.site.open_calls
        return "1 call is still open" if count == 1 else f"{count} calls are still open"

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
        hub.close()

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
    context: ssl.SSLContext | None = None,
    seat: Seat | None = None,
) -> int:
    """Serve until SIGTERM or SIGINT, drain, and return the exit code: 0, or 1 where a second signal cut it short.

    make_site: called within the new event loop (uvloop). on_started: called once the server listens.
    sockets, context: see `Server`. seat: of a worker, whose parent says when to drain and when to wait no longer.
    Raises what `Server.start` does.
    """
    main = _serve(lambda: Server(make_site(), settings, sockets, context), on_started, seat)
    if sys.platform == "win32":
        return asyncio.run(main)
    import uvloop

    return uvloop.run(main)


async def _serve(
    make_server: Callable[[], Server], on_started: Callable[[Server], None] | None, seat: Seat | None
) -> int:
    server = make_server()
    with _signals(seat, server) as stops:
        if not await _finished_before(server.start(), stops[0]):
            return 0  # start() has undone itself
        if on_started is not None:
            on_started(server)
        # What is here now stays: the collector need not walk it again, and forked pages stay shared.
        gc.collect()
        gc.freeze()
        await stops[0].wait()
        return 0 if await _finished_before(server.drain(seat=seat), stops[1]) else 1


@contextlib.contextmanager
def _signals(seat: Seat | None, server: Server) -> Iterator[tuple[asyncio.Event, asyncio.Event]]:
    """Two events: SIGTERM or SIGINT came once; it came again.

    A worker is told by its parent instead: a terminal and systemd signal every process of a group, which is not twice.
    """
    stops = (asyncio.Event(), asyncio.Event())

    def on_signal() -> None:
        stops[1 if stops[0].is_set() else 0].set()

    loop = asyncio.get_running_loop()
    handlers: dict[int, Callable[[], object]] = {signal.SIGTERM: on_signal, signal.SIGINT: on_signal}
    if seat is not None:
        seat.attach(server.site.metrics, stops[0].set, stops[1].set)
        handlers = {signal.SIGTERM: seat.on_terminate, signal.SIGINT: _ignore}
    elif sys.platform != "win32":
        handlers[signal.SIGUSR2] = _refuse_to_roll
    if server.settings.tls_cert is not None:
        handlers[signal.SIGHUP] = server.reload_certificates
    for number, handler in handlers.items():
        loop.add_signal_handler(number, handler)
    try:
        yield stops
    finally:
        if seat is not None:
            # Taking handlers away brings the defaults back: a signal that comes late, as from a service manager or a
            # terminal beside the parent's own, would make the end in order look like a crash.
            signal.pthread_sigmask(signal.SIG_BLOCK, handlers)
            seat.detach()
        for number in handlers:
            loop.remove_signal_handler(number)


def _ignore() -> None:
    """What a worker does at Ctrl-C, which its parent hears too."""


def _refuse_to_roll() -> None:
    """SIGUSR2 to a single process, which it would end: `--workers auto` may have chosen one."""
    logger.warning("SIGUSR2 replaces workers, of which there are none; start again instead")


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
