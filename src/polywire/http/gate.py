"""How many WebSockets an address may open and keep open, whatever is spoken on them."""

from __future__ import annotations

import ipaddress
from collections import Counter

from polywire.errors import ResourceExhausted
from polywire.http.rates import Buckets
from polywire.http.text_cache import text_cached

TOO_MANY_SOCKETS = "TOO_MANY_SOCKETS"
"""The reason of RESOURCE_EXHAUSTED where an address, or a principal, has as many sockets as it may."""
TOO_FAST = "TOO_FAST"
"""The reason of RESOURCE_EXHAUSTED where an address opens sockets faster than it may."""
_RETRY = {"retry-after": "1"}


@text_cached
def holder(address: str) -> str:
    """Whose an address is: in IPv6 one customer has a /64 at least (RFC 6177 §2), and could use each of it once."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv4Address):
        return address
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((parsed, 64), strict=False))


class SocketGate:
    """Counts the WebSockets of each address.

    max_per_address: open at once; connects_per_s: opened, on average, as many at once. None: no bound.
    Memory is bounded by the sockets that are open, and for rates by `MOST_KEYS`.
    """

    def __init__(self, max_per_address: int | None, connects_per_s: float | None) -> None:
        self._most = max_per_address
        self._rates = None if connects_per_s is None else Buckets(connects_per_s)
        self.open: Counter[str] = Counter()

    def enter(self, address: str, now: float) -> str:
        """One more is asked for: what `leave` is to be given at its end.

        now: on a monotonic clock, in seconds. Raises ResourceExhausted, for an answer of 429.
        """
        key = holder(address)
        if self._rates is not None and not self._rates.take(key, now):
            raise ResourceExhausted("WebSockets are opened too fast", reason=TOO_FAST, metadata=_RETRY)
        if self._most is not None and self.open[key] >= self._most:
            text = f"more than {self._most} WebSockets of one address"
            raise ResourceExhausted(text, reason=TOO_MANY_SOCKETS, metadata=_RETRY)
        self.open[key] += 1
        return key

    def leave(self, key: str) -> None:
        """It is over, or was not taken up."""
        self.open[key] -= 1
        if not self.open[key]:
            del self.open[key]
