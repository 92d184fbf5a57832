from collections.abc import Callable

from polywire.wire.headers import CommonHeaders, HeaderBlock, Headers
from polywire.wire.limits import HttpLimits
from polywire.wire.sink import Receiver

class Http2Stream:
    """One request and its answer; implements `polywire.wire.sink.Sink`. Made by `Http2Connection` only."""

    method: str
    scheme: str
    authority: str
    target: str
    version: str
    tunnel: str | None
    headers: Headers
    trailers: Headers | None
    has_body: bool
    content_length: int
    ended: bool
    closed: bool
    body_timed: bool
    buffered_in_bytes: int
    buffered_out_bytes: int
    """Body bytes that `data_to_send` has not yet returned."""
    receiver: Receiver | None
    """Dropped when the stream closes, after `on_gone` where that is due."""

    def take(self) -> bytes: ...
    def grant(self, count_bytes: int) -> None:
        """Give credit for bytes received; more than was received and not yet granted is ignored."""

    def respond(
        self,
        status: int,
        block: HeaderBlock,
        body: bytes,
        extra: tuple[tuple[bytes, bytes], ...] = (),
        trailers: HeaderBlock | None = None,
    ) -> None:
        """Raises ValueError for a status under 200 or over 999, RuntimeError where a response was already started.

        Fields of HTTP/1.1 connections in `block` (RFC 9113 §8.2.2) are left out. If the request has not ended, it is
        discarded after the response, at most `max_buffered_body_bytes` of it; then RST_STREAM NO_ERROR (RFC 9113 §8.1).
        """

    def send_head(self, status: int, block: HeaderBlock, extra: tuple[tuple[bytes, bytes], ...] = ()) -> Http2Stream:
        """Raises ValueError for 101 or a status that is no three-digit number, RuntimeError after a final head.

        A 2xx to an extended CONNECT opens its tunnel (RFC 8441 §5): from then on `send_end` ends one direction, and
        `on_gone` is told until the other has ended too.
        """

    def send_data(self, data: bytes) -> bool:
        """Raises RuntimeError before `send_head` and after `send_end`."""

    def send_end(self, trailers: HeaderBlock | None = None) -> None:
        """Raises RuntimeError before `send_head` and after `send_end`."""

    def reset(self, code: int) -> None: ...

class Http2Connection:
    """One HTTP/2 connection, server side (RFC 9113, RFC 8441, RFC 9218): bytes in, calls out, bytes back.

    on_request: called with each request whose head is complete, in order, once `receive_data` has parsed everything.
        What it or a receiver raises goes to `sys.unraisablehook` and resets that stream with INTERNAL_ERROR.
    limits: read once, here. Raises ValueError for windows over 2**31-1 bytes.
    common: its `block` is read for every response.

    The driver sends what `data_to_send` returns until it is b"", after construction (SETTINGS), after every call of
    another method, and after `on_output`.
    """

    on_output: Callable[[], None] | None
    on_refused: Callable[[Http2Stream, int, int], None] | None
    """Called when output appears outside of receive_data and data_to_send; once until the next data_to_send."""
    now: float
    """Seconds on any steady clock, set by the driver before receive_data and reset_stalled; while it stays the same,
    what counts against `max_glitches` and `max_resets` is never forgotten."""
    last_activity_marker: int
    """Grows with every complete head, and with every PING that is not early: its sender wants the connection."""
    want_close: bool
    want_read: bool
    """False while the transport is paused and too many frames wait unsent, and once nothing more is to be read.
    Ask again after resume_writing."""
    open_requests: int
    awaiting_head: bool
    """A HEADERS frame came whose CONTINUATION has not. Walks the open streams: for a ticker, not for every read."""
    awaiting_body: bool
    """A timed body is not complete, nothing of it is here unread, and its peer has credit to send."""

    def __init__(
        self, on_request: Callable[[Http2Stream], None], limits: HttpLimits, common: CommonHeaders
    ) -> None: ...
    def receive_data(self, data: bytes) -> None: ...
    def receive_eof(self) -> None:
        """Requests that cannot end any more are gone; the others may still be answered, then `want_close`."""

    def data_to_send(self) -> bytes:
        """At most about 256 KiB; call again until b"". Tells receivers on_writable. b"" while writing is paused."""

    def pause_writing(self) -> None: ...
    def resume_writing(self) -> None: ...
    def shutdown(self) -> None:
        """Drain (RFC 9113 §6.8): announce it, and stop taking streams once the peer has answered a PING.

        The second call does not wait for that answer. `want_close` once the streams taken are finished.
        """

    def timeout(self) -> None:
        """A head did not go on: GOAWAY PROTOCOL_ERROR, for nothing else can come before its end (RFC 9113 §4.3)."""

    def reset_stalled(self, limit_s: float) -> None:
        """Reset (CANCEL) each stream of whose awaited body nothing came for `limit_s`; call it at every tick.

        Only while the peer had credit to send, and where `body_timed` says so. A peer that has its whole answer and
        does not end its request for so long is told to stop (NO_ERROR, RFC 9113 §8.1).
        """

    def ping(self) -> None:
        """Send a PING: a peer that lives answers it (RFC 9113 §6.7)."""

    def reset_unread(self) -> None:
        """Reset the streams whose whole answer waits and of which nothing was sent since the last call of this.

        Their peers give no credit (RFC 9113 §5.2), and would keep the answers in memory for ever. Streams that are
        still being answered are left to the deadlines of their calls. Does nothing while writing is paused.
        """

    def close(self, code: int = 0) -> None:
        """GOAWAY with an RFC 9113 §7 error code; every open sink is gone at once."""

    def connection_lost(self) -> None:
        """Every open sink is gone; all memory of the connection is freed. Later calls do nothing."""
