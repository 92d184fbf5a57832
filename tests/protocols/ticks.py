"""A service of streams, as REST is tested with it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Annotated, Any

from msgspec import Meta

from polywire import (
    Call,
    Int32,
    Message,
    NotFound,
    PermissionDenied,
    Service,
    Tracked,
    Unauthenticated,
    Unavailable,
    current_call,
    mutation,
    query,
)
from polywire.protocols.rest.negotiation import EVENT_STREAM, NDJSON
from polywire.service import Invoke
from polywire.testing import Answer, TestClient

LIMIT = 1000
EVENTS = [("accept", EVENT_STREAM)]
LINES_IN = [("content-type", NDJSON)]


class Tick(Message):
    number: Annotated[Int32, Meta(ge=0)]
    text: str = ""


class Sum(Message):
    total: Int32


class Ticks(Service, package="ticks"):
    def __init__(self) -> None:
        self.made = 0
        self.running = 0
        self.go = asyncio.Event()
        self.resumed: list[str | None] = []
        self.seen: list[int] = []

    @query("GET /ticks/{count}")
    async def count(self, count: Int32, size: Int32 = 0) -> AsyncIterator[Tick]:
        self.running += 1
        try:
            for number in range(count):
                self.made += 1
                yield Tick(number, "x" * size)
        finally:
            self.running -= 1

    @mutation("POST /ticks", status=202)
    async def make(self, tick: Tick) -> AsyncIterator[Tick]:
        yield tick

    @query("GET /numbers")
    async def numbers(self) -> AsyncIterator[int]:
        yield 1
        yield 2

    @query("GET /tracked")
    async def tracked(self) -> AsyncIterator[Tracked[Tick]]:
        after = current_call().resume_after
        self.resumed.append(after)
        for number in range(int(after or 0) + 1, 4):
            yield Tracked(str(number), Tick(number))

    @query("GET /fails/{after}")
    async def fails(self, after: Int32, kind: str = "NotFound") -> AsyncIterator[Tick]:
        for number in range(after):
            yield Tick(number)
        if kind == "bug":
            raise ZeroDivisionError("secret")
        errors = {"NotFound": NotFound, "Unavailable": Unavailable, "Denied": PermissionDenied}
        raise errors[kind]("told to\nfail", reason="TOLD_TO", metadata={"retry-after": "3"})

    @query("GET /wrong/{after}")
    async def wrong(self, after: Int32) -> AsyncIterator[Tick]:
        for number in range(after):
            yield Tick(number)
        yield Tick("secret")  # type: ignore[arg-type]

    @query("GET /waits")
    async def waits(self) -> AsyncIterator[Tick]:
        self.running += 1
        try:
            current_call().response_metadata.add("x-color", "red")
            yield Tick(1)
            await self.go.wait()
            yield Tick(2)
        finally:
            self.running -= 1

    @query("GET /silent", idle_s=0.02)
    async def idles(self) -> AsyncIterator[Tick]:
        yield Tick(1)
        await self.go.wait()

    @query("GET /early-head")
    async def early_head(self) -> AsyncIterator[Tick]:
        call = current_call()
        call.response_metadata.add("x-color", "red")
        call.send_metadata()
        call.send_metadata()
        await self.go.wait()
        raise NotFound("nothing")
        yield

    @query("GET /before")
    async def before(self) -> AsyncIterator[Tick]:
        await self.go.wait()
        yield Tick(1)

    @mutation("POST /total")
    async def total(self, ticks: AsyncIterator[Tick]) -> Sum:
        self.running += 1
        try:
            async for tick in ticks:
                self.seen.append(tick.number)
            return Sum(sum(self.seen))
        finally:
            self.running -= 1

    @mutation("POST /first")
    async def first(self, ticks: AsyncIterator[Tick]) -> Sum:
        return Sum((await anext(aiter(ticks))).number)

    @mutation("POST /mirror")
    async def mirror(self, ticks: AsyncIterator[Tick]) -> AsyncIterator[Tick]:
        self.running += 1
        try:
            async for tick in ticks:
                yield tick
        finally:
            self.running -= 1


async def authenticate(call: Call, proceed: Invoke) -> Any:
    if call.metadata.get("authorization") == "Bearer wrong":
        raise Unauthenticated("no")
    return await proceed(call)


def lines(body: bytes) -> list[Any]:
    assert body == b"" or body.endswith(b"\n")
    return [json.loads(line) for line in body.split(b"\n")[:-1]]


def error_of(answer: Answer) -> tuple[int, str, str | None]:
    error = answer.json()["error"]
    return answer.status, error["code"], error.get("reason")


async def until(condition: Callable[[], bool]) -> None:
    """Let the loop turn until it holds. Raises TimeoutError."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 -- a turn of the loop, no time
            await asyncio.sleep(0)


async def ended(client: TestClient) -> None:
    tasks = {call.task for call in client.site.runtime.suspended if call.task is not None}
    if tasks:
        await asyncio.wait(tasks)
