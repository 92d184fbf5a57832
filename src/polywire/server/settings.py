"""Every knob of the server, with its default."""

from __future__ import annotations

from dataclasses import dataclass, field

from polywire.http.forwarded import TrustedNetworks
from polywire.wire.limits import MOST, HttpLimits, check_number

HTTP1 = "http1"
HTTP2 = "http2"
TLS = "tls"
PROTOCOLS = frozenset({HTTP1, HTTP2, TLS})

_COUNTS = ("backlog", "max_connections")
_TIMES = (
    *("first_byte_timeout_s", "tls_handshake_timeout_s", "head_timeout_s", "body_timeout_s", "write_timeout_s"),
    *("idle_timeout_s", "keepalive_timeout_s", "tick_s"),
)
_TIMES_OR_NONE = ("keepalive_s", "max_connection_age_s")
_PAUSES = ("max_connection_age_grace_s", "half_close_s", "linger_s", "linger_bytes", "pre_stop_s", "drain_idle_s")
"""What may be 0, which leaves it out."""
_MOST_KEEPALIVE_S = 32767
"""tcp(7): the kernel takes no more."""


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """How one server listens and how patient it is. Times are in seconds and are held to the nearest `tick_s`."""

    host: str = "127.0.0.1"
    """Address or name to listen on; "" or "0.0.0.0" for every IPv4 interface, "::" for IPv6."""
    port: int = 8000
    """0: one that the system picks, see `Server.port`."""
    uds: str | None = None
    """Path of a Unix socket to listen on instead of `host` and `port`."""
    uds_mode: int = 0o660
    """Permissions of its file."""
    protocols: frozenset[str] = PROTOCOLS
    """Allow-list of this listener out of `http1`, `http2` and `tls`: a parser that is not needed is not exposed."""
    tls_cert: str | None = None
    """Path of the certificate chain, PEM; None: no TLS."""
    tls_key: str | None = None
    """Path of its private key, PEM; None: the key stands in the certificate's file."""
    tls_client_ca: str | None = None
    """Path of the authorities, PEM, whose clients are believed to be who their certificates say (mutual TLS)."""
    tls_client_auth: str | None = None
    """`none`, `optional` (who shows a certificate must show a good one) or `required`; None: `required` where
    `tls_client_ca` is given, else `none`."""
    clear_text: bool = True
    """With TLS: answer clear text on the same port too. Without TLS it has no meaning."""
    trusted_proxies: tuple[str, ...] = ()
    """Networks (`10.0.0.0/8`), addresses, or `unix` for whoever connects by Unix socket, that may say for whom they
    speak: see `forwarded_header` and `proxy_protocol`. Nobody else is listened to."""
    forwarded_header: str = "x-forwarded"
    """Which header they say it in: `x-forwarded` (X-Forwarded-For, -Proto and -Host), `forwarded` (RFC 7239) or `none`.
    Never both: a proxy that writes the one hands on the other as its client sent it."""
    proxy_protocol: bool = False
    """Every connection begins with a PROXY header, version 1 or 2, from one of `trusted_proxies`; others are closed."""
    allowed_hosts: tuple[str, ...] = ()
    """Names that may be asked for, without port; `*.example.org` for all below one. Others get 421. (): any."""
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
    tcp_keepalive_s: float | None = 60.0
    """Of silence until the kernel asks whether the peer is there at all, which ends connections whose peer vanished
    without a word: after four times a quarter of this without an answer. Whole seconds count; None: it never asks."""
    idle_timeout_s: float = 75.0
    """A connection without an open request."""
    keepalive_s: float | None = 60.0
    """HTTP/2: silence of the peer after which it is sent a PING, whether requests are open or not; None: never."""
    keepalive_timeout_s: float = 20.0
    """HTTP/2: from that PING until a peer of which nothing at all was heard is taken for dead."""
    max_connection_age_s: float | None = None
    """Age at which a connection is drained (GOAWAY, `connection: close`), so that clients spread over new servers;
    each connection's differs by up to a tenth, lest they all come at once. None: no limit."""
    max_connection_age_grace_s: float = 30.0
    """How long the requests that are then open may take; after it they are cancelled."""
    half_close_s: float = 5.0
    """From the peer's FIN until requests that are still open are cancelled: it may have closed one way only and wait
    for its answers, or have left; the two look alike."""
    linger_s: float = 2.0
    """How long a connection that we have closed is still read while nothing comes, so that the last answer is not lost
    to a reset. From a peer that still sends, `body_timeout_s` in all."""
    linger_bytes: int = 64 * 1024 * 1024
    """How much is read and dropped meanwhile."""
    tick_s: float = 0.5
    """How often connections are looked at: no timer is kept per connection or request."""
    pre_stop_s: float = 0.0
    """When draining: how long new connections are still accepted while readiness already fails."""
    drain_s: float | None = None
    """When draining: how long open calls may take to end; None: what the App says, 30 by default."""
    drain_idle_s: float = 1.0
    """When draining: how long an idle HTTP/1.1 connection may still bring one request, whose answer closes it. Closing
    it at once would lose a request that is under way."""
    limits: HttpLimits = field(default_factory=HttpLimits)

    def __post_init__(self) -> None:
        unknown = self.protocols - PROTOCOLS
        if unknown:
            raise ValueError(f"unknown protocols {sorted(unknown)}; choose from {sorted(PROTOCOLS)}")
        if not self.protocols & {HTTP1, HTTP2}:
            raise ValueError("a listener needs http1 or http2 in its protocols")
        self._check_numbers()
        if self.server_header is not None and not (self.server_header.isascii() and self.server_header.isprintable()):
            raise ValueError(f"server_header {self.server_header!r} cannot be sent: write one line of ASCII")
        if not self.clear_text and self.tls_cert is None:
            raise ValueError("without clear text there must be TLS; give tls_cert too")
        if self.tls_key is not None and self.tls_cert is None:
            raise ValueError("a TLS key without a certificate; give tls_cert too")
        if self.tls_client_auth not in (None, "none", "optional", "required"):
            raise ValueError(f"unknown tls_client_auth {self.tls_client_auth!r}; choose none, optional or required")
        if self.tls_client_ca is not None and self.tls_cert is None:
            raise ValueError("client certificates are asked for within TLS only; give tls_cert too")
        if self.client_auth != "none":
            if self.tls_client_ca is None:
                raise ValueError("client certificates need the authority that signed them; give tls_client_ca too")
            if self.clear_text and self.client_auth == "required":
                raise ValueError(
                    "clear text on the same port would go past the client certificates; add clear_text=False"
                )
        if self.forwarded_header not in ("x-forwarded", "forwarded", "none"):
            raise ValueError(
                f"unknown forwarded_header {self.forwarded_header!r}; choose x-forwarded, forwarded or none"
            )
        TrustedNetworks(self.trusted_proxies)  # raises for what is no network
        if self.proxy_protocol and not self.trusted_proxies:
            raise ValueError("PROXY headers are believed from trusted_proxies only; give their networks too")
        if self.tls_cert is not None and TLS not in self.protocols:
            raise ValueError("a TLS certificate on a listener whose protocols leave tls out")

    def _check_numbers(self) -> None:
        check_number("port", self.port, 0, most=65535)
        check_number("uds_mode", self.uds_mode, 0, most=0o777)
        for name in _COUNTS:
            check_number(name, getattr(self, name), 1, most=MOST)
        for name in _TIMES:
            check_number(name, getattr(self, name), 0, above=True)
        for name in _TIMES_OR_NONE:
            if getattr(self, name) is not None:
                check_number(name, getattr(self, name), 0, above=True)
        for name in _PAUSES:
            check_number(name, getattr(self, name), 0)
        if self.tcp_keepalive_s is not None:
            check_number("tcp_keepalive_s", self.tcp_keepalive_s, 0, most=_MOST_KEEPALIVE_S, above=True)
        if self.drain_s is not None:
            check_number("drain_s", self.drain_s, 0)

    @property
    def client_auth(self) -> str:
        """`tls_client_auth` with its default filled in."""
        if self.tls_client_auth is not None:
            return self.tls_client_auth
        return "none" if self.tls_client_ca is None else "required"
