"""Listening sockets of our own: accepting, telling TLS from clear text, and what to do when descriptors run out."""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
import ssl
from typing import Any

from polywire.server.connection import Sniffer
from polywire.server.hub import Hub
from polywire.server.settings import ServerSettings
from polywire.server.sniff import Spoken, spoken

logger = logging.getLogger("polywire.server")

_ACCEPTS_PER_TURN = 64
"""So that a flood of connections does not keep the loop from those that are open."""
_BACK_OFF_S = 1.0
Address = tuple[Any, ...]
_OUT_OF_RESOURCES = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


class ListenError(Exception):
    """The address cannot be listened on; the text says why and what to do."""


def open_sockets(settings: ServerSettings) -> list[socket.socket]:
    """Sockets bound to `settings.host` and `.port`, one per address the name stands for. Raises ListenError.

    They do not listen yet, so that callers are refused rather than kept waiting until `Listener.start`.
    TCP_NODELAY is set here once: accepted sockets inherit it.
    """
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
            sockets.append(_open_socket(family, address))
            if port == 0:
                break  # a second family would get another port
    except BaseException:
        for opened in sockets:
            opened.close()
        raise
    return sockets


def _open_socket(family: int, address: Address) -> socket.socket:
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
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


def _explain(error: OSError, address: Address) -> str:
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
        self.port = int(listening.getsockname()[1])
        self._context = context
        self._adoptions: set[asyncio.Task[None]] = set()
        self._retry: asyncio.TimerHandle | None = None
        self._complained_at: float | None = None

    def start(self) -> None:
        """Listen and accept. Raises ListenError."""
        try:
            self._socket.listen(self._hub.settings.backlog)
        except OSError as error:
            raise ListenError(_explain(error, self._socket.getsockname())) from error
        self._accept_on()

    def _accept_on(self) -> None:
        self._retry = None
        self._hub.loop.add_reader(self._socket, self._on_acceptable)

    def close(self) -> None:
        """Stop accepting and close the socket; what is in its backlog is refused by the kernel."""
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None
        if self._socket.fileno() >= 0:
            self._hub.loop.remove_reader(self._socket)
            self._socket.close()

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
                accepted, _address = self._socket.accept()
            except (BlockingIOError, InterruptedError):
                return
            except ConnectionError:
                continue  # it went away while it waited in the backlog
            except OSError as error:
                if error.errno in _OUT_OF_RESOURCES:
                    self._back_off(error)
                    return
                # accept(2): an error of the network waited for this connection (EPROTO and others); the next may do.
                self._complain("a connection could not be accepted: %s", error.strerror)
            if len(self._hub) >= self._hub.settings.max_connections:
                accepted.close()
                self._complain("%d connections are open, the limit: refusing more", self._hub.settings.max_connections)
                continue
            accepted.setblocking(False)
            self._meet(accepted)

    def _back_off(self, error: OSError) -> None:
        """The socket stays readable: without a pause the loop would spin on the same error."""
        self._hub.loop.remove_reader(self._socket)
        self._retry = self._hub.loop.call_later(_BACK_OFF_S, self._accept_on)
        self._complain("cannot accept connections: %s; raise the limit of open files (ulimit -n)", error.strerror)

    def _complain(self, message: str, value: object) -> None:
        """At most once a minute: the log must not become the next thing that overflows."""
        now = self._hub.clock()
        if self._complained_at is None or now - self._complained_at >= 60:
            self._complained_at = now
            logger.warning(message, value)

    def _meet(self, accepted: socket.socket) -> None:
        if self._context is None:
            self.adopt(accepted, None)
        elif not self._hub.settings.clear_text:
            self.adopt(accepted, self._context)
        else:
            Peeker(self._hub, self, accepted).look()

    def adopt(self, accepted: socket.socket, context: ssl.SSLContext | None) -> None:
        """Give the connection to the loop, under TLS where `context` is given."""
        sniffer = Sniffer(self._hub)
        self._hub.add(sniffer)
        adoption = self._hub.loop.create_task(self._connect(sniffer, accepted, context))
        self._adoptions.add(adoption)
        adoption.add_done_callback(self._adoptions.discard)

    def adopt_tls(self, accepted: socket.socket) -> None:
        self.adopt(accepted, self._context)

    async def _connect(self, sniffer: Sniffer, accepted: socket.socket, context: ssl.SSLContext | None) -> None:
        loop, settings = self._hub.loop, self._hub.settings
        try:
            if context is None:
                await loop.connect_accepted_socket(lambda: sniffer, accepted)
            else:
                await loop.connect_accepted_socket(
                    lambda: sniffer,
                    accepted,
                    ssl=context,
                    ssl_handshake_timeout=settings.tls_handshake_timeout_s,
                    ssl_shutdown_timeout=settings.linger_s,
                )
        except (OSError, asyncio.CancelledError):
            # The peer left, spoke broken TLS or was too slow: its affair, and every scanner does it.
            self._hub.discard(sniffer)
            accepted.close()


class Peeker:
    """Looks at a connection's first byte without taking it, because TLS needs its ClientHello whole."""

    __slots__ = ("_hub", "_listener", "_since", "_socket", "_waiting")

    protocol = "new"

    def __init__(self, hub: Hub, listener: Listener, accepted: socket.socket) -> None:
        self._hub = hub
        self._listener = listener
        self._socket = accepted
        self._since = hub.now
        self._waiting = False

    def look(self) -> None:
        try:
            first = self._socket.recv(1, socket.MSG_PEEK)
        except (BlockingIOError, InterruptedError):
            self._wait()
            return
        except OSError:
            first = b""
        self._forget()
        if not first:
            self._socket.close()
        elif spoken(first, self._hub.settings.protocols) is Spoken.TLS:
            self._listener.adopt_tls(self._socket)
        else:
            self._listener.adopt(self._socket, None)

    def _wait(self) -> None:
        if not self._waiting:
            self._waiting = True
            self._hub.add(self)
            self._hub.loop.add_reader(self._socket, self.look)

    def _forget(self) -> None:
        if self._waiting:
            self._waiting = False
            self._hub.discard(self)
            self._hub.loop.remove_reader(self._socket)

    def tick(self, now: float) -> None:
        if now - self._since >= self._hub.settings.first_byte_timeout_s:
            self.abort()

    def drain(self) -> None:
        self.abort()

    def abort(self) -> None:
        self._forget()
        self._socket.close()
