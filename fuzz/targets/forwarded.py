"""Forwarded and X-Forwarded-*: whom a trusted proxy speaks for."""

from __future__ import annotations

import ipaddress

from fuzz.source import Source
from polywire.http.forwarded import Client, TrustedNetworks, authority_host, forwarded_client, x_forwarded_client
from polywire.wire.headers import HeaderBlock, Headers

NAMES = ["forwarded", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host"]
TRUSTED = TrustedNetworks(["10.0.0.0/8", "::1", "fd00::/8"])


def fuzz_one(data: bytes) -> None:
    source = Source(data)
    fields = []
    while source.left:
        fields.append((source.one_of(NAMES), source.short().decode("latin-1")))
    headers = Headers(fields)
    for client in (forwarded_client(headers, TRUSTED), x_forwarded_client(headers, TRUSTED)):
        if client is not None:
            check(client)
    for _, text in fields:
        TRUSTED.has(text)
        assert authority_host(text) == authority_host(text).lower()
        # What a client writes further left is never believed: the last hop that is not trusted decides.
        believed = forwarded_client(Headers([("forwarded", text), ("forwarded", "for=192.0.2.7")]), TRUSTED)
        assert believed == Client("192.0.2.7", 0, None, None)


def check(client: Client) -> None:
    assert 0 <= client.port <= 65535
    assert client.scheme in (None, "http", "https")
    if client.address and client.address[0] != "_":
        assert str(ipaddress.ip_address(client.address)) == client.address
    if client.authority is not None:
        HeaderBlock([("host", client.authority)])
        assert "@" not in client.authority
        assert "/" not in client.authority
