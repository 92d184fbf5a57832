"""TLS: resumption across workers, secrets for Wireshark, certificates replaced in flight, client certificates."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import re
import signal
import socket
import ssl
import stat
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from polywire.server.listener import open_sockets
from polywire.server.serve import Server
from polywire.server.settings import ServerSettings
from polywire.server.tls import TlsError, reload_certificates, server_context
from tests.authority import Authority

from .conftest import EchoSite, Serving, make_certificate

Pair = tuple[Path, Path]
REQUEST = b"GET /a HTTP/1.1\r\nhost: a\r\n\r\n"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def caller(authority: Authority) -> Pair:
    return authority.sign(
        "caller", "DNS:caller.internal,URI:spiffe://example.org/caller,email:a@example.org,IP:192.0.2.7"
    )


def settings_of(pair: Pair, **others: Any) -> ServerSettings:
    return ServerSettings(tls_cert=str(pair[0]), tls_key=str(pair[1]), **others)


def trusting(*certs: Path) -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    for cert in certs:
        context.load_verify_locations(cert)
    return context


def shake(client: ssl.SSLContext, server: ssl.SSLContext, session: ssl.SSLSession | None = None) -> ssl.SSLObject:
    """A handshake in memory: the client's side. Raises ssl.SSLError by either."""
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    ours = client.wrap_bio(back, there, server_hostname="localhost", session=session)
    theirs = server.wrap_bio(there, back, server_side=True)
    waiting = [ours, theirs]
    for _ in range(8):
        for side in list(waiting):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
            waiting.remove(side)
    assert not waiting
    theirs.write(b"x")  # what comes after the handshake in TLS 1.3: the tickets
    assert ours.read(1) == b"x"
    return ours


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_sessions_are_resumed_also_after_new_certificates(certificate: Pair, version: ssl.TLSVersion) -> None:
    settings = settings_of(certificate)
    server, client = server_context(settings), trusting(certificate[0])
    assert server is not None
    client.minimum_version = client.maximum_version = version
    first = shake(client, server)
    assert not first.session_reused
    assert shake(client, server, first.session).session_reused
    assert reload_certificates(server, settings)
    assert shake(client, server, first.session).session_reused


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # other tests leave threads, which 3.12 minds
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_sessions_are_resumed_by_another_worker(certificate: Pair, version: ssl.TLSVersion) -> None:
    """Two processes with a context made before their fork, as workers have it."""
    context, client = server_context(settings_of(certificate)), trusting(certificate[0])
    client.minimum_version = client.maximum_version = version
    assert context is not None
    with socket.create_server(("127.0.0.1", 0)) as listening:
        workers: list[int] = []

        def one_connection_by_a_worker(session: ssl.SSLSession | None) -> tuple[ssl.SSLSession | None, bool | None]:
            child = os.fork()
            if not child:
                try:
                    accepted, _ = listening.accept()
                    with context.wrap_socket(accepted, server_side=True) as secured:
                        secured.sendall(b"x")
                        secured.recv(1)
                finally:
                    os._exit(0)
            workers.append(child)
            opened = socket.create_connection(listening.getsockname(), 5)
            with client.wrap_socket(opened, server_hostname="localhost", session=session) as secured:
                assert secured.recv(1) == b"x"
                secured.sendall(b"x")
                return secured.session, secured.session_reused

        try:
            session, reused = one_connection_by_a_worker(None)
            assert not reused
            assert one_connection_by_a_worker(session)[1]
        finally:
            for worker in workers:
                os.waitpid(worker, 0)
    assert len(set(workers)) == 2


def test_secrets_are_logged_only_where_asked_and_said(
    certificate: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    log = tmp_path / "keys.log"
    monkeypatch.setenv("SSLKEYLOGFILE", str(log))
    settings = settings_of(certificate)
    server, client = server_context(settings), trusting(certificate[0])
    assert server is not None
    client.keylog_filename = None  # type: ignore[assignment]  # it honours the variable too
    assert reload_certificates(server, settings)
    shake(client, server)
    assert "CLIENT_TRAFFIC_SECRET_0 " in log.read_text()
    assert stat.S_IMODE(log.stat().st_mode) == 0o600
    said = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert said == [f"SSLKEYLOGFILE is set: the secrets of every TLS connection are written to {log}"]
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "nowhere" / "keys.log"))
    with pytest.raises(TlsError, match=r"cannot write to .*SSLKEYLOGFILE"):
        server_context(settings)


def test_new_certificates_are_taken_whole_or_not_at_all(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    make_certificate(cert, key)
    old, old_key = cert.read_bytes(), key.read_bytes()
    settings = settings_of((cert, key))
    server, old_client = server_context(settings), trusting(cert)
    assert server is not None
    make_certificate(cert, key)
    new, new_key = cert.read_bytes(), key.read_bytes()
    new_client = trusting(cert)
    for wrong_cert, wrong_key, reason in (
        (new, old_key, "does not belong to the certificate"),
        (b"nonsense", new_key, "is not in PEM form"),
        (new, b"", "is not in PEM form"),
    ):
        cert.write_bytes(wrong_cert)
        key.write_bytes(wrong_key)
        assert not reload_certificates(server, settings)
        assert reason in caplog.records[-1].getMessage()
        shake(old_client, server)
    cert.unlink()
    assert not reload_certificates(server, settings)
    assert "cannot read" in caplog.records[-1].getMessage()
    cert.write_bytes(new)
    key.write_bytes(new_key)
    assert reload_certificates(server, settings)
    shake(new_client, server)
    with pytest.raises(ssl.SSLCertVerificationError):
        shake(old_client, server)
    cert.write_bytes(old)
    key.write_bytes(old_key)
    assert reload_certificates(server, settings)
    shake(old_client, server)
    assert not reload_certificates(None, ServerSettings())


async def test_open_connections_survive_new_certificates(
    serving: Serving, connect: Callable[..., Any], tmp_path: Path
) -> None:
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    make_certificate(cert, key)
    async with serving(tls_cert=str(cert), tls_key=str(key)) as server:
        old = trusting(cert)
        first = await connect(server, ssl=old, server_hostname="localhost")
        make_certificate(cert, key)
        assert server.reload_certificates()
        first.send(REQUEST)
        assert (await first.answer())[0] == 200
        second = await connect(server, ssl=trusting(cert), server_hostname="localhost")
        second.send(REQUEST)
        assert (await second.answer())[0] == 200
        with pytest.raises(ssl.SSLCertVerificationError):
            await connect(server, ssl=old, server_hostname="localhost")


async def test_who_the_client_is(
    serving: Serving, connect: Callable[..., Any], site: EchoSite, certificate: Pair, authority: Authority, caller: Pair
) -> None:
    settings = {"tls_cert": str(certificate[0]), "tls_key": str(certificate[1]), "tls_client_ca": str(authority.cert)}
    async with serving(**settings, clear_text=False) as server:
        context = trusting(certificate[0])
        context.load_cert_chain(*caller)
        client = await connect(server, ssl=context, server_hostname="localhost")
        client.send(REQUEST)
        assert (await client.answer())[0] == 200
    peer = site.peers[0]
    assert (peer.tls_version, peer.server_name) == ("TLSv1.3", "localhost")
    identity = peer.identity
    assert identity is not None
    assert (identity.common_name, identity.dns) == ("caller", ("caller.internal",))
    assert identity.uris == ("spiffe://example.org/caller",)
    assert (identity.emails, identity.ips) == (("a@example.org",), ("192.0.2.7",))
    encoded = ssl.PEM_cert_to_DER_cert(caller[0].read_text())
    assert identity.sha256 == hashlib.sha256(encoded).hexdigest()
    assert int(identity.serial, 16) > 0
    assert 0 < (identity.not_after - datetime.now(UTC)).total_seconds() <= 24 * 3600


@pytest.mark.parametrize("auth", ["optional", "required"])
async def test_clients_that_are_refused(
    serving: Serving,
    connect: Callable[..., Any],
    site: EchoSite,
    certificate: Pair,
    authority: Authority,
    tmp_path: Path,
    auth: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("DEBUG", "polywire.server")
    settings = {
        "tls_cert": str(certificate[0]),
        "tls_key": str(certificate[1]),
        "tls_client_ca": str(authority.cert),
        "tls_client_auth": auth,
    }
    stranger = Authority(tmp_path, "stranger").sign("caller", "DNS:caller.internal")
    expired = authority.sign("expired", "DNS:expired.internal", days=-1)
    async with serving(**settings, clear_text=False) as server:

        async def ask(pair: Pair | None) -> int:
            context = trusting(certificate[0])
            if pair is not None:
                context.load_cert_chain(*pair)
            client = await connect(server, ssl=context, server_hostname="localhost")
            client.send(REQUEST)
            return int((await client.answer())[0])

        for pair in (stranger, expired):
            # TLS 1.3: the client has done its part when it hears.
            with pytest.raises((ssl.SSLError, ConnectionError, asyncio.IncompleteReadError)):
                await ask(pair)
        if auth == "optional":
            assert await ask(None) == 200
            assert site.peers[0].identity is None
        else:
            with pytest.raises((ssl.SSLError, ConnectionError, asyncio.IncompleteReadError)):
                await ask(None)
            assert site.peers == []
    told = [(r.levelname, r.getMessage()) for r in caplog.records if " failed: " in r.getMessage()]
    reasons = [("INFO", "unable to get local issuer certificate"), ("DEBUG", "certificate has expired")]
    if auth == "required":
        reasons.append(("DEBUG", "PEER_DID_NOT_RETURN_A_CERTIFICATE"))
    assert [level for level, _ in told] == [level for level, _ in reasons]  # a line a minute at INFO
    for (_, message), (_, reason) in zip(told, reasons, strict=True):
        assert re.fullmatch(rf"a TLS handshake with 127\.0\.0\.1:\d+ failed: {reason}", message)


def test_sessions_of_clients_with_certificates_are_not_resumed(
    certificate: Pair, authority: Authority, caller: Pair
) -> None:
    settings = settings_of(certificate, tls_client_ca=str(authority.cert), clear_text=False)
    server, client = server_context(settings), trusting(certificate[0])
    assert server is not None
    client.load_cert_chain(*caller)
    first = shake(client, server)
    assert not shake(client, server, first.session).session_reused
    client.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises(ssl.SSLError):
        shake(client, server)


def test_authorities_are_replaced_too(certificate: Pair, authority: Authority, caller: Pair, tmp_path: Path) -> None:
    trusted = tmp_path / "trusted.pem"
    trusted.write_bytes(authority.cert.read_bytes())
    settings = settings_of(certificate, tls_client_ca=str(trusted), clear_text=False)
    server, client = server_context(settings), trusting(certificate[0])
    assert server is not None
    client.load_cert_chain(*caller)
    shake(client, server)
    trusted.write_text("nonsense")
    assert not reload_certificates(server, settings)
    shake(client, server)
    trusted.write_bytes(Authority(tmp_path, "other").cert.read_bytes())
    assert reload_certificates(server, settings)
    with pytest.raises(ssl.SSLError):
        shake(client, server)


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"tls_client_ca": "ca.pem"}, "give tls_cert too"),
        ({"tls_cert": "a", "tls_client_auth": "required", "clear_text": False}, "give tls_client_ca too"),
        ({"tls_cert": "a", "tls_client_ca": "ca.pem"}, "add clear_text=False"),
        ({"clear_text": False}, "without clear text there must be TLS; give tls_cert too"),
        ({"tls_client_auth": "perhaps"}, "choose none, optional or required"),
    ],
)
def test_settings_that_would_let_everybody_in(settings: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        ServerSettings(**settings)


async def test_hangup_reads_the_certificates(site: EchoSite, tmp_path: Path) -> None:
    from polywire.server.serve import _serve

    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    make_certificate(cert, key)
    settings = settings_of((cert, key), port=0, tick_s=0.05)
    started: asyncio.Future[Server] = asyncio.get_running_loop().create_future()
    serving = asyncio.create_task(
        _serve(lambda: Server(site, settings, open_sockets(settings)), lambda server: started.set_result(server), None)
    )
    try:
        server = await started
        make_certificate(cert, key)
        os.kill(os.getpid(), signal.SIGHUP)
        context = trusting(cert)
        async with asyncio.timeout(5):
            while True:  # the signal is on its way
                try:
                    _, writer = await asyncio.open_connection(
                        "127.0.0.1", server.port, ssl=context, server_hostname="localhost"
                    )
                    break
                except ssl.SSLCertVerificationError:
                    await asyncio.sleep(0)
        writer.close()
    finally:
        os.kill(os.getpid(), signal.SIGTERM)
        assert await serving == 0
