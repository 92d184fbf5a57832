"""`--workers` as processes: start-up, crashes, rolling restarts under load, and the end."""

from __future__ import annotations

import concurrent.futures
import contextlib
import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cli.processes import Process, Start, get

WORKERS = """
import asyncio, os
from polywire import App, Service, query


class Pids(Service, package="pids"):
    @query("GET /pid")
    async def pid(self) -> int:
        return os.getpid()

    @query("GET /wait")
    async def wait(self, seconds: float) -> int:
        print("begun", flush=True)
        await asyncio.sleep(seconds)
        return os.getpid()


app = App(Pids())
"""


@pytest.fixture
def served(start: Start, project: Path) -> Callable[..., tuple[Process, str]]:
    """Two workers over pids.py, and their URL."""
    (project / "pids.py").write_text(WORKERS)

    def serve(*arguments: str, **environment: str) -> tuple[Process, str]:
        process = start("pids", "--port", "0", "--workers", "2", "--log-format", "json", *arguments, **environment)
        return process, process.until(r"on (http\S+) with 2 workers")[1]

    return serve


Served = Callable[..., tuple[Process, str]]


def pids(url: str, count: int = 2) -> set[int]:
    """Ask on new connections until `count` workers have answered: the kernel shares connections out by chance."""
    found: set[int] = set()
    for _ in range(200):
        found.add(get(f"{url}/pid"))
        if len(found) == count:
            return found
    raise AssertionError(f"{found} answered, {count} should have")


def samples(url: str) -> dict[str, float]:
    with urllib.request.urlopen(f"{url}/metrics", timeout=10) as answer:  # noqa: S310
        lines = answer.read().decode().splitlines()
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines if not line.startswith("#")}


CALLS = 'polywire_calls_total{method="pids.Pids/Pid",protocol="rest",code="OK"}'


def until(condition: Callable[[], object]) -> None:
    """What is waited for is another process."""
    limit = time.monotonic() + 15
    while not condition():
        assert time.monotonic() < limit
        time.sleep(0.02)


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def test_two_workers_serve_and_drain(served: Served) -> None:
    process, url = served()
    both = pids(url)
    assert process.popen.pid not in both
    assert process.end() == 0
    assert all(map(gone, both))
    assert {json.loads(line)["path"] for line in process.output().splitlines()} == {"/pid"}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_the_whole_group_is_one_signal(served: Served, number: int) -> None:
    """As a terminal or a service manager sends it: an open call still ends."""
    process, url = served("--no-access-log")
    both = pids(url)
    answers: list[Any] = []
    caller = threading.Thread(target=lambda: answers.append(get(f"{url}/wait?seconds=0.5")))
    caller.start()
    assert process.popen.stdout is not None
    assert process.popen.stdout.readline() == "begun\n"
    for pid in (*both, process.popen.pid):
        os.kill(pid, number)
    assert process.popen.wait(10) == 0
    caller.join(5)
    assert answers
    assert answers[0] in both


def test_metrics_are_those_of_all_workers_and_of_those_before_them(served: Served) -> None:
    process, url = served()
    both = pids(url)
    counted = samples(url)[CALLS]
    assert counted >= 2
    process.popen.send_signal(signal.SIGUSR2)
    until(lambda: both.isdisjoint(pids(url)) and all(map(gone, both)))
    later = samples(url)
    assert later[CALLS] >= counted + 2
    assert sum(value for name, value in later.items() if name.startswith("polywire_connections_open")) >= 1


def test_a_stuck_worker_does_not_hold_up_metrics(served: Served) -> None:
    _process, url = served()
    both = pids(url)
    before = samples(url)[CALLS]
    stuck = both.pop()
    os.kill(stuck, signal.SIGSTOP)
    try:
        address = url.removeprefix("http://").split(":")
        limit = time.monotonic() + 10
        while time.monotonic() < limit:
            # Connections that the kernel gave to the stopped one get no answer: take another.
            with (
                contextlib.suppress(TimeoutError),
                socket.create_connection((address[0], int(address[1])), 2) as asking,
            ):
                asking.sendall(b"GET /metrics HTTP/1.0\r\nhost: a\r\n\r\n")
                text = b"".join(iter(lambda asking=asking: asking.recv(65536), b"")).decode()
                break
        found = re.search(rf"^{re.escape(CALLS)} (\d+)", text, re.MULTILINE)
        assert found is not None
        assert float(found[1]) >= before
    finally:
        os.kill(stuck, signal.SIGCONT)


def test_a_crashed_worker_is_replaced(served: Served) -> None:
    process, url = served()
    victim, other = pids(url)
    os.kill(victim, signal.SIGKILL)
    process.until(rf"worker {victim} died \(SIGKILL\): starting another\"")
    process.until(r"worker \d+ serves")
    assert victim not in (now := pids(url))
    assert other in now
    assert process.end() == 0


def test_an_application_that_cannot_be_imported_is_said_once(start: Start, project: Path) -> None:
    (project / "broken.py").write_text("app = 1 +\n")
    process = start("broken.py", "--workers", "3", "--port", "0")
    assert process.popen.wait(15) == 2
    process.reader.join(5)
    told = "".join(line for line in iter(process.lines.get, None))
    assert told.count("broken.py cannot be imported: see above") == 1


def test_a_worker_that_ends_without_a_word_is_named(start: Start, project: Path) -> None:
    (project / "leaves.py").write_text("raise SystemExit\n")
    process = start("leaves", "--workers", "2", "--port", "0", "--log-format", "text")
    process.until(r"worker \d+ ended while the first workers started \(exit code 0\)")
    assert process.popen.wait(5) == 2


def test_topics_of_one_process_are_refused(start: Start, project: Path) -> None:
    (project / "ticks.py").write_text(
        WORKERS.replace("App(Pids())", "App(Pids(), topics=[Topic('t', Tick)])").replace(
            "app =",
            "from polywire import Message, Topic\n\n\nclass Tick(Message):\n    n: int\n\n\napp =",
        )
    )
    process = start("ticks", "--workers", "2", "--port", "0")
    assert process.popen.wait(15) == 2
    process.reader.join(5)
    told = "".join(line for line in iter(process.lines.get, None))
    assert told.count("MemoryBroker is each process's own") == 1
    assert "another broker=" in told


def test_workers_and_reload_are_refused(start: Start) -> None:
    process = start("users", "--workers", "2", "--reload", "--port", "0")
    process.until("--reload is for development and starts one process")
    assert process.popen.wait(5) == 2


def test_a_port_in_use_is_said_before_any_worker_starts(start: Start) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        process = start("users", "--workers", "2", "--port", str(taken.getsockname()[1]))
        process.until("is in use by another program")
        assert process.popen.wait(5) == 2


def test_a_replacement_that_does_not_come_up_changes_nothing(served: Served, project: Path) -> None:
    process, url = served()
    both = pids(url)
    (project / "pids.py").write_text("app = 1 +\n")
    process.popen.send_signal(signal.SIGUSR2)
    process.until(r"did not come up \(exit code 2\): the old workers go on")
    assert pids(url) == both
    assert process.end() == 0


def test_workers_do_not_outlive_their_parent(served: Served) -> None:
    process, url = served()
    both = pids(url)
    process.popen.kill()
    until(lambda: all(map(gone, both)))


def test_a_second_signal_does_not_wait(served: Served) -> None:
    process, url = served("--no-access-log")
    refused: list[int] = []

    def call() -> None:
        try:
            get(f"{url}/wait?seconds=60")
        except urllib.error.HTTPError as error:
            refused.append(error.code)
            error.close()

    caller = threading.Thread(target=call)
    caller.start()
    assert process.popen.stdout is not None
    assert process.popen.stdout.readline() == "begun\n"
    process.popen.send_signal(signal.SIGTERM)
    with pytest.raises(subprocess.TimeoutExpired):
        process.popen.wait(0.5)
    assert process.end() == 1
    caller.join(5)
    assert refused == [503]


def test_a_rolling_restart_loses_nothing(served: Served) -> None:
    """Keep-alive clients of HTTP/1.1 and gRPC calls over HTTP/2 go on through two of them without one failure."""
    import grpc
    import httpx

    process, url = served("--no-access-log")
    both = pids(url)
    over = threading.Event()

    def by_http() -> int:
        done = 0
        with httpx.Client(base_url=url, timeout=10) as client:
            while not over.is_set():
                assert client.get("/pid").status_code == 200
                done += 1
        return done

    def by_grpc() -> int:
        done = 0
        with grpc.insecure_channel(url.removeprefix("http://")) as channel:
            call = channel.unary_unary("/pids.Pids/Pid")
            while not over.is_set():
                call(b"", timeout=10)
                done += 1
        return done

    with concurrent.futures.ThreadPoolExecutor() as threads:
        callers = [threads.submit(caller) for caller in (by_http, by_http, by_grpc, by_grpc)]
        try:
            for _ in range(2):
                process.popen.send_signal(signal.SIGUSR2)
                for _ in both:
                    process.until(r"worker \d+ serves")
                until(lambda before=both: all(map(gone, before)))
                both = pids(url)
        finally:
            over.set()
        assert all(caller.result(20) > 10 for caller in callers)
    assert process.end() == 0


def certificate(directory: Path, name: str) -> None:
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
         "-subj", f"/CN={name}", "-keyout", "key.pem", "-out", "cert.pem"],
        check=True,
        capture_output=True,
        cwd=directory,
    )  # fmt: skip


def test_certificates_are_read_again_by_all_and_by_later_workers(served: Served, project: Path) -> None:
    certificate(project, "one")
    process, url = served("--tls-cert", "cert.pem", "--tls-key", "key.pem", "--no-access-log")
    port = int(url.rpartition(":")[2])
    both = pids(url.replace("https", "http"))
    old = ssl.get_server_certificate(("127.0.0.1", port))
    certificate(project, "two")
    new = (project / "cert.pem").read_text()
    process.popen.send_signal(signal.SIGHUP)
    until(lambda: {ssl.get_server_certificate(("127.0.0.1", port)) for _ in range(20)} == {new})
    assert old != new
    process.popen.send_signal(signal.SIGUSR2)
    until(lambda: all(map(gone, both)))
    assert {ssl.get_server_certificate(("127.0.0.1", port)) for _ in range(20)} == {new}
    assert process.end() == 0


@pytest.mark.skipif(shutil.which("h2load") is None, reason="h2load is not installed")
def test_a_rolling_restart_under_h2load_loses_nothing(served: Served) -> None:
    process, url = served("--no-access-log")
    load = subprocess.Popen(
        ["h2load", "--h1", "-c", "8", "-n", "30000", f"{url}/pid"], stdout=subprocess.PIPE, text=True
    )
    process.popen.send_signal(signal.SIGUSR2)
    out, _ = load.communicate(timeout=60)
    assert "30000 succeeded, 0 failed, 0 errored, 0 timeout" in out
    assert process.end() == 0
