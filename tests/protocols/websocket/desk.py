"""The service of these tests: a method of each shape, and what handlers may do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Any

from msgspec import Meta

from polywire import (
    App,
    FieldViolation,
    Message,
    NotFound,
    Service,
    Tracked,
    current_call,
    mutation,
    query,
)
from polywire.service.options import WebSocketOptions


class Note(Message, package="desk"):
    text: str
    number: int = 0
    data: bytes = b""


class Desk(Service, package="desk"):
    def __init__(self) -> None:
        self.gone: list[str] = []
        """Handlers that were cancelled."""
        self.seen: list[Any] = []
        self.made = 0
        self.may_read = asyncio.Event()

    @query
    async def get(self, text: str, number: Annotated[int, Meta(le=100)] = 0) -> Note:
        return Note(text, number)

    @query
    async def nothing(self) -> None:
        return None

    @query
    async def bare(self) -> int:
        return 7

    @query
    async def fails(self) -> Note:
        raise NotFound(
            "no such note",
            reason="NOTE_NOT_FOUND",
            details=[FieldViolation("text", "is not there"), Note("x", 1)],
            metadata={"Retry-After": "3"},
        )

    @query
    async def told(self, name: str) -> str:
        call = current_call()
        call.response_metadata.add("said", "before")
        call.response_metadata.add("said", "twice")
        call.trailers.add("after-bin", b"\x00\xff")
        values = {"principal": call.principal, "resume": call.resume_after, "timeout": call.timeout_s}
        return str(values.get(name, call.metadata.get(name)))

    @query
    async def waits(self) -> None:
        await self._wait("waits")

    @mutation(on_disconnect="finish")
    async def finishes(self) -> None:
        await self.may_read.wait()
        self.seen.append("finished")

    async def _wait(self, name: str) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.gone.append(name)
            raise

    @query
    async def count(self, to: int, wait: bool = False) -> AsyncIterator[int]:
        for number in range(to):
            self.made = number + 1
            yield number
        if wait:
            await self._wait("count")

    @query
    async def stubborn(self) -> AsyncIterator[int]:
        """Swallows its cancellation, and sends on."""
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.seen.append("cancelled")
        for number in range(50):
            yield number
        self.seen.append("over")

    @query
    async def positions(self, to: int) -> AsyncIterator[Tracked[Note]]:
        first = int(current_call().resume_after or 0)
        for number in range(first + 1, to + 1):
            yield Tracked(str(number), Note("n", number))

    @mutation
    async def join(self, notes: AsyncIterator[Note]) -> str:
        await self.may_read.wait()
        texts = [note.text async for note in notes]
        self.seen += texts
        return "+".join(texts)

    @mutation
    async def mirror(self, notes: AsyncIterator[Note]) -> AsyncIterator[Note]:
        async for note in notes:
            yield note


OF_THE_APP = frozenset({"heartbeat_s", "max_request_bytes", "max_pending_bytes"})


def make_app(desk: Desk | None = None, **options: Any) -> App:
    """options: of the protocol, and those of the app above."""
    ours = {name: options.pop(name) for name in OF_THE_APP & options.keys()}
    return App(desk or Desk(), name="desk", version="3", websocket=WebSocketOptions(**options), **ours)
