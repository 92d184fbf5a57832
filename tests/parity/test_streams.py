"""The parity matrix of streams: every shape over every protocol that carries it, and every way it can end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, NamedTuple

import pytest

from polywire import Code
from polywire.errors import IDLE
from polywire.schema.types import Shape
from polywire.testing import MemorySink, TestClient
from polywire.testing.memory import HIGH_WATER_BYTES
from tests.parity.dialects import DRIVERS
from tests.parity.drivers import Driver, Observed
from tests.parity.service import LIMIT, Probe, make_app

SERVER, CLIENT, BIDI = Shape.SERVER_STREAM, Shape.CLIENT_STREAM, Shape.BIDI_STREAM
METHODS = {SERVER: "Play", CLIENT: "Count", BIDI: "Mirror"}


class Talk:
    """A stream under way, by its caller."""

    def __init__(self, driver: Driver, method: str, shape: Shape, sink: MemorySink) -> None:
        self.sink = sink
        self._driver = driver
        self._method = method
        self._shape = shape
        self._received = b""
        self._seen = 0

    def send(self, *steps: str) -> None:
        for step in steps:
            self.sink.feed(self._driver.item(step))

    async def item(self) -> Any:
        """The next item of the answer."""
        while True:
            items = self._driver.items(self._method, self._received)
            if len(items) > self._seen:
                self._seen += 1
                return items[self._seen - 1]
            part = await self.sink.received()
            assert part, "the answer has ended"
            self._received += part

    async def outcome(self) -> Observed:
        """Read to the end."""
        answer = await self.sink.answer()
        while part := await self.sink.received():
            self._received += part
        answer.body = self._received or answer.body
        if self._shape is CLIENT:
            return self._driver.observe(self._method, answer)
        return self._driver.end(self._method, answer)


class Bench:
    """A driver, and the service behind it."""

    def __init__(self, driver: Driver, probe: Probe, shape: Shape) -> None:
        self.driver = driver
        self.probe = probe
        self.shape = shape

    def talk(self, *steps: str, end: bool = True, idle: bool = False, **options: Any) -> Talk:
        """Start a stream with these steps. end: they are all; otherwise a caller that streams goes on."""
        method = f"Idle{METHODS[self.shape]}" if idle else METHODS[self.shape]
        sink = self.driver.start(method, list(steps) if self.shape is SERVER else None, **options)
        talk = Talk(self.driver, method, self.shape, sink)
        if self.shape is not SERVER:
            talk.send(*steps)
            if end:
                sink.feed(b"", end=True)
        return talk

    def names(self, observed: Observed) -> list[str]:
        return [item["name"] for item in observed.items]

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not condition():  # noqa: ASYNC110 -- turns of the loop, no time
                await asyncio.sleep(0)

    async def ended(self) -> None:
        """Wait until no handler runs."""
        await self.until(lambda: not self.driver.client.site.open_calls and not self.probe.running)


@pytest.fixture
async def bench(request: pytest.FixtureRequest) -> AsyncIterator[Bench]:
    driver, shape = request.param
    app, probe = make_app()
    async with TestClient(app) as client:
        yield Bench(driver(client), probe, shape)
        assert client.site.open_calls == 0
    assert probe.running == 0
    # What the service loops over inside is closed by the loop, in tasks of its own (PEP 525).
    left = asyncio.all_tasks() - {asyncio.current_task()}
    if left:
        _, left = await asyncio.wait(left, timeout=10)
    assert not left


class Row(NamedTuple):
    title: str
    shapes: tuple[Shape, ...]
    run: Callable[[Bench], Awaitable[None]]


ROWS: list[Row] = []
"""What the README's table lists, in order."""

Run = Callable[[Bench], Awaitable[None]]


def row(title: str, *shapes: Shape) -> Callable[[Run], Run]:
    def add(function: Run) -> Run:
        ROWS.append(Row(title, shapes or (SERVER, CLIENT, BIDI), function))
        return function

    return add


@row("all items, in order")
async def _(bench: Bench) -> None:
    observed = await bench.talk("a", "naïve", "c").outcome()
    assert observed.code == "OK"
    if bench.shape is CLIENT:
        assert observed.value == {"name": "c", "count": 3}
    else:
        assert observed.items == [{"name": "a", "count": 1}, {"name": "naïve", "count": 5}, {"name": "c", "count": 1}]


@row("no items")
async def _(bench: Bench) -> None:
    observed = await bench.talk().outcome()
    assert (observed.code, observed.items) == ("OK", [])
    if bench.shape is CLIENT:
        assert observed.value == {"name": "none", "count": 0}


@row("an item as it comes, before the next", SERVER, BIDI)
async def _(bench: Bench) -> None:
    if bench.shape is BIDI:
        talk = bench.talk(end=False)
        for name in "abc":
            talk.send(name)
            assert (await talk.item())["name"] == name
        talk.sink.feed(b"", end=True)
        assert (await talk.outcome()).code == "OK", "the half-close is seen"
        return
    talk = bench.talk("a", "!WAIT")
    assert (await talk.item())["name"] == "a"
    talk.sink.leave()
    await bench.ended()


@row("answer only after the half-close", CLIENT)
async def _(bench: Bench) -> None:
    talk = bench.talk("a", "b", end=False)
    await bench.until(lambda: bench.probe.running == 1)
    for _ in range(10):
        await asyncio.sleep(0)
    assert not talk.sink.closed
    talk.sink.feed(b"", end=True)
    assert (await talk.outcome()).value == {"name": "b", "count": 2}


@row("answer before the caller has finished", CLIENT, BIDI)
async def _(bench: Bench) -> None:
    talk = bench.talk("a", "!END", "b", end=False)
    observed = await talk.outcome()
    assert observed.code == "OK"
    if bench.shape is CLIENT:
        assert observed.value == {"name": "a", "count": 1}
    else:
        assert bench.names(observed) == ["a"]
    talk.send("c")
    await bench.ended()


@row("every error code, before the first item")
async def _(bench: Bench) -> None:
    for code in list(Code)[1:]:
        observed = await bench.talk(f"!{code.name}").outcome()
        assert (observed.code, observed.reason, observed.items) == (code.name, "TOLD_TO", [])
        assert observed.message == f"told to fail: 100% {code.name} é"
        assert observed.violations == (("code", "was asked for"),)


@row("every error code, in the middle")
async def _(bench: Bench) -> None:
    for code in list(Code)[1:]:
        observed = await bench.talk("a", "b", f"!{code.name}", "c").outcome()
        assert (observed.code, observed.reason) == (code.name, "TOLD_TO")
        assert observed.message == f"told to fail: 100% {code.name} é"
        assert observed.violations == (("code", "was asked for"),)
        assert bench.names(observed) == ([] if bench.shape is CLIENT else ["a", "b"])


@row("deadline in the middle")
async def _(bench: Bench) -> None:
    observed = await bench.talk("a", "!WAIT", timeout_s=0.03).outcome()
    assert (observed.code, observed.reason) == ("DEADLINE_EXCEEDED", None)
    assert bench.names(observed) == ([] if bench.shape is CLIENT else ["a"])
    await bench.ended()
    assert bench.probe.cancelled == 1


@row("deadline, the caller never finishes", CLIENT, BIDI)
async def _(bench: Bench) -> None:
    observed = await bench.talk("a", end=False, timeout_s=0.03).outcome()
    assert observed.code == "DEADLINE_EXCEEDED"
    await bench.ended()
    assert bench.probe.cancelled == 1


@row("idle time-out")
async def _(bench: Bench) -> None:
    observed = await bench.talk("a", "!WAIT", idle=True).outcome()
    assert (observed.code, observed.reason) == ("DEADLINE_EXCEEDED", IDLE)
    assert bench.names(observed) == ([] if bench.shape is CLIENT else ["a"])
    await bench.ended()
    assert bench.probe.cancelled == 1


@row("caller gone in the middle")
async def _(bench: Bench) -> None:
    talk = bench.talk("a", "!WAIT", end=False)
    if bench.shape is CLIENT:
        await bench.until(lambda: bench.probe.running == 1)
    else:
        await talk.item()
    talk.sink.leave()
    await bench.ended()


@row("a slow reader bounds what is made", SERVER, BIDI)
async def _(bench: Bench) -> None:
    talk = bench.talk("!FLOOD", end=False, paused=True)
    await bench.until(lambda: bench.probe.made > 0)
    for _ in range(20):
        await asyncio.sleep(0)
    assert bench.probe.made * 1000 <= HIGH_WATER_BYTES + 1000
    made = bench.probe.made
    talk.sink.resume()
    talk.sink.paused = True
    await bench.until(lambda: bench.probe.made > made)
    for _ in range(20):
        await asyncio.sleep(0)
    assert bench.probe.made <= 2 * made + 1
    talk.sink.leave()
    await bench.ended()


@row("unauthenticated")
async def _(bench: Bench) -> None:
    observed = await bench.talk("a", token="wrong").outcome()
    assert (observed.code, observed.reason, observed.items) == ("UNAUTHENTICATED", "BAD_TOKEN", [])


@row("malformed message in the middle", CLIENT, BIDI)
async def _(bench: Bench) -> None:
    talk = bench.talk("a", "b", end=False)
    talk.sink.feed(bench.driver.bad_item() + bench.driver.item("c"), end=True)
    observed = await talk.outcome()
    assert (observed.code, observed.reason) == ("INVALID_ARGUMENT", "MALFORMED")
    assert bench.names(observed) == ([] if bench.shape is CLIENT else ["a", "b"]), "what was right came before"


@row("too large a message in the middle", CLIENT, BIDI)
async def _(bench: Bench) -> None:
    talk = bench.talk("a", "b", end=False)
    talk.sink.feed(bench.driver.item("x" * LIMIT) + bench.driver.item("c"), end=True)
    observed = await talk.outcome()
    assert (observed.code, observed.reason) == ("RESOURCE_EXHAUSTED", "TOO_LARGE")
    assert str(LIMIT) in observed.message, "the limit is named"
    assert bench.names(observed) == ([] if bench.shape is CLIENT else ["a", "b"])


@row("unexpected exception in the middle")
async def _(bench: Bench) -> None:
    observed = await bench.talk("a", "!BUG").outcome()
    assert (observed.code, observed.message) == ("INTERNAL", "internal error")
    assert "secret" not in observed.raw
    assert "ZeroDivision" not in observed.raw
    assert bench.names(observed) == ([] if bench.shape is CLIENT else ["a"])


@row("wrong item or result")
async def _(bench: Bench) -> None:
    observed = await bench.talk("a", "!WRONG").outcome()
    assert (observed.code, observed.message) == ("INTERNAL", "internal error")
    assert "secret" not in observed.raw
    assert bench.names(observed) == ([] if bench.shape is CLIENT else ["a"])


CASES = [
    pytest.param((driver, shape), row, id=f"{driver.name}-{shape.value}-{row.title}")
    for row in ROWS
    for shape in row.shapes
    for driver in DRIVERS
    if shape in driver.shapes
]


@pytest.mark.parametrize(("bench", "row"), CASES, indirect=["bench"])
async def test_streams(bench: Bench, row: Row) -> None:
    await row.run(bench)
