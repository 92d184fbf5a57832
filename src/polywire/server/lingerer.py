"""The end of a connection that we close first."""

from __future__ import annotations

import asyncio

from polywire.server.hub import Hub


class Lingerer(asyncio.Protocol):
    """Reads and drops what the peer still sends after our FIN, up to `linger_s` and `linger_bytes` (HTTP/2: two
    windows of the connection at most).

    Who sends a whole body before it reads would lose the answer that refuses it to a reset. So one that still sends is
    heard out, for `body_timeout_s` in all; when the server drains, for `linger_s`.

    resume: it was not read from. peer_done: it has ended its side, and only what is unsent is waited for.
    """

    __slots__ = (
        "_began",
        "_heard",
        "_hub",
        "_left_bytes",
        "_peer_done",
        "_since",
        "_transport",
        "_unsent_bytes",
        "protocol",
    )

    def __init__(
        self, hub: Hub, transport: asyncio.Transport, protocol: str, *, resume: bool, peer_done: bool = False
    ) -> None:
        self._hub = hub
        self._transport = transport
        self._left_bytes = hub.settings.linger_bytes
        if protocol == "http2":
            # What an honest peer may have under way; one that floods would be read at full speed, again and again.
            self._left_bytes = min(self._left_bytes, 2 * hub.settings.limits.max_connection_window_bytes)
        self._since = self._began = hub.now
        self._heard = False
        self._peer_done = peer_done
        self._unsent_bytes = transport.get_write_buffer_size()
        self.protocol = protocol
        hub.add(self)
        transport.set_protocol(self)
        if end_writing(transport) and resume and not peer_done:
            transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        self._heard = True
        self._left_bytes -= len(data)
        if self._left_bytes < 0:
            self._transport.close()
        elif self.protocol == "http2":
            # One read a tick: a flood is slowed down, and an honest peer has our GOAWAY meanwhile.
            self._transport.pause_reading()

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._hub.discard(self)

    def tick(self, now: float) -> None:
        """`linger_s` of silence once everything is written; before that, as long as the peer takes some of it."""
        settings = self._hub.settings
        if self.protocol == "http2" and not self._peer_done and not self._transport.is_closing():
            self._transport.resume_reading()
        unsent = self._transport.get_write_buffer_size()
        if unsent < self._unsent_bytes:
            self._since = self._began = now
        elif self._heard and now - self._began < settings.body_timeout_s and self._hub.draining_since is None:
            self._since = now
        self._heard = False
        self._unsent_bytes = unsent
        if unsent:
            if now - self._since >= settings.write_timeout_s:
                self._transport.abort()
        elif self._peer_done or now - self._since >= settings.linger_s:
            self._transport.close()

    def drain(self) -> None:
        """Nothing is open here that could take long."""

    def abort(self) -> None:
        self._transport.abort()


def end_writing(transport: asyncio.WriteTransport) -> bool:
    """Send FIN; False: the peer has reset the connection, which nobody has read yet, and it is over."""
    try:
        transport.write_eof()
    except OSError:
        transport.abort()
        return False
    return True
