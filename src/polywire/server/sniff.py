"""Which protocol a connection speaks, from its first bytes."""

from __future__ import annotations

import enum

from polywire.server.settings import HTTP2

_PREFACE = b"PRI * HTTP/2.0"
"""How RFC 9113 §3.4 opens; no HTTP/1.x request line begins so."""
_TLS_HANDSHAKE = 0x16
"""RFC 8446 §5.1, the content type of the record that a ClientHello comes in."""


class Spoken(enum.Enum):
    HTTP1 = "http1"
    """Also everything unknown: HTTP/1.1 is the one that can say in words what is wrong."""
    HTTP2 = "http2"
    TLS = "tls"


def spoken(first: bytes, protocols: frozenset[str]) -> Spoken | None:
    """What `first` begins, among the listener's `protocols`; None: too early to tell, for 13 bytes at most.

    TLS is told whether it is allowed or not, by its first byte; the caller refuses it.
    """
    if not first:
        return None
    if first[0] == _TLS_HANDSHAKE:
        return Spoken.TLS
    if HTTP2 in protocols:
        if first.startswith(_PREFACE):
            return Spoken.HTTP2
        if _PREFACE.startswith(first):
            return None
        if len(protocols & {"http1", HTTP2}) == 1:
            return Spoken.HTTP2
    return Spoken.HTTP1
