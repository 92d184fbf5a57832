"""The one service that every protocol serves in the parity matrix: a method for each way a call can end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Annotated

from msgspec import Meta

from polywire import (
    App,
    Code,
    FieldViolation,
    Message,
    RpcError,
    Service,
    Unauthenticated,
    current_call,
    mutation,
    query,
)
from polywire.runtime.call import Call
from polywire.service import Invoke

LIMIT = 10_000
"""Bytes that a message may have."""


class Thing(Message):
    name: str
    count: int = 0


Count = Annotated[int, Meta(ge=0, le=100)]


class Probe(Service, package="parity"):
    def __init__(self) -> None:
        self.cancelled = 0
        self.running = 0
        self.made = 0
        """Items of the endless stream."""

    @query("GET /unary/{name}")
    async def unary(self, name: str, count: Count = 0) -> Thing:
        return Thing(name, count)

    @mutation("POST /echo")
    async def echo(self, thing: Thing) -> Thing:
        return thing

    @query("GET /suspended/{name}")
    async def suspended(self, name: str) -> Thing:
        await asyncio.sleep(0)
        return Thing(name)

    @query("GET /threaded/{name}")
    def threaded(self, name: str) -> Thing:
        time.sleep(0)
        return Thing(name, len(current_call().request_id))

    @query("GET /fails/{code}")
    async def fails(self, code: str) -> Thing:
        raise RpcError(
            f"told to fail: 100% {code} é",
            code=Code[code],
            reason="TOLD_TO",
            details=[FieldViolation("code", "was asked for")],
        )

    @query("GET /raises")
    async def raises(self) -> Thing:
        raise ZeroDivisionError("secret internals")

    @query("GET /wrong")
    async def wrong(self) -> Thing:
        return Thing(name=b"secret bytes")  # type: ignore[arg-type]

    @query("GET /hangs")
    async def hangs(self) -> Thing:
        self.running += 1
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.running -= 1
        raise AssertionError("unreachable")

    @query("GET /stubborn")
    async def stubborn(self) -> Thing:
        """Swallows its cancellation for a while."""
        try:
            await asyncio.sleep(10)
        except asyncio.CancelledError:
            await asyncio.sleep(0.01)
        return Thing("late")

    @query("GET /empty")
    async def empty(self) -> None:
        return None

    # Streams of every shape take steps: names to send back, or what is to happen.

    async def _take(self, step: str) -> AsyncIterator[Thing]:
        match step:
            case "!WAIT":
                await asyncio.Event().wait()
            case "!BUG":
                raise ZeroDivisionError("secret internals")
            case "!WRONG":
                yield Thing(name=b"secret bytes")  # type: ignore[arg-type]
            case "!FLOOD":
                while True:
                    self.made += 1
                    yield Thing("x" * 1000)
            case _ if step.startswith("!"):
                await self.fails(step[1:])
            case _:
                yield Thing(step, len(step))

    async def _taken(self, steps: AsyncIterator[str]) -> AsyncIterator[Thing]:
        self.running += 1
        try:
            async for step in steps:
                if step == "!END":
                    return
                async for thing in self._take(step):
                    yield thing
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.running -= 1

    @query("GET /play")
    async def play(self, steps: list[str] = []) -> AsyncIterator[Thing]:  # noqa: B006
        return self._taken(_each(steps))

    @mutation("POST /mirror")
    async def mirror(self, things: AsyncIterator[Thing]) -> AsyncIterator[Thing]:
        return self._taken(thing.name async for thing in things)

    @mutation("POST /count")
    async def count(self, things: AsyncIterator[Thing]) -> Thing:
        taken = [thing async for thing in self._taken(thing.name async for thing in things)]
        return Thing(taken[-1].name if taken else "none", len(taken))

    @query("GET /idle-play", idle_s=0.02)
    async def idle_play(self, steps: list[str] = []) -> AsyncIterator[Thing]:  # noqa: B006
        return await self.play(steps)

    @mutation("POST /idle-mirror", idle_s=0.02)
    async def idle_mirror(self, things: AsyncIterator[Thing]) -> AsyncIterator[Thing]:
        return await self.mirror(things)

    @mutation("POST /idle-count", idle_s=0.02)
    async def idle_count(self, things: AsyncIterator[Thing]) -> Thing:
        return await self.count(things)


async def _each(steps: list[str]) -> AsyncIterator[str]:
    for step in steps:
        yield step


async def authenticate(call: Call, proceed: Invoke) -> object:
    if call.metadata.get("authorization") == "Bearer wrong":
        raise Unauthenticated("the token is not valid", reason="BAD_TOKEN")
    return await proceed(call)


def make_app() -> tuple[App, Probe]:
    probe = Probe()
    return App(probe, interceptors=[authenticate], max_request_bytes=LIMIT, sse_retry_s=None), probe
