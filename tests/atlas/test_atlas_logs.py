"""A log that is followed, and builds that are watched."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from atlas.services import builds as builds_module
from atlas.services.builds import Builds, BuildState
from atlas.services.logs import READ_BYTES, LogLine, Logs
from polywire import App
from polywire.errors import Code, RpcError
from polywire.testing import TestClient
from tests.atlas.talk import nothing_is_left

TAIL, WATCH = "logs.Logs/Tail", "builds.Builds/WatchBuild"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "atlas.log"


@pytest.fixture
async def client(log: Path) -> AsyncIterator[TestClient]:
    async with TestClient(App(Logs(log, 0.001), Builds(0.001))) as client:
        yield client
        await nothing_is_left(client)


class Tail:
    """A caller of Tail, for a while."""

    def __init__(self, client: TestClient, offset: int = 0) -> None:
        self._stream = client.grpc_stream(TAIL, {"offset": offset})

    async def next(self, count: int = 1) -> list[LogLine]:
        async with asyncio.timeout(5):
            return [await anext(self._stream) for _ in range(count)]

    async def __aenter__(self) -> Tail:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stream.aclose()


def append(log: Path, data: bytes) -> None:
    with log.open("ab") as file:
        file.write(data)


async def failure(awaitable: Any) -> tuple[Code, str | None]:
    with pytest.raises(RpcError) as caught:
        await awaitable
    return caught.value.code, caught.value.reason


async def test_what_is_there_and_what_comes(client: TestClient, log: Path) -> None:
    append(log, b"one\ntwo\n")
    async with Tail(client) as tail:
        assert await tail.next(2) == [LogLine("one", 4), LogLine("two", 8)]
        append(log, "drei €\n".encode())
        assert await tail.next() == [LogLine("drei €", 17)]


async def test_half_a_line_waits_for_its_end(client: TestClient, log: Path) -> None:
    append(log, b"one\ntw")
    async with Tail(client) as tail:
        assert await tail.next() == [LogLine("one", 4)]
        coming = asyncio.ensure_future(tail.next())
        append(log, b"o\n")
        assert await coming == [LogLine("two", 8)]


async def test_on_from_where_one_was(client: TestClient, log: Path) -> None:
    append(log, b"one\ntwo\nthree\n")
    async with Tail(client, offset=8) as tail:
        assert await tail.next() == [LogLine("three", 14)]


async def test_a_log_that_is_not_there_yet(client: TestClient, log: Path) -> None:
    async with Tail(client) as tail:
        coming = asyncio.ensure_future(tail.next())
        await asyncio.sleep(0)
        append(log, b"one\n")
        assert await coming == [LogLine("one", 4)]


async def test_an_offset_that_is_gone(client: TestClient, log: Path) -> None:
    append(log, b"one\n")
    async with Tail(client, offset=5) as tail:
        assert await failure(tail.next()) == (Code.OUT_OF_RANGE, "OFFSET_GONE")


async def test_a_log_that_is_cut_short_or_replaced(client: TestClient, log: Path, tmp_path: Path) -> None:
    append(log, b"one\ntwo\n")
    async with Tail(client) as tail:
        await tail.next(2)
        os.truncate(log, 0)
        append(log, b"new\n")
        assert await tail.next() == [LogLine("new", 4)]
        append(tmp_path / "other", b"a longer first line\n")
        os.replace(tmp_path / "other", log)
        assert await tail.next() == [LogLine("a longer first line", 20)]


async def test_a_line_without_end_comes_in_pieces(client: TestClient, log: Path) -> None:
    append(log, b"x" * (READ_BYTES + 5) + b"\nshort\n")
    async with Tail(client) as tail:
        lines = await tail.next(3)
    assert [(len(line.text), line.offset) for line in lines] == [
        (READ_BYTES, READ_BYTES),
        (5, READ_BYTES + 6),
        (5, READ_BYTES + 12),
    ]


async def test_a_browser_goes_on_where_it_was(client: TestClient, log: Path) -> None:
    append(log, b"one\ntwo\n")
    headers = [("accept", "text/event-stream"), ("last-event-id", "4")]
    sink = client.open("GET", "/v1/logs/lines", headers=headers)
    async with asyncio.timeout(5):
        event = await sink.received()
    assert b'"two"' in event
    assert b"id: 8" in event
    assert b'"one"' not in event
    sink.leave()


async def test_a_build_from_its_beginning_to_its_end(client: TestClient) -> None:
    build = await client.grpc("builds.Builds/StartBuild", {"project": "atlas"})
    states = [status async for status in client.grpc_stream(WATCH, {"id": build.id})]
    assert [status.state for status in states] == list(BuildState)
    assert [status.percent for status in states] == [0, 25, 50, 75, 100]
    again = [status async for status in client.grpc_stream(WATCH, {"id": build.id})]
    assert again == states


async def test_a_watcher_that_returns(client: TestClient) -> None:
    answer = await client.post("/v1/builds", json={"project": "atlas"})
    assert answer.status == 201
    headers = [("accept", "text/event-stream"), ("last-event-id", "compiling")]
    told = (await client.get(f"/v1/builds/{answer.json()['id']}/status", headers=headers)).text
    assert "testing" in told
    assert "passed" in told
    assert "fetching" not in told


async def test_builds_are_remembered_for_a_while(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(builds_module, "MOST_BUILDS", 2)
    ids = [(await client.grpc("builds.Builds/StartBuild", {"project": "x"})).id for _ in range(3)]
    assert await failure(anext(client.grpc_stream(WATCH, {"id": ids[0]}))) == (Code.NOT_FOUND, "BUILD_NOT_FOUND")
    assert len([status async for status in client.grpc_stream(WATCH, {"id": ids[1]})]) == 5
