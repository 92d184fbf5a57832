"""Which pages may call: what browsers say of a request's origin, and what they are told (CORS, WHATWG Fetch §3.2)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from polywire.errors import PermissionDenied
from polywire.http.exchange import Exchange, Extra
from polywire.wire.headers import HeaderBlock

ANY_ORIGIN: Final = "*"
SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods that change nothing (RFC 9110 §9.2.1): a page of another origin may send them, but not read the answer."""
_VARY: Final[Extra] = ((b"vary", b"origin"),)
_PREFLIGHT_VARY: Final = "origin, access-control-request-method, access-control-request-headers"
_NAMES = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~,\- ]{1,4096}")
_MAX_AGE_S: Final = "7200"
"""The longest that Chromium keeps an answer to a preflight."""


class CrossOrigin(PermissionDenied):
    """A page of another origin may not send this."""

    def __init__(self) -> None:
        message = "pages of another origin may not call this, but for those that App(origins=...) lists"
        super().__init__(message, reason="CROSS_ORIGIN")


class Origins:
    """The origins of pages that may call besides our own: exact ones, `https://app.example.com`, or `*` for all.

    A listed origin may send its user's cookies; with `*` nobody may.
    """

    def __init__(self, allowed: Iterable[str]) -> None:
        self._allowed = frozenset(origin.lower() for origin in allowed)
        self._any = ANY_ORIGIN in self._allowed
        self.unasked: Extra = _VARY if self._allowed else ()
        """Fields of answers to callers that name no origin: a cache must not hand those to one who does."""

    def admits(self, exchange: Exchange, origin: str) -> bool:
        """Whether a request with an `Origin` goes on; its answer is given the fields that let the page read it.

        Not where this has answered it: a preflight (Fetch §4.8). Raises CrossOrigin for what a page of another
        origin that is not listed may not send: a write, a preflight, a WebSocket (RFC 6455 §10.2).
        """
        if not _is_foreign(exchange, origin):
            exchange.origin_fields = self.unasked
            return True
        listed = origin.lower() in self._allowed
        asked = exchange.headers.get("access-control-request-method") if exchange.method == "OPTIONS" else None
        if not (listed or self._any):
            if exchange.method not in SAFE or exchange.sink.tunnel is not None or asked is not None:
                raise CrossOrigin
            exchange.origin_fields = self.unasked
            return True
        fields: list[tuple[bytes, bytes]] = [*_VARY]
        if listed:
            fields += [
                (b"access-control-allow-origin", origin.encode()),
                (b"access-control-allow-credentials", b"true"),
            ]
        else:
            fields.append((b"access-control-allow-origin", b"*"))
        exchange.origin_fields = tuple(fields)
        if asked is None:
            exchange.exposes_fields = True
            return True
        _answer_preflight(exchange, asked)
        return False


def is_sent_across(exchange: Exchange) -> bool:
    """Whether a browser says by `Sec-Fetch-Site` alone (Fetch Metadata §2.4) that another origin's page asks."""
    site = exchange.headers.get("sec-fetch-site")
    return site is not None and site not in ("same-origin", "none")


def _is_foreign(exchange: Exchange, origin: str) -> bool:
    """By `Sec-Fetch-Site`, else by `Origin` (RFC 6454 §7) against the host that was asked."""
    site = exchange.headers.get("sec-fetch-site")
    if site is not None:
        return site not in ("same-origin", "none")
    _, separator, host = origin.partition("://")
    return not separator or host.lower() != exchange.authority.lower()


def _answer_preflight(exchange: Exchange, asked: str) -> None:
    fields = [("access-control-max-age", _MAX_AGE_S), ("vary", _PREFLIGHT_VARY)]
    if _NAMES.fullmatch(asked):
        fields.append(("access-control-allow-methods", asked))
    names = exchange.headers.get("access-control-request-headers")
    if names is not None and _NAMES.fullmatch(names):
        fields.append(("access-control-allow-headers", names))
    exchange.respond(204, HeaderBlock(fields), b"")
