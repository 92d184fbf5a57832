"""What is read of a connection before the loop has it: a PROXY header, and the first byte, which tells TLS."""

from __future__ import annotations

import socket
from typing import Protocol

from polywire.runtime.call import Peer
from polywire.server.hub import Hub
from polywire.server.proxy_protocol import MAX_V2_BYTES, ProxyError, parse_proxy_header
from polywire.server.sniff import Spoken, spoken


class Host(Protocol):
    """The listener whose connection it is."""

    def meet(self, accepted: socket.socket, peer: Peer) -> None: ...
    def adopt(self, accepted: socket.socket, peer: Peer, context: None) -> None: ...
    def adopt_tls(self, accepted: socket.socket, peer: Peer) -> None: ...
    def complain(self, message: str, value: object) -> None: ...


class Opening:
    """A connection that is looked at, without taking what belongs to somebody else; it counts in the hub meanwhile."""

    __slots__ = ("_host", "_hub", "_peer", "_since", "_socket", "_waiting")

    protocol = "new"

    def __init__(self, hub: Hub, host: Host, accepted: socket.socket, peer: Peer) -> None:
        self._hub = hub
        self._host = host
        self._socket = accepted
        self._peer = peer
        self._since = hub.now
        self._waiting = False

    def look(self) -> None:
        """Read what there is, and go on or wait for more."""
        raise NotImplementedError

    def _peek(self, size: int) -> bytes | None:
        """What is there, untaken; None where one must wait, b"" where nothing will come."""
        try:
            return self._socket.recv(size, socket.MSG_PEEK)
        except (BlockingIOError, InterruptedError):
            self._wait()
            return None
        except OSError:
            return b""

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


class Peeker(Opening):
    """Looks at the first byte without taking it, because TLS needs its ClientHello whole."""

    __slots__ = ()

    def look(self) -> None:
        first = self._peek(1)
        if first is None:
            return
        self._forget()
        if not first:
            self._socket.close()
        elif spoken(first, self._hub.settings.protocols) is Spoken.TLS:
            self._host.adopt_tls(self._socket, self._peer)
        else:
            self._host.adopt(self._socket, self._peer, None)


class ProxyReader(Opening):
    """Takes the PROXY header, in pieces if need be, and not a byte more; `first_byte_timeout_s` is for all of it."""

    __slots__ = ("_taken",)

    def __init__(self, hub: Hub, host: Host, accepted: socket.socket, peer: Peer) -> None:
        super().__init__(hub, host, accepted, peer)
        self._taken = b""

    def look(self) -> None:
        seen = self._peek(MAX_V2_BYTES - len(self._taken))
        if seen is None:
            return
        if not seen:
            self.abort()
            return
        try:
            header = parse_proxy_header(self._taken + seen)
        except ProxyError as error:
            self._host.complain("a trusted proxy sent no good PROXY header, its connection is closed: %s", error)
            self.abort()
            return
        if header is None:
            # All of it is the header's: taken, it does not wake the loop once more.
            self._taken += self._socket.recv(len(seen))
            self._wait()
            return
        self._socket.recv(header.length_bytes - len(self._taken))
        self._forget()
        peer = self._peer
        if header.source is not None:
            peer = Peer(*header.source, via=peer)
        self._host.meet(self._socket, peer)
