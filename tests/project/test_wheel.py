"""The wheel of `make wheel` works where nothing else is installed: no compiler, no nghttp2, no clone."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from email import message_from_string
from pathlib import Path

import grpc
import pytest

ROOT = Path(__file__).resolve().parents[2]
START_LIMIT_S = 30.0
APP = """
from polywire import App, Int32, Message, Service, query


class User(Message):
    id: Int32
    name: str


class UserService(Service, package="user"):
    @query("GET /v1/users/{id}")
    async def get_user(self, id: Int32) -> User:
        return User(id=id, name="Alice")


app = App(UserService())
"""
GET_USER_42 = bytes([0x08, 42])
USER_42 = bytes([0x08, 42, 0x12, 5]) + b"Alice"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    run(["bash", "scripts/wheel.sh", str(folder)], cwd=ROOT)
    (found,) = folder.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def clean(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the wheel and what it asks for, in the locked versions."""
    folder = tmp_path_factory.mktemp("a clean machine")
    run([sys._base_executable, "-m", "venv", str(folder / "venv")])
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    wanted = [f"polywire @ {wheel.as_uri()} --hash=sha256:{digest}", *locked(dependencies(wheel))]
    (folder / "wanted.txt").write_text("\n".join(wanted))
    pip = [str(folder / "venv" / "bin" / "python"), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    run([*pip, "--require-hashes", "-r", str(folder / "wanted.txt")])
    (folder / "users.py").write_text(APP)
    return folder


def dependencies(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        metadata = message_from_string(archive.read(name).decode())
    return {
        re.split(r"[^\w.-]", line)[0].replace(".", "-")
        for line in metadata.get_all("Requires-Dist", [])
        if "extra" not in line
    }


def locked(names: set[str]) -> list[str]:
    """The lines of the lock for these packages, hashes included."""
    lock = re.sub(r"\s*\\\n\s*", " ", (ROOT / "requirements" / "dev.txt").read_text())
    found = [line for line in lock.splitlines() if line.partition("==")[0] in names]
    assert len(found) == len(names)
    return found


@pytest.fixture(scope="module")
def server(clean: Path) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    command = [str(clean / "venv" / "bin" / "polywire"), "serve", "users.py:app", "--port", str(port)]
    with (clean / "log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=clean, env=environment(), stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
    try:
        wait_for(port, process, clean / "log")
        yield process, port
    finally:
        process.kill()
        process.wait()


def environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "POLYWIRE", "LD_"))}


def run(command: list[str], cwd: Path | None = None) -> str:
    done = subprocess.run(command, cwd=cwd, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def wait_for(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    limit = time.monotonic() + START_LIMIT_S
    while time.monotonic() < limit:
        assert process.poll() is None, log.read_text()
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.02)  # another process: there is nothing here to wait on
        else:
            return
    raise AssertionError(f"nobody listens after {START_LIMIT_S} s: {log.read_text()}")


def test_it_is_for_many_linuxes_and_brings_nghttp2(wheel: Path) -> None:
    assert "manylinux" in wheel.name
    names = zipfile.ZipFile(wheel).namelist()
    assert [name for name in names if name.startswith("polywire.libs/libnghttp2")]
    assert any(name.endswith("/licenses/LICENSE") for name in names)
    assert "polywire/py.typed" in names
    assert {"polywire/protocols/javascript/client.js", "polywire/protocols/javascript/polywire.d.ts"} <= {*names}
    assert not [name for name in names if name.endswith((".c", ".pyx"))]


@pytest.mark.parametrize("version", ["--http1.1", "--http2-prior-knowledge"])
def test_curl_gets_a_user(server: tuple[subprocess.Popen[bytes], int], version: str) -> None:
    curl = shutil.which("curl")
    assert curl, "curl is missing (apt-get install curl)"
    out = run(
        [curl, "-sS", "--noproxy", "*", version, "-w", "%{http_code}", f"http://127.0.0.1:{server[1]}/v1/users/42"]
    )
    assert out[-3:] == "200"
    assert json.loads(out[:-3]) == {"id": 42, "name": "Alice"}


def test_grpcio_gets_a_user(server: tuple[subprocess.Popen[bytes], int]) -> None:
    with grpc.insecure_channel(f"127.0.0.1:{server[1]}", options=[("grpc.enable_http_proxy", 0)]) as channel:
        answer = channel.unary_unary("/user.UserService/GetUser")(GET_USER_42, timeout=10)
    assert answer == USER_42


def test_the_nghttp2_in_use_is_the_one_inside(server: tuple[subprocess.Popen[bytes], int], clean: Path) -> None:
    maps = Path(f"/proc/{server[0].pid}/maps").read_text().splitlines()
    used = {line.split(maxsplit=5)[5] for line in maps if "libnghttp2" in line}
    assert used
    assert all(path.startswith(str(clean.resolve())) for path in used), used


def test_sigterm_ends_it(server: tuple[subprocess.Popen[bytes], int]) -> None:
    server[0].send_signal(signal.SIGTERM)
    assert server[0].wait(timeout=20) == 0
