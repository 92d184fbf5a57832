"""Checks: run together, timed out, shared, and never quoted."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from polywire.runtime.health import FAILED, TIMED_OUT, Health, ServingStatus, State
from polywire.service.app import HealthCheck


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


async def passes() -> None: ...


async def fails() -> None:
    raise ConnectionError("password 'hunter2' refused by db.internal")


async def hangs() -> None:
    await asyncio.Event().wait()


def passes_sync() -> bool:
    return True


def fails_sync() -> None:
    raise ValueError("secret")


def says_no() -> bool:
    return False


OUTCOMES = [(passes, None), (passes_sync, None), (fails, FAILED), (fails_sync, FAILED), (says_no, FAILED)]


@pytest.mark.parametrize(("function", "error"), OUTCOMES)
async def test_an_outcome(function: Any, error: str | None) -> None:
    report = await serving(HealthCheck("db", function)).report()
    assert report.dependencies["db"].error == error
    assert report.dependencies["db"].ok is (error is None)
    assert report.ready is (error is None)


def serving(*checks: HealthCheck, **options: Any) -> Health:
    health = Health(checks, **options)
    health.state = State.SERVING
    return health


async def test_a_check_is_timed_out_and_the_others_are_not() -> None:
    report = await serving(HealthCheck("slow", hangs, 0.01), HealthCheck("fine", passes)).report()
    assert report.dependencies["slow"].error == TIMED_OUT
    assert report.dependencies["fine"].ok


async def test_checks_run_at_the_same_time() -> None:
    meeting = asyncio.Barrier(3)

    async def meet() -> None:
        await meeting.wait()

    report = await serving(*[HealthCheck(name, meet, 2.0) for name in "abc"]).report()
    assert report.healthy


async def test_a_thread_that_hangs_is_not_started_twice() -> None:
    release, runs = threading.Event(), []

    def hang() -> None:
        runs.append(1)
        release.wait(5)

    clock = Clock()
    health = serving(HealthCheck("db", hang, 0.01), clock=clock)
    for _ in range(3):
        assert (await health.report()).dependencies["db"].error == TIMED_OUT
        clock.now += 2
    assert len(runs) == 1
    release.set()
    async with asyncio.timeout(2):
        while not (await health.report()).healthy:
            clock.now += 2
    assert len(runs) == 2


async def test_many_probes_are_one_run() -> None:
    runs = []

    async def check() -> None:
        runs.append(1)
        await asyncio.sleep(0)

    clock = Clock()
    health = serving(HealthCheck("db", check), clock=clock)
    await asyncio.gather(*[health.report() for _ in range(50)])
    await health.report()
    assert len(runs) == 1
    clock.now += 1.0
    await health.report()
    assert len(runs) == 2


async def test_a_probe_that_leaves_does_not_end_the_run() -> None:
    go = asyncio.Event()
    health = serving(HealthCheck("db", go.wait))
    probes = [asyncio.ensure_future(health.report()) for _ in range(2)]
    await asyncio.sleep(0)
    probes[0].cancel()
    await asyncio.sleep(0)
    go.set()
    assert (await probes[1]).healthy


async def test_close_ends_a_run() -> None:
    before = asyncio.all_tasks()
    health = serving(HealthCheck("db", hangs))
    probe = asyncio.ensure_future(health.report())
    await asyncio.sleep(0)
    await health.close()
    with pytest.raises(asyncio.CancelledError):
        await probe
    assert asyncio.all_tasks() == before


@pytest.mark.parametrize(("state", "ready"), [(State.STARTING, False), (State.SERVING, True), (State.DRAINING, False)])
async def test_ready_only_while_serving(state: State, ready: bool) -> None:
    health = Health()
    health.state = state
    assert (await health.report()).ready is ready
    expected = ServingStatus.SERVING if ready else ServingStatus.NOT_SERVING
    assert health.service_status("") is expected


async def test_service_status() -> None:
    health = serving(services=["b.B", "a.A"])
    assert health.service_status("a.A") is ServingStatus.SERVING
    assert health.service_status("c.C") is ServingStatus.SERVICE_UNKNOWN
    assert health.service_names() == ["a.A", "b.B"]


async def test_changes_are_told_once_each() -> None:
    healthy = True
    clock = Clock()

    async def check() -> bool:
        return healthy

    health = Health([HealthCheck("db", check)], clock=clock)
    seen: list[ServingStatus] = []
    stop = health.on_change(lambda: seen.append(health.service_status("")))
    health.state = State.SERVING
    health.state = State.SERVING
    await health.report()
    healthy, clock.now = False, clock.now + 2
    await health.report()
    clock.now += 2
    await health.report()
    stop()
    health.state = State.DRAINING
    assert seen == [ServingStatus.SERVING, ServingStatus.NOT_SERVING]


async def test_a_callback_that_fails_stops_no_other(caplog: pytest.LogCaptureFixture) -> None:
    seen = []
    health = Health()
    health.on_change(lambda: 1 // 0)  # type: ignore[arg-type,return-value]
    health.on_change(lambda: seen.append(1))
    health.state = State.SERVING
    assert seen == [1]
    assert "ZeroDivisionError" in caplog.text


async def test_report_says_when_and_how_long() -> None:
    clock = Clock()
    health = serving(clock=clock, wall=lambda: 0.0)
    clock.now += 12.5
    report = await health.report()
    assert (report.timestamp, report.uptime_s) == ("1970-01-01T00:00:00.000Z", 12.5)


async def test_a_check_that_awaits_something_cancelled_has_failed() -> None:
    async def cancelled() -> None:
        raise asyncio.CancelledError

    report = await serving(HealthCheck("db", cancelled), HealthCheck("cache", passes)).report()
    assert [result.error for result in report.dependencies.values()] == [FAILED, None]


def test_names_are_unique() -> None:
    with pytest.raises(ValueError, match="'db' is registered twice"):
        Health([HealthCheck("db", passes), HealthCheck("db", passes)])
