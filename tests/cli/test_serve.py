"""The command as a process: it serves, explains what is wrong, drains, and reloads."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from polywire import App, Service, query
from polywire.cli import serve as serving
from polywire.cli.commands import cli
from tests.cli.processes import Start, get


def test_serves_and_drains(start: Start) -> None:
    process = start("users:app", "--port", "0")
    url = process.url()
    assert get(f"{url}/v1/users/42") == {"id": 42, "name": "Alice"}
    assert get(f"{url}/health")["status"] == "ok"
    assert get(f"{url}/health/ready")["status"] == "ok"
    assert process.end() == 0
    logged = [json.loads(line) for line in process.output().splitlines()]
    assert [line["path"] for line in logged] == ["/v1/users/42", "/health", "/health/ready"]


def test_options_come_from_the_environment(start: Start) -> None:
    process = start(
        POLYWIRE_APP="users.py", POLYWIRE_PORT="0", POLYWIRE_ACCESS_LOG="false", POLYWIRE_ENVIRONMENT="staging"
    )
    assert get(f"{process.url()}/health")["environment"] == "staging"
    assert process.end(signal.SIGINT) == 0
    assert process.output() == ""


def test_every_option_shows_its_variable() -> None:
    command = cli.commands["serve"]
    told = CliRunner().invoke(cli, ["serve", "--help"]).output
    for parameter in command.params:
        if "--help" not in parameter.opts:
            assert f"POLYWIRE_{parameter.name.upper()}" in told.replace("\n", "").replace(" ", "")


@pytest.mark.parametrize(("arguments", "drain_s"), [((), 5.0), (("--drain-seconds", "3"), 3.0)])
def test_an_option_not_given_leaves_what_the_app_says(
    arguments: tuple[str, ...], drain_s: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Thing(Service):
        @query
        async def run(self) -> None: ...

    given: list[serving.ServeOptions] = []
    monkeypatch.setattr(serving, "serve_app", lambda target, options: given.append(options) or 0)
    assert CliRunner().invoke(cli, ["serve", "users", *arguments]).exit_code == 0
    assert serving._settings(App(Thing(), drain_s=5.0), given[0], None).drain_s == drain_s


@pytest.mark.parametrize(
    ("options", "url"),
    [
        ({"port": 8140}, "http://127.0.0.1:8140"),
        ({"host": "::", "port": 8140}, "http://[::1]:8140"),
        ({"port": 8140, "tls_cert": "c", "tls_only": True}, "https://127.0.0.1:8140"),
        ({"uds": "/run/demo.sock"}, "unix:/run/demo.sock"),
        ({"port": 0}, None),
    ],
)
def test_the_demo_knows_where_it_is_served(
    options: dict[str, Any], url: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ATLAS_URL", "")  # so that it is put back
    monkeypatch.delenv("ATLAS_URL")
    serving._tell_demo(serving.ServeOptions(**options))
    assert os.environ.get("ATLAS_URL") == url
    monkeypatch.setenv("ATLAS_URL", "http://elsewhere")
    serving._tell_demo(serving.ServeOptions(**options))
    assert os.environ["ATLAS_URL"] == "http://elsewhere"


def test_help_teaches() -> None:
    told = CliRunner().invoke(cli, ["--help"]).output
    assert "class UserService(Service" in told
    assert "polywire serve users:app" in told


WRONG = [
    (("nope:app",), "no module 'nope'"),
    (("users:ap",), "users has no 'ap'; it has app"),
    (("users", "--tls-cert", "missing.pem"), "cannot read missing.pem: No such file or directory"),
    (("users", "--tls-cert", "users.py"), "users.py must hold a certificate and its private key"),
    (("users", "--tls-key", "key.pem"), "a TLS key without a certificate; give --tls-cert too"),
    (("users", "--tls-only"), "without clear text there must be TLS; give --tls-cert too"),
    (("users", "--tls-only", "--reload"), "without clear text there must be TLS; give --tls-cert too"),
    (
        ("users", "--tls-cert", "users.py", "--tls-client-ca", "users.py"),
        "clear text on the same port would go past the client certificates; add --tls-only",
    ),
    (("users", "--set", "max_headers=0"), "max_headers must be a number from 1 to 2147483647, not 0"),
    (("users", "--set", "tick_s=0"), r"tick_s must be a number above 0, not 0.0"),
    (("users", "--host", "203.0.113.7"), "203.0.113.7 is not an address of this machine"),
    (("broken.py",), "broken.py cannot be imported: see above"),
    (("mistaken.py",), "mistaken.Thing.run(value): `object` says nothing"),
    (("hooked.py",), "the application could not be started: see above"),
]


@pytest.mark.parametrize(("arguments", "message"), WRONG)
def test_what_is_wrong_is_said(start: Start, project: Path, arguments: tuple[str, ...], message: str) -> None:
    (project / "broken.py").write_text("app = 1 +\n")
    (project / "mistaken.py").write_text(
        "from polywire import App, Service, query\n"
        "class Thing(Service, package='x'):\n"
        "    @query\n"
        "    async def run(self, value: object) -> None: ...\n"
        "app = App(Thing())\n"
    )
    (project / "hooked.py").write_text(
        (project / "users.py").read_text()
        + "\n@app.on_start\nasync def open() -> None:\n    raise OSError('no database')\n"
    )
    process = start(*arguments, "--port", "0")
    process.until(re.escape(message))
    assert process.popen.wait(5) == 2
    told = "".join(process.seen)
    assert "/polywire/" not in told
    assert "importlib" not in told


def test_a_port_in_use_is_said(start: Start) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        process = start("users", "--port", str(port))
        process.until(
            f"127.0.0.1:{port} is in use by another program; stop it, or choose another port: --port {port + 1}"
        )
        assert process.popen.wait(5) == 2


def test_a_key_of_another_certificate_is_said(start: Start, project: Path) -> None:
    for name in ("one", "two"):
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
             "-subj", "/CN=localhost", "-keyout", f"{name}.key", "-out", f"{name}.pem"],
            check=True,
            capture_output=True,
        )  # fmt: skip
    process = start("users", "--port", "0", "--tls-cert", "one.pem", "--tls-key", "two.key")
    process.until("the private key two.key does not belong to the certificate one.pem")
    assert process.popen.wait(5) == 2


WAITING = """
import asyncio

@app.on_stop
def stopped() -> None:
    print("stopped", flush=True)

class Slow(Service, package="slow"):
    @query("GET /slow")
    async def wait(self, seconds: float) -> str:
        print("begun", flush=True)
        await asyncio.sleep(seconds)
        return "done"

app = App(Slow())
app.on_stop(stopped)
"""


def test_open_calls_end_before_the_process_does(start: Start, project: Path) -> None:
    (project / "slow.py").write_text((project / "users.py").read_text() + WAITING)
    process = start("slow", "--port", "0", "--no-access-log")
    url = process.url()
    answers: list[Any] = []
    caller = threading.Thread(target=lambda: answers.append(get(f"{url}/slow?seconds=0.5")))
    caller.start()
    assert process.popen.stdout is not None
    assert process.popen.stdout.readline() == "begun\n"
    assert process.end() == 0
    caller.join(5)
    assert answers == ["done"]
    assert process.output() == "stopped\n"


def test_a_second_signal_does_not_wait(start: Start, project: Path) -> None:
    (project / "slow.py").write_text((project / "users.py").read_text() + WAITING)
    process = start("slow", "--port", "0", "--no-access-log")
    url = process.url()
    errors: list[int] = []

    def call() -> None:
        try:
            get(f"{url}/slow?seconds=20")
        except urllib.error.HTTPError as error:
            errors.append(error.code)
            error.close()

    caller = threading.Thread(target=call)
    caller.start()
    assert process.popen.stdout is not None
    assert process.popen.stdout.readline() == "begun\n"
    process.popen.send_signal(signal.SIGTERM)
    process.until("1 call is still open: waiting for up to 30 s, a second signal ends at once")
    assert process.end() == 1
    caller.join(5)
    assert errors == [503]
    assert process.output() == "stopped\n"


def test_reload(start: Start, project: Path) -> None:
    """A change is served, a mistake is printed and waited out, and the port never refuses a caller."""
    source = project / "users.py"
    text = source.read_text()
    process = start("users", "--reload", "--port", "0")
    url = process.url()
    assert get(f"{url}/v1/users/1")["name"] == "Alice"

    rewrite(source, text.replace('"Alice"', '"Beth"'))
    process.until("users.py changed: starting again")
    assert until_answered(url, "Beth")

    rewrite(source, text + "\n)")
    process.until("SyntaxError")
    process.until("waiting for a change")

    rewrite(source, text.replace('"Alice"', '"Carla"'))
    assert until_answered(url, "Carla")
    assert process.end(signal.SIGINT) == 0


def test_the_server_does_not_outlive_its_watcher(start: Start) -> None:
    process = start("users", "--reload", "--port", "0")
    url = process.url()
    get(f"{url}/health")
    process.popen.kill()
    limit = time.monotonic() + 10
    with pytest.raises(OSError, match=r"refused|reset|closed connection"):  # noqa: PT012
        while time.monotonic() < limit:
            get(f"{url}/health/live")  # which says ok to the end; /health says 503 while draining


def rewrite(path: Path, text: str) -> None:
    """With a time of modification that differs, however coarse the file system's clock."""
    before = path.stat().st_mtime_ns
    path.write_text(text)
    os.utime(path, ns=(before + 10**9, before + 10**9))


def until_answered(url: str, name: str) -> bool:
    """Ask until the new code answers; callers wait through the restart, so that each question is answered."""
    limit = time.monotonic() + 10
    while time.monotonic() < limit:
        if get(f"{url}/v1/users/1")["name"] == name:
            return True
    return False
