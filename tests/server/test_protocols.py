"""What a listener tells apart: HTTP/1.1, HTTP/2 and TLS on one port."""

from __future__ import annotations

import asyncio
import socket
import ssl
from pathlib import Path
from typing import Any

import h2.config
import h2.connection
import h2.events
import pytest

from polywire.server.sniff import Spoken, spoken

GET = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"
BOTH = frozenset({"http1", "http2", "tls"})
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

TOLD = [
    (b"", BOTH, None),
    (b"G", BOTH, Spoken.HTTP1),
    (b"P", BOTH, None),
    (b"PR", BOTH, None),
    (b"PRO", BOTH, Spoken.HTTP1),
    (b"PRI * HTTP/2.", BOTH, None),
    (b"PRI * HTTP/2.1", BOTH, Spoken.HTTP1),
    (PREFACE, BOTH, Spoken.HTTP2),
    (PREFACE[:14], BOTH, Spoken.HTTP2),
    (b"\x16", BOTH, Spoken.TLS),
    (b"\x16\x03\x01", frozenset({"http1"}), Spoken.TLS),
    (b"\x80", BOTH, Spoken.HTTP1),
    (b"*1\r\n", BOTH, Spoken.HTTP1),
    (PREFACE, frozenset({"http1"}), Spoken.HTTP1),
    (b"GET / HTTP/1.1", frozenset({"http2"}), Spoken.HTTP2),
]


@pytest.mark.parametrize(("first", "protocols", "expected"), TOLD)
def test_first_bytes(first: bytes, protocols: frozenset[str], expected: Spoken | None) -> None:
    assert spoken(first, protocols) is expected


@pytest.mark.parametrize("first", [PREFACE, GET])
def test_byte_by_byte_gives_the_same(first: bytes) -> None:
    told = [spoken(first[:length], BOTH) for length in range(len(first) + 1)]
    known = [found for found in told if found is not None]
    assert len(set(known)) == 1
    assert known[0] is spoken(first, BOTH)


class H2Client:
    """One HTTP/2 connection through hyper-h2, a client that we did not write."""

    def __init__(self, client: Any) -> None:
        self.client = client
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True))
        self.h2.initiate_connection()
        self.flush()

    def flush(self) -> None:
        self.client.send(self.h2.data_to_send())

    def get(self, path: str) -> int:
        stream = self.h2.get_next_available_stream_id()
        fields = [(":method", "GET"), (":scheme", "http"), (":authority", "a"), (":path", path)]
        self.h2.send_headers(stream, fields, end_stream=True)
        self.flush()
        return int(stream)

    async def until(self, kind: type[Any]) -> list[Any]:
        """Events up to the first of `kind`."""
        seen: list[Any] = []
        async with asyncio.timeout(5):
            while not any(isinstance(event, kind) for event in seen):
                data = await self.client.reader.read(65536)
                assert data, f"closed before {kind.__name__}; saw {seen}"
                seen += self.h2.receive_data(data)
                self.flush()
        return seen


def body_of(events: list[Any]) -> bytes:
    return b"".join(event.data for event in events if isinstance(event, h2.events.DataReceived))


async def test_http2_by_prior_knowledge(serving: Any, connect: Any) -> None:
    async with serving() as server:
        client = H2Client(await connect(server))
        client.get("/x")
        assert body_of(await client.until(h2.events.StreamEnded)) == b"2 http GET /x "


async def test_http2_preface_byte_by_byte(serving: Any, connect: Any) -> None:
    async with serving() as server:
        raw = await connect(server)
        sent: list[bytes] = []
        raw.send, send = sent.append, raw.send
        client = H2Client(raw)
        client.get("/x")
        raw.send = send
        for at in b"".join(sent):
            raw.send(bytes([at]))
            await raw.writer.drain()
            await asyncio.sleep(0)
        assert body_of(await client.until(h2.events.StreamEnded)) == b"2 http GET /x "


async def test_http2_drains_by_goaway(serving: Any, connect: Any, site: Any) -> None:
    async with serving() as server:
        client = H2Client(await connect(server))
        client.get("/wait")
        await client.until(h2.events.RemoteSettingsChanged)
        while not site.waiting:  # noqa: ASYNC110 -- what is waited for is the kernel
            await asyncio.sleep(0.005)
        draining = asyncio.create_task(server.drain())
        await client.until(h2.events.ConnectionTerminated)
        # hyper-h2 takes GOAWAY for the end; it is only the beginning of it (RFC 9113 §6.8).
        client.h2.state_machine.state = h2.connection.ConnectionState.CLIENT_OPEN
        site.release()
        assert body_of(await client.until(h2.events.StreamEnded)) == b"2 http GET /wait "
        client.client.writer.close()
        await asyncio.wait_for(draining, 4)


async def test_an_idle_http2_connection_gets_goaway(serving: Any, connect: Any) -> None:
    async with serving(idle_timeout_s=0.15, linger_s=0.5) as server:
        client = H2Client(await connect(server))
        client.get("/x")
        await client.until(h2.events.ConnectionTerminated)
        assert await client.client.rest() is not None


async def test_a_body_over_http2_that_stalls_is_reset(serving: Any, connect: Any, site: Any) -> None:
    async with serving(body_timeout_s=0.2) as server:
        client = H2Client(await connect(server))
        fields = [(":method", "POST"), (":scheme", "http"), (":authority", "a"), (":path", "/")]
        client.h2.send_headers(1, fields)
        client.h2.send_data(1, b"half")
        client.flush()
        await client.until(h2.events.StreamReset)
        assert site.gone == 1
        client.get("/x")
        assert body_of(await client.until(h2.events.StreamEnded)) == b"2 http GET /x "


async def test_an_answer_over_http2_waits_for_the_handler(serving: Any, connect: Any, site: Any) -> None:
    async with serving() as server:
        client = H2Client(await connect(server))
        client.get("/wait")
        client.get("/now")
        assert body_of(await client.until(h2.events.StreamEnded)) == b"2 http GET /now "
        site.release()
        assert body_of(await client.until(h2.events.StreamEnded)) == b"2 http GET /wait "


REFUSED = [
    b"\x16\x03\x01\x02\x00\x01\x00",
    b"\x80\x2e\x01\x00\x02",
    b"*1\r\n$4\r\nPING\r\n",
    b"hello\r\n",
    b"\x00" * 20,
]


@pytest.mark.parametrize("sent", REFUSED)
async def test_anything_else_gets_an_http_error(serving: Any, connect: Any, sent: bytes) -> None:
    async with serving() as server:
        client = await connect(server)
        client.send(sent)
        client.writer.write_eof()
        received = await client.rest()
        assert received == b"" or received.startswith(b"HTTP/1.1 400 ")


async def test_http2_is_refused_where_it_is_not_allowed(serving: Any, connect: Any) -> None:
    async with serving(protocols=frozenset({"http1"})) as server:
        client = await connect(server)
        client.send(PREFACE)
        assert (await client.rest()).startswith((b"HTTP/1.1 505 ", b"HTTP/1.1 400 "))


def trusting(cert: Path, alpn: list[str] | None = None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(cert))
    if alpn is not None:
        context.set_alpn_protocols(alpn)
    return context


async def secure(connect: Any, server: Any, context: ssl.SSLContext) -> Any:
    return await connect(server, ssl=context, server_hostname="localhost")


async def test_tls_and_clear_text_on_one_port(serving: Any, connect: Any, certificate: Any, site: Any) -> None:
    cert, key = certificate
    async with serving(tls_cert=str(cert), tls_key=str(key)) as server:
        clear = await connect(server)
        clear.send(GET)
        assert await clear.answer() == (200, b"1.1 http GET / ")
        client = await secure(connect, server, trusting(cert, ["http/1.1"]))
        client.send(GET)
        assert await client.answer() == (200, b"1.1 https GET / ")
        assert site.peers[-1].tls_version == "TLSv1.3"
        assert site.peers[-1].tls_cipher


async def test_alpn_chooses_http2(serving: Any, connect: Any, certificate: Any) -> None:
    cert, key = certificate
    async with serving(tls_cert=str(cert), tls_key=str(key)) as server:
        raw = await secure(connect, server, trusting(cert, ["h2", "http/1.1"]))
        assert raw.writer.get_extra_info("ssl_object").selected_alpn_protocol() == "h2"
        client = H2Client(raw)
        client.get("/x")
        assert body_of(await client.until(h2.events.StreamEnded)).startswith(b"2 ")


async def test_without_alpn_the_first_bytes_inside_decide(serving: Any, connect: Any, certificate: Any) -> None:
    cert, key = certificate
    async with serving(tls_cert=str(cert), tls_key=str(key)) as server:
        client = await secure(connect, server, trusting(cert))
        client.send(GET)
        assert (await client.answer())[0] == 200
        prior = H2Client(await secure(connect, server, trusting(cert)))
        prior.get("/x")
        assert body_of(await prior.until(h2.events.StreamEnded)).startswith(b"2 ")


async def test_tls_only(serving: Any, connect: Any, certificate: Any) -> None:
    cert, key = certificate
    async with serving(tls_cert=str(cert), tls_key=str(key), clear_text=False) as server:
        client = await secure(connect, server, trusting(cert))
        client.send(GET)
        assert (await client.answer())[0] == 200
        clear = await connect(server)
        clear.send(GET)
        assert not (await clear.rest()).startswith(b"HTTP")


async def test_an_error_answer_reaches_a_tls_peer(serving: Any, connect: Any, certificate: Any) -> None:
    cert, key = certificate
    async with serving(tls_cert=str(cert), tls_key=str(key)) as server:
        client = await secure(connect, server, trusting(cert, ["http/1.1"]))
        client.send(b"GET / HTTP/1.1\r\nhost : a\r\n\r\n")
        assert (await client.answer())[0] == 400


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
async def test_tls_1_1_is_refused(serving: Any, connect: Any, certificate: Any) -> None:
    cert, key = certificate
    async with serving(tls_cert=str(cert), tls_key=str(key)) as server:
        context = trusting(cert)
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await secure(connect, server, context)


async def test_tls_1_2_has_only_what_http2_allows(serving: Any, connect: Any, certificate: Any) -> None:
    cert, key = certificate
    async with serving(tls_cert=str(cert), tls_key=str(key)) as server:
        context = trusting(cert)
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        client = await secure(connect, server, context)
        name = client.writer.get_extra_info("cipher")[0]
        assert name.startswith("ECDHE-")
        assert name.endswith(("GCM-SHA256", "GCM-SHA384", "POLY1305"))


@pytest.mark.parametrize("sent", [b"", b"\x16", b"\x16\x03\x01\x00\x05hello", b"\x16\x03\x01\x40\x00\x01"])
async def test_a_broken_or_slow_handshake_leaves_nothing(
    serving: Any, connect: Any, certificate: Any, sent: bytes
) -> None:
    cert, key = certificate
    limits = {"tls_handshake_timeout_s": 0.2, "first_byte_timeout_s": 0.2}
    async with serving(tls_cert=str(cert), tls_key=str(key), **limits) as server:
        client = await connect(server)
        client.send(sent)
        await client.rest()
        async with asyncio.timeout(3):
            while server.open_connections:  # noqa: ASYNC110 -- what is waited for is the kernel
                await asyncio.sleep(0.005)


async def test_draining_waits_for_no_peer_that_has_said_nothing(serving: Any, connect: Any, certificate: Any) -> None:
    cert, key = certificate
    async with serving(tls_cert=str(cert), tls_key=str(key)) as server:
        silent = await connect(server)
        with socket.create_connection(("127.0.0.1", server.port)) as shaking:
            shaking.sendall(b"\x16")
            await asyncio.sleep(0.05)
            await asyncio.wait_for(server.drain(0.3), 3)
        assert await silent.rest() == b""
