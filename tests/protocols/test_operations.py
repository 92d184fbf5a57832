"""What the endpoints of operations answer."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from polywire import App, Service, query
from polywire.protocols.docs_page.endpoints import docs_endpoints
from polywire.protocols.javascript import javascript_endpoints
from polywire.protocols.operations import Operations
from polywire.runtime.health import Health, State
from polywire.runtime.metrics import Metrics
from polywire.service.app import OWN_PATHS, HealthCheck
from polywire.wire.headers import HeaderBlock


class Asked:
    """An exchange that notes its answer."""

    def __init__(self) -> None:
        self.answered = asyncio.Event()

    def respond(self, status: int, headers: HeaderBlock, body: bytes) -> None:
        self.status = status
        self.fields = dict(headers.pairs)
        self.body = body
        self.answered.set()

    @property
    def json(self) -> Any:
        return json.loads(self.body)


async def ask(operations: Operations, path: str) -> Asked:
    asked = Asked()
    operations.endpoints()[path](asked)  # type: ignore[arg-type]
    async with asyncio.timeout(2):
        await asked.answered.wait()
    await operations.close()
    assert asked.fields[b"cache-control"] == b"no-store"
    return asked


async def works() -> None: ...


async def breaks() -> None:
    raise OSError("10.0.0.7 refused password hunter2")


def operations(state: State, *checks: HealthCheck) -> Operations:
    health = Health(checks, environment="test", version="1.2.3")
    health.state = state
    return Operations(health, Metrics())


async def test_health_reports_everything() -> None:
    asked = await ask(operations(State.SERVING, HealthCheck("db", works)), "/health")
    assert asked.status == 200
    body = asked.json
    assert (body["status"], body["environment"], body["version"]) == ("ok", "test", "1.2.3")
    assert body["uptime_s"] >= 0
    assert body["timestamp"].endswith("Z")
    assert body["dependencies"]["db"]["status"] == "ok"
    assert body["dependencies"]["db"]["latency_ms"] >= 0
    assert "error" not in body["dependencies"]["db"]


async def test_health_tells_nothing_of_what_a_check_said() -> None:
    asked = await ask(operations(State.SERVING, HealthCheck("db", breaks)), "/health")
    assert (asked.status, asked.json["status"]) == (503, "unavailable")
    assert asked.json["dependencies"]["db"]["error"] == "check failed"
    assert b"hunter2" not in asked.body


STATES = [
    (State.STARTING, 200, 503),
    (State.SERVING, 200, 200),
    (State.DRAINING, 200, 503),
]


@pytest.mark.parametrize(("state", "live", "ready"), STATES)
async def test_live_and_ready(state: State, live: int, ready: int) -> None:
    assert (await ask(operations(state), "/health/live")).status == live
    assert (await ask(operations(state), "/health/ready")).status == ready


async def test_not_ready_while_a_dependency_fails_but_alive() -> None:
    asked = operations(State.SERVING, HealthCheck("db", breaks))
    assert (await ask(asked, "/health/ready")).status == 503
    assert (await ask(asked, "/health/live")).status == 200


async def test_metrics() -> None:
    asked = await ask(operations(State.SERVING), "/metrics")
    assert asked.status == 200
    assert asked.fields[b"content-type"] == b"text/plain; version=0.0.4; charset=utf-8"
    assert b"# TYPE polywire_calls_total counter\n" in asked.body


def test_an_app_knows_what_is_answered_beside_it() -> None:
    class Thing(Service):
        @query
        async def run(self) -> None: ...

    answered = {*operations(State.SERVING).endpoints(), *docs_endpoints(App(Thing())), *javascript_endpoints()}
    assert answered == OWN_PATHS
