from collections.abc import Callable, Iterable
from typing import Protocol

from polywire.wire.headers import Headers
from polywire.wire.limits import HttpLimits

LOST: int
"""The code of `on_gone` where the connection ended after the request was sent: nobody knows what became of it."""
REFUSED: int
"""REFUSED_STREAM (RFC 9113 §8.7): no handler has seen the request, so it can be sent again, whatever it does."""

Pairs = tuple[tuple[bytes, bytes], ...]
Text = str | bytes

class ClientReceiver(Protocol):
    """What the layer above a stream is told, in this order, and never from within the engine's parsing.

    After `reset` it is told nothing more. What it raises goes to `sys.unraisablehook` and resets its stream.
    """

    def on_head(self, status: int, headers: Headers, /) -> None:
        """The final head; 1xx are left out."""

    def on_readable(self) -> None:
        """More of the body arrived."""

    def on_end(self, trailers: Headers | None, /) -> None:
        """The answer is whole. The rest of the request, if there is any, is not sent any more. Told last."""

    def on_gone(self, code: int, /) -> None:
        """The answer will not be whole: an RFC 9113 §7 code, or `LOST`. Told last.

        `REFUSED` also for what the server's GOAWAY says that it did not take (RFC 9113 §6.8), and for what was never
        sent.
        """

    def on_writable(self) -> None:
        """`buffered_out_bytes` fell below the low-water mark after `send_data` returned False."""

class RequestHead:
    """The fields that many requests begin with, checked and laid out once.

    pairs: names lower-case tokens, values without control characters. Raises ValueError for anything else, and for
    such characters in the other arguments.
    """

    pairs: Pairs
    def __init__(
        self, method: Text, scheme: Text, authority: Text, path: Text, pairs: Iterable[tuple[Text, Text]] = ()
    ) -> None: ...

class ClientStream:
    """One request and its answer. Made by `Http2ClientConnection.open` only. Calls after `closed` do nothing."""

    id: int
    status: int
    """0 before the head has come."""
    headers: Headers | None
    trailers: Headers | None
    ended: bool
    """The whole answer has been received (its body may not have been taken yet)."""
    closed: bool
    """The exchange is over in both directions, or was reset, or is lost."""
    buffered_in_bytes: int
    buffered_out_bytes: int
    receiver: ClientReceiver | None
    """Dropped with the last thing it is told."""

    def take(self) -> bytes:
        """All body bytes received and not yet taken; also after the end. Gives no flow-control credit."""

    def grant(self, count_bytes: int) -> None:
        """Give the server credit for so many body bytes of this stream (RFC 9113 §5.2); at most what was received.

        The connection's window is given back at once: streams that nobody reads must not hold up the others.
        """

    def send_data(self, data: bytes) -> bool:
        """Queue body bytes; False: above the high-water mark, wait for on_writable.

        Raises RuntimeError after `send_end`.
        """

    def send_end(self) -> None:
        """The request is whole."""

    def reset(self, code: int) -> None:
        """RST_STREAM with an RFC 9113 §7 error code. A request that is not sent yet is never sent."""

class Http2ClientConnection:
    """One HTTP/2 connection, client side (RFC 9113): bytes in, calls out, bytes back.

    limits: read once, here. Raises ValueError for windows over 2**31-1 bytes.

    The driver sends what `data_to_send` returns until it is b"", after construction (preface and SETTINGS), after every
    call of another method, and after `on_output`. What a hostile server sends is bounded: heads and trailers by
    max_header_bytes and max_headers, bodies by max_buffered_body_bytes for each stream, control frames and empty ones
    by max_glitches a second. Pushes are refused.
    """

    on_output: Callable[[], None] | None
    """Called when output appears outside of receive_data and data_to_send; once until the next data_to_send."""
    now: float
    """Seconds on any steady clock, set by the driver before receive_data; while it stays the same, what counts
    against `max_glitches` is never forgotten."""
    open_streams: int
    pings_answered: int
    settled: bool
    """The server's SETTINGS have come (RFC 9113 §3.4)."""
    goaway_code: int
    """The error code of the server's last GOAWAY; -1: none came."""
    draining: bool
    """No request can be sent on this connection any more; those under way may still be answered."""
    room: int
    """How many more requests may be opened now, by the server's word and by max_concurrent_streams; 0 if draining."""
    want_close: bool
    """Nothing more will be sent or read: close the transport."""
    want_read: bool
    """False: the driver should pause reading; ask again after resume_writing."""

    def __init__(self, limits: HttpLimits) -> None: ...
    def open(
        self, receiver: ClientReceiver, head: RequestHead, extra: Pairs = (), body: bytes = b"", end: bool = True
    ) -> ClientStream:
        """Start a request: head, then extra, which is trusted, then body; `end`: that is all of it.

        Raises RuntimeError where `room` is 0.
        """

    def ping(self) -> None:
        """Send a PING (RFC 9113 §6.7); `pings_answered` grows when it is answered."""

    def receive_data(self, data: bytes) -> None: ...
    def receive_eof(self) -> None:
        """Every answer that is not whole is gone; then `want_close`."""

    def data_to_send(self) -> bytes:
        """At most about 256 KiB; call again until b"". Tells receivers on_writable. b"" while writing is paused."""

    def pause_writing(self) -> None: ...
    def resume_writing(self) -> None: ...
    def close(self, code: int = 0) -> None:
        """GOAWAY with an RFC 9113 §7 error code; every open stream is gone at once."""

    def connection_lost(self) -> None:
        """Every open stream is gone; all memory of the connection is freed. Later calls do nothing."""
