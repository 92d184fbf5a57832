"""The one service that every protocol serves in the parity matrix: a method for each way a call can end."""

from __future__ import annotations

import asyncio
import time
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


class Thing(Message):
    name: str
    count: int = 0


Count = Annotated[int, Meta(ge=0, le=100)]


class Probe(Service, package="parity"):
    def __init__(self) -> None:
        self.cancelled = 0
        self.running = 0

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


async def authenticate(call: Call, proceed: Invoke) -> object:
    if call.metadata.get("authorization") == "Bearer wrong":
        raise Unauthenticated("the token is not valid", reason="BAD_TOKEN")
    return await proceed(call)


def make_app() -> tuple[App, Probe]:
    probe = Probe()
    return App(probe, interceptors=[authenticate], max_request_bytes=10_000), probe
