"""`polywire serve --uds` as a process, alone and with workers, behind a proxy's word."""

from __future__ import annotations

import json
import signal
import socket
import time
from pathlib import Path

import pytest

from tests.cli.processes import Start

REQUEST = b"GET /v1/users/42 HTTP/1.1\r\nhost: example.org\r\nx-forwarded-for: 192.0.2.7\r\nconnection: close\r\n\r\n"


def ask(path: Path, request: bytes = REQUEST) -> bytes:
    """The answer, once somebody listens."""
    end = time.monotonic() + 20
    with socket.socket(socket.AF_UNIX) as opened:
        opened.settimeout(20)
        while True:
            try:
                opened.connect(str(path))
                break
            except OSError:
                assert time.monotonic() < end, "nobody listens"
                time.sleep(0.01)
        opened.sendall(request)
        answer = b""
        while part := opened.recv(65536):
            answer += part
        return answer


@pytest.mark.parametrize("workers", [(), ("--workers", "2")])
def test_served_and_removed(start: Start, tmp_path: Path, workers: tuple[str, ...]) -> None:
    path = tmp_path / "users.sock"
    process = start(
        *("users:app", "--uds", str(path), "--trusted-proxies", "10.0.0.0/8, unix", *workers),
        POLYWIRE_ALLOWED_HOSTS="example.org",
    )
    assert b'"Alice"' in ask(path)
    assert ask(path, REQUEST.replace(b"example.org", b"evil.test")).startswith(b"HTTP/1.1 421 ")
    assert process.end(signal.SIGTERM) == 0
    assert not path.exists()
    assert [json.loads(line)["peer"] for line in process.output().splitlines()] == ["192.0.2.7"]


def test_what_is_wrong_is_said(start: Start) -> None:
    process = start("users:app", "--proxy-protocol", "--port", "0")
    process.until("PROXY headers are believed from --trusted-proxies only")
