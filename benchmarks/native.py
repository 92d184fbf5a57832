"""The loads of the group "websocket": C programs, as they must be faster than the fastest server."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.contenders import ROOT
from benchmarks.load import LoadFailed, Measured
from benchmarks.servers import Server, cores, pinned

SOURCES = ROOT / "benchmarks" / "native"
BUILT = ROOT / "build" / "benchmarks"
PROGRAMS = ("echo", "fanout", "hold", "send_loop")


def program(name: str) -> Path:
    return BUILT / name


def build() -> str:
    """Compile what is older than its source; what is wrong where that cannot be, else ""."""
    compiler = os.environ.get("CC") or shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        return "no C compiler"
    BUILT.mkdir(parents=True, exist_ok=True)
    newest = max(path.stat().st_mtime for path in SOURCES.iterdir())
    for name in PROGRAMS:
        if program(name).exists() and program(name).stat().st_mtime > newest:
            continue
        command = (compiler, "-O2", "-Wall", "-Wextra", "-o", str(program(name)), str(SOURCES / f"{name}.c"), "-lz")
        made = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        if made.returncode:
            return made.stderr[-1000:]
    return ""


def measured(server: Server, name: str, *arguments: object, seconds: float) -> Measured:
    """Run a load on its core. Raises LoadFailed where an answer is wrong or missing, or it does not end."""
    command = pinned((str(program(name)), str(server.port), *map(str, arguments)), cores()[1])
    environment = {**os.environ, "SERVER_PID": str(server.process.pid)}
    try:
        done = subprocess.run(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=seconds + 60,
        )
    except subprocess.TimeoutExpired:
        raise LoadFailed(f"{name} does not end") from None
    if done.returncode:
        raise LoadFailed(f"{name}: {done.stderr.strip()[-300:]} {server.said()[-300:]}".strip())
    said = re.fullmatch(
        r"(\d+) (?:messages|deliveries) in ([\d.]+) s, cpu ([\d.]+) s, p50 ([\d.]+) us, p99 ([\d.]+) us\n", done.stdout
    )
    if said is None:
        raise LoadFailed(f"{name} says {done.stdout[:300]!r}")
    count, took_s, cpu_s, p50_us, p99_us = map(float, said.groups())
    return Measured(count / took_s, p50_us / 1000, p99_us / 1000, count / cpu_s if cpu_s else None)


@contextmanager
def held(server: Server, path: str, count: int, greetings: int) -> Iterator[None]:
    """So many WebSockets are open, and answer pings. Raises LoadFailed where one of them does not stay so."""
    command = pinned(
        (str(program("hold")), str(server.port), path, str(count), str(greetings)),
        cores()[1],
    )
    holder = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert holder.stdin is not None
        assert holder.stdout is not None
        assert holder.stderr is not None
        if holder.stdout.readline() != "open\n":
            raise LoadFailed(f"hold: {holder.stderr.read()[-300:]}")
        yield
        holder.stdin.close()
        holder.wait(10)
        if holder.returncode:
            raise LoadFailed(f"hold: {holder.stderr.read()[-300:]}")
    finally:
        holder.kill()
        holder.wait()
