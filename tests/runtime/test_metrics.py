"""Counters and their text form."""

from __future__ import annotations

import pytest

from polywire.errors import Code
from polywire.runtime.metrics import Family, Metrics


def lines(metrics: Metrics) -> list[str]:
    return metrics.render().decode().splitlines()


def test_counts_calls_by_method_protocol_and_code() -> None:
    metrics = Metrics()
    get = metrics.method("user.UserService/GetUser", "rest")
    get.record(0, 1000)
    get.record(0, 1000)
    get.record(Code.NOT_FOUND, 1000)
    name = 'polywire_calls_total{method="user.UserService/GetUser",protocol="rest",code='
    assert [line for line in lines(metrics) if line.startswith(name)] == [name + '"OK"} 2', name + '"NOT_FOUND"} 1']
    assert get.count == 3


def test_the_same_pair_is_the_same_object() -> None:
    metrics = Metrics()
    assert metrics.method("a.B/C", "grpc") is metrics.method("a.B/C", "grpc")
    assert metrics.method("a.B/C", "grpc") is not metrics.method("a.B/C", "rest")


@pytest.mark.parametrize(
    ("duration_ns", "first_bound"),
    [(0, "8.192e-06"), (8191, "8.192e-06"), (8192, "1.6384e-05"), (1_000_000, "0.001048576"), (10**9, "1.073741824"),
     (60 * 10**9, "68.719476736"), (70 * 10**9, "+Inf"), (10**15, "+Inf")],
)  # fmt: skip
def test_a_duration_is_in_the_first_bucket_that_holds_it(duration_ns: int, first_bound: str) -> None:
    metrics = Metrics()
    metrics.method("a.B/C", "rest").record(0, duration_ns)
    buckets = [line for line in lines(metrics) if line.startswith("polywire_call_duration_seconds_bucket")]
    holding = [line.split('le="')[1].split('"')[0] for line in buckets if line.endswith(" 1")]
    assert holding[0] == first_bound
    assert len(holding) == len(buckets) - [line.endswith(" 1") for line in buckets].index(True)


def test_histogram_is_complete() -> None:
    metrics = Metrics()
    for duration_ns in (500, 2_000_000, 3_000_000_000):
        metrics.method("a.B/C", "rest").record(0, duration_ns)
    text = lines(metrics)
    labels = '{method="a.B/C",protocol="rest"'
    assert f'polywire_call_duration_seconds_bucket{labels},le="+Inf"}} 3' in text
    assert f"polywire_call_duration_seconds_count{labels}}} 3" in text
    assert f"polywire_call_duration_seconds_sum{labels}}} 3.0020005" in text
    assert text.count("# TYPE polywire_call_duration_seconds histogram") == 1


def test_label_values_are_escaped() -> None:
    metrics = Metrics()
    metrics.method('a"b\\c\nd', "rest").record(0, 1)
    assert 'polywire_calls_total{method="a\\"b\\\\c\\nd",protocol="rest",code="OK"} 1' in lines(metrics)


def test_http_statuses() -> None:
    metrics = Metrics()
    metrics.http_statuses[404] += 2
    assert 'polywire_http_requests_total{status="404"} 2' in lines(metrics)


def test_gauges_are_read_when_scraped() -> None:
    metrics = Metrics()
    values = [1.0, 2.5]
    labels = (("queue", "mail"),)
    metrics.add_collector(lambda: [Family("app_queue", "gauge", "What waits.", [(labels, values.pop())])])
    assert 'app_queue{queue="mail"} 2.5' in lines(metrics)
    assert 'app_queue{queue="mail"} 1' in lines(metrics)


def test_a_collector_that_fails_hides_no_other() -> None:
    def broken() -> list[Family]:
        raise RuntimeError("no")

    metrics = Metrics()
    metrics.add_collector(broken)
    metrics.add_collector(lambda: [Family("app_fine", "gauge", "Fine.", [((), 1)])])
    assert "app_fine 1" in lines(metrics)


def test_process_figures() -> None:
    figures = {}
    for line in lines(Metrics()):
        if not line.startswith("#"):
            name, _, value = line.rpartition(" ")
            figures[name.partition("{")[0]] = float(value)
    assert figures["process_resident_memory_bytes"] > 1_000_000
    assert figures["process_open_fds"] > 2
    assert figures["process_cpu_seconds_total"] > 0
    assert figures["polywire_build_info"] == 1


def test_every_line_is_a_comment_or_a_sample() -> None:
    metrics = Metrics()
    metrics.method("a.B/C", "rest").record(0, 1)
    metrics.add_collector(lambda: [Family("app_x", "gauge", "two\nlines \\ and a backslash", [((), 0.1)])])
    text = metrics.render().decode()
    assert text.endswith("\n")
    for line in text.splitlines():
        assert line.startswith(("# HELP ", "# TYPE ")) or float(line.rpartition(" ")[2]) >= 0
