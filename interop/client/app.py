"""What the tests of the JavaScript client call."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator

from polywire import (
    App,
    History,
    Int32,
    Message,
    NotFound,
    Service,
    Topic,
    Tracked,
    Unauthenticated,
    current_call,
    mutation,
    query,
)
from polywire.service.options import WebSocketOptions


class Tick(Message):
    i: Int32


class Sum(Message):
    count: Int32
    total: Int32


class TickService(Service, package="ticks"):
    @query
    async def get(self, i: Int32) -> Tick:
        if i < 0:
            raise NotFound(f"there is no {i}", reason="NO_TICK")
        return Tick(i)

    @query
    async def token(self) -> str:
        return current_call().metadata.get("authorization") or ""

    @query
    async def sleep(self) -> None:
        await asyncio.sleep(60)

    @query
    async def count(self, to: Int32) -> AsyncIterator[Tracked[Tick]]:
        """All numbers up to one, from where the caller was cut off."""
        after = current_call().resume_after
        for i in range(0 if after is None else int(after) + 1, to):
            yield Tracked(str(i), Tick(i))
            if i % 10 == 0:
                await asyncio.sleep(0.001)

    @mutation
    async def upload(self, ticks: AsyncIterator[Tick]) -> Sum:
        found = [tick.i async for tick in ticks]
        return Sum(len(found), sum(found))

    @mutation
    async def chat(self, ticks: AsyncIterator[Tick]) -> AsyncIterator[Tick]:
        async for tick in ticks:
            yield Tick(-tick.i)


async def authenticate(token: str | None, peer: object) -> str:
    if token != os.environ["TICKS_TOKEN"]:
        raise Unauthenticated("who are you?", reason="BAD_TOKEN")
    return token


kept = Topic("kept.{name}", Tick, history=History(count=10_000), publishable=True)
seen = Topic("seen.{name}", Tick, presence=True)
briefly = Topic("briefly.{name}", Tick, history=History(count=5), publishable=True)

app = App(
    TickService(),
    topics=[kept, briefly, seen],
    origins=os.environ.get("TICKS_ORIGINS", "").split(),
    websocket=WebSocketOptions(authenticate=authenticate if "TICKS_TOKEN" in os.environ else None),
)
