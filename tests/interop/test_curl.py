"""curl, which half the world tries an API with first."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Certificate
from tests.live.server import Live, serve


def curl(*arguments: str) -> str:
    run = subprocess.run(
        ["curl", "--silent", "--show-error", "--fail-with-body", "--noproxy", "*", "--max-time", "10", *arguments],
        check=True,
        capture_output=True,
        text=True,
    )
    return run.stdout


@pytest.fixture(params=["--http1.1", "--http2"])
def secure(request: pytest.FixtureRequest, localhost: Certificate) -> Iterator[list[str]]:
    """An option for the version, the base of URLs, and options to trust it.

    Over TLS: curl 7.88 breaks connections of prior knowledge when it uses them again (curl issue 10634).
    """
    with serve(tls_cert=localhost.cert, tls_key=localhost.key) as live:
        yield [request.param, f"https://{live.authority}", "--cacert", localhost.cert]


VERSIONS = ["--http1.1", "--http2-prior-knowledge"]


@pytest.mark.parametrize("version", [*VERSIONS, "--http1.0"])
def test_get(live: Live, version: str) -> None:
    said = curl(version, f"http://{live.authority}/items/a?count=1", "--write-out", "\n%{http_version} %{http_code}")
    body, _, told = said.rpartition("\n")
    assert json.loads(body)["count"] == 1
    # The answer to HTTP/1.0 says which version the server speaks (RFC 9110 §6.2).
    assert told == ("2 200" if "2" in version else "1.1 200")


def test_asking_for_http2_by_upgrade_is_answered_in_http1(live: Live) -> None:
    said = curl("--http2", f"http://{live.authority}/items/a", "--write-out", " %{http_version}")
    assert said.endswith(" 1.1")


def test_keep_alive(secure: list[str]) -> None:
    version, base, *trust = secure
    outputs = [part for number in range(20) for part in ("--output", "/dev/null", f"{base}/items/a?count={number}")]
    told = curl(version, *trust, *outputs, "--write-out", "%{num_connects} %{http_code}\n").split("\n")
    assert told == ["1 200", *["0 200"] * 19, ""]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("how", [["--data-binary", "@{}"], ["--upload-file", "{}", "--request", "POST"]])
@pytest.mark.parametrize("more", [[], ["--header", "transfer-encoding: chunked"]])
def test_a_big_upload(live: Live, tmp_path: Path, version: str, how: list[str], more: list[str]) -> None:
    """Over 1 MB curl itself sends Expect: 100-continue over HTTP/1.1."""
    file = tmp_path / "body"
    file.write_bytes(b'{"text":"' + b"x" * 3_000_000 + b'"}')
    if more and "2" in version:
        more = []
    arguments = [part.format(file) for part in how]
    said = curl(version, *arguments, *more, "-H", "content-type: application/json", f"http://{live.authority}/size")
    assert json.loads(said) == {"text": 3_000_000, "data": 0}


@pytest.mark.parametrize("version", VERSIONS)
def test_a_refused_upload_shows_the_refusal(live: Live, tmp_path: Path, version: str) -> None:
    """The answer ends before the upload does; curl must still get to read it."""
    file = tmp_path / "body"
    file.write_bytes(bytes(20_000_000))
    with pytest.raises(subprocess.CalledProcessError) as caught:
        curl(
            version,
            "-T",
            str(file),
            "-X",
            "POST",
            "-H",
            "content-type: application/json",
            f"http://{live.authority}/size",
        )
    assert caught.value.returncode == 22
    assert json.loads(caught.value.stdout)["error"]["reason"] == "TOO_LARGE"


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("more", [[], ["--compressed"]])
def test_a_big_download(live: Live, version: str, more: list[str]) -> None:
    said = curl(version, *more, f"http://{live.authority}/text/4000000")
    assert len(json.loads(said)["text"]) == 4_000_000


def test_many_big_downloads_at_once(live: Live) -> None:
    """Over HTTP/1.1 only: curl 7.88 at times leaves the end of one of many HTTP/2 transfers in its own buffer.

    `test_windows.py` does the same over HTTP/2 with other clients.
    """
    base = f"http://{live.authority}"
    urls = [part for number in range(32) for part in (f"{base}/later/{300_000 + number}", "-o", "/dev/null")]
    told = curl("--http1.1", "--parallel", "--parallel-max", "32", *urls, "-w", "%{size_download}\n").split()
    assert sorted(map(int, told)) == [300_000 + number + len('{"text":"","data":""}') for number in range(32)]


def test_options_of_the_whole_server(live: Live) -> None:
    for version in VERSIONS:
        said = curl(version, "-X", "OPTIONS", "--request-target", "*", "--include", f"http://{live.authority}")
        assert " 204" in said.split("\n")[0]
        assert "\nallow: OPTIONS\n" in said


@pytest.mark.parametrize(("version", "told"), [("--http2", "2"), ("--http1.1", "1.1")])
def test_tls_and_clear_text_on_one_port(localhost: Certificate, version: str, told: str) -> None:
    with serve(tls_cert=localhost.cert, tls_key=localhost.key) as live:
        url, trust = f"https://{live.authority}/items/a", ["--cacert", localhost.cert]
        assert curl(version, *trust, url, "-w", " %{http_version}").endswith(f" {told}")
        assert curl(version, f"http://{live.authority}/items/a").startswith('{"name":"a"')
