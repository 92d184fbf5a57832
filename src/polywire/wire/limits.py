"""Every limit of the HTTP engines, with its default. Limits raise before memory is taken."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

MOST = 2**31 - 1
"""Of every number here: what a window can be (RFC 9113 §6.9.1), and a parameter of SETTINGS without a sign bit."""


def check_number(name: str, value: object, least: float, *, most: float = math.inf, above: bool = False) -> None:
    """Raises ValueError unless `value` is a finite number from `least` (above=True: above it) to `most`."""
    good = isinstance(value, int | float) and math.isfinite(value) and least <= value <= most
    if not good or (above and value == least):
        bounds = f"above {least:g}" if above else f"from {least:g}"
        until = "" if most == math.inf else f" to {most}"
        raise ValueError(f"{name} must be a number {bounds}{until}, not {value!r}")


@dataclass(frozen=True, slots=True)
class HttpLimits:
    max_target_bytes: int = 8 * 1024
    """Request line's target: 414 beyond it."""
    max_header_bytes: int = 32 * 1024
    """All field lines together (HTTP/2: names + values + 32 each, RFC 9113 §6.5.2): 431 beyond it."""
    max_headers: int = 128
    """Number of fields: 431 beyond it."""
    max_buffered_body_bytes: int = 256 * 1024
    """Body bytes of one request held unread before the peer gets no more credit (HTTP/2's stream window)."""
    max_connection_window_bytes: int = 1024 * 1024
    """HTTP/2: unread body bytes of one connection."""
    max_concurrent_streams: int = 128
    """HTTP/2: streams open at once; HTTP/1.1: pipelined requests taken before reading pauses."""
    max_requests_per_batch: int = 64
    """HTTP/1.1: pipelined requests handed up in one receive_data before the engine yields to others."""
    max_glitches: int = 256
    """HTTP/2: suspicious frames (empty DATA, PING, SETTINGS, PRIORITY, GOAWAY, window updates, unknown types, heads for
    streams that are closed) per second before GOAWAY."""
    max_resets: int = 200
    """HTTP/2: streams reset (by either side) per second before GOAWAY ENHANCE_YOUR_CALM."""
    min_ping_interval_s: float = 5.0
    """HTTP/2: a PING sooner than this after the last, with neither a request nor an answer between them, is early."""
    max_early_pings: int = 16
    """HTTP/2: early PINGs before GOAWAY ENHANCE_YOUR_CALM "too_many_pings"; each that is not early forgives one."""
    max_unsent_bytes: int = 16 * 1024 * 1024
    """HTTP/2: bytes of all answers of a connection that wait for its peer; beyond it, further requests wait too."""
    high_water_bytes: int = 32 * 1024
    low_water_bytes: int = 16 * 1024

    def __post_init__(self) -> None:
        for field in fields(self):
            # Without a mark to come down to, or a pause between PINGs, there still is a meaning.
            least = 0 if field.name in ("low_water_bytes", "min_ping_interval_s") else 1
            check_number(field.name, getattr(self, field.name), least, most=MOST)
        if self.low_water_bytes >= self.high_water_bytes:
            raise ValueError(
                f"low_water_bytes, {self.low_water_bytes}, must be below high_water_bytes, {self.high_water_bytes}"
            )
