"""What metrics say at one moment, as data: it goes between processes, is added up, and is written out as text."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import msgspec

from polywire.errors import Code

Labels = tuple[tuple[str, str], ...]

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
    merge: str = "sum"
    """What several processes say together: the `sum` of theirs, the `max` or the `min`."""


class MethodCounts(msgspec.Struct, array_like=True):
    """Calls of one method over one protocol. buckets: slot n counts durations below 2**n ns, from 2**(n-1) on."""

    method: str
    protocol: str
    codes: list[int]
    buckets: list[int]
    sum_ns: int


class Snapshot(msgspec.Struct, array_like=True):
    methods: list[MethodCounts] = []
    statuses: dict[int, int] = {}
    """Answers by HTTP status."""
    families: list[Family] = []

    def counters(self) -> Snapshot:
        """Without the gauges: what still counts once its process is gone."""
        return Snapshot(self.methods, self.statuses, [family for family in self.families if family.kind == "counter"])


encode: Callable[[Snapshot], bytes] = msgspec.msgpack.Encoder().encode
decode: Callable[[bytes], Snapshot] = msgspec.msgpack.Decoder(Snapshot).decode
"""Raises msgspec.ValidationError or DecodeError for what `encode` did not write."""

_MERGE: dict[str, Callable[[float, float], float]] = {"sum": lambda a, b: a + b, "max": max, "min": min}


def merge(snapshots: Iterable[Snapshot]) -> Snapshot:
    """What several processes say together. Of a family's kind and help, the first counts."""
    methods: dict[tuple[str, str], MethodCounts] = {}
    statuses: dict[int, int] = {}
    families: dict[str, tuple[Family, dict[Labels, float]]] = {}
    for snapshot in snapshots:
        for one in snapshot.methods:
            known = methods.get((one.method, one.protocol))
            if known is None:
                known = MethodCounts(one.method, one.protocol, [], [], 0)
                methods[one.method, one.protocol] = known
            known.codes = _added(known.codes, one.codes)
            known.buckets = _added(known.buckets, one.buckets)
            known.sum_ns += one.sum_ns
        for status, count in snapshot.statuses.items():
            statuses[status] = statuses.get(status, 0) + count
        for family in snapshot.families:
            first, samples = families.setdefault(family.name, (family, {}))
            combine = _MERGE.get(first.merge, _MERGE["sum"])
            for labels, value in family.samples:
                samples[labels] = combine(samples[labels], value) if labels in samples else value
    return Snapshot(
        list(methods.values()),
        statuses,
        [Family(first.name, first.kind, first.help, list(samples.items()), first.merge)
         for first, samples in families.values()],
    )  # fmt: skip


def _added(a: list[int], b: list[int]) -> list[int]:
    if len(a) < len(b):
        a, b = b, a
    return [x + y for x, y in zip(a, b, strict=False)] + a[len(b) :]


def render(snapshot: Snapshot) -> bytes:
    """The Prometheus text form (exposition format 0.0.4), UTF-8."""
    lines: list[str] = []
    methods = sorted(snapshot.methods, key=lambda item: (item.method, item.protocol))
    _write_head(lines, "polywire_calls_total", "counter", "Calls finished, by method, protocol and canonical code.")
    for method in methods:
        _write_codes(lines, method)
    _write_head(lines, "polywire_call_duration_seconds", "histogram", "Time from a call's head to its outcome.")
    for method in methods:
        _write_durations(lines, method)
    _write_head(lines, "polywire_http_requests_total", "counter", "HTTP requests answered, by status.")
    for status, count in sorted(snapshot.statuses.items()):
        lines.append(f'polywire_http_requests_total{{status="{status}"}} {count}')
    for family in snapshot.families:
        _write_head(lines, family.name, family.kind, family.help)
        lines.extend(f"{family.name}{_labels(labels)} {_number(value)}" for labels, value in family.samples)
    lines.append("")
    return "\n".join(lines).encode()


def _write_codes(lines: list[str], counts: MethodCounts) -> None:
    for number, count in enumerate(counts.codes):
        if count:
            labels = (("method", counts.method), ("protocol", counts.protocol), ("code", Code(number).name))
            lines.append(f"polywire_calls_total{_labels(labels)} {count}")


def _write_durations(lines: list[str], counts: MethodCounts) -> None:
    count = sum(counts.buckets)
    if not count:
        return
    labels = _labels((("method", counts.method), ("protocol", counts.protocol)))
    opened = labels[:-1]
    name = "polywire_call_duration_seconds"
    running = sum(counts.buckets[:_FIRST_BOUND])
    for exponent in range(_FIRST_BOUND, _LAST_BOUND + 1):
        running += counts.buckets[exponent]
        lines.append(f'{name}_bucket{opened},le="{_number(2**exponent / 1e9)}"}} {running}')
    lines.append(f'{name}_bucket{opened},le="+Inf"}} {count}')
    lines.append(f"{name}_sum{labels} {_number(counts.sum_ns / 1e9)}")
    lines.append(f"{name}_count{labels} {count}")


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
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else "+Inf" if value > 0 else "-Inf"
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(float(value))
