"""Between an asyncio transport and the client engine: one connection."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import monotonic
from typing import TYPE_CHECKING, cast

from polywire.client.options import Pairs
from polywire.client.settings import ChannelSettings
from polywire.wire.http2_client import ClientStream, Http2ClientConnection, RequestHead

if TYPE_CHECKING:
    from polywire.wire.http2_client import ClientReceiver


class Connection(asyncio.Protocol):
    """Several frames, one write: what calls put out goes to the transport once a turn of the loop.

    on_change: called when there may be more or less room than before. on_lost: called once, when it is over.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        settings: ChannelSettings,
        on_change: Callable[[Connection], None],
        on_lost: Callable[[Connection], None],
    ) -> None:
        self.engine = engine = Http2ClientConnection(settings.limits)
        self.settled: asyncio.Future[OSError | None] = loop.create_future()
        """Done when the server has told its settings; gives an error where it did not come to that."""
        self.lost: asyncio.Future[None] = loop.create_future()
        self.heard_at = 0.0
        """When the last bytes came, on the monotonic clock."""
        self._loop = loop
        self._settings = settings
        self._on_change = on_change
        self._on_lost = on_lost
        self._transport: asyncio.Transport | None = None
        self._reading = True
        self._keepalive: asyncio.TimerHandle | None = None
        self._verdict: asyncio.TimerHandle | None = None
        self._asked_at = 0.0
        engine.on_output = self._output

    def open(self, receiver: ClientReceiver, head: RequestHead, extra: Pairs, body: bytes, end: bool) -> ClientStream:
        if self._keepalive is None:
            self._keepalive = self._loop.call_later(self._settings.keepalive_s, self._watch)
        return self.engine.open(receiver, head, extra, body, end)

    def probe(self) -> None:
        """Ask whether the server is still there, and give the connection up if nothing comes in time."""
        if self._transport is None:
            return
        if self._verdict is not None:
            if self.heard_at < self._asked_at:
                return
            self._verdict.cancel()
        self._asked_at = monotonic()
        self._verdict = self._loop.call_later(self._settings.keepalive_timeout_s, self._judge)
        self.engine.ping()

    def close(self) -> None:
        """Say GOAWAY, write what is due, and close. Open calls end with LOST."""
        self.engine.close()
        self.flush()

    @property
    def is_made(self) -> bool:
        """It has a transport, so `lost` will come."""
        return self._transport is not None

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    # What the transport calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self.heard_at = monotonic()
        self.flush()

    def data_received(self, data: bytes) -> None:
        engine = self.engine
        self.heard_at = engine.now = monotonic()
        engine.receive_data(data)
        self.flush()
        if engine.settled and not self.settled.done():
            self.settled.set_result(None)

    def eof_received(self) -> bool:
        self.engine.receive_eof()
        return False

    def pause_writing(self) -> None:
        self.engine.pause_writing()

    def resume_writing(self) -> None:
        self.engine.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        for timer in (self._keepalive, self._verdict):
            if timer is not None:
                timer.cancel()
        self._transport = None
        self.engine.connection_lost()
        if not self.settled.done():
            self.settled.set_result(exc if isinstance(exc, OSError) else ConnectionResetError("the server has closed"))
        self.lost.set_result(None)
        self._on_lost(self)

    # Writing.

    def _output(self) -> None:
        self._loop.call_soon(self.flush)

    def flush(self) -> None:
        transport, engine = self._transport, self.engine
        if transport is None or transport.is_closing():
            return
        while out := engine.data_to_send():
            transport.write(out)
        if engine.want_close:
            transport.close()
        elif engine.want_read != self._reading:
            self._reading = engine.want_read
            (transport.resume_reading if self._reading else transport.pause_reading)()
        self._on_change(self)

    # Time.

    def _watch(self) -> None:
        self._keepalive = None
        if self._transport is None or not self.engine.open_streams:
            return
        silent_s = monotonic() - self.heard_at
        if silent_s >= self._settings.keepalive_s:
            self.probe()
            silent_s = 0.0
        self._keepalive = self._loop.call_later(self._settings.keepalive_s - silent_s, self._watch)

    def _judge(self) -> None:
        self._verdict = None
        if self.heard_at < self._asked_at:
            self.abort()
