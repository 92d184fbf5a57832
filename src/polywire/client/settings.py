"""How a channel treats its connections."""

from __future__ import annotations

from dataclasses import dataclass, field

from polywire.wire.limits import HttpLimits


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelSettings:
    max_connections: int = 1
    """Another one is opened where the streams of all are taken (RFC 9113 §5.1.2)."""
    max_waiting_calls: int = 10_000
    """Calls that wait for a connection or a stream: RESOURCE_EXHAUSTED beyond it."""
    max_response_bytes: int = 4 * 1024 * 1024
    """The largest message taken, after decompression: RESOURCE_EXHAUSTED beyond it."""
    connect_timeout_s: float = 10.0
    """For one attempt: TCP, TLS and the server's SETTINGS."""
    backoff_s: float = 0.2
    """After the first failed attempt; 1.6 times as much after each further one, and up to a fifth more or less."""
    max_backoff_s: float = 30.0
    keepalive_s: float = 300.0
    """A PING after so long a silence while calls are open. Servers on gRPC core close connections that ask more often
    than every 300 s; polywire's by its `min_ping_interval_s`."""
    keepalive_timeout_s: float = 10.0
    """A connection on which nothing comes for so long after a PING is given up."""
    limits: HttpLimits = field(default_factory=lambda: HttpLimits(max_concurrent_streams=1000))
    """Of each connection. max_concurrent_streams: ours; the server's own may be lower."""
