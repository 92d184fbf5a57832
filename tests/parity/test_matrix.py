"""The parity matrix: one service, every protocol, every way a call can end, and the caller learns the same."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from polywire import Code
from polywire.schema.types import Shape
from polywire.testing import TestClient
from tests.parity.dialects import DRIVERS
from tests.parity.drivers import Driver
from tests.parity.service import Probe, make_app


class Bench:
    """A driver, and the service behind it."""

    def __init__(self, driver: Driver, probe: Probe) -> None:
        self.driver = driver
        self.probe = probe


@pytest.fixture(params=[driver for driver in DRIVERS if Shape.UNARY in driver.shapes], ids=lambda driver: driver.name)
async def bench(request: pytest.FixtureRequest) -> AsyncIterator[Bench]:
    app, probe = make_app()
    async with TestClient(app) as client:
        yield Bench(request.param(client), probe)
        assert client.site.open_calls == 0
    assert probe.running == 0
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == {asyncio.current_task()}


Row = Callable[[Bench], Awaitable[None]]
ROWS: dict[str, Row] = {}
"""What the README's table lists, in order."""


def row(title: str) -> Callable[[Row], Row]:
    def add(function: Row) -> Row:
        ROWS[title] = function
        return function

    return add


@row("result")
async def _(bench: Bench) -> None:
    observed = await bench.driver.call("Unary", {"name": "naïve 1"})
    assert (observed.code, observed.value) == ("OK", {"name": "naïve 1", "count": 0})


@row("result after suspending")
async def _(bench: Bench) -> None:
    observed = await bench.driver.call("Suspended", {"name": "x"})
    assert (observed.code, observed.value) == ("OK", {"name": "x", "count": 0})


@row("result from a thread")
async def _(bench: Bench) -> None:
    observed = await bench.driver.call("Threaded", {"name": "x"})
    assert observed.code == "OK"
    assert observed.value["count"] > 0, "the thread sees its call"


@row("empty result")
async def _(bench: Bench) -> None:
    observed = await bench.driver.call("Empty", {})
    assert (observed.code, observed.value) == ("OK", None)


@row("every error code")
async def _(bench: Bench) -> None:
    for code in list(Code)[1:]:
        observed = await bench.driver.call("Fails", {"code": code.name})
        assert observed.code == code.name
        assert observed.reason == "TOLD_TO"
        assert observed.message == f"told to fail: 100% {code.name} é"
        assert observed.violations == (("code", "was asked for"),)


@row("deadline")
async def _(bench: Bench) -> None:
    observed = await bench.driver.call("Hangs", {}, timeout_s=0.03)
    assert observed.code == "DEADLINE_EXCEEDED"
    await asyncio.sleep(0)
    assert bench.probe.cancelled == 1


@row("deadline, handler does not stop")
async def _(bench: Bench) -> None:
    observed = await bench.driver.call("Stubborn", {}, timeout_s=0.01)
    assert observed.code == "DEADLINE_EXCEEDED"
    assert bench.driver.client.site.open_calls == 1, "it is still counted"
    (call,) = bench.driver.client.site.runtime.suspended
    assert call.task is not None
    await asyncio.wait({call.task})


@row("deadline, body never ends")
async def _(bench: Bench) -> None:
    sink = bench.driver.unfinished(0.02)
    observed = bench.driver.observe("Unary", await sink.answer())
    assert observed.code == "DEADLINE_EXCEEDED"
    sink.feed(b"rest", end=True)
    assert bench.driver.client.site.open_calls == 0


@row("caller gone")
async def _(bench: Bench) -> None:
    sink = bench.driver.open("Hangs", {})
    await asyncio.sleep(0)
    assert bench.probe.running == 1
    (call,) = bench.driver.client.site.runtime.suspended
    sink.leave()
    assert call.task is not None
    await asyncio.wait({call.task})
    assert (bench.probe.running, bench.probe.cancelled) == (0, 1)


@row("too large")
async def _(bench: Bench) -> None:
    observed = bench.driver.observe("Unary", await bench.driver.too_large().answer())
    assert (observed.code, observed.reason) == ("RESOURCE_EXHAUSTED", "TOO_LARGE")
    assert "10000" in observed.message, "the limit is named"


@row("malformed")
async def _(bench: Bench) -> None:
    observed = bench.driver.observe("Unary", await bench.driver.garbage().answer())
    assert (observed.code, observed.reason) == ("INVALID_ARGUMENT", "MALFORMED")


@row("invalid field")
async def _(bench: Bench) -> None:
    observed = bench.driver.observe("Unary", await bench.driver.invalid().answer())
    assert (observed.code, observed.reason) == ("INVALID_ARGUMENT", "INVALID")
    assert [field for field, _ in observed.violations] == ["count"]


@row("unauthenticated")
async def _(bench: Bench) -> None:
    observed = await bench.driver.call("Unary", {"name": "x"}, token="wrong")
    assert (observed.code, observed.reason) == ("UNAUTHENTICATED", "BAD_TOKEN")


@row("unknown method")
async def _(bench: Bench) -> None:
    observed = bench.driver.observe(bench.driver.nowhere, await bench.driver.unknown_method().answer())
    assert observed.code in ("NOT_FOUND", "UNIMPLEMENTED")


@row("unexpected exception")
async def _(bench: Bench) -> None:
    observed = await bench.driver.call("Raises", {})
    assert (observed.code, observed.message) == ("INTERNAL", "internal error")
    assert "secret" not in observed.raw
    assert "ZeroDivision" not in observed.raw


@row("wrong result")
async def _(bench: Bench) -> None:
    observed = await bench.driver.call("Wrong", {})
    assert (observed.code, observed.message) == ("INTERNAL", "internal error")
    assert "secret" not in observed.raw


@pytest.mark.parametrize("title", list(ROWS))
async def test_unary(bench: Bench, title: str) -> None:
    await ROWS[title](bench)
