"""Messages by short and long polling, and the events of every second."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import pytest

from atlas.services.messages import HOLD_S, MOST_MESSAGES, Messages
from polywire import App
from polywire.testing import TestClient
from polywire.testing.memory import Answer
from tests.atlas.talk import nothing_is_left, until

LONG_S = 600.0


@pytest.fixture
async def client() -> AsyncIterator[TestClient]:
    async with TestClient(App(Messages(LONG_S, 0.0))) as client:
        yield client
        await nothing_is_left(client)


async def post(client: TestClient, text: str) -> Answer:
    return await client.post("/api/messages", json={"user": "Alice", "text": text})


def texts(answer: Answer) -> list[str]:
    assert answer.status == 200
    return [message["text"] for message in answer.json()]


async def test_short_polling(client: TestClient) -> None:
    assert texts(await client.get("/api/messages")) == []
    posted = await post(client, "one <b>")
    assert posted.status == 201
    assert posted.json().keys() == {"id", "user", "text", "timestamp"}
    await post(client, "two")
    assert texts(await client.get("/api/messages?since=0")) == ["one <b>", "two"]
    assert texts(await client.get(f"/api/messages?since={posted.json()['id']}")) == ["two"]
    assert texts(await client.get("/api/messages?since=99")) == []


async def test_nothing_new_is_not_sent_again(client: TestClient) -> None:
    await post(client, "one")
    first = await client.get("/api/messages?since=0")
    known = [("if-none-match", first.headers["etag"] or "")]
    again = await client.get("/api/messages?since=0", headers=known)
    assert (again.status, again.body) == (304, b"")
    await post(client, "two")
    assert texts(await client.get("/api/messages?since=0", headers=known)) == ["one", "two"]


async def test_a_long_poll_is_held_until_there_is_news(client: TestClient) -> None:
    polls = [asyncio.ensure_future(client.get("/api/messages?since=0&wait=true")) for _ in range(3)]
    await until(lambda: client.site.open_calls == 3)
    assert not any(poll.done() for poll in polls)
    await post(client, "news")
    assert [texts(await poll) for poll in polls] == [["news"]] * 3
    assert texts(await client.get("/api/messages?since=0&wait=true")) == ["news"]


async def test_one_who_leaves_does_not_wait_on(client: TestClient) -> None:
    poll = asyncio.ensure_future(client.get("/api/messages?since=0&wait=true"))
    other = asyncio.ensure_future(client.get("/api/messages?since=0&wait=true"))
    await until(lambda: client.site.open_calls == 2)
    poll.cancel()
    await until(lambda: client.site.open_calls == 1)
    await post(client, "news")
    assert texts(await other) == ["news"]


async def test_a_long_poll_without_news_is_empty() -> None:
    assert Messages().hold_s == HOLD_S == 30.0
    async with TestClient(App(Messages(0.01))) as client:
        answer = await client.get("/api/messages?since=0&wait=true")
        assert (answer.status, answer.body) == (200, b"[]")
        known = [("if-none-match", answer.headers["etag"] or "")]
        assert (await client.get("/api/messages?since=0&wait=true", headers=known)).status == 304


async def test_the_last_thousand_are_kept(client: TestClient) -> None:
    for number in range(MOST_MESSAGES + 5):
        await post(client, str(number))
    kept = texts(await client.get("/api/messages"))
    assert (len(kept), kept[0], kept[-1]) == (MOST_MESSAGES, "5", str(MOST_MESSAGES + 4))


@pytest.mark.parametrize(
    "body",
    [
        {"user": "", "text": "x"},
        {"user": "x" * 41, "text": "x"},
        {"user": "A", "text": ""},
        {"user": "A", "text": "x" * 2001},
        {"user": "A"},
    ],
)
async def test_what_is_no_message(client: TestClient, body: dict[str, Any]) -> None:
    assert (await client.post("/api/messages", json=body)).status == 422
    assert texts(await client.get("/api/messages")) == []


async def test_what_is_no_id(client: TestClient) -> None:
    for since in ("-1", "x", "2147483648"):
        assert (await client.get(f"/api/messages?since={since}")).status == 422


async def test_events(client: TestClient) -> None:
    assert Messages().interval_s == 1.0
    async with aclosing(client.events("GET", "/api/events")) as events:
        heard = [(await anext(events)).value for _ in range(50)]
    assert all(event.keys() == {"timestamp", "value"} for event in heard)
    assert all(0 <= event["value"] <= 100 for event in heard)
    assert sorted(event["timestamp"] for event in heard) == [event["timestamp"] for event in heard]
