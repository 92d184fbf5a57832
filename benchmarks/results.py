"""What was measured, and what was to be reached."""

from __future__ import annotations

import platform
from dataclasses import dataclass, field
from importlib import metadata
from statistics import median
from typing import Any

from benchmarks.contenders import CONTENDERS, POLYWIRE, REALTIME, Row
from benchmarks.load import Measured

LIMITS = frozenset(contender.name for contender in (*CONTENDERS, *REALTIME) if contender.limit)


def _median(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return median(known) if known else None


@dataclass
class Series:
    """The runs of one contender in one row."""

    runs: list[Measured] = field(default_factory=list)
    trouble: str = ""
    """What went wrong, where it stands without a figure."""
    note: str = ""
    """Why it was not asked to take part."""

    @property
    def per_second(self) -> float:
        return median(run.per_second for run in self.runs) if self.runs else 0.0

    @property
    def per_cpu_s(self) -> float | None:
        return _median([run.per_cpu_s for run in self.runs])

    @property
    def p50_ms(self) -> float | None:
        return _median([run.p50_ms for run in self.runs])

    @property
    def p99_ms(self) -> float | None:
        return _median([run.p99_ms for run in self.runs])


@dataclass
class Start:
    seconds: list[float] = field(default_factory=list)
    memory_bytes: int = 0


@dataclass
class Cost:
    """One figure that is no rate of requests, of each contender that has it."""

    title: str
    unit: str
    """"ms", "KiB", "kB", "% of a core", "/s", or "x" for a ratio."""
    limit: float | None = None
    """What polywire is to stay below."""
    at_least: bool = False
    """The limit is one to reach instead."""
    seen: dict[str, float] = field(default_factory=dict)

    def text(self, value: float) -> str:
        """With its unit, as precise as it is worth."""
        number = f"{value:,.0f}" if self.unit == "/s" else f"{value:,.2f}" if value < 10 else f"{value:,.1f}"
        return number + (self.unit if self.unit in ("/s", "x") else f" {self.unit}")


@dataclass
class Results:
    rows: dict[Row, dict[str, Series]] = field(default_factory=dict)
    starts: dict[str, Start] = field(default_factory=dict)
    costs: dict[str, Cost] = field(default_factory=dict)
    import_s: float | None = None
    troubles: dict[str, str] = field(default_factory=dict)
    """Contenders that could not take part at all, and why."""

    def row(self, key: str) -> dict[str, Series]:
        return next((series for row, series in self.rows.items() if row.key == key), {})

    def ratio(self, key: str, peer: str) -> float | None:
        """Polywire's rate over the peer's, as `rate_ratio`; None where either is missing."""
        row = self.row(key)
        return rate_ratio(row.get(POLYWIRE), row.get(peer))


def rate_ratio(one: Series | None, other: Series | None) -> float | None:
    """By CPU time where that was measured of both: what a core does, however busy the machine is with other things."""
    if one is None or other is None or not one.runs or not other.runs:
        return None
    if one.per_cpu_s is not None and other.per_cpu_s is not None:
        return one.per_cpu_s / other.per_cpu_s
    return one.per_second / other.per_second


@dataclass(frozen=True)
class Target:
    title: str
    wanted: str
    seen: str
    reached: bool


RATIOS = (
    ("rest-http1", "FastAPI + uvicorn", 8.0),
    ("rest-http1", "Granian RSGI, bare", 1.6),
    ("rest-http2", "Granian RSGI, bare", 2.0),
    ("grpc-4x16", "grpcio.aio", 30.0),
    ("grpc-32x1", "grpcio.aio", 18.0),
    ("grpc-list", "grpcio.aio", 30.0),
    ("grpc-chat", "grpcio.aio", 20.0),
    ("rest-100-users", "FastAPI + uvicorn", 10.0),
    ("grpc-100-users", "grpcio.aio", 8.0),
    ("connect-http1", "connectrpc + pyvoy", 5.0),
    ("connect-http2", "connectrpc + pyvoy", 5.0),
    ("graphql", "Strawberry + uvicorn", 60.0),
    ("trpc", "@trpc/server on Node", 1.5),
    ("ws-echo-1", "websockets", 2.8),
    ("ws-echo-1", "picows", 0.95),
    ("ws-echo-16", "picows", 5.0),
    ("ws-deflate", "websockets", 5.0),
    ("ws-fanout", "C send() loop", 0.85),
    ("ws-fanout", "websockets", 1.5),
    ("sse-fanout", "sse-starlette + uvicorn", 5.0),
)
OWN_RATIOS = (("grpc-web", "grpc-4x16", 0.8), ("ws-fanout-10", "ws-fanout", 5.0), ("sse-fanout-h2", "sse-fanout", 5.0))
"""One of polywire's rows against another of its own."""
LATENCY_ROWS = ("rest-http1", "rest-http2", "grpc-4x16", "grpc-32x1")


def targets(results: Results) -> list[Target]:
    """Every figure that was to be reached, of those that this run measured."""
    found = []
    titles = {row.key: row.title for row in results.rows}
    for key, peer, wanted in RATIOS:
        ratio = results.ratio(key, peer)
        if ratio is not None:
            title = f"{titles[key]} / {peer}"
            found.append(Target(title, f"{wanted:g}x", f"{ratio:.1f}x", ratio >= wanted))
    for key, other, wanted in OWN_RATIOS:
        share = rate_ratio(*(results.row(name).get(POLYWIRE) for name in (key, other)))
        if share is not None:
            title = f"{titles[key]} / {titles[other]}"
            found.append(Target(title, f"{wanted:g}x", f"{share:.2f}x", share >= wanted))
    for key in LATENCY_ROWS:
        row = results.row(key)
        peers = [
            s.p99_ms for name, s in row.items() if s.p99_ms is not None and name != POLYWIRE and name not in LIMITS
        ]
        seen = row[POLYWIRE].p99_ms if POLYWIRE in row else None
        if peers and seen is not None:
            best = min(peers)
            found.append(Target(f"{titles[key]}: p99", f"{best:.2f} ms", f"{seen:.2f} ms", seen <= best))
    if results.import_s is not None:
        found.append(_below("import polywire", results.import_s * 1000, 150, "ms"))
    start = results.starts.get(POLYWIRE)
    if start is not None:
        found.append(_below("start to first answer", median(start.seconds) * 1000, 500, "ms"))
        found.append(_below("memory at rest", start.memory_bytes / 1e6, 45, "MB"))
    for cost in results.costs.values():
        if cost.limit is not None and POLYWIRE in cost.seen:
            figure = cost.seen[POLYWIRE]
            bound = f"{'at least' if cost.at_least else 'under'} {cost.limit:g}{' ' * (cost.unit != 'x')}{cost.unit}"
            reached = figure >= cost.limit if cost.at_least else figure < cost.limit
            found.append(Target(cost.title, bound, cost.text(figure), reached))
    return found


def _below(title: str, seen: float, limit: float, unit: str) -> Target:
    return Target(title, f"under {limit:g} {unit}", f"{seen:.0f} {unit}", seen < limit)


def as_json(results: Results, rounds: int, seconds: int) -> dict[str, Any]:
    """The whole result for machines. It names no folder and no host."""
    return {
        "machine": machine(),
        "python": platform.python_version(),
        "versions": versions(),
        "rounds": rounds,
        "seconds": seconds,
        "rows": [
            {
                "key": row.key,
                "title": row.title,
                "contenders": {
                    name: {
                        "per_second": round(series.per_second, 1),
                        **({} if series.per_cpu_s is None else {"per_cpu_s": round(series.per_cpu_s, 1)}),
                        "p50_ms": _rounded(series.p50_ms),
                        "p99_ms": _rounded(series.p99_ms),
                        "runs_per_second": [round(run.per_second, 1) for run in series.runs],
                        **({"trouble": series.trouble or series.note} if not series.runs else {}),
                    }
                    for name, series in rows.items()
                },
            }
            for row, rows in results.rows.items()
        ],
        "start": {
            name: {"first_answer_s": round(median(start.seconds), 3), "memory_bytes": start.memory_bytes}
            for name, start in results.starts.items()
        },
        "costs": {
            key: {
                "title": cost.title,
                "unit": cost.unit,
                "contenders": {name: round(value, 3) for name, value in cost.seen.items()},
            }
            for key, cost in results.costs.items()
        },
        "import_s": None if results.import_s is None else round(results.import_s, 4),
        "not_run": results.troubles,
        "targets": [vars(target) for target in targets(results)],
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


def machine() -> str:
    """The processor and the kernel."""
    model = platform.machine()
    try:
        with open("/proc/cpuinfo") as cpuinfo:
            model = next((line.partition(":")[2].strip() for line in cpuinfo if line.startswith("model name")), model)
    except OSError:
        pass
    return f"{model}, {platform.system()} {platform.release().split('-')[0]}"


def versions() -> dict[str, str]:
    """Of the peers and what carries them, as installed."""
    packages = {contender.package for contender in (*CONTENDERS, *REALTIME)} - {POLYWIRE, ""}
    return {name: metadata.version(name) for name in sorted(packages | {"uvicorn", "uvloop", "pyvoy", "pydantic"})}
