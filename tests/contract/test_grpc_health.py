from __future__ import annotations

import asyncio

import pytest

from polywire import App, Service, query
from polywire.errors import NotFound, ResourceExhausted
from polywire.protocols.grpc.health import HealthCheckRequest, HealthListRequest, HealthService
from polywire.runtime import runtime
from polywire.runtime.health import Health, ServingStatus, State
from polywire.schema.types import Shape
from polywire.service.app import HealthCheck
from polywire.testing import TestClient


class Greeter(Service, package="hello"):
    @query
    async def greet(self) -> str:
        return "hello"


def serving(health: Health) -> Health:
    health.state = State.SERVING
    return health


def test_the_published_names_and_numbers() -> None:
    table = HealthService.__polywire__
    assert {method.path: method.shape for method in table.methods} == {
        "/grpc.health.v1.Health/Check": Shape.UNARY,
        "/grpc.health.v1.Health/List": Shape.UNARY,
        "/grpc.health.v1.Health/Watch": Shape.SERVER_STREAM,
    }
    check = table.methods[0]
    assert [(field.name, field.number) for field in (*check.input.fields, *check.output.fields)] == [
        ("service", 1),
        ("status", 1),
    ]


@pytest.mark.parametrize(
    ("state", "service", "status"),
    [
        (State.STARTING, "", ServingStatus.NOT_SERVING),
        (State.SERVING, "", ServingStatus.SERVING),
        (State.SERVING, "shop.Shop", ServingStatus.SERVING),
        (State.DRAINING, "shop.Shop", ServingStatus.NOT_SERVING),
    ],
)
async def test_check(state: State, service: str, status: ServingStatus) -> None:
    health = Health(services=["shop.Shop"])
    health.state = state
    answer = await HealthService(health).check(HealthCheckRequest(service))
    assert answer.status == status
    assert type(answer.status) is int


async def test_check_of_an_unknown_service_is_not_found() -> None:
    with pytest.raises(NotFound):
        await HealthService(serving(Health())).check(HealthCheckRequest("nobody"))


async def test_a_failed_dependency_is_not_serving() -> None:
    health = serving(Health([HealthCheck("database", lambda: False)]))
    answer = await HealthService(health).check(HealthCheckRequest())
    assert answer.status == ServingStatus.NOT_SERVING


async def test_list() -> None:
    answer = await HealthService(serving(Health(services=["b.B", "a.A"]))).list(HealthListRequest())
    assert {name: one.status for name, one in answer.statuses.items()} == {"": 1, "a.A": 1, "b.B": 1}


async def test_a_list_is_bounded() -> None:
    health = serving(Health(services=[f"s.S{number}" for number in range(100)]))
    with pytest.raises(ResourceExhausted):
        await HealthService(health).list(HealthListRequest())


async def test_watch_tells_each_change_once_and_ends_with_the_server() -> None:
    health = serving(Health(services=["shop.Shop"]))
    watch = aiter(HealthService(health).watch(HealthCheckRequest("shop.Shop")))
    assert (await anext(watch)).status == ServingStatus.SERVING
    following = asyncio.ensure_future(anext(watch))
    health.state = State.STARTING
    assert (await following).status == ServingStatus.NOT_SERVING
    following = asyncio.ensure_future(anext(watch))
    health.state = State.SERVING
    assert (await following).status == ServingStatus.SERVING
    following = asyncio.ensure_future(anext(watch))
    health.state = State.DRAINING
    assert (await following).status == ServingStatus.NOT_SERVING
    with pytest.raises(StopAsyncIteration):
        await anext(watch)


async def test_a_worker_that_is_replaced_sends_its_watchers_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "_LEAST_SPREAD_S", 0.02)
    headers = [("content-type", "application/grpc"), ("te", "trailers")]
    async with TestClient(App(Greeter())) as client, asyncio.timeout(10):
        health = client.site.health
        health.state = State.SERVING
        watching = client.open("POST", "/grpc.health.v1.Health/Watch", headers=headers, body=bytes(5), version="2")
        assert await watching.received() == b"\0\0\0\0\2\x08\1", "SERVING"
        client.site.go_away()
        assert (await watching.answer()).trailers["grpc-status"] == "14"
        assert health.state is State.SERVING, "as of a worker that is replaced"


async def test_watch_of_an_unknown_service_stays_open() -> None:
    health = serving(Health())
    watch = HealthService(health).watch(HealthCheckRequest("nobody"))
    assert (await anext(watch)).status == ServingStatus.SERVICE_UNKNOWN
    following = asyncio.ensure_future(anext(watch))
    for _ in range(3):
        await asyncio.sleep(0)
    assert not following.done()
    following.cancel()
    with pytest.raises(asyncio.CancelledError):
        await following


async def test_watch_runs_the_checks_itself() -> None:
    now = 0.0
    fine = True
    health = serving(Health([HealthCheck("database", lambda: fine)], clock=lambda: now))
    watch = HealthService(health, refresh_s=0.001).watch(HealthCheckRequest())
    assert (await anext(watch)).status == ServingStatus.SERVING
    fine, now = False, 10.0
    assert (await anext(watch)).status == ServingStatus.NOT_SERVING
    await watch.aclose()


async def test_a_watcher_that_leaves_is_forgotten() -> None:
    health = serving(Health())
    watch = HealthService(health).watch(HealthCheckRequest())
    await anext(watch)
    assert health._callbacks
    await watch.aclose()
    assert not health._callbacks
