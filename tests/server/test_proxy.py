"""Behind a proxy: the client it names, for requests of trusted peers only; and hosts that are not ours."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import h2.config
import h2.connection
import pytest

from polywire.server.settings import ServerSettings
from polywire.server.trust import Hosts

from .conftest import EchoSite, Serving

LOCAL: dict[str, Any] = {"trusted_proxies": ("127.0.0.0/8",)}
SAID = b"x-forwarded-for: 1.1.1.1, 192.0.2.7\r\nx-forwarded-proto: https\r\nx-forwarded-host: example.org\r\n"
STANDARD = b"forwarded: for=198.51.100.9;proto=https;host=other.example\r\n"


def get(fields: bytes = b"", host: bytes = b"a") -> bytes:
    return b"GET /a HTTP/1.1\r\nhost: " + host + b"\r\n" + fields + b"\r\n"


@pytest.mark.parametrize(
    ("settings", "address", "scheme"),
    [
        (LOCAL, "192.0.2.7", b"https"),
        ({**LOCAL, "forwarded_header": "forwarded"}, "198.51.100.9", b"https"),
        ({**LOCAL, "forwarded_header": "none"}, "127.0.0.1", b"http"),
        ({"trusted_proxies": ("10.0.0.0/8", "unix")}, "127.0.0.1", b"http"),
        ({}, "127.0.0.1", b"http"),
    ],
)
async def test_only_the_chosen_header_of_a_trusted_peer_counts(
    serving: Serving,
    connect: Callable[..., Any],
    site: EchoSite,
    settings: dict[str, Any],
    address: str,
    scheme: bytes,
) -> None:
    async with serving(**settings) as server:
        client = await connect(server)
        client.send(get(SAID + STANDARD))
        status, body = await client.answer()
        assert (status, body.split()[1]) == (200, scheme)
        peer = site.peers[0]
        assert peer.address == address
        assert (peer.via is None) == (address == "127.0.0.1")
        client.send(get())  # each request speaks for itself
        assert (await client.answer())[1].split()[1] == b"http"
        assert site.peers[1].address == "127.0.0.1"


async def test_over_http2(serving: Serving, connect: Callable[..., Any], site: EchoSite) -> None:
    async with serving(**LOCAL) as server:
        client = await connect(server)
        engine = h2.connection.H2Connection(h2.config.H2Configuration())
        engine.initiate_connection()
        head = [(":method", "GET"), (":scheme", "http"), (":authority", "a"), (":path", "/a")]
        engine.send_headers(1, [*head, ("x-forwarded-for", "192.0.2.7"), ("x-forwarded-proto", "https")], True)
        client.send(engine.data_to_send())
        body = b""
        while not body:
            for event in engine.receive_data(await client.reader.read(65536)):
                body += getattr(event, "data", None) or b""
        assert body.split()[:2] == [b"2", b"https"]
        assert site.peers[0].address == "192.0.2.7"


async def test_a_proxy_named_by_a_proxy_header_may_speak_for_others(
    serving: Serving, connect: Callable[..., Any], site: EchoSite
) -> None:
    """A balancer of connections before a proxy of requests: both are trusted, and only then."""
    async with serving(trusted_proxies=("127.0.0.0/8", "10.0.0.0/8"), proxy_protocol=True) as server:
        for source, address in (("10.0.0.9", "192.0.2.7"), ("203.0.113.5", "203.0.113.5")):
            client = await connect(server)
            client.send(f"PROXY TCP4 {source} 127.0.0.1 4711 80\r\n".encode() + get(SAID))
            assert (await client.answer())[0] == 200
            assert site.peers[-1].address == address


async def test_hosts_that_are_not_ours(serving: Serving, connect: Callable[..., Any], site: EchoSite) -> None:
    async with serving(allowed_hosts=("Example.org", "*.example.org"), **LOCAL) as server:
        client = await connect(server)
        for host, fields, status in (
            (b"example.org:8000", b"", 200),
            (b"EXAMPLE.ORG.", b"", 200),
            (b"api.example.org", b"", 200),
            (b"example.org.evil.test", b"", 421),
            (b"evilexample.org", b"", 421),
            (b"inner", b"x-forwarded-host: example.org\r\n", 200),
            (b"example.org", b"x-forwarded-host: evil.test\r\n", 421),
        ):
            client.send(get(fields, host))
            assert (await client.answer())[0] == status, host
        assert len(site.peers) == 4


def test_wildcards() -> None:
    hosts = Hosts(("*.example.org", "[::1]"))
    assert [hosts.allow(name) for name in ("a.example.org", "example.org", "[::1]:80", "")] == [
        True,
        False,
        True,
        False,
    ]


def test_unknown_headers_are_refused() -> None:
    with pytest.raises(ValueError, match="choose x-forwarded, forwarded or none"):
        ServerSettings(forwarded_header="both")
