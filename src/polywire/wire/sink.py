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
    engine.pause_writing() / resume_writing()    # the transport's back-pressure; HTTP/1.1 begins no request meanwhile
    engine.successor               # HTTP/1.1: the `Tunnel`, once the connection is nothing else: call leave() and go on
                                   # with that, which is an engine as well
    engine.want_eof                # of a tunnel: it has ended on our side only: half-close the transport, or where that
                                   # cannot be (TLS) call receive_eof
    engine.want_read               # False: the driver should pause reading (pipelining limit, unread body)
    engine.open_requests           # how many sinks are open
    engine.last_activity_marker    # an int that grows with every complete request head (HTTP/2: and with a PING now and
                                   # then); drivers time idleness with it
    engine.awaiting_head           # bool: a request head has begun and is not complete; drivers time it
    engine.awaiting_body           # bool: body is missing that the peer has credit to send; drivers time it. On HTTP/2
                                   # not where the answer has begun: two streams may be silent as long as they like
    engine.timeout()               # the peer did not go on with what is awaited: 408 and closing; HTTP/2: GOAWAY, and
                                   # of a head only
    engine.reset_stalled(limit_s)  # HTTP/2: the drivers' call at every tick, which times each stream's body by `now`
    engine.ping()                  # HTTP/2: a PING, whose answer shows that the peer lives
    engine.on_output               # attribute: a callable without arguments, called when output appears outside of
                                   # receive_data (a handler that suspended answers): the driver flushes once a turn
                                   # also where want_read or want_close changed, or buffered input waits for a turn of
                                   # its own, and then from within data_to_send, which takes that input up when it is
                                   # called next: the driver clears its "flush is due" mark before calling it
    engine.on_refused              # attribute, None at first: called with (sink, status, body_bytes) of each request
                                   # that the engine has answered by itself and never handed up (400, 408, 414, 431);
                                   # its method and target are "" where they could not be read

Exceptions that on_request, a Receiver or on_refused raise go to sys.unraisablehook and cost that exchange only: a reset
on HTTP/2; on HTTP/1.1 a 500, or the end of the connection where the answer has begun.

Tunnels. `sink.tunnel` names the protocol that the peer would like to speak from here on; nobody need take it up.

    HTTP/2 (RFC 8441)     method "CONNECT": `send_head(200, ...)` takes it up; decline by any other status (501)
    HTTP/1.1 (Upgrade)    method "GET", and only for "websocket": `send_head(101, ...)` takes it up, and the engine adds
                          the Upgrade and Connection fields; any other answer declines, and is that of an ordinary GET
                          (RFC 9110 §7.8). What the peer sends before the answer waits for the decision. Go on with the
                          sink that `send_head` returns: the request is over.

Once it is taken up, `has_body` is True and `ended` False; take/grant and send_data carry its bytes, with credit and
back-pressure as for bodies, and nobody times them. `ended`: the peer has closed its direction; ours stays open.
`send_end` closes ours (over HTTP/1.1 and TLS both); what the peer still sends is received, but on HTTP/1.1 timed like a
body (`body_timeout_s`). `closed` once both are. An HTTP/1.1 connection ends with its tunnel.
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
    """Like `authority` it may be set by the layer above, where a trusted proxy knows better."""
    authority: str
    """`:authority` or Host, "" if neither."""
    target: str
    """Path and query as sent, starting with "/" or "*"."""
    version: str
    """"1.0", "1.1" or "2"."""
    tunnel: str | None
    """The protocol of an extended CONNECT (RFC 8441) or HTTP/1.1 Upgrade, see above; None for an ordinary request."""
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
    body_timed: bool
    """Set to False by the layer above where the request's body may take its time (a streamed request); True at first.
    A body that is timed and awaited must go on (`body_timeout_s`)."""
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

    def send_head(self, status: int, block: HeaderBlock, extra: tuple[tuple[bytes, bytes], ...] = ()) -> Sink:
        """Start a streamed response, after any 1xx: HTTP/1.1 uses chunked coding unless a content-length is given.

        A 1xx (103 Early Hints, say) may be sent any number of times before that; HTTP/1.0 peers get none. Returns the
        sink to go on with, which is this one but for a tunnel of HTTP/1.1.
        """

    def send_data(self, data: bytes) -> bool:
        """Queue body bytes; False: above the high-water mark, wait for on_writable."""

    def send_end(self, trailers: HeaderBlock | None = None) -> None:
        """End the streamed response, with trailers where the version can carry them."""

    def reset(self, code: int) -> None:
        """Break the exchange off: RST_STREAM with an RFC 9113 §7 error code, or closing an HTTP/1.1 connection."""
