"""Drivers: one asyncio protocol per connection between a transport and a sans-I/O engine.

    Sniffer ── first bytes ──▶ Http1Driver | Http2Driver ── the engine wants to close ──▶ Lingerer ──▶ closed

The transport's protocol is swapped at each arrow, so that no state has to be asked for on the hot path. Nothing here
keeps a timer: the hub's ticker calls `tick`, which compares what it sees with what it saw last time.
"""

from __future__ import annotations

import asyncio
import ssl
from functools import partial
from math import inf
from random import uniform
from typing import TYPE_CHECKING, Generic, TypeVar, cast

from polywire.runtime.call import Peer
from polywire.server._flow import Flow
from polywire.server.engine import Engine
from polywire.server.hub import Hub
from polywire.server.lingerer import Lingerer, end_writing
from polywire.server.sniff import Spoken, spoken
from polywire.server.tcp import is_lost
from polywire.server.tls import identity_of, server_name_of
from polywire.wire.tunnel import Tunnel

if TYPE_CHECKING:
    from polywire.server.http2 import Http2Driver
    from polywire.wire.http1 import Http1Connection

E = TypeVar("E", bound=Engine)

_INSIST_S = 1.0
"""After the first notice of draining (RFC 9113 §6.8): for peers that do not answer its PING, or have not begun."""


class Driver(Flow, asyncio.Protocol, Generic[E]):
    """Carries bytes between one transport and one engine, and times the peer."""

    __slots__ = ("_done_since",)

    protocol = "http1"
    _tunnels = False
    _transport: asyncio.Transport
    _engine: E | None

    def __init__(self, hub: Hub, transport: asyncio.Transport, engine: E) -> None:
        self._done_since = 0.0
        self._begin(hub, transport, engine, _retirement(hub), self._tunnels)
        hub.add(self)

    @property
    def _insist_s(self) -> float:
        """When draining: from the first notice to the second."""
        return _INSIST_S

    # What happens rarely.

    def _settle(self, engine: E) -> None:
        """Do to the transport what the engine wants: close it, or stop or go on reading."""
        if engine.want_close or (self._peer_done and not engine.open_requests):
            self._finish()
        elif engine.want_read != self._reading and not self._transport.is_closing():
            self._reading = engine.want_read
            if self._reading:
                self._transport.resume_reading()
            else:
                self._transport.pause_reading()

    def _finish(self) -> None:
        """Close in order: what is written goes out, then FIN; what the peer still sends is read for a while.

        Closing a socket with unread bytes sends RST, which can overtake the error answer (RFC 9112 §9.6).
        """
        transport = self._transport
        self._release()
        # Who has ended its side is not heard out, but may be slow to take what is left.
        is_over = self._peer_done and not transport.get_write_buffer_size()
        if is_over or transport.is_closing() or not transport.can_write_eof():
            transport.close()
        else:
            Lingerer(self._hub, transport, self.protocol, resume=not self._reading, peer_done=self._peer_done)

    def _release(self) -> None:
        engine, self._engine = self._engine, None
        self._hub.discard(self)
        if engine is not None:
            engine.on_output = None
            engine.connection_lost()

    def eof_received(self) -> bool:
        engine = self._engine
        if engine is None:
            return False
        self._peer_done = True
        self._done_since = self._hub.now
        engine.receive_eof()
        self.flush()
        # A TLS transport cannot stay open one way (RFC 8446 §6.1 would allow it, asyncio does not).
        return self._engine is not None and self._transport.can_write_eof()

    def connection_lost(self, exc: Exception | None) -> None:
        self._release()

    def pause_writing(self) -> None:
        if self._engine is not None:
            self._engine.pause_writing()

    def resume_writing(self) -> None:
        self._stalled_since = self._hub.now
        if self._engine is not None:
            self._engine.resume_writing()
            self.flush()

    # Time.

    def _look(self, now: float) -> None:
        """What `tick` does where something may have to be timed."""
        engine = self._engine
        if engine is None:
            return
        settings = self._hub.settings
        heard, self._heard = self._heard, False
        if (
            self._stalled(now, settings.write_timeout_s)
            or self._left(now)
            or (not self._reading and is_lost(self._transport, half_closed=self._half_closed))
        ):
            self.abort()
            return
        if self._hub.draining_since is not None and now - self._hub.draining_since >= self._insist_s:
            self.drain()
        if now >= self._retires_at and self._retire(now - self._retires_at):
            return
        marker = engine.last_activity_marker
        advanced = marker != self._marker
        if engine.open_requests or advanced:
            self._marker = marker
            self._idle_since = now
        if engine.awaiting_head:
            # A head must be complete in time however often a byte of it comes, and whatever else is open: only another
            # request starts it anew.
            self._time_peer(engine, now, advanced, settings.head_timeout_s)
        elif not self._time_body(engine, now, heard):
            self._awaited_since = None
            self._time_idleness(engine, now)

    def _time_body(self, engine: E, now: float, heard: bool) -> bool:
        """Whether a body is awaited, for which the connection is timed; any byte of it starts the time anew."""
        awaited = engine.awaiting_body and self._reading
        if awaited:
            # What is left of a body whose request has been answered must come within one time-out, in all.
            heard = heard and engine.open_requests > 0
            self._time_peer(engine, now, heard, self._hub.settings.body_timeout_s)
        return awaited

    def _time_peer(self, engine: E, now: float, progress: bool, limit_s: float) -> None:
        if self._awaited_since is None or progress:
            self._awaited_since = now
        elif now - self._awaited_since >= limit_s:
            engine.timeout()
            self.flush()

    def _time_idleness(self, engine: E, now: float) -> None:
        settings = self._hub.settings
        idle_s = now - self._idle_since
        if idle_s >= settings.idle_timeout_s + settings.linger_s:
            self.abort()
        elif idle_s >= settings.idle_timeout_s:
            engine.shutdown()
            self.flush()

    def _stalled(self, now: float, limit_s: float) -> bool:
        """Whether the peer has taken nothing of the unsent bytes for `limit_s`."""
        unsent = self._transport.get_write_buffer_size()
        if unsent < self._unsent_bytes or not self._unsent_bytes:
            self._stalled_since = now
        self._unsent_bytes = unsent
        return unsent > 0 and now - self._stalled_since >= limit_s

    def _left(self, now: float) -> bool:
        """Whether a peer that sends nothing more must be taken for gone; nothing but writing to it would tell."""
        return self._peer_done and not self._unsent_bytes and now - self._done_since >= self._hub.settings.half_close_s

    def _retire(self, overdue_s: float) -> bool:
        """Drain a connection that is `overdue_s` too old, and cut it off in the end; whether it is gone."""
        if overdue_s >= self._hub.settings.max_connection_age_grace_s:
            self._cut_off()
        elif not self._retiring or overdue_s >= _INSIST_S:
            self._retiring = True
            self.drain()
        return self._engine is None

    def _cut_off(self) -> None:
        """End it together with the requests that are open."""
        self.abort()

    def drain(self) -> None:
        if self._engine is not None:
            self._engine.shutdown()
            self.flush()

    def abort(self) -> None:
        self._release()
        self._transport.abort()


class Http1Driver(Driver["Http1Connection | Tunnel"]):
    """Lets an idle connection bring one more request when it drains: HTTP/1.1 has no GOAWAY to send before the end."""

    __slots__ = ()

    protocol = "http1"
    _tunnels = True

    def _settle(self, engine: Http1Connection | Tunnel) -> None:
        if isinstance(engine, Tunnel):
            if engine.want_eof and not self._half_closed:
                self._half_close(engine)
        elif engine.successor is not None:
            self._follow(engine.successor)
            engine.leave()
            self.flush()
            return
        super()._settle(engine)

    def _half_close(self, tunnel: Tunnel) -> None:
        """End our direction of a tunnel; TLS has only both."""
        self._half_closed = True
        if self._transport.can_write_eof():
            end_writing(self._transport)
        else:
            tunnel.receive_eof()

    @property
    def _insist_s(self) -> float:
        return self._hub.settings.drain_idle_s

    def drain(self) -> None:
        engine, since = self._engine, self._hub.draining_since
        if engine is None:
            return
        if (
            since is not None
            and self._hub.clock() - since < self._insist_s
            and not (engine.open_requests or engine.awaiting_head or engine.awaiting_body or engine.want_close)
            and not self._peer_done
        ):
            self._transport.set_protocol(LastRequest(self))
        else:
            super().drain()

    def take_back(self) -> None:
        """Be the transport's protocol again."""
        self._transport.set_protocol(self)

    def receive_last(self, data: bytes) -> None:
        """Take the beginning of one more request, whose answer says `connection: close`."""
        if self._engine is not None:
            # Shut down while idle, the engine would read no more; now a request has begun, and it lets that end.
            self._engine.receive_data(data[:1])
            self._engine.shutdown()
            self.data_received(data[1:])


class LastRequest(asyncio.Protocol):
    """Stands before an idle HTTP/1.1 driver that drains, until something comes; the driver keeps the time."""

    __slots__ = ("_driver",)

    def __init__(self, driver: Http1Driver) -> None:
        self._driver = driver

    def data_received(self, data: bytes) -> None:
        data = data.lstrip(b"\r\n")  # allowed between requests (RFC 9112 §2.2), and no request yet
        if data:
            self._driver.take_back()
            self._driver.receive_last(data)

    def eof_received(self) -> bool:
        return self._driver.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        self._driver.connection_lost(exc)

    def pause_writing(self) -> None:
        self._driver.pause_writing()

    def resume_writing(self) -> None:
        self._driver.resume_writing()


class Sniffer(asyncio.Protocol):
    """The protocol of a new transport: waits for ALPN's word or the first bytes, then hands over to a driver.

    Whoever makes it adds it to the hub: it counts before it has a transport, during a TLS handshake.

    peer: who is known to be at the other end, without what TLS will tell.
    """

    __slots__ = ("_first", "_hub", "_peer", "_since", "_transport")

    protocol = "new"

    def __init__(self, hub: Hub, peer: Peer) -> None:
        self._hub = hub
        self._peer = peer
        self._first = b""
        self._since = hub.now
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._since = self._hub.now
        tls = transport.get_extra_info("ssl_object")
        if tls is not None:
            chosen = {"h2": Spoken.HTTP2, "http/1.1": Spoken.HTTP1}.get(tls.selected_alpn_protocol() or "")
            if chosen is not None:
                self._hand_over(self._transport, chosen)

    def data_received(self, data: bytes) -> None:
        self._first += data
        found = spoken(self._first, self._hub.settings.protocols)
        if found is not None and self._transport is not None:
            self._hand_over(self._transport, found)

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._hub.discard(self)

    def _hand_over(self, transport: asyncio.Transport, found: Spoken) -> None:
        self._hub.discard(self)
        self._transport = None
        driver = new_driver(self._hub, transport, found, self._peer)
        transport.set_protocol(driver)
        if self._first and self._hub.draining_since is not None and isinstance(driver, Http1Driver):
            driver.receive_last(self._first)
        elif self._first:
            driver.data_received(self._first)
        else:
            driver.flush()  # what the server says first (RFC 9113 §3.4)
        if self._hub.draining_since is not None:
            driver.drain()

    def tick(self, now: float) -> None:
        draining_since = self._hub.draining_since
        if self._transport is not None and (
            now - self._since >= self._hub.settings.first_byte_timeout_s
            or (draining_since is not None and now - draining_since >= max(_INSIST_S, self._hub.settings.drain_idle_s))
        ):
            self._transport.close()

    def drain(self) -> None:
        """The first request may be here unread, and closing would answer it with RST: `tick` ends who is silent."""

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()


def _retirement(hub: Hub) -> float:
    """When a connection that begins now will have reached its age, give or take a tenth."""
    age_s = hub.settings.max_connection_age_s
    return inf if age_s is None else hub.now + age_s * uniform(0.9, 1.1)  # noqa: S311 -- no secret


def new_driver(hub: Hub, transport: asyncio.Transport, found: Spoken, known: Peer) -> Http1Driver | Http2Driver:
    """The engine for what is spoken, and its driver. A ClientHello where TLS is not due gets HTTP/1.1's error."""
    peer = peer_of(transport, known)
    on_request = hub.policy.requests_from(peer, hub.on_request)
    on_refused = None if hub.on_refused is None else partial(hub.on_refused, peer)
    if found is Spoken.HTTP2:
        from polywire.server.http2 import Http2Driver
        from polywire.wire.http2 import Http2Connection

        over_http2 = Http2Connection(on_request, hub.settings.limits, hub.common)
        over_http2.on_refused = on_refused
        return Http2Driver(hub, transport, over_http2)
    from polywire.wire.http1 import Http1Connection

    scheme = "http" if peer.tls_version is None else "https"
    over_http1 = Http1Connection(on_request, hub.settings.limits, hub.common, scheme)
    over_http1.on_refused = on_refused
    return Http1Driver(hub, transport, over_http1)


def peer_of(transport: asyncio.BaseTransport, known: Peer) -> Peer:
    """`known`, and what TLS was agreed with them."""
    tls = transport.get_extra_info("ssl_object")
    if tls is None:
        return known
    cipher = tls.cipher()
    return Peer(
        known.address,
        known.port,
        tls.version(),
        None if cipher is None else cipher[0],
        server_name_of(tls),
        None if tls.context.verify_mode is ssl.CERT_NONE else identity_of(tls),
        known.via,
    )
