"""Snapshots of metrics: added up and written out."""

from __future__ import annotations

import math

import pytest

from polywire.runtime.metrics import Metrics
from polywire.runtime.snapshot import Family, Snapshot, decode, encode, merge, render


def one(calls: int) -> Snapshot:
    metrics = Metrics()
    for n in range(calls):
        metrics.method("a.B/C", "rest").record(n % 2, 2**20 + n)
    metrics.http_statuses[200] += calls
    return metrics.snapshot()


def test_it_survives_the_way_to_another_process() -> None:
    snapshot = one(3)
    assert render(decode(encode(snapshot))) == render(snapshot)


def test_the_sum_of_two_is_what_one_would_have_counted() -> None:
    both = render(merge([one(3), one(4)])).decode().splitlines()
    assert 'polywire_calls_total{method="a.B/C",protocol="rest",code="OK"} 4' in both
    assert 'polywire_calls_total{method="a.B/C",protocol="rest",code="CANCELLED"} 3' in both
    assert 'polywire_call_duration_seconds_bucket{method="a.B/C",protocol="rest",le="0.002097152"} 7' in both
    assert 'polywire_http_requests_total{status="200"} 7' in both
    assert len([line for line in both if line.startswith("polywire_build_info{")]) == 1
    assert [line[-2:] for line in both if line.startswith("polywire_build_info{")] == [" 1"]


def test_merging_leaves_what_is_merged_alone() -> None:
    first, second = one(1), one(2)
    before = encode(first)
    merge([first, second])
    assert encode(first) == before


@pytest.mark.parametrize(("how", "value"), [("sum", "5"), ("max", "3"), ("min", "2")])
def test_a_family_says_how_it_is_merged(how: str, value: str) -> None:
    both = [Snapshot(families=[Family("x", "gauge", "X.", [((), number)], how)]) for number in (2.0, 3.0)]
    assert f"x {value}" in render(merge(both)).decode().splitlines()


def test_values_that_are_no_numbers_have_a_form() -> None:
    samples = [((("n", str(n)),), value) for n, value in enumerate((math.inf, -math.inf, math.nan))]
    text = render(Snapshot(families=[Family("x", "gauge", "X.", samples)])).decode()
    assert 'x{n="0"} +Inf\nx{n="1"} -Inf\nx{n="2"} NaN\n' in text
