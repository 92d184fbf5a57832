"""What `make bench` measures the costs of: calls that wait, streams that run or wait, and a handler that is busy.

polywire serve benchmarks/costs_app.py:app
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

from benchmarks.polywire_app import Timing, User, UserService, authenticate
from polywire import App, Int32, Int64, Message, Service, mutation, query

BURNED = 6_500
"""Additions that take a core about 200 µs."""


class Moment(Message):
    """When a handler began and when it was over, on CLOCK_MONOTONIC; 0: not yet."""

    started_ns: Int64
    stopped_ns: Int64


class Costs(Service, package="costs"):
    def __init__(self) -> None:
        self._started: dict[int, int] = {}
        self._stopped: dict[int, int] = {}

    @query
    async def wait(self, id: Int32) -> User:
        self._started[id] = time.monotonic_ns()
        try:
            await asyncio.Event().wait()
        finally:
            self._stopped[id] = time.monotonic_ns()
        return _user(id)

    @query
    async def flood(self, id: Int32) -> AsyncIterator[User]:
        self._started[id] = time.monotonic_ns()
        try:
            while True:
                yield _user(id)
        finally:
            self._stopped[id] = time.monotonic_ns()

    @query
    async def follow(self, id: Int32) -> AsyncIterator[User]:
        yield _user(id)
        await asyncio.Event().wait()

    @mutation
    async def chat(self, users: AsyncIterator[User]) -> AsyncIterator[User]:
        async for user in users:
            yield user

    @query
    async def look(self, id: Int32) -> Moment:
        return Moment(started_ns=self._started.get(id, 0), stopped_ns=self._stopped.get(id, 0))

    @query("GET /v1/burn/{id}")
    async def burn(self, id: Int32) -> User:
        total = 0
        for number in range(BURNED):
            total += number
        assert total == BURNED * (BURNED - 1) // 2
        return _user(id)


def _user(id: int) -> User:
    return User(id=id, name="Alice", email="alice@example.com", age=30)


app = App(UserService(), Costs(), name="costs", interceptors=[Timing(), authenticate])
