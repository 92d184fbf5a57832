"""Client certificates and Unix sockets through clients of others."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest

from tests.authority import Authority
from tests.conftest import Certificate

from .who import METHOD, serve_who

Pair = tuple[Path, Path]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def caller(authority: Authority) -> Pair:
    return authority.sign("caller", "URI:spiffe://example.org/caller")


@pytest.fixture(scope="module")
def refused(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Pair | None]:
    stranger = Authority(tmp_path_factory.mktemp("stranger"), "stranger")
    return {
        "none": None,
        "stranger": stranger.sign("caller", "URI:spiffe://example.org/caller"),
        "expired": authority.sign("expired", "URI:spiffe://example.org/caller", days=-1),
    }


@pytest.fixture(scope="module")
def port(localhost: Certificate, authority: Authority) -> Iterator[int]:
    with serve_who(
        tls_cert=localhost.cert, tls_key=localhost.key, tls_client_ca=str(authority.cert), clear_text=False
    ) as server:
        yield server.port


def run(*words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*map(str, words)], check=False, capture_output=True, text=True, timeout=30, input="")


def curl(*words: object) -> subprocess.CompletedProcess[str]:
    return run("curl", "--silent", "--show-error", "--noproxy", "*", "--max-time", 10, *words)


def channel_of(port: int, localhost: Certificate, pair: Pair | None) -> grpc.Channel:
    own = () if pair is None else (pair[1].read_bytes(), pair[0].read_bytes())
    return grpc.secure_channel(
        f"localhost:{port}", grpc.ssl_channel_credentials(Path(localhost.cert).read_bytes(), *own)
    )


def call(channel: grpc.Channel) -> bytes:
    answer: bytes = channel.unary_unary(METHOD)(b"", timeout=10)
    return answer


@pytest.mark.parametrize("version", ["--http1.1", "--http2"])
def test_curl(port: int, localhost: Certificate, caller: Pair, version: str) -> None:
    done = curl(
        version, "--cacert", localhost.cert, "--cert", caller[0], "--key", caller[1], f"https://localhost:{port}/who"
    )
    told = json.loads(done.stdout)
    assert (told["name"], told["uris"]) == ("caller", ["spiffe://example.org/caller"])
    assert (told["address"], told["version"]) == ("127.0.0.1", "TLSv1.3")


@pytest.mark.parametrize(
    ("who", "alert"),
    [("none", "certificate required"), ("stranger", "unknown ca"), ("expired", "certificate expired")],
)
def test_an_alert_says_what_is_wrong(
    port: int, localhost: Certificate, refused: dict[str, Pair | None], who: str, alert: str
) -> None:
    pair = refused[who]
    own = () if pair is None else ("-cert", pair[0], "-key", pair[1])
    # It waits for what the server says, which in TLS 1.3 comes after its own part is done.
    with subprocess.Popen(
        [*map(str, ("openssl", "s_client", "-connect", f"localhost:{port}", "-CAfile", localhost.cert, *own))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as client:
        assert client.stdout is not None
        assert f"alert {alert}" in client.stdout.read()


@pytest.mark.parametrize("who", ["none", "stranger", "expired"])
def test_who_is_refused(port: int, localhost: Certificate, refused: dict[str, Pair | None], who: str) -> None:
    pair = refused[who]
    own = () if pair is None else ("--cert", pair[0], "--key", pair[1])
    assert curl("--cacert", localhost.cert, *own, f"https://localhost:{port}/who").returncode not in (0, 28)
    with channel_of(port, localhost, pair) as channel, pytest.raises(grpc.RpcError) as refusal:
        call(channel)
    error: Any = refusal.value
    assert error.code() is grpc.StatusCode.UNAVAILABLE


def test_grpcio(port: int, localhost: Certificate, caller: Pair) -> None:
    with channel_of(port, localhost, caller) as channel:
        assert b"spiffe://example.org/caller" in call(channel)


def test_httpx(port: int, localhost: Certificate, caller: Pair) -> None:
    import ssl

    context = ssl.create_default_context(cafile=localhost.cert)
    context.load_cert_chain(*caller)
    with httpx.Client(verify=context, http2=True, trust_env=False) as client:
        assert client.get(f"https://localhost:{port}/who").json()["name"] == "caller"


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_openssl_resumes_sessions(localhost: Certificate, tmp_path: Path, version: str) -> None:
    session = tmp_path / "session.pem"
    with serve_who(tls_cert=localhost.cert, tls_key=localhost.key) as server:
        request = "GET /who HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"
        words = ["openssl", "s_client", "-ign_eof", version, "-connect", f"localhost:{server.port}"]
        for kept, said in (("-sess_out", "New, TLS"), ("-sess_in", "Reused, TLS")):
            done = subprocess.run(
                [*words, kept, str(session)], check=False, input=request, capture_output=True, text=True, timeout=30
            )
            assert said in done.stdout, done.stdout


def test_unix_sockets(tmp_path: Path) -> None:
    path = tmp_path / "who.sock"
    with serve_who(uds=str(path)):
        for version in ("--http1.1", "--http2-prior-knowledge"):
            done = curl(version, "--unix-socket", path, "http://localhost/who")
            assert json.loads(done.stdout)["address"] == "unix"
        with grpc.insecure_channel(f"unix:{path}") as channel:
            assert b"unix" in call(channel)
    assert not path.exists()
