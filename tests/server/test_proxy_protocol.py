"""The PROXY header: a pure function of bytes, and what the listener does by it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polywire.server.proxy_protocol import MAX_V1_BYTES, MAX_V2_BYTES, ProxyError, ProxyHeader, parse_proxy_header
from polywire.server.settings import ServerSettings

from .conftest import EchoSite, Serving

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
TRUSTED: dict[str, Any] = {"trusted_proxies": ("127.0.0.0/8",), "proxy_protocol": True}
REQUEST = b"GET /a HTTP/1.1\r\nhost: a\r\n\r\n"


def v2(command: int, kind: int, payload: bytes) -> bytes:
    return SIGNATURE + bytes([command, kind]) + struct.pack(">H", len(payload)) + payload


TCP4 = bytes([192, 0, 2, 7, 198, 51, 100, 1]) + struct.pack(">HH", 4711, 443)
TCP6 = socket.inet_pton(socket.AF_INET6, "2001:db8::7") + bytes(16) + struct.pack(">HH", 4711, 443)
UNIX = b"/run/a.sock".ljust(108, b"\x00") + bytes(108)
TLV = b"\x20\x00\x05\x01\x00\x00\x00\x00"

GOOD = {
    b"PROXY TCP4 192.0.2.7 198.51.100.1 4711 443\r\n": ("192.0.2.7", 4711),
    b"PROXY TCP6 2001:DB8:0::7 ::1 0 65535\r\n": ("2001:db8::7", 0),
    b"PROXY UNKNOWN\r\n": None,
    b"PROXY UNKNOWN ffff:f...f:ffff 65535 anything\r\n": None,
    v2(0x21, 0x11, TCP4): ("192.0.2.7", 4711),
    v2(0x21, 0x11, TCP4 + TLV): ("192.0.2.7", 4711),
    v2(0x21, 0x21, TCP6 + TLV * 20): ("2001:db8::7", 4711),
    v2(0x21, 0x31, UNIX): ("/run/a.sock", 0),
    v2(0x21, 0x00, b""): None,
    v2(0x21, 0x00, TLV): None,
    v2(0x21, 0x12, TCP4): None,
    v2(0x20, 0x11, TCP4): None,
    v2(0x20, 0x00, b""): None,
    v2(0x20, 0x11, b""): None,
}
BAD = [
    b"GET / HTTP/1.1\r\n",
    b"\x16\x03\x01",
    b"PROXY\tTCP4 192.0.2.7 198.51.100.1 1 2\r\n",
    b"proxy TCP4 192.0.2.7 198.51.100.1 1 2\r\n",
    b"PROXY  TCP4 192.0.2.7 198.51.100.1 1 2\r\n",
    b"PROXY TCP4 192.0.2.7 198.51.100.1 1\r\n",
    b"PROXY TCP4 192.0.2.7 198.51.100.1 1 2 3\r\n",
    b"PROXY TCP4 192.0.2.7 198.51.100.1 01 2\r\n",
    b"PROXY TCP4 192.0.2.7 198.51.100.1 +1 2\r\n",
    b"PROXY TCP4 192.0.2.7 198.51.100.1 65536 2\r\n",
    "PROXY TCP4 192.0.2.7 198.51.100.1 ² 2\r\n".encode("latin-1"),
    b"PROXY TCP4 192.0.2.007 198.51.100.1 1 2\r\n",
    b"PROXY TCP4 ::1 ::1 1 2\r\n",
    b"PROXY TCP6 192.0.2.7 198.51.100.1 1 2\r\n",
    b"PROXY TCP6 fe80::1%eth0/../x ::1 1 2\r\n",
    b"PROXY TCP6 ::1 fe80::1%eth0 1 2\r\n",
    b"PROXY UDP4 192.0.2.7 198.51.100.1 1 2\r\n",
    b"PROXY UNKNOWN" + b"x" * (MAX_V1_BYTES - 14) + b"\r\n",
    b"PROXY TCP4 " + b"1" * 200,
    v2(0x11, 0x11, TCP4),
    v2(0x22, 0x11, TCP4),
    v2(0x21, 0x41, TCP4),
    v2(0x21, 0x13, TCP4),
    v2(0x21, 0x11, TCP4[:-1]),
    v2(0x21, 0x21, TCP4),
    v2(0x21, 0x31, TCP6),
    SIGNATURE + b"\x21\x11" + struct.pack(">H", MAX_V2_BYTES - 15),
    SIGNATURE[:-1] + b"\r",
]


@pytest.mark.parametrize("data", GOOD)
def test_whole_in_pieces_and_with_what_follows(data: bytes) -> None:
    wanted = ProxyHeader(len(data), GOOD[data])
    assert parse_proxy_header(data) == wanted
    assert parse_proxy_header(data + b"\r\nPROXY " + REQUEST) == wanted
    for size in range(len(data)):
        assert parse_proxy_header(data[:size]) is None


@pytest.mark.parametrize("data", BAD)
def test_refused(data: bytes) -> None:
    with pytest.raises(ProxyError):
        parse_proxy_header(data)


@st.composite
def mangled(draw: st.DrawFn) -> bytes:
    """A header with one byte changed."""
    whole = draw(st.sampled_from([*GOOD, *BAD]))
    at = draw(st.integers(0, len(whole) - 1))
    return whole[:at] + bytes([draw(st.integers(0, 255))]) + whole[at + 1 :]


@given(st.binary(max_size=300) | mangled())
def test_any_bytes_are_refused_awaited_or_a_header_within_them(data: bytes) -> None:
    try:
        header = parse_proxy_header(data)
    except ProxyError:
        return
    if header is None:
        assert len(data) < MAX_V2_BYTES
    else:
        assert len(data) >= header.length_bytes
        assert parse_proxy_header(data[: header.length_bytes]) == header


@pytest.mark.parametrize("data", [data for data, source in GOOD.items() if source is not None])
async def test_the_peer_is_the_one_named(
    serving: Serving, connect: Callable[..., Any], site: EchoSite, data: bytes
) -> None:
    async with serving(**TRUSTED) as server:
        client = await connect(server)
        client.send(data + REQUEST)
        assert (await client.answer())[0] == 200
        peer = site.peers[0]
        assert (peer.address, peer.port) == GOOD[data]
        assert peer.via is not None
        assert peer.via.address == "127.0.0.1"


async def test_the_real_peer_stays_for_who_speaks_for_himself(
    serving: Serving, connect: Callable[..., Any], site: EchoSite
) -> None:
    async with serving(**TRUSTED) as server:
        client = await connect(server)
        client.send(v2(0x20, 0x00, b"") + REQUEST)
        assert (await client.answer())[0] == 200
        assert (site.peers[0].address, site.peers[0].via) == ("127.0.0.1", None)


async def test_byte_by_byte(serving: Serving, connect: Callable[..., Any], site: EchoSite) -> None:
    async with serving(**TRUSTED) as server:
        client = await connect(server)
        client.writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in next(iter(GOOD)) + REQUEST:
            client.send(bytes([byte]))
            await client.writer.drain()
            await asyncio.sleep(0)
        assert (await client.answer())[0] == 200
        assert site.peers[0].address == "192.0.2.7"


@pytest.mark.parametrize("opening", [REQUEST, b"PROXY TCP4 x\r\n", b"\x16\x03\x01\x00\x05hello"])
async def test_a_trusted_proxy_without_a_header_is_closed(
    serving: Serving, connect: Callable[..., Any], site: EchoSite, opening: bytes
) -> None:
    async with serving(**TRUSTED) as server:
        client = await connect(server)
        client.send(opening)
        with contextlib.suppress(ConnectionResetError):
            assert await client.rest() == b""
        assert site.peers == []


async def test_who_is_not_trusted_is_closed_whatever_he_says(
    serving: Serving, connect: Callable[..., Any], site: EchoSite
) -> None:
    async with serving(trusted_proxies=("10.0.0.0/8", "unix"), proxy_protocol=True) as server:
        client = await connect(server)
        client.send(next(iter(GOOD)) + REQUEST)
        with contextlib.suppress(ConnectionResetError):
            assert await client.rest() == b""
        assert site.peers == []


@pytest.mark.parametrize("begun", [b"", b"PROXY TCP4 192.0"])
async def test_a_header_that_does_not_come_is_timed_out(
    serving: Serving, connect: Callable[..., Any], begun: bytes
) -> None:
    async with serving(first_byte_timeout_s=0.1, **TRUSTED) as server:
        client = await connect(server)
        client.send(begun)
        with contextlib.suppress(ConnectionResetError):
            assert await client.rest() == b""


async def test_a_peer_that_leaves_within_the_header(serving: Serving, connect: Callable[..., Any]) -> None:
    async with serving(**TRUSTED) as server:
        client = await connect(server)
        client.send(b"PROXY TCP4")
        client.writer.write_eof()
        with contextlib.suppress(ConnectionResetError):
            assert await client.rest() == b""


def test_nobody_is_believed_without_being_named() -> None:
    with pytest.raises(ValueError, match="trusted_proxies"):
        ServerSettings(proxy_protocol=True)
    with pytest.raises(ValueError, match=r"10\.0\.0\.1/8. is no network"):
        ServerSettings(trusted_proxies=("10.0.0.1/8",))
