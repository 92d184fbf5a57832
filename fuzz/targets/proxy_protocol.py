"""The PROXY header, versions 1 and 2."""

from __future__ import annotations

import ipaddress

from polywire.server.proxy_protocol import MAX_V1_BYTES, MAX_V2_BYTES, ProxyError, ProxyHeader, parse_proxy_header


def fuzz_one(data: bytes) -> None:
    told = judged(data)
    if isinstance(told, ProxyHeader):
        assert 0 < told.length_bytes <= min(len(data), MAX_V2_BYTES)
        if told.source is not None:
            host, port = told.source
            assert 0 <= port <= 65535
            if data[:1] == b"P":
                ipaddress.ip_address(host)
    elif told is None:
        assert len(data) < (MAX_V1_BYTES if data[:1] == b"P" else MAX_V2_BYTES), "undecided for too long"
    # Byte by byte: undecided until it is decided, and what follows changes nothing.
    for length in range(min(len(data), 300)):
        early = judged(data[:length])
        if early is not None:
            assert early == told
            return


def judged(data: bytes) -> ProxyHeader | type[ProxyError] | None:
    try:
        return parse_proxy_header(data)
    except ProxyError:
        return ProxyError
