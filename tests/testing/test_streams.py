"""Streams by the client that users test their services with."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import pytest

from polywire import (
    App,
    FieldViolation,
    Int32,
    InvalidInput,
    MalformedInput,
    Message,
    NotFound,
    RpcError,
    Service,
    Tracked,
    Unimplemented,
    current_call,
    mutation,
    query,
)
from polywire.testing import Event, TestClient


class Word(Message):
    text: str
    size: Int32 = 0


class Words(Service, package="words"):
    def __init__(self) -> None:
        self.running = 0
        self.heard: list[str] = []

    @query("GET /words")
    async def words(self, after: str = "", fail: bool = False) -> AsyncIterator[Tracked[Word]]:
        for number in range(int(current_call().resume_after or 0), 3):
            yield Tracked(str(number + 1), Word(f"{after}{number}"))
        if fail:
            raise NotFound("no more: é", reason="NO_WORD", details=[FieldViolation("after", "is odd")])

    @mutation("POST /one")
    async def one(self, word: Word) -> AsyncIterator[Word]:
        yield word

    @mutation("POST /join")
    async def join(self, words: AsyncIterator[Word]) -> str:
        return " ".join([word.text async for word in words])

    @mutation("POST /shout")
    async def shout(self, words: AsyncIterator[Word]) -> AsyncIterator[Word]:
        self.running += 1
        try:
            async for word in words:
                self.heard.append(word.text)
                yield Word(word.text.upper())
        finally:
            self.running -= 1

    @mutation("POST /first")
    async def first(self, words: AsyncIterator[Word]) -> AsyncIterator[Word]:
        async for word in words:
            yield word
            return


@pytest.fixture
def service() -> Words:
    return Words()


@pytest.fixture
async def client(service: Words) -> AsyncIterator[TestClient]:
    async with TestClient(App(service)) as client:
        yield client
        assert client.site.open_calls == 0
    assert service.running == 0
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_values_and_events(client: TestClient) -> None:
    values = [value async for value in client.stream("GET", "/words", params={"after": "a"})]
    assert values == [{"text": f"a{number}", "size": 0} for number in range(3)]
    events = [event async for event in client.events("GET", "/words?after=a", after="1")]
    assert events == [Event({"text": "a1", "size": 0}, "2"), Event({"text": "a2", "size": 0}, "3")]
    assert [value async for value in client.stream("POST", "/one", json={"text": "x"})] == [{"text": "x", "size": 0}]
    assert [event.id async for event in client.events("POST", "/one", json={"text": "x"}, version="2")] == [None]


async def test_who_has_seen_the_end_gets_nothing(client: TestClient) -> None:
    assert [event async for event in client.events("GET", "/words", after=":end")] == []


@pytest.mark.parametrize("form", ["stream", "events"])
async def test_an_error_comes_after_the_values(client: TestClient, form: str) -> None:
    stream = getattr(client, form)("GET", "/words?fail=true")
    for _ in range(3):
        await anext(stream)
    with pytest.raises(NotFound) as caught:
        await anext(stream)
    error = caught.value
    assert (error.message, error.reason) == ("no more: é", "NO_WORD")
    assert error.details == (FieldViolation("after", "is odd"),)


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        ({"method": "POST", "target": "/one", "json": {"text": 5}}, InvalidInput),
        ({"method": "GET", "target": "/nowhere"}, NotFound),
        ({"method": "GET", "target": "/words", "headers": [("request-timeout", "x")]}, MalformedInput),
        ({"method": "POST", "target": "/shout", "json": {}}, Unimplemented),
        ({"method": "GET", "target": "/shout"}, Unimplemented),
    ],
)
@pytest.mark.parametrize("form", ["stream", "events"])
async def test_an_error_instead_of_a_stream(
    client: TestClient, form: str, options: dict[str, Any], kind: type[RpcError]
) -> None:
    with pytest.raises(kind) as caught:
        await anext(getattr(client, form)(**options))
    assert type(caught.value) is kind


async def test_client_streams(client: TestClient) -> None:
    words = [{"text": "a"}, {"text": "b"}]
    assert [value async for value in client.stream("POST", "/join", words)] == ["a b"]
    assert await client.grpc("words.Words/Join", words) == "a b"

    async def later() -> AsyncIterator[Any]:
        for word in words:
            await asyncio.sleep(0)
            yield word

    assert await client.grpc("words.Words/Join", later()) == "a b"
    assert [value async for value in client.stream("POST", "/join", later())] == ["a b"]


@pytest.mark.parametrize("protocol", ["lines", "events", "gRPC"])
async def test_by_turns(client: TestClient, service: Words, protocol: str) -> None:
    turn = asyncio.Event()

    async def words() -> AsyncIterator[dict[str, str]]:
        for number, text in enumerate(("a", "b", "c")):
            assert len(service.heard) == number
            yield {"text": text}
            await turn.wait()
            turn.clear()

    loud: list[str] = []
    if protocol == "gRPC":
        async for word in client.grpc_stream("words.Words/Shout", words()):
            loud.append(word.text)
            turn.set()
    elif protocol == "lines":
        async for value in client.stream("POST", "/shout", words()):
            loud.append(value["text"])
            turn.set()
    else:
        async for event in client.events("POST", "/shout", words()):
            loud.append(event.value["text"])
            turn.set()
    assert loud == ["A", "B", "C"]


async def endless() -> AsyncIterator[dict[str, str]]:
    while True:
        yield {"text": "a"}


@pytest.mark.parametrize("protocol", ["lines", "gRPC"])
async def test_an_answer_ends_what_is_sent(client: TestClient, protocol: str) -> None:
    if protocol == "gRPC":
        assert [word.text async for word in client.grpc_stream("words.Words/First", endless())] == ["a"]
    else:
        assert [word["text"] async for word in client.stream("POST", "/first", endless())] == ["a"]


@pytest.mark.parametrize("protocol", ["lines", "gRPC"])
async def test_leaving_early_stops_both_sides(client: TestClient, service: Words, protocol: str) -> None:
    lines = client.stream("POST", "/shout", endless())
    stream = lines if protocol == "lines" else client.grpc_stream("words.Words/Shout", endless())
    async with aclosing(stream):
        await anext(stream)
        (call,) = client.site.runtime.suspended
    if call.task is not None:
        await asyncio.wait({call.task})
    assert service.running == 0


@pytest.mark.parametrize("protocol", ["lines", "gRPC"])
async def test_what_the_test_itself_raises_is_raised(client: TestClient, protocol: str) -> None:
    async def broken() -> AsyncIterator[dict[str, str]]:
        yield {"text": "a"}
        raise ZeroDivisionError("a mistake in the test")

    stream = client.stream("POST", "/shout", broken())
    if protocol == "gRPC":
        stream = client.grpc_stream("words.Words/Shout", broken())
    with pytest.raises(ZeroDivisionError, match="a mistake in the test"):
        async for _ in stream:
            pass
    tasks = {call.task for call in client.site.runtime.suspended if call.task is not None}
    if tasks:
        await asyncio.wait(tasks)


async def test_paused_nothing_is_taken(client: TestClient) -> None:
    sink = client.open("GET", "/words", paused=True)
    assert (await sink.answer()).status == 200
    assert sink.buffered_out_bytes > 0
