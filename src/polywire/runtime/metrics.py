"""Counters of this process and their Prometheus text form (exposition format 0.0.4), without a dependency.

The hot path touches plain list slots only; names, labels and bucket bounds are made when somebody scrapes.
Counting is for one event loop's thread: nothing is locked.
"""

from __future__ import annotations

import functools
import os
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from polywire.errors import Code

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

Labels = tuple[tuple[str, str], ...]

_CODE_COUNT = max(Code) + 1
_SLOTS = 65
_FIRST_BOUND = 13
"""2**13 ns = 8.2 µs: everything faster is in the first bucket."""
_LAST_BOUND = 36
"""2**36 ns = 68.7 s: everything slower is in +Inf."""


@dataclass(frozen=True, slots=True)
class Family:
    """One metric with its samples, as a collector gives it at scrape time."""

    name: str
    kind: str
    """`counter` or `gauge`."""
    help: str
    samples: Sequence[tuple[Labels, float]]


Collector = Callable[[], Iterable[Family]]


class MethodMetrics:
    """Calls of one method over one protocol. Obtained once from `Metrics.method`, then only `record` is called."""

    __slots__ = ("_buckets", "_codes", "_sum_ns", "method", "protocol")

    def __init__(self, method: str, protocol: str) -> None:
        self.method = method
        self.protocol = protocol
        self._codes = [0] * _CODE_COUNT
        self._buckets = [0] * _SLOTS
        self._sum_ns = 0

    def record(self, code: int, duration_ns: int) -> None:
        """Count one finished call. code: a `Code` or its number, 0 to 16; duration_ns: at least 0.

        Slot n of the histogram holds durations below 2**n ns, so its bound is one multiplication at scrape time.
        """
        self._codes[code] += 1
        self._buckets[duration_ns.bit_length()] += 1
        self._sum_ns += duration_ns

    @property
    def count(self) -> int:
        """Calls finished so far."""
        return sum(self._codes)

    def _write_codes(self, lines: list[str]) -> None:
        for number, count in enumerate(self._codes):
            if count:
                labels = (("method", self.method), ("protocol", self.protocol), ("code", Code(number).name))
                lines.append(f"polywire_calls_total{_labels(labels)} {count}")

    def _write_durations(self, lines: list[str]) -> None:
        count = sum(self._buckets)
        if not count:
            return
        labels = _labels((("method", self.method), ("protocol", self.protocol)))
        opened = labels[:-1]
        name = "polywire_call_duration_seconds"
        running = sum(self._buckets[:_FIRST_BOUND])
        for exponent in range(_FIRST_BOUND, _LAST_BOUND + 1):
            running += self._buckets[exponent]
            lines.append(f'{name}_bucket{opened},le="{_number(2**exponent / 1e9)}"}} {running}')
        lines.append(f'{name}_bucket{opened},le="+Inf"}} {count}')
        lines.append(f"{name}_sum{labels} {_number(self._sum_ns / 1e9)}")
        lines.append(f"{name}_count{labels} {count}")


class Metrics:
    """What one process counts. Methods are registered at start-up; their number bounds the size of an exposition."""

    __slots__ = ("_collectors", "_methods", "http_statuses")

    def __init__(self) -> None:
        self._methods: dict[tuple[str, str], MethodMetrics] = {}
        self._collectors: list[Collector] = [process_families]
        self.http_statuses = [0] * 600
        """Answers by HTTP status: whoever finishes an exchange adds one to its slot, 100 to 599."""

    def method(self, method: str, protocol: str) -> MethodMetrics:
        """The counters of `user.UserService/GetUser` over `grpc`; the same object for the same pair."""
        key = (method, protocol)
        found = self._methods.get(key)
        if found is None:
            found = self._methods[key] = MethodMetrics(method, protocol)
        return found

    def add_collector(self, collector: Collector) -> None:
        """Let `collector` give further families at each scrape; one that raises is left out of that scrape."""
        self._collectors.append(collector)

    def add_gauge(self, name: str, help: str, read: Callable[[], float], labels: Labels = ()) -> None:
        """A gauge whose value is read at scrape time."""
        self.add_collector(lambda: (Family(name, "gauge", help, ((labels, read()),)),))

    def render(self) -> bytes:
        """Everything counted, in the text exposition format, UTF-8."""
        lines: list[str] = []
        methods = sorted(self._methods.values(), key=lambda item: (item.method, item.protocol))
        _write_head(lines, "polywire_calls_total", "counter", "Calls finished, by method, protocol and canonical code.")
        for method in methods:
            method._write_codes(lines)
        _write_head(lines, "polywire_call_duration_seconds", "histogram", "Time from a call's head to its outcome.")
        for method in methods:
            method._write_durations(lines)
        _write_head(lines, "polywire_http_requests_total", "counter", "HTTP requests answered, by status.")
        for status, count in enumerate(self.http_statuses):
            if count:
                lines.append(f'polywire_http_requests_total{{status="{status}"}} {count}')
        for collector in self._collectors:
            try:
                families = list(collector())
            except Exception:  # noqa: S112 -- one broken source must not hide all others from the scraper
                continue
            for family in families:
                _write_head(lines, family.name, family.kind, family.help)
                lines.extend(f"{family.name}{_labels(labels)} {_number(value)}" for labels, value in family.samples)
        lines.append("")
        return "\n".join(lines).encode()


def process_families() -> Iterable[Family]:
    """The process's own figures, by the names that Prometheus client libraries agreed on, and the build.

    Memory and descriptors come from /proc and are left out where there is none.
    """
    python = f"{sys.version_info.major}.{sys.version_info.minor}.{sys.version_info.micro}"
    build: Labels = (("version", package_version()), ("python", python), ("implementation", sys.implementation.name))
    yield Family("polywire_build_info", "gauge", "Always 1; its labels say what is running.", ((build, 1.0),))
    times = os.times()
    yield Family("process_cpu_seconds_total", "counter", "User and system time.", (((), times.user + times.system),))
    yield Family("process_start_time_seconds", "gauge", "Start, Unix time.", (((), _STARTED),))
    try:
        with open("/proc/self/statm", "rb") as file:
            resident = int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        descriptors = len(os.listdir("/proc/self/fd")) - 1  # without the one that lists
    except (OSError, ValueError, IndexError):
        return
    yield Family("process_resident_memory_bytes", "gauge", "Resident memory.", (((), float(resident)),))
    yield Family("process_open_fds", "gauge", "Open file descriptors.", (((), float(descriptors)),))


_STARTED = time.time()


@functools.cache
def package_version() -> str:
    """The installed version of polywire; "unknown" when it runs from a tree that was never installed."""
    from importlib import metadata

    try:
        return metadata.version("polywire")
    except metadata.PackageNotFoundError:
        return "unknown"


def _write_head(lines: list[str], name: str, kind: str, help: str) -> None:
    escaped = help.replace("\\", "\\\\").replace("\n", "\\n")
    lines.append(f"# HELP {name} {escaped}")
    lines.append(f"# TYPE {name} {kind}")


def _labels(labels: Labels) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escape(value)}"' for name, value in labels) + "}"


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(float(value))
