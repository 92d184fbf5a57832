"""Counters of this process, without a dependency; `runtime/snapshot.py` has their text form.

The hot path touches plain list slots only; names, labels and bucket bounds are made when somebody scrapes.
Counting is for one event loop's thread: nothing is locked.
"""

from __future__ import annotations

import functools
import os
import sys
import time
from collections.abc import Awaitable, Callable, Iterable

from polywire.errors import Code
from polywire.runtime.snapshot import Family as Family  # what collectors give: named here for them
from polywire.runtime.snapshot import Labels, MethodCounts, Snapshot, render

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_CODE_COUNT = max(Code) + 1
_SLOTS = 65

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

    def counts(self) -> MethodCounts:
        return MethodCounts(self.method, self.protocol, list(self._codes), list(self._buckets), self._sum_ns)


class Metrics:
    """What one process counts. Methods are registered at start-up; their number bounds the size of an exposition."""

    __slots__ = ("_collectors", "_methods", "gather", "http_statuses")

    def __init__(self) -> None:
        self._methods: dict[tuple[str, str], MethodMetrics] = {}
        self._collectors: list[Collector] = [process_families]
        self.http_statuses = [0] * 600
        """Answers by HTTP status: whoever finishes an exchange adds one to its slot, 100 to 599."""
        self.gather: Callable[[], Awaitable[bytes | None]] | None = None
        """What `/metrics` shows in the place of `render`, where this process is one of several; None: not to be had."""

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

    def snapshot(self) -> Snapshot:
        """Everything counted, at this moment."""
        families: list[Family] = []
        for collector in self._collectors:
            try:
                families += [_checked(family) for family in collector()]
            except Exception:  # noqa: S112 -- one broken source must not hide all others from the scraper
                continue
        statuses = {status: count for status, count in enumerate(self.http_statuses) if count}
        return Snapshot([method.counts() for method in self._methods.values()], statuses, families)

    def render(self) -> bytes:
        """Everything counted, in the text exposition format, UTF-8."""
        return render(self.snapshot())


def _checked(family: Family) -> Family:
    """The same, with labels and values of the types that are promised: it may go to another process."""
    samples = [
        (tuple((str(name), str(value)) for name, value in labels), float(value)) for labels, value in family.samples
    ]
    return Family(str(family.name), str(family.kind), str(family.help), samples, family.merge)


def process_families() -> Iterable[Family]:
    """The process's own figures, by the names that Prometheus client libraries agreed on, and the build.

    Memory and descriptors come from /proc and are left out where there is none.
    """
    python = f"{sys.version_info.major}.{sys.version_info.minor}.{sys.version_info.micro}"
    build: Labels = (("version", package_version()), ("python", python), ("implementation", sys.implementation.name))
    yield Family("polywire_build_info", "gauge", "Always 1; its labels say what is running.", ((build, 1.0),), "max")
    times = os.times()
    yield Family("process_cpu_seconds_total", "counter", "User and system time.", (((), times.user + times.system),))
    yield Family("process_start_time_seconds", "gauge", "Start, Unix time.", (((), _STARTED),), "min")
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
