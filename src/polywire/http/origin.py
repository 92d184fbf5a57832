"""Cross-site requests: what a page of another site makes a browser send with its user's cookies."""

from __future__ import annotations

from polywire.http.exchange import Exchange


def is_cross_origin(exchange: Exchange) -> bool:
    """Whether a browser says that the request was made by a page of another origin.

    By `Sec-Fetch-Site` (Fetch Metadata §2.4), else by `Origin` (RFC 6454 §7) against the host that was asked; callers
    that are no browsers send neither.
    """
    site = exchange.headers.get("sec-fetch-site")
    if site is not None:
        return site not in ("same-origin", "none")
    origin = exchange.headers.get("origin")
    if origin is None:
        return False
    _, separator, host = origin.partition("://")
    return not separator or host.lower() != exchange.authority.lower()
