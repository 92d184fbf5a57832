"""Echo, fan-out and idle sockets: group "websocket". Its loads are C programs (`native`), which check what they get."""

from __future__ import annotations

import json
import socket
import tempfile
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass, replace

from rich.progress import Progress

from benchmarks import native
from benchmarks.contenders import POLYWIRE, REALTIME, Contender, Row
from benchmarks.load import LoadFailed, Measured
from benchmarks.results import Cost, Results, Series
from benchmarks.servers import Server

GROUP = "websocket"
WEBSOCKETS, PICOWS, SSE_STARLETTE, SEND_LOOP = "websockets", "picows", "sse-starlette + uvicorn", "C send() loop"
HELLO = {
    "type": "call",
    "id": 1,
    "method": "topics.News/Subscribe",
    "input": {},
    "credit": 1_000_000,
}
"""Subscribes over the polywire protocol; the welcome and the greeting come before the first message."""
ALICE = {"id": 42, "name": "Alice", "email": "alice@example.com", "age": 30}
IDLE_WARM = 200
HEARTBEATS_S = 30
"""Two intervals of polywire's default."""

COSTS = {
    "memory-websocket": Cost("memory: WebSocket", "kB", 3),
    "heartbeats": Cost("10,000 WebSockets with heartbeats", "% of a core", 3),
    "delivery-p99": Cost("delivery to 1,000, 100 a second: p99", "ms", 20),
}


def _texts() -> list[tuple[str, str]]:
    texts = (f"message {number:04d}, of sixty bytes as a chat has them".ljust(60, ".") for number in range(64))
    return [(text, text) for text in texts]


def _calls(depth: int) -> list[tuple[str, str]]:
    """Unary calls of the polywire protocol, and their answers."""
    return [
        (
            _json({"type": "call", "id": id, "method": "user.UserService/GetUser", "input": {"id": 42}}),
            _json({"type": "result", "id": id, "message": ALICE}),
        )
        for id in range(1, depth + 1)
    ]


def _queries(depth: int) -> list[tuple[str, str]]:
    """The same over tRPC's WebSocket."""
    return [
        (
            _json({"id": id, "method": "query", "params": {"path": "user.getUser", "input": {"id": 42}}}),
            _json({"id": id, "result": {"type": "data", "data": ALICE}}),
        )
        for id in range(1, depth + 1)
    ]


def _json(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))


@dataclass(frozen=True)
class Echo:
    """Messages and answers, `row.streams` under way on each connection."""

    row: Row
    names: tuple[str, ...]
    script: list[tuple[str, str]]
    path: str = "/echo"
    greetings: int = 0
    deflate: bool = False

    def run(self, server: Server, seconds: float) -> Measured:
        with tempfile.NamedTemporaryFile("w", suffix=".txt") as script:
            script.write("".join(f"{sent}\n{answer}\n" for sent, answer in self.script))
            script.flush()
            options = ("", self.greetings, "deflate") if self.deflate else ("", self.greetings)
            shape = (self.row.connections, self.row.streams, seconds)
            return native.measured(server, "echo", self.path, *shape, script.name, *options, seconds=seconds)


@dataclass(frozen=True)
class Fanout:
    """`count` messages to every subscriber at once, and again when all have them; or `per_second`."""

    row: Row
    names: tuple[str, ...]
    kind: str = "ws"
    count: int = 1
    per_second: int = 0

    def run(self, server: Server, seconds: float) -> Measured:
        polywire = server.contender.name == POLYWIRE
        path, hello, greetings = "/news", "", 0
        if polywire and self.kind == "ws":
            path, hello, greetings = "/ws", _json(HELLO), 2
        elif polywire:
            path = "/topics/news"
        count = int(self.per_second * seconds) if self.per_second else self.count
        numbers = (self.row.connections, self.row.streams, count, self.per_second, seconds)
        return native.measured(server, "fanout", self.kind, path, *numbers, hello, greetings, seconds=seconds + 20)


def _row(key: str, title: str, connections: int, streams: int) -> Row:
    return Row(key, GROUP, title, 0, connections, streams, "websocket")


ROWS: tuple[Echo | Fanout, ...] = (
    Echo(_row("ws-echo-1", "WebSocket echo of 60 bytes, 32 x 1", 32, 1), (POLYWIRE, WEBSOCKETS, PICOWS), _texts()),
    Echo(_row("ws-echo-16", "WebSocket echo of 60 bytes, 8 x 16", 8, 16), (POLYWIRE, WEBSOCKETS, PICOWS), _texts()),
    Echo(
        _row("ws-deflate", "WebSocket echo of 60 bytes with deflate, 8 x 16", 8, 16),
        (POLYWIRE, WEBSOCKETS),
        _texts(),
        path="/deflate",
        deflate=True,
    ),
    Echo(_row("ws-call", "polywire's WebSocket protocol, unary, 8 x 16", 8, 16), (POLYWIRE,), _calls(16), "/ws", 1),
    Echo(_row("ws-trpc", "tRPC query over WebSocket, 8 x 16", 8, 16), (POLYWIRE,), _queries(16), "/trpc"),
    Fanout(_row("ws-fanout", "one message to 5,000 WebSockets", 5000, 1), (POLYWIRE, WEBSOCKETS, SEND_LOOP)),
    Fanout(
        _row("ws-fanout-10", "ten messages to 5,000 WebSockets", 5000, 1),
        (POLYWIRE, WEBSOCKETS, SEND_LOOP),
        count=10,
    ),
    Fanout(_row("sse-fanout", "one message to 5,000 SSE readers, HTTP/1.1", 5000, 1), (POLYWIRE, SSE_STARLETTE), "sse"),
    Fanout(_row("sse-fanout-h2", "one message to 5,000 SSE readers, HTTP/2, 50 x 100", 50, 100), (POLYWIRE,), "sse2"),
)
PACED = Fanout(_row("ws-paced", "100 messages a second to 1,000 WebSockets", 1000, 1), (POLYWIRE,), per_second=100)


def measure(results: Results, progress: Progress, rounds: int, seconds: int, wanted: Iterable[str]) -> None:
    """Every row, its contenders in turn, then what is no rate."""
    problem = native.build()
    if problem:
        results.troubles["the group websocket"] = problem
        return
    contenders = {c.name: c for c in REALTIME if not wanted or any(name in c.name.lower() for name in wanted)}
    for measurement in ROWS:
        _measure_row(measurement, contenders, results, progress, rounds, seconds)
    quick = rounds == 1
    parts: list[tuple[str, str, Callable[[Contender], float]]] = []
    for name in (POLYWIRE, WEBSOCKETS, PICOWS):
        parts.append(("memory-websocket", name, lambda one: _memory(one, 500 if quick else 5000)))
    for name in (POLYWIRE, WEBSOCKETS):
        parts.append(("heartbeats", name, lambda one: _heartbeats(one, 5 if quick else HEARTBEATS_S)))
    parts.append(("delivery-p99", POLYWIRE, lambda one: _paced_p99(one, min(rounds, 3), max(seconds, 3))))
    task = progress.add_task("idle sockets and delivery", total=len(parts))
    for key, name, part in parts:
        progress.update(task, description=f"{COSTS[key].title}: {name}")
        if name in contenders:
            try:
                figure = part(contenders[name])
            except (RuntimeError, OSError, LoadFailed) as error:
                results.troubles[f"{name}, {COSTS[key].title}"] = str(error)
            else:
                results.costs.setdefault(key, replace(COSTS[key], seen={})).seen[name] = figure
        progress.advance(task)
    progress.remove_task(task)


def _listens(port: int) -> None:
    """Raises OSError where nobody does."""
    socket.create_connection(("127.0.0.1", port), 5).close()


def _measure_row(
    measurement: Echo | Fanout,
    contenders: dict[str, Contender],
    results: Results,
    progress: Progress,
    rounds: int,
    seconds: int,
) -> None:
    names = [name for name in measurement.names if name in contenders]
    series = results.rows[measurement.row] = {name: Series() for name in names}
    task = progress.add_task(measurement.row.title, total=len(names) * (rounds + 1))
    with ExitStack() as stack:
        servers = {}
        for name in names:
            try:
                servers[name] = stack.enter_context(Server(contenders[name], _listens))
            except (RuntimeError, OSError) as error:
                series[name].trouble = str(error)
        for turn in range(rounds + 1):
            for name, server in servers.items():
                progress.update(task, description=f"{measurement.row.title}: {name}", advance=1)
                if series[name].trouble:
                    continue
                try:
                    run = measurement.run(server, seconds if turn else 1)
                except LoadFailed as error:
                    series[name] = Series(trouble=str(error))
                else:
                    if turn:
                        series[name].runs.append(run)
    progress.remove_task(task)


def _memory(contender: Contender, count: int) -> float:
    """Thousands of bytes of an idle WebSocket, in anonymous memory."""
    with Server(contender, _listens) as server, native.held(server, "/echo", IDLE_WARM, 0):
        time.sleep(1)
        before = server.anonymous_bytes()
        with native.held(server, "/echo", count, 0):
            time.sleep(1)
            return (server.anonymous_bytes() - before) / count / 1000


def _heartbeats(contender: Contender, seconds: float) -> float:
    """Per cent of a core that 10,000 quiet WebSockets take."""
    with Server(contender, _listens) as server, native.held(server, "/echo", 10_000, 0):
        time.sleep(3)
        before_s, started = server.cpu_s(), time.perf_counter()
        time.sleep(seconds)
        return (server.cpu_s() - before_s) / (time.perf_counter() - started) * 100


def _paced_p99(contender: Contender, rounds: int, seconds: int) -> float:
    """Milliseconds; of the median run."""
    with Server(contender, _listens) as server:
        PACED.run(server, 1)
        runs = sorted(PACED.run(server, seconds).p99_ms or 0.0 for _ in range(rounds))
    return runs[len(runs) // 2]
