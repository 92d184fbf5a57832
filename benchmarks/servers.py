"""Starting a contender on its own core, its memory and its start-up time, and ending it for good."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Self

from benchmarks.contenders import POLYWIRE_PYTHON, ROOT, Contender

START_LIMIT_S = 20.0
STOP_LIMIT_S = 5.0
_ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
"""Of contenders: what is installed has its bytecode, and polywire's is written when it starts the first time."""


def cores() -> tuple[int | None, int | None]:
    """The server's core and the load's; (None, None) where there are not two, or no taskset."""
    available = sorted(os.sched_getaffinity(0))
    if len(available) < 2 or shutil.which("taskset") is None:
        return None, None
    return available[0], available[1]


def pinned(command: tuple[str, ...], core: int | None) -> list[str]:
    return list(command) if core is None else ["taskset", "-c", str(core), *command]


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


class Server:
    """One contender, running between `with` and its end. Its own process group, so that its workers end with it."""

    def __init__(self, contender: Contender, answers: Callable[[int], object], *, pin: bool = True) -> None:
        """`answers(port)` calls it once and raises OSError until it listens. Without `pin` it may use every core."""
        self.contender = contender
        self._core = cores()[0] if pin else None
        self.port = free_port()
        self.start_s = 0.0
        self._answers = answers
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - closed in __exit__

    def __enter__(self) -> Self:
        command = tuple(part.replace("{port}", str(self.port)) for part in self.contender.command)
        started = time.perf_counter()
        self.process = subprocess.Popen(
            pinned(command, self._core),
            cwd=ROOT,
            env=_ENVIRONMENT,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
            start_new_session=True,
        )
        try:
            self._wait_for_answer(started)
        except BaseException:
            self.__exit__(None, None, None)
            raise
        self.start_s = time.perf_counter() - started
        return self

    def _wait_for_answer(self, started: float) -> None:
        while True:
            if self.process.poll() is not None:
                raise RuntimeError(f"{self.contender.name} ended while starting:\n{self.said()}")
            with suppress(OSError):
                self._answers(self.port)
                return
            if time.perf_counter() - started > START_LIMIT_S:
                raise RuntimeError(f"{self.contender.name} did not answer in {START_LIMIT_S:.0f} s:\n{self.said()}")
            time.sleep(0.002)

    def said(self) -> str:
        """The end of what it printed."""
        self._log.seek(0)
        return self._log.read()[-2000:].decode(errors="replace")

    def memory_bytes(self) -> int:
        """Resident memory of the process and all its children."""
        return sum(_resident_bytes(pid) for pid in _family(self.process.pid))

    def anonymous_bytes(self) -> int:
        """Of that, what is not mapped from files."""
        return sum(_anonymous_bytes(pid) for pid in _family(self.process.pid))

    def cpu_s(self) -> float:
        """Seconds of a core that the process and all its children have taken."""
        return sum(_cpu_s(pid) for pid in _family(self.process.pid))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(STOP_LIMIT_S)
        # Whatever the leader left behind, and the leader itself if it would not go.
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self._log.close()


def _family(pid: int) -> list[int]:
    family = [pid]
    for member in family:  # grows while it is walked
        with suppress(OSError), open(f"/proc/{member}/task/{member}/children") as children:
            family += [int(child) for child in children.read().split()]
    return family


def _resident_bytes(pid: int) -> int:
    with suppress(OSError), open(f"/proc/{pid}/statm") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return 0


def _anonymous_bytes(pid: int) -> int:
    with suppress(OSError), open(f"/proc/{pid}/status") as status:
        return sum(int(line.split()[1]) * 1024 for line in status if line.startswith("RssAnon:"))
    return 0


def _cpu_s(pid: int) -> float:
    with suppress(OSError), open(f"/proc/{pid}/stat") as stat:
        user, system = stat.read().rpartition(")")[2].split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")
    return 0.0


def import_seconds() -> float:
    """What `import polywire` costs beyond a bare interpreter; the median of five."""

    def once(code: str) -> float:
        started = time.perf_counter()
        command = pinned((str(POLYWIRE_PYTHON), "-c", code), cores()[0])
        subprocess.run(command, check=True, cwd=ROOT, env=_ENVIRONMENT, stdin=subprocess.DEVNULL)
        return time.perf_counter() - started

    once("import polywire")  # bytecode and disk caches
    return sorted(once("import polywire") - once("pass") for _ in range(5))[2]
