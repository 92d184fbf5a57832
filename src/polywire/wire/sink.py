"""The dialect that every HTTP engine speaks to the layer above it: one `Sink` per request, told to one `Receiver`.

An engine (`Http1Connection`, `Http2Connection`) is bytes in, bytes out and knows no loop and no clock:

    engine = Http2Connection(on_request, limits, common)
    engine.receive_data(data)      # parses all of it, then calls on_request(sink) for each head that is complete,
                                   # then receiver.on_readable() / on_gone() of those that changed: never while parsing
    engine.receive_eof()           # the peer half-closed
    out = engine.data_to_send()    # everything to write now, b"" if nothing; one write per call of receive_data
    engine.want_close              # nothing more will be sent or read: close the transport
    engine.shutdown()              # drain: HTTP/1.1 "connection: close" after the current exchange, HTTP/2 GOAWAY
    engine.connection_lost()       # every open sink is gone
    engine.pause_writing() / resume_writing()    # the transport's back-pressure; HTTP/1.1 stops parsing while paused
    engine.want_read               # False: the driver should pause reading (pipelining limit, unread body)
    engine.open_requests           # how many sinks are open
    engine.last_activity_marker    # an int that grows with every complete request head; drivers time idleness with it
    engine.awaiting_head           # bool: a request head has begun and is not complete; drivers time it
    engine.awaiting_body           # bool: body is missing that the peer has credit to send; drivers time it. On HTTP/2
                                   # not where the answer has begun: two streams may be silent as long as they like
    engine.timeout()               # the peer did not go on with what is awaited: 408 and closing, or on HTTP/2 a reset
    engine.on_output               # attribute: a callable without arguments, called when output appears outside of
                                   # receive_data (a handler that suspended answers): the driver flushes once a turn
                                   # also where want_read or want_close changed, or buffered input waits for a turn of
                                   # its own, and then from within data_to_send, which takes that input up when it is
                                   # called next: the driver clears its "flush is due" mark before calling it
"""

from __future__ import annotations

from typing import Protocol

from polywire.wire.headers import HeaderBlock, Headers


class Receiver(Protocol):
    """What the layer above a sink is told. Never called from within the engine's parsing."""

    def on_readable(self) -> None:
        """More body, its end, or trailers arrived."""

    def on_writable(self) -> None:
        """`buffered_out_bytes` fell below the low-water mark after `send_data` returned False."""

    def on_gone(self) -> None:
        """The peer reset the stream, or the connection is lost: nothing more can be sent. Not told after the end."""


class Sink(Protocol):
    """One request and the way to answer it. Calls after `closed` do nothing."""

    method: str
    scheme: str
    authority: str
    """`:authority` or Host, "" if neither."""
    target: str
    """Path and query as sent, starting with "/" or "*"."""
    version: str
    """"1.0", "1.1" or "2"."""
    tunnel: str | None
    """The protocol of an extended CONNECT (RFC 8441) or HTTP/1.1 Upgrade; None for an ordinary request."""
    headers: Headers
    trailers: Headers | None
    """Set before `ended` where the request had trailers."""
    has_body: bool
    """False: the request ended with its head."""
    content_length: int
    """-1 where it was not declared."""
    ended: bool
    """The whole request has been received (its body may not have been taken yet)."""
    closed: bool
    """The exchange is over in both directions, or was reset."""
    buffered_out_bytes: int
    """Answered, but not yet taken by `data_to_send`."""
    receiver: Receiver | None
    """Set by the layer above in on_request; None: nothing is told."""

    @property
    def buffered_in_bytes(self) -> int:
        """Received, but not yet taken."""

    def take(self) -> bytes:
        """All body bytes received and not yet taken. Gives no flow-control credit."""

    def grant(self, count_bytes: int) -> None:
        """Give the peer credit for `count_bytes` more body bytes (RFC 9113 §5.2); HTTP/1.1 reads on."""

    def respond(
        self,
        status: int,
        block: HeaderBlock,
        body: bytes,
        extra: tuple[tuple[bytes, bytes], ...] = (),
        trailers: HeaderBlock | None = None,
    ) -> None:
        """The whole response at once: head (block, then extra, then the common headers), body, trailers.

        The engine adds content-length where there are no trailers (also on HTTP/2), none for 1xx, 204 and 304.
        A response to HEAD carries the content-length and no body. `extra` is trusted: the caller has checked it.
        """

    def send_head(self, status: int, block: HeaderBlock, extra: tuple[tuple[bytes, bytes], ...] = ()) -> None:
        """Start a streamed response, after any 1xx: HTTP/1.1 uses chunked coding unless a content-length is given."""

    def send_data(self, data: bytes) -> bool:
        """Queue body bytes; False: above the high-water mark (64 KiB), wait for on_writable."""

    def send_end(self, trailers: HeaderBlock | None = None) -> None:
        """End the streamed response, with trailers where the version can carry them."""

    def reset(self, code: int) -> None:
        """Break the exchange off: RST_STREAM with an RFC 9113 §7 error code, or closing an HTTP/1.1 connection."""
