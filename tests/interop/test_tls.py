"""TLS through clients that check what they are offered."""

from __future__ import annotations

import socket
import ssl
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import httpx
import pytest

from tests.conftest import Certificate
from tests.live.http2 import H2Client
from tests.live.server import Live, serve
from tests.live.wire import connected

from .calls import IDENTITY, request, unary


@pytest.fixture
def context(localhost: Certificate) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=localhost.cert)


def secured(live: Live, context: ssl.SSLContext) -> ssl.SSLSocket:
    opened = socket.create_connection(("127.0.0.1", live.port), 5)
    return context.wrap_socket(opened, server_hostname="localhost")


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [
        (["h2", "http/1.1"], "h2"),
        (["http/1.1", "h2"], "h2"),
        (["http/1.1"], "http/1.1"),
        (["spdy/3", "http/1.1"], "http/1.1"),
        ([], None),
    ],
)
def test_alpn(localhost: Certificate, context: ssl.SSLContext, offered: list[str], chosen: str | None) -> None:
    if offered:
        context.set_alpn_protocols(offered)
    with serve(tls_cert=localhost.cert, tls_key=localhost.key) as live, secured(live, context) as opened:
        assert opened.selected_alpn_protocol() == chosen
        assert opened.version() == "TLSv1.3"
        if chosen == "h2":
            assert H2Client(opened, "https").request("GET", "/items/a").head[":status"] == "200"
        else:
            opened.sendall(b"GET /items/a HTTP/1.1\r\nhost: a\r\n\r\n")
            assert opened.recv(65536).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("http2", [True, False])
def test_large_bodies(localhost: Certificate, context: ssl.SSLContext, http2: bool) -> None:
    with (
        serve(tls_cert=localhost.cert, tls_key=localhost.key) as live,
        httpx.Client(verify=context, http2=http2, http1=not http2, trust_env=False) as client,
    ):
        base = f"https://{live.authority}"
        answered = client.get(f"{base}/later/3000000", headers={"accept-encoding": "identity"})
        assert (answered.http_version, len(answered.json()["text"])) == ("HTTP/2" if http2 else "HTTP/1.1", 3_000_000)
        assert client.post(f"{base}/size", json={"text": "x" * 3_000_000}).json()["text"] == 3_000_000


def test_grpc(localhost: Certificate) -> None:
    trust = grpc.ssl_channel_credentials(Path(localhost.cert).read_bytes())
    with (
        serve(tls_cert=localhost.cert, tls_key=localhost.key) as live,
        grpc.secure_channel(
            f"localhost:{live.port}", trust, [*IDENTITY, ("grpc.http2.max_pings_without_data", 0)]
        ) as channel,
    ):
        futures = [unary(channel, "Text").future(request("Text", size=200_000 + n), timeout=10) for n in range(64)]
        assert [len(future.result().text) - 200_000 for future in futures] == list(range(64))


def test_old_versions_are_refused(localhost: Certificate, context: ssl.SSLContext) -> None:
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("AES128-SHA256")
    with serve(tls_cert=localhost.cert, tls_key=localhost.key) as live:
        with pytest.raises(ssl.SSLError):
            secured(live, context)
        context.set_ciphers("ECDHE-ECDSA-AES128-GCM-SHA256")
        with secured(live, context) as opened:
            assert opened.version() == "TLSv1.2"


def test_clear_text_can_be_refused(localhost: Certificate) -> None:
    with serve(tls_cert=localhost.cert, tls_key=localhost.key, clear_text=False) as live, connected(live) as opened:
        opened.sendall(b"GET /items/a HTTP/1.1\r\nhost: a\r\n\r\n")
        assert not opened.recv(65536).startswith(b"HTTP")


def test_who_breaks_off_the_handshake_leaves_nothing(localhost: Certificate, context: ssl.SSLContext) -> None:
    with serve(tls_cert=localhost.cert, tls_key=localhost.key, tls_handshake_timeout_s=0.2) as live:
        hello = ssl.MemoryBIO()
        halfway = context.wrap_bio(ssl.MemoryBIO(), hello, server_hostname="localhost")
        with pytest.raises(ssl.SSLWantReadError):
            halfway.do_handshake()
        whole = hello.read()
        for sent in (whole[:1], whole[:20], whole, whole + b"garbage", b"\x16\x03\x01\xff\xff" + bytes(100)):
            with socket.create_connection(("127.0.0.1", live.port), 5) as opened:
                opened.sendall(sent)
        with socket.create_connection(("127.0.0.1", live.port), 5) as silent:
            silent.sendall(whole[:20])
            while silent.recv(65536):  # until the time-out
                pass
        with ThreadPoolExecutor(8) as pool:
            assert list(pool.map(lambda _: _get(live, context), range(40))) == [True] * 40


def _get(live: Live, context: ssl.SSLContext) -> bool:
    with secured(live, context) as opened:
        opened.sendall(b"GET /items/a HTTP/1.1\r\nhost: a\r\n\r\n")
        return opened.recv(65536).startswith(b"HTTP/1.1 200 ")
