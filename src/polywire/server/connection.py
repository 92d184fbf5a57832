"""Drivers: one asyncio protocol per connection between a transport and a sans-I/O engine.

    Sniffer ── first bytes ──▶ Http1Driver | Http2Driver ── the engine wants to close ──▶ Lingerer ──▶ closed

The transport's protocol is swapped at each arrow, so that no state has to be asked for on the hot path. Nothing here
keeps a timer: the hub's ticker calls `tick`, which compares what it sees with what it saw last time.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Generic, TypeVar, cast

from polywire.runtime.call import Peer
from polywire.server.engine import Engine, TimedEngine
from polywire.server.hub import Hub
from polywire.server.sniff import Spoken, spoken

E = TypeVar("E", bound=Engine)

_INSIST_S = 1.0
"""After the first notice of draining (RFC 9113 §6.8): for peers that do not answer its PING, or have not begun."""
_LONG = 64 * 1024
"""Engines give long output in pieces: after one of this size it is worth asking for more."""


class Driver(asyncio.Protocol, Generic[E]):
    """Carries bytes between one transport and one engine, and times the peer."""

    __slots__ = (
        "_awaited_since",
        "_done_since",
        "_engine",
        "_flush_due",
        "_heard",
        "_hub",
        "_idle_since",
        "_marker",
        "_peer_done",
        "_reading",
        "_stalled_since",
        "_transport",
        "_unsent_bytes",
    )

    protocol = "http1"

    def __init__(self, hub: Hub, transport: asyncio.Transport, engine: E) -> None:
        self._hub = hub
        self._transport = transport
        self._engine: E | None = engine
        self._flush_due = False
        self._peer_done = False
        self._done_since = 0.0
        self._reading = True
        self._heard = False
        self._marker = engine.last_activity_marker
        self._idle_since = hub.now
        self._awaited_since: float | None = None
        self._unsent_bytes = 0
        self._stalled_since = hub.now
        engine.on_output = self._on_output
        hub.add(self)

    # The hot path.

    def data_received(self, data: bytes) -> None:
        engine = self._engine
        if engine is None:
            return
        self._heard = True
        engine.receive_data(data)
        out = engine.data_to_send()
        if out:
            self._transport.write(out)
            if len(out) >= _LONG:
                self.flush()
                return
        if engine.want_close or engine.want_read != self._reading:
            self._settle(engine)

    def _on_output(self) -> None:
        if not self._flush_due:
            self._flush_due = True
            self._hub.loop.call_soon(self.flush)

    def flush(self) -> None:
        """Write everything that the engine has to send, then do as it wants."""
        self._flush_due = False
        engine = self._engine
        if engine is None:
            return
        while out := engine.data_to_send():
            self._transport.write(out)
        if engine.want_close or self._peer_done or engine.want_read != self._reading:
            self._settle(engine)

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
        if self._peer_done or transport.is_closing() or not transport.can_write_eof():
            transport.close()
        else:
            Lingerer(self._hub, transport, self.protocol, resume=not self._reading)

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

    def tick(self, now: float) -> None:
        engine = self._engine
        if engine is None:
            return
        settings = self._hub.settings
        heard, self._heard = self._heard, False
        if self._stalled(now, settings.write_timeout_s) or self._left(now):
            self.abort()
            return
        if self._hub.draining_since is not None and now - self._hub.draining_since >= _INSIST_S:
            self.drain()
        marker = engine.last_activity_marker
        if engine.open_requests or marker != self._marker:
            self._marker = marker
            self._idle_since = now
        if engine.awaiting_head:
            # A head must be complete in time however often a byte of it comes: only another request starts it anew.
            self._time_peer(engine, now, self._idle_since == now, settings.head_timeout_s)
        elif engine.awaiting_body and self._reading:
            self._time_peer(engine, now, heard, settings.body_timeout_s)
        else:
            self._awaited_since = None
            self._time_idleness(engine, now)

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

    def drain(self) -> None:
        if self._engine is not None:
            self._engine.shutdown()
            self.flush()

    def abort(self) -> None:
        self._release()
        self._transport.abort()


class Http1Driver(Driver[Engine]):
    __slots__ = ()

    protocol = "http1"


class Http2Driver(Driver[TimedEngine]):
    """Tells its engine the time, by which that counts abuse, and when to give up answers that nobody takes."""

    __slots__ = ("_looked_at",)

    protocol = "http2"

    def __init__(self, hub: Hub, transport: asyncio.Transport, engine: TimedEngine) -> None:
        super().__init__(hub, transport, engine)
        self._looked_at = hub.now

    def data_received(self, data: bytes) -> None:
        # The base class's, written out: a call of super() for every read shows in the profile.
        engine = self._engine
        if engine is None:
            return
        self._heard = True
        engine.now = self._hub.now
        engine.receive_data(data)
        out = engine.data_to_send()
        if out:
            self._transport.write(out)
            if len(out) >= _LONG:
                self.flush()
                return
        if engine.want_close or engine.want_read != self._reading:
            self._settle(engine)

    def tick(self, now: float) -> None:
        engine = self._engine
        if engine is not None and now - self._looked_at >= self._hub.settings.write_timeout_s:
            self._looked_at = now
            engine.reset_unread()
        super().tick(now)


class Sniffer(asyncio.Protocol):
    """The protocol of a new transport: waits for ALPN's word or the first bytes, then hands over to a driver.

    Whoever makes it adds it to the hub: it counts before it has a transport, during a TLS handshake.
    """

    __slots__ = ("_first", "_hub", "_since", "_transport")

    protocol = "new"

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
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
        driver = new_driver(self._hub, transport, found)
        transport.set_protocol(driver)
        if self._first:
            driver.data_received(self._first)
        else:
            driver.flush()  # what the server says first (RFC 9113 §3.4)
        if self._hub.draining_since is not None:
            driver.drain()

    def tick(self, now: float) -> None:
        draining_since = self._hub.draining_since
        if self._transport is not None and (
            now - self._since >= self._hub.settings.first_byte_timeout_s
            or (draining_since is not None and now - draining_since >= _INSIST_S)
        ):
            self._transport.close()

    def drain(self) -> None:
        """The first request may be here unread, and closing would answer it with RST: `tick` ends who is silent."""

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()


class Lingerer(asyncio.Protocol):
    """Reads and drops what the peer still sends after our FIN, up to `linger_s` and `linger_bytes`."""

    __slots__ = ("_hub", "_left_bytes", "_since", "_transport", "_unsent_bytes", "protocol")

    def __init__(self, hub: Hub, transport: asyncio.Transport, protocol: str, *, resume: bool) -> None:
        self._hub = hub
        self._transport = transport
        self._left_bytes = hub.settings.linger_bytes
        self._since = hub.now
        self._unsent_bytes = transport.get_write_buffer_size()
        self.protocol = protocol
        hub.add(self)
        transport.set_protocol(self)
        transport.write_eof()
        if resume:
            transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        self._left_bytes -= len(data)
        if self._left_bytes < 0:
            self._transport.close()

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._hub.discard(self)

    def tick(self, now: float) -> None:
        """`linger_s` once everything is written; before that, as long as the peer takes some of it."""
        settings = self._hub.settings
        unsent = self._transport.get_write_buffer_size()
        if unsent < self._unsent_bytes:
            self._since = now
        self._unsent_bytes = unsent
        if unsent:
            if now - self._since >= settings.write_timeout_s:
                self._transport.abort()
        elif now - self._since >= settings.linger_s:
            self._transport.close()

    def drain(self) -> None:
        """Nothing is open here that could take long."""

    def abort(self) -> None:
        self._transport.abort()


def new_driver(hub: Hub, transport: asyncio.Transport, found: Spoken) -> Http1Driver | Http2Driver:
    """The engine for what is spoken, and its driver. A ClientHello where TLS is not due gets HTTP/1.1's error."""
    peer = peer_of(transport)
    on_request = partial(hub.on_request, peer)
    if found is Spoken.HTTP2:
        from polywire.wire.http2 import Http2Connection

        return Http2Driver(hub, transport, Http2Connection(on_request, hub.settings.limits, hub.common))
    from polywire.wire.http1 import Http1Connection

    scheme = "http" if peer.tls_version is None else "https"
    return Http1Driver(hub, transport, Http1Connection(on_request, hub.settings.limits, hub.common, scheme))


def peer_of(transport: asyncio.BaseTransport) -> Peer:
    """Who is at the other end, and what TLS was agreed with them."""
    name = transport.get_extra_info("peername")
    address, port = (name[0], name[1]) if isinstance(name, tuple) else (name or "", 0)
    tls = transport.get_extra_info("ssl_object")
    if tls is None:
        return Peer(address, port)
    cipher = tls.cipher()
    return Peer(address, port, tls.version(), None if cipher is None else cipher[0])
