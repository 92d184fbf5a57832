"""What it costs to keep, to cancel, to be attacked and to encrypt; and what a second worker brings: group "costs"."""

from __future__ import annotations

import json
import re
import sys
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from statistics import median

from rich.progress import Progress

from benchmarks import answers, load, memory
from benchmarks.contenders import CONTENDERS, POLYWIRE, POLYWIRE_PYTHON, WITH_COSTS, Contender, Row
from benchmarks.frames import ConnectionFailed
from benchmarks.load import LoadFailed
from benchmarks.results import Cost, Results
from benchmarks.servers import Server, cores

GRPCIO, FASTAPI = "grpcio.aio", "FastAPI + uvicorn"
HTTP1 = Row("costs-http1", "costs", "REST GET, HTTP/1.1", 0, 32, 1, "http1")
GRPC = Row("costs-grpc", "costs", "gRPC unary, 4 x 16", 0, 4, 16, "grpc")
BURN = replace(HTTP1, key="costs-burn", connections=64, path="/v1/burn/42")

Found = Iterator[tuple[str, str, float]]
"""The key of a cost, whose it is, and the figure."""

COSTS = {
    "cancel-wait-median": Cost("stop a waiting call: median", "ms"),
    "cancel-wait-p99": Cost("stop a waiting call: p99", "ms", 5),
    "cancel-flood-median": Cost("stop a running stream: median", "ms"),
    "cancel-flood-p99": Cost("stop a running stream: p99", "ms", 5),
    "memory-http1": Cost("memory: HTTP/1.1 connection", "KiB", 3),
    "memory-http2": Cost("memory: HTTP/2 connection", "KiB", 17),
    "memory-follow": Cost("memory: server stream", "KiB"),
    "memory-chat": Cost("memory: bidirectional stream", "KiB"),
    "tls13-full": Cost("TLS 1.3 handshakes, full", "/s"),
    "tls13-resumed": Cost("TLS 1.3 handshakes, resumed", "/s"),
    "tls12-full": Cost("TLS 1.2 handshakes, full", "/s"),
    "tls12-resumed": Cost("TLS 1.2 handshakes, resumed", "/s"),
    "attack-kept": Cost("kept beside rapid reset", "x", 0.5, at_least=True),
    "attack-alone": Cost("the same, of the load alone", "x"),
    "attack-p99": Cost("p99 beside rapid reset", "ms"),
    "attack-resets": Cost("resets sent meanwhile", "/s"),
    "attack-cut": Cost("connections cut meanwhile", "/s"),
    "workers": Cost("two workers / one", "x", 1.8, at_least=True),
    "workers-each": Cost("the same, by CPU time", "x"),
    "workers-one": Cost("requests, one worker's CPU", "/s"),
}
"""What each of them means stands in docs/performance.md."""


def measure(contenders: Collection[Contender], results: Results, progress: Progress, rounds: int, seconds: int) -> None:
    """Every cost, of those contenders that are known to have it. Nobody's wrong answers become figures."""
    names = {contender.name for contender in contenders}
    quick = rounds == 1
    count = 500 if quick else 3000
    rounds = min(rounds, 3)
    parts: list[tuple[str, str, Callable[[], Found]]] = []
    for name in WITH_COSTS:
        for kind in ("wait", "flood"):
            parts.append((f"time to cancel, {kind}", name, partial(_cancel, name, kind, seconds)))
    for name, kinds in {
        POLYWIRE: ("http1", "http2", "follow", "chat"),
        GRPCIO: ("http2", "follow", "chat"),
        FASTAPI: ("http1",),
    }.items():
        for kind in kinds:
            parts.append((f"memory, {kind}", name, partial(_memory, name, kind, count)))
    parts.append(("TLS handshakes", POLYWIRE, partial(_handshakes, 0.5 if quick else 1.5)))
    parts.append(("rapid reset", POLYWIRE, partial(_attack, rounds, seconds)))
    parts.append(("two workers", POLYWIRE, partial(_workers, rounds, seconds)))
    parts = [part for part in parts if part[1] in names]
    task = progress.add_task("costs", total=len(parts))
    for what, name, part in parts:
        progress.update(task, description=f"{what}: {name}")
        try:
            for key, whose, figure in part():
                cost = results.costs.setdefault(key, replace(COSTS[key], seen={}))
                cost.seen[whose] = figure
        except (RuntimeError, OSError, LoadFailed, ConnectionFailed, answers.WrongAnswer) as error:
            results.troubles[f"{name}, {what}"] = str(error)
        progress.advance(task)
    progress.remove_task(task)


def _contender(name: str) -> Contender:
    contender = next(contender for contender in CONTENDERS if contender.name == name)
    return replace(contender, command=WITH_COSTS.get(name, contender.command))


@contextmanager
def _served(name: str, row: Row, *options: str) -> Iterator[Server]:
    """Its server, once it answers rightly; one with options chooses its cores itself."""
    contender = _contender(name)
    contender = replace(contender, command=(*contender.command, *options))
    with Server(contender, lambda port: answers.check(row, port), pin=not options) as server:
        yield server


class _Load:
    """The load of a row for so many seconds, and the run for latencies, in the background of a `with`."""

    def __init__(self, row: Row, server: Server, seconds: int) -> None:
        self._error: Exception | None = None
        answer_bytes = answers.check(row, server.port)

        def run() -> None:
            try:
                load.run(row, server.port, seconds, answer_bytes)
            except Exception as error:
                self._error = error

        self._thread = threading.Thread(target=run)

    def __enter__(self) -> None:
        self._thread.start()
        self._thread.join(0.3)

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        lasted = self._thread.is_alive()
        self._thread.join()
        if kind is None and self._error is not None:
            raise self._error
        if kind is None and not lasted:
            raise LoadFailed("the load ended before what was measured under it")


def _cancel(name: str, kind: str, seconds: int) -> Found:
    with _served(name, GRPC) as server:
        command = (sys.executable, "-m", "benchmarks.cancel", str(server.port), kind, "--seconds", str(seconds))
        with _Load(GRPC, server, seconds + 1):
            after_ms = sorted(json.loads(load.tool(command, seconds)))
    yield f"cancel-{kind}-median", name, median(after_ms)
    yield f"cancel-{kind}-p99", name, after_ms[min(len(after_ms) - 1, int(len(after_ms) * 0.99))]


def _memory(name: str, kind: str, count: int) -> Found:
    with _served(name, HTTP1 if kind == "http1" else GRPC) as server:
        if kind == "http1":
            each = memory.http1_connections(server, count)
        elif kind == "http2":
            each = memory.http2_connections(server, count)
        else:
            each = memory.streams(server, f"/costs.Costs/{kind.title()}", count)
    yield f"memory-{kind}", name, each / 1024


def _handshakes(seconds: float) -> Found:
    command = (str(POLYWIRE_PYTHON), "-m", "benchmarks.handshakes", str(seconds))
    said = load.tool(command, 60, pin=False)
    found = re.findall(r"TLSv1_([23]), (full|resumed) +connections +([\d.]+)/s", said)
    if len(found) != 4:
        raise LoadFailed(said)
    for version, kind, rate in found:
        yield f"tls1{version}-{kind}", POLYWIRE, float(rate)


def _attack(rounds: int, seconds: int) -> Found:
    """The same load alone, beside a process that takes half of its core, and beside one that attacks from there."""
    found: dict[str, list[float]] = {key: [] for key in ("kept", "alone", "p99", "resets", "cut")}
    with _served(POLYWIRE, GRPC) as server:
        answer_bytes = answers.check(GRPC, server.port)
        load.run(GRPC, server.port, 1, answer_bytes)
        for _ in range(rounds):
            alone = load.run(GRPC, server.port, seconds, answer_bytes)
            base, _nothing = _beside(server, seconds, answer_bytes, "--spin")
            beside, attack = _beside(server, seconds, answer_bytes)
            found["kept"].append(beside.per_second / base.per_second)
            found["alone"].append(beside.per_second / alone.per_second)
            found["p99"].append(beside.p99_ms or 0.0)
            found["resets"].append(attack["resets_per_s"])
            found["cut"].append(attack["cut_per_s"])
        answers.check(GRPC, server.port)
    for key, figures in found.items():
        yield f"attack-{key}", POLYWIRE, median(figures)


def _beside(server: Server, seconds: int, answer_bytes: int, *options: str) -> tuple[load.Measured, dict[str, float]]:
    """The load beside an attacker, and what that one did. It lasts as long, the run for latencies included."""
    lasts_s = seconds + load.LATENCY_RUN_S + 1
    command = (sys.executable, "-m", "benchmarks.attack", str(server.port), "--seconds", str(lasts_s), *options)
    said: list[str] = []
    attacker = threading.Thread(target=lambda: said.append(load.tool(command, lasts_s)))
    attacker.start()
    attacker.join(0.5)
    try:
        measured = load.run(GRPC, server.port, seconds, answer_bytes)
    finally:
        attacker.join()
    if not said:
        raise LoadFailed("the attacker failed")
    attack: dict[str, float] = json.loads(said[0])
    return measured, attack


def _workers(rounds: int, seconds: int) -> Found:
    """Throughput of a busy handler. Where there are two cores only, the load takes its part of them."""
    ratios, each, one = [], [], []
    with _served(POLYWIRE, BURN, "--workers", "1") as single, _served(POLYWIRE, BURN, "--workers", "2") as double:
        for turn in range(rounds + 1):
            figures = [_burned(server, seconds if turn else 1) for server in (single, double)]
            if turn:
                ratios.append(figures[1][0] / figures[0][0])
                each.append(figures[1][1] / figures[0][1])
                one.append(figures[0][1])
    if cores() != (None, None):
        yield "workers", POLYWIRE, median(ratios)
    yield "workers-each", POLYWIRE, median(each)
    yield "workers-one", POLYWIRE, median(one)


def _burned(server: Server, seconds: int) -> tuple[float, float]:
    """Requests for each second, and for each second of CPU."""
    before_s = server.cpu_s()
    per_second = load.run(BURN, server.port, seconds, 0).per_second
    return per_second, per_second * seconds / (server.cpu_s() - before_s)
