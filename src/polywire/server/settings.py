"""Every knob of the server, with its default."""

from __future__ import annotations

from dataclasses import dataclass, field

from polywire.wire.limits import HttpLimits

HTTP1 = "http1"
HTTP2 = "http2"
TLS = "tls"
PROTOCOLS = frozenset({HTTP1, HTTP2, TLS})


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """How one server listens and how patient it is. Times are in seconds and are held to the nearest `tick_s`."""

    host: str = "127.0.0.1"
    """Address or name to listen on; "" or "0.0.0.0" for every IPv4 interface, "::" for IPv6."""
    port: int = 8000
    """0: one that the system picks, see `Server.port`."""
    protocols: frozenset[str] = PROTOCOLS
    """Allow-list of this listener out of `http1`, `http2` and `tls`: a parser that is not needed is not exposed."""
    tls_cert: str | None = None
    """Path of the certificate chain, PEM; None: no TLS."""
    tls_key: str | None = None
    """Path of its private key, PEM; None: the key stands in the certificate's file."""
    clear_text: bool = True
    """With TLS: answer clear text on the same port too. Without TLS it has no meaning."""
    backlog: int = 4096
    max_connections: int = 16_384
    """Open at once; one more is closed as soon as it is accepted."""
    server_header: str | None = "polywire"
    """Value of the `server` field; None: not sent."""
    first_byte_timeout_s: float = 10.0
    """From connecting until the first byte."""
    tls_handshake_timeout_s: float = 10.0
    head_timeout_s: float = 10.0
    """From a request head's first byte to its end: 408 on HTTP/1.1, GOAWAY on HTTP/2."""
    body_timeout_s: float = 30.0
    """Without any byte of a body that is awaited."""
    write_timeout_s: float = 30.0
    """Without the peer taking any byte of what waits to be sent: the connection is aborted. On HTTP/2, a whole answer
    for which the peer gives no credit: its stream is reset, after twice this time at most."""
    idle_timeout_s: float = 75.0
    """A connection without an open request."""
    half_close_s: float = 5.0
    """From the peer's FIN until requests that are still open are cancelled: it may have closed one way only and wait
    for its answers, or have left; the two look alike."""
    linger_s: float = 2.0
    """How long a connection that we have closed is still read, so that the last answer is not lost to a reset."""
    linger_bytes: int = 1024 * 1024
    """How much is read meanwhile."""
    tick_s: float = 0.5
    """How often connections are looked at: no timer is kept per connection or request."""
    pre_stop_s: float = 0.0
    """When draining: how long new connections are still accepted while readiness already fails."""
    drain_s: float = 30.0
    """When draining: how long open calls may take to end."""
    limits: HttpLimits = field(default_factory=HttpLimits)

    def __post_init__(self) -> None:
        unknown = self.protocols - PROTOCOLS
        if unknown:
            raise ValueError(f"unknown protocols {sorted(unknown)}; choose from {sorted(PROTOCOLS)}")
        if not self.protocols & {HTTP1, HTTP2}:
            raise ValueError("a listener needs http1 or http2 in its protocols")
        if self.tls_key is not None and self.tls_cert is None:
            raise ValueError("a TLS key without a certificate; give tls_cert too")
        if self.tls_cert is not None and TLS not in self.protocols:
            raise ValueError("a TLS certificate on a listener whose protocols leave tls out")
