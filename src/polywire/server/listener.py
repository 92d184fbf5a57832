"""Listening sockets of our own: accepting, telling TLS from clear text, and what to do when descriptors run out."""

from __future__ import annotations

import asyncio
import errno
import itertools
import logging
import socket
import ssl
import sys
from dataclasses import replace
from typing import Any

from polywire.runtime.call import Peer
from polywire.server._epoll import Poller, SocketTransport
from polywire.server.connection import Sniffer
from polywire.server.hub import Hub
from polywire.server.openings import Peeker, ProxyReader
from polywire.server.settings import ServerSettings
from polywire.server.tcp import keep_alive
from polywire.server.tls import ALERTS, last_words
from polywire.server.unix import ListenError as ListenError  # raised by what is here, so named here
from polywire.server.unix import open_unix_socket, remove_socket_file

logger = logging.getLogger("polywire.server")

_ACCEPTS_PER_TURN = 64
"""So that a flood of connections does not keep the loop from those that are open."""
_BACK_OFF_S = 1.0
Address = tuple[Any, ...]
_OUT_OF_RESOURCES = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


def open_sockets(settings: ServerSettings, *, reuse_port: bool = False) -> list[socket.socket]:
    """Sockets bound to `settings.host` and `.port`, one per address the name stands for, or to `settings.uds`.

    They do not listen yet, so that callers are refused rather than kept waiting until `Listener.start`.
    TCP_NODELAY is set here once: accepted sockets inherit it.

    reuse_port: others may be bound to the same port and share its connections (SO_REUSEPORT); see `open_socket_sets`,
    which also knows what to do where that does not exist. Raises ListenError.
    """
    if settings.uds is not None:
        return [open_unix_socket(settings.uds, settings.uds_mode)]
    host, port = settings.host, settings.port
    try:
        found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except socket.gaierror as error:
        raise ListenError(
            f"cannot resolve the host {host!r} ({error.strerror}); give an address such as 127.0.0.1"
        ) from error
    sockets: list[socket.socket] = []
    try:
        for family, _, _, _, address in dict.fromkeys(found):
            sockets.append(_open_socket(family, address, reuse_port))
            if port == 0:
                break  # a second family would get another port
    except BaseException:
        for opened in sockets:
            opened.close()
        raise
    return sockets


def open_socket_sets(settings: ServerSettings, count: int) -> list[list[socket.socket]]:
    """What `open_sockets` gives, once for each of `count` workers. Raises ListenError.

    TCP: each worker has a socket of its own with SO_REUSEPORT, between which the kernel shares out connections. A Unix
    socket knows no such thing: all workers accept from duplicates of one.
    """
    first = open_sockets(settings)
    if settings.uds is not None:
        return [first, *([opened.dup() for opened in first] for _ in range(1, count))]
    # That was to find a port that another program has: with SO_REUSEPORT we would only take a part of its connections.
    if settings.port == 0:
        host, port = first[0].getsockname()[:2]
        settings = replace(settings, host=host, port=port)
    for opened in first:
        opened.close()
    sets: list[list[socket.socket]] = []
    try:
        for _ in range(count):
            sets.append(open_sockets(settings, reuse_port=True))
    except BaseException:
        for opened in itertools.chain(*sets):
            opened.close()
        raise
    return sets


def _open_socket(family: int, address: Address, reuse_port: bool) -> socket.socket:
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if reuse_port:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        listening.setblocking(False)
        listening.bind(address)
    except OSError as error:
        listening.close()
        raise ListenError(_explain(error, address)) from error
    except BaseException:
        listening.close()
        raise
    return listening


def _explain(error: OSError, address: Address | str) -> str:
    if isinstance(address, str):
        return f"cannot listen on {address}: {error.strerror}"
    where = f"{address[0]}:{address[1]}"
    if error.errno == errno.EADDRINUSE:
        return f"{where} is in use by another program; stop it, or choose another port: --port {int(address[1]) + 1}"
    if error.errno == errno.EACCES:
        return f"no permission to listen on {where}; ports below 1024 need rights, choose another: --port 8000"
    if error.errno == errno.EADDRNOTAVAIL:
        return f"{address[0]} is not an address of this machine; --host 0.0.0.0 listens on all of its addresses"
    return f"cannot listen on {where}: {error.strerror}"


class Listener:
    """Accepts connections of one listening socket, which it owns from `start` until `close`.

    context: TLS, or None. Connections it has accepted outlive it.
    """

    def __init__(self, hub: Hub, listening: socket.socket, context: ssl.SSLContext | None) -> None:
        self._hub = hub
        self._socket = listening
        name = listening.getsockname()
        self.path = name if isinstance(name, str) else None
        """Of a Unix socket, else None."""
        self.port = 0 if isinstance(name, str) else int(name[1])
        self._context = context
        self._adoptions: set[asyncio.Task[None]] = set()
        self._retry: asyncio.TimerHandle | None = None
        self._complained_at: float | None = None
        self._refused_at: float | None = None
        self._refused_quietly = 0

    def start(self) -> None:
        """Listen and accept. Raises ListenError."""
        self._socket.setblocking(False)
        if self.path is None:
            keep_alive(self._socket, self._hub.settings.tcp_keepalive_s)
        try:
            self._socket.listen(self._hub.settings.backlog)
        except OSError as error:
            raise ListenError(_explain(error, self._socket.getsockname())) from error
        self._accept_on()

    def _accept_on(self) -> None:
        self._retry = None
        self._hub.loop.add_reader(self._socket, self._on_acceptable)

    def close(self, *, take_rest: bool = False) -> None:
        """Stop accepting and close the socket; what is in its backlog then is refused by the kernel.

        take_rest: accept what waits there first.
        """
        self._stop_retry()
        if self._socket.fileno() >= 0:
            self._hub.loop.remove_reader(self._socket)
            if take_rest:
                self._on_acceptable()
                self._stop_retry()
            self._socket.close()
            if self.path is not None:
                remove_socket_file(self.path)

    def _stop_retry(self) -> None:
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None

    async def wait_adopted(self) -> None:
        """Wait until no connection is between accepted and handed over; TLS handshakes have their time-out."""
        while self._adoptions:
            await asyncio.gather(*self._adoptions, return_exceptions=True)

    def abort(self) -> None:
        """Break off the TLS handshakes under way."""
        for adoption in self._adoptions:
            adoption.cancel()

    def _on_acceptable(self) -> None:
        for _ in range(_ACCEPTS_PER_TURN):
            try:
                accepted, address = self._socket.accept()
            except (BlockingIOError, InterruptedError):
                return
            except ConnectionError:
                continue  # it went away while it waited in the backlog
            except OSError as error:
                if error.errno in _OUT_OF_RESOURCES:
                    self._back_off(error)
                    return
                # accept(2): an error of the network waited for this connection (EPROTO and others); the next may do.
                self.complain("a connection could not be accepted: %s", error.strerror)
                continue
            if len(self._hub) >= self._hub.settings.max_connections:
                accepted.close()
                self.complain("%d connections are open, the limit: refusing more", self._hub.settings.max_connections)
                continue
            accepted.setblocking(False)
            self._welcome(accepted, self._peer(address))

    def _back_off(self, error: OSError) -> None:
        """The socket stays readable: without a pause the loop would spin on the same error."""
        self._hub.loop.remove_reader(self._socket)
        self._retry = self._hub.loop.call_later(_BACK_OFF_S, self._accept_on)
        self.complain("cannot accept connections: %s; raise the limit of open files (ulimit -n)", error.strerror)

    def complain(self, message: str, value: object) -> None:
        """At most once a minute: the log must not become the next thing that overflows."""
        now = self._hub.clock()
        if self._complained_at is None or now - self._complained_at >= 60:
            self._complained_at = now
            logger.warning(message, value)

    def _peer(self, address: Any) -> Peer:
        if self.path is None:
            # Many connections are of one address: behind a proxy all of them.
            return Peer(sys.intern(address[0]), address[1])
        return Peer(address if isinstance(address, str) and address else "unix")

    def _welcome(self, accepted: socket.socket, peer: Peer) -> None:
        if not self._hub.settings.proxy_protocol:
            self.meet(accepted, peer)
        elif self._hub.policy.trusts(peer):
            ProxyReader(self._hub, self, accepted, peer).look()
        else:
            # The specification (§2) wants it so: who is not a proxy must not be taken for one, nor reach us past it.
            accepted.close()
            self.complain("connections past the trusted proxies, from %s: closed", peer.address)

    def meet(self, accepted: socket.socket, peer: Peer) -> None:
        """Go on with a connection whose next bytes are its client's own."""
        if self._context is None:
            self.adopt(accepted, peer, None)
        elif not self._hub.settings.clear_text:
            self.adopt_tls(accepted, peer)
        else:
            Peeker(self._hub, self, accepted, peer).look()

    def adopt(self, accepted: socket.socket, peer: Peer, context: ssl.SSLContext | None) -> None:
        """Give the connection its transport: our own, or under TLS, where `context` is given, the loop's."""
        sniffer = Sniffer(self._hub, peer)
        self._hub.add(sniffer)
        poller = self._hub.poller
        if context is None and poller is not None:
            self._take(poller, sniffer, accepted)
            return
        adoption = self._hub.loop.create_task(self._connect(sniffer, accepted, peer, context))
        self._adoptions.add(adoption)
        adoption.add_done_callback(self._adoptions.discard)

    def adopt_tls(self, accepted: socket.socket, peer: Peer) -> None:
        self.adopt(accepted, peer, self._context)

    def _take(self, poller: Poller, sniffer: Sniffer, accepted: socket.socket) -> None:
        try:
            transport = SocketTransport(poller, accepted.fileno(), sniffer)
        except OSError as error:
            self._hub.discard(sniffer)
            accepted.close()
            self.complain("a connection cannot be watched: %s", error.strerror)
            return
        accepted.detach()
        sniffer.connection_made(transport)

    async def _connect(
        self, sniffer: Sniffer, accepted: socket.socket, peer: Peer, context: ssl.SSLContext | None
    ) -> None:
        loop = self._hub.loop
        try:
            if context is None:
                await loop.connect_accepted_socket(lambda: sniffer, accepted)
            else:
                await self._secure(sniffer, accepted, peer, context)
        except (OSError, asyncio.CancelledError):
            # The peer left, spoke broken TLS or was too slow: its affair, and every scanner does it.
            self._hub.discard(sniffer)
            accepted.close()

    async def _secure(self, sniffer: Sniffer, accepted: socket.socket, peer: Peer, context: ssl.SSLContext) -> None:
        settings = self._hub.settings
        alerts: list[bytes] = []
        ALERTS.set(alerts)
        with accepted.dup() as spare:
            try:
                await self._hub.loop.connect_accepted_socket(
                    lambda: sniffer,
                    accepted,
                    ssl=context,
                    ssl_handshake_timeout=settings.tls_handshake_timeout_s,
                    ssl_shutdown_timeout=settings.linger_s,
                )
            except ssl.SSLError as error:
                last_words(spare, alerts)
                self._tell_of_refusal(peer, error)
                raise
            except OSError as error:
                logger.debug("a TLS handshake with %s was not finished: %s", _name_of(peer), error)
                raise

    def _tell_of_refusal(self, peer: Peer, error: ssl.SSLError) -> None:
        """One line a minute at INFO, the others at DEBUG: every scanner breaks off handshakes, and fills no log so."""
        where = _name_of(peer)
        reason = error.verify_message if isinstance(error, ssl.SSLCertVerificationError) else error.reason
        now = self._hub.clock()
        if self._refused_at is None or now - self._refused_at >= 60:
            untold, self._refused_at, self._refused_quietly = self._refused_quietly, now, 0
            more = f" ({untold} more since the last line)" if untold else ""
            logger.info("a TLS handshake with %s failed: %s%s", where, reason, more)
        else:
            self._refused_quietly += 1
            logger.debug("a TLS handshake with %s failed: %s", where, reason)


def _name_of(peer: Peer) -> str:
    return f"{peer.address}:{peer.port}" if peer.port else peer.address
