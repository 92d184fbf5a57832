"""Signals that reach workers beside their parent, or one process alone."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from pathlib import Path

from tests.cli.processes import Start, get

LEAVING = """
import atexit, os
from polywire import App, Service, query


class Pids(Service, package="pids"):
    @query("GET /pid")
    async def pid(self) -> int:
        return os.getpid()


def leave() -> None:
    with open("left", "a") as told:
        print(os.getpid(), file=told)
    with open("gate") as gate:
        gate.read()


atexit.register(leave)
app = App(Pids())
"""


def test_a_signal_to_a_worker_that_is_all_but_gone_is_no_crash(start: Start, project: Path) -> None:
    """As a service manager sends it to all of a group: some have ended by the parent's word already."""
    (project / "pids.py").write_text(LEAVING)
    os.mkfifo(project / "gate")
    process = start("pids", "--port", "0", "--workers", "2", "--no-access-log")
    process.until(r"on http\S+ with 2 workers")
    process.popen.send_signal(signal.SIGTERM)
    with open(project / "gate", "w"):  # opened once one of them reads, that is, is leaving
        for pid in map(int, (project / "left").read_text().split()):
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR2):
                os.kill(pid, number)
    for _ in range(400):
        with contextlib.suppress(OSError):  # nobody reads: the other has not come as far, or both are gone
            os.close(os.open(project / "gate", os.O_WRONLY | os.O_NONBLOCK))
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.popen.wait(0.05)
            break
    assert process.popen.poll() == 0


def test_signals_for_the_parent_do_nothing_to_a_worker(start: Start, project: Path) -> None:
    (project / "pids.py").write_text(LEAVING.replace("atexit.register(leave)", ""))
    process = start("pids", "--port", "0", "--workers", "2", "--no-access-log")
    url = process.until(r"on (http\S+) with 2 workers")[1]
    worker = get(f"{url}/pid")
    for number in (signal.SIGUSR2, signal.SIGHUP, signal.SIGINT):
        os.kill(worker, number)
    for _ in range(200):
        if get(f"{url}/pid") == worker:
            break
    else:
        raise AssertionError("it is gone")
    assert process.end() == 0


def test_one_process_outlives_a_rolling_restart(start: Start) -> None:
    process = start("users", "--port", "0", "--no-access-log", "--log-format", "text")
    url = process.url()
    process.popen.send_signal(signal.SIGUSR2)
    process.until("SIGUSR2 replaces workers, of which there are none")
    assert get(f"{url}/health/live") == {"status": "ok"}
    assert process.end() == 0
