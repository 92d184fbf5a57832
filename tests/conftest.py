"""Fixtures of every room that talks to a real server."""

from __future__ import annotations

import gc
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

if TYPE_CHECKING:
    from tests.live.server import Live


@pytest.fixture(scope="module", autouse=True)
def _only_what_is_new_is_collected() -> None:
    """Many tests have the collector look for what they leave: it need not go through all that a long run keeps."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def shared_live() -> Iterator[Live]:
    from tests.live.server import serve_many

    with serve_many() as live:
        yield live


@pytest.fixture
def live(shared_live: Live) -> Iterator[Live]:
    """A server with the service of `tests.live.service`; asserts after each test that nothing is left behind."""
    with shared_live.checked():
        yield shared_live


class Certificate(NamedTuple):
    cert: str
    key: str


@pytest.fixture(scope="session")
def localhost(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    """A self-signed certificate for localhost and 127.0.0.1."""
    directory: Path = tmp_path_factory.mktemp("localhost")
    made = Certificate(str(directory / "cert.pem"), str(directory / "key.pem"))
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
            *("-days", "1", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"),
            *("-keyout", made.key, "-out", made.cert),
        ],
        check=True,
        capture_output=True,
    )
    return made
