"""GraphQL over server-sent events, as graphql-sse expects it: a stream for each operation, and shared ones."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlencode

import pytest

from polywire import App
from polywire.protocols.graphql.shared_streams import STREAM_FIELD
from polywire.protocols.sockets import MOST_CALLS
from polywire.service.options import GraphqlOptions
from polywire.testing import Answer, MemorySink, TestClient
from polywire.wire.sse import COMMENT
from tests.protocols.graphql.library import Library

EVENTS = ("accept", "text/event-stream")
JSON = ("content-type", "application/json")
AUTHOR = "{author(id: 3) {name}}"
WATCH = "subscription {watch(count: 2) {id}}"
COMPLETE = b"event: complete\nid: :end\ndata: \n\n"


@pytest.fixture
def library() -> Library:
    return Library()


@pytest.fixture
async def client(library: Library) -> AsyncIterator[TestClient]:
    async with TestClient(App(library)) as client:
        yield client
        assert client.site.open_calls == 0


async def post(client: TestClient, query: str, *headers: tuple[str, str], **members: Any) -> Answer:
    return await client.post("/graphql", json={"query": query, **members}, headers=headers)


def told(answer: Answer) -> tuple[int, str, str | None]:
    (error,) = answer.json()["errors"]
    return answer.status, error["extensions"]["code"], error["extensions"].get("reason")


# A stream for each operation


async def test_a_query(client: TestClient) -> None:
    answer = await post(client, AUTHOR, EVENTS, ("x-request-id", "r-1"))
    assert answer.status == 200
    assert answer.body == b'event: next\ndata: {"data":{"author":{"name":"Author 3"}}}\n\n' + COMPLETE
    assert dict(answer.headers.items()) == {
        "content-type": "text/event-stream",
        "cache-control": "no-cache, no-transform",
        "x-accel-buffering": "no",
        "vary": "accept",
        "x-request-id": "r-1",
    }


async def test_a_subscription(client: TestClient) -> None:
    expected = (
        b'event: next\ndata: {"data":{"watch":{"id":"0"}}}\n\n'
        b'event: next\ndata: {"data":{"watch":{"id":"1"}}}\n\n' + COMPLETE
    )
    assert (await post(client, WATCH, EVENTS)).body == expected
    answer = await client.get(f"/graphql?{urlencode({'query': WATCH})}", headers=[EVENTS])
    assert answer.body == expected


async def test_positions(client: TestClient) -> None:
    answer = await post(client, "subscription {watchTracked {id}}", EVENTS)
    assert answer.body == b'event: next\nid: a\ndata: {"data":{"watchTracked":{"id":"1"}}}\n\n' + COMPLETE


async def test_a_browser_that_comes_back_after_the_end_is_sent_away(client: TestClient) -> None:
    target = f"/graphql?{urlencode({'query': WATCH})}"
    answer = await client.get(target, headers=[EVENTS, ("last-event-id", ":end")])
    assert (answer.status, answer.body) == (204, b"")


@pytest.mark.parametrize("query", ["{", "{nothing}", "subscription {watch(count: 1) @skip(if: true) {id}}"])
async def test_what_a_document_is_refused_for_is_a_response(client: TestClient, query: str) -> None:
    answer = await post(client, query, EVENTS)
    assert answer.status == 200
    first, rest = answer.body.split(b"\n\n", 1)
    assert rest == COMPLETE
    assert first.startswith(b"event: next\ndata: ")
    response = json.loads(first.removeprefix(b"event: next\ndata: "))
    assert response["errors"][0]["extensions"]["code"] == "INVALID_ARGUMENT"
    assert set(response) == {"errors"}


async def test_a_stream_that_fails(client: TestClient) -> None:
    answer = await post(client, "subscription {watchFails {id}}", EVENTS)
    one, two, end, nothing = answer.body.split(b"\n\n")
    assert one == b'event: next\ndata: {"data":{"watchFails":{"id":"1"}}}'
    assert json.loads(two.removeprefix(b"event: next\ndata: "))["errors"][0]["extensions"]["code"] == "NOT_FOUND"
    assert (end + b"\n\n", nothing) == (COMPLETE, b"")


async def test_what_is_no_request_has_a_status(client: TestClient) -> None:
    answer = await client.post("/graphql", body=b"nonsense", headers=[EVENTS, JSON])
    assert told(answer) == (400, "INVALID_ARGUMENT", "MALFORMED")
    target = f"/graphql?{urlencode({'query': 'mutation {burn(id: 1)}'})}"
    answer = await client.get(target, headers=[EVENTS])
    assert told(answer) == (405, "UNIMPLEMENTED", "METHOD_NOT_ALLOWED")


async def test_comments_in_silence(library: Library) -> None:
    async with TestClient(App(library, heartbeat_s=0.01)) as client:
        body = json.dumps({"query": '{slow(name: "a")}'}).encode()
        sink = client.open("POST", "/graphql", headers=[EVENTS, JSON], body=body)
        assert await sink.received() == COMMENT
        library.gate.set()
        answer = await sink.answer()
        assert answer.body.endswith(b'event: next\ndata: {"data":{"slow":"a"}}\n\n' + COMPLETE)
        assert not client.site.runtime.heartbeats._beating


async def test_one_who_leaves(client: TestClient, library: Library) -> None:
    body = json.dumps({"query": "subscription {watchForEver {id}}"}).encode()
    sink = client.open("POST", "/graphql", headers=[EVENTS, JSON], body=body)
    assert await sink.received()
    sink.leave()
    await library.stream_closed.wait()
    assert not client.site.runtime.heartbeats._beating


async def test_one_who_does_not_read(client: TestClient, library: Library) -> None:
    body = json.dumps({"query": "subscription {watchMuch {name}}"}).encode()
    sink = client.open("POST", "/graphql", headers=[EVENTS, JSON], body=body, paused=True)
    await asyncio.sleep(0)
    assert library.sent < 100
    sink.resume()
    await sink.answer()
    assert library.sent == 200


# Shared streams


async def reserved(client: TestClient) -> tuple[str, str]:
    answer = await client.put("/graphql")
    assert answer.status == 201
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert len(answer.text) == 32
    return STREAM_FIELD, answer.text


def opened(client: TestClient, token: tuple[str, str], **options: Any) -> MemorySink:
    return client.open("GET", "/graphql", headers=[EVENTS, token], **options)


async def ask(client: TestClient, token: tuple[str, str], id: str, query: str) -> int:
    return (await post(client, query, token, extensions={"operationId": id})).status


async def test_many_operations_on_one_stream(client: TestClient, library: Library) -> None:
    token = await reserved(client)
    sink = opened(client, token)
    assert await sink.received() == COMMENT
    answer = await post(client, AUTHOR, token, extensions={"operationId": "a"})
    assert (answer.status, answer.body) == (202, b"")
    assert await sink.received() == (
        b'event: next\ndata: {"id":"a","payload":{"data":{"author":{"name":"Author 3"}}}}\n\n'
        b'event: complete\ndata: {"id":"a"}\n\n'
    )
    assert await ask(client, token, "b", WATCH) == 202
    assert (await sink.received()).count(b'event: next\ndata: {"id":"b","payload":{"data":{"watch":') == 2
    assert await ask(client, token, "c", '{slow(name: "a")}') == 202
    library.gate.set()
    assert b'{"id":"c","payload":{"data":{"slow":"a"}}}' in await sink.received()


async def test_what_comes_before_the_stream_is_open_is_kept(client: TestClient, library: Library) -> None:
    token = await reserved(client)
    assert await ask(client, token, "a", AUTHOR) == 202
    assert await ask(client, token, "b", "subscription {watchMuch {id}}") == 202
    assert library.sent == 1
    sink = opened(client, token)
    received = await sink.received()
    assert received.startswith(COMMENT + b'event: next\ndata: {"id":"a"')
    while b'event: complete\ndata: {"id":"b"}' not in received:
        received += await sink.received()
    assert received.count(b'{"id":"b","payload"') == 200


async def test_stopping(client: TestClient, library: Library) -> None:
    token = await reserved(client)
    sink = opened(client, token)
    assert await ask(client, token, "a", "subscription {watchForEver {id}}") == 202
    answer = await client.request("DELETE", "/graphql?operationId=a", headers=[token])
    assert (answer.status, answer.body) == (200, b"")
    await library.stream_closed.wait()
    assert (await client.request("DELETE", "/graphql?operationId=a", headers=[token])).status == 200
    assert await ask(client, token, "a", AUTHOR) == 202
    assert not sink.closed


async def test_a_token_in_the_url(client: TestClient) -> None:
    _, token = await reserved(client)
    sink = client.open("GET", f"/graphql?token={token}", headers=[EVENTS])
    assert await sink.received() == COMMENT
    body = {"query": AUTHOR, "extensions": {"operationId": "a"}}
    assert (await client.post(f"/graphql?token={token}", json=body)).status == 202
    assert b"Author 3" in await sink.received()


async def test_one_who_leaves_a_shared_stream(client: TestClient, library: Library) -> None:
    token = await reserved(client)
    sink = opened(client, token)
    assert await ask(client, token, "a", "subscription {watchForEver {id}}") == 202
    sink.leave()
    await library.stream_closed.wait()
    assert await ask(client, token, "b", AUTHOR) == 404
    assert not client.site.runtime.heartbeats._beating
    assert not client.site.runtime.sockets


async def test_what_is_refused(client: TestClient) -> None:
    token = await reserved(client)
    nobody = (STREAM_FIELD, "x" * 32)
    assert await ask(client, nobody, "a", AUTHOR) == 404
    assert (await client.get("/graphql", headers=[EVENTS, nobody])).status == 404
    assert (await client.request("DELETE", "/graphql?operationId=a", headers=[nobody])).status == 404
    assert (await client.request("DELETE", "/graphql?operationId=a")).status == 404
    assert (await client.request("DELETE", "/graphql", headers=[token])).status == 400
    sink = opened(client, token)
    await sink.received()
    second = await client.get("/graphql", headers=[EVENTS, token])
    assert told(second) == (409, "ALREADY_EXISTS", None)
    for id in ("", "x" * 201, 7, None):
        answer = await post(client, AUTHOR, token, extensions={"operationId": id})
        assert told(answer) == (400, "INVALID_ARGUMENT", None)
    assert told(await post(client, AUTHOR, token)) == (400, "INVALID_ARGUMENT", None)
    response = ("accept", "application/graphql-response+json")
    assert told(await post(client, "{nothing}", token, response)) == (400, "INVALID_ARGUMENT", None)
    skipped = "subscription {watch(count: 1) @skip(if: true) {id}}"
    answer = await post(client, skipped, token, response, extensions={"operationId": "a"})
    assert told(answer) == (400, "INVALID_ARGUMENT", None)
    assert await ask(client, token, "a", '{slow(name: "a")}') == 202
    assert await ask(client, token, "a", AUTHOR) == 409
    sink.leave()


async def test_operations_are_bounded(client: TestClient, library: Library) -> None:
    token = await reserved(client)
    for number in range(MOST_CALLS):
        assert await ask(client, token, str(number), '{slow(name: "a")}') == 202
    answer = await post(client, AUTHOR, token, extensions={"operationId": "more"})
    assert told(answer) == (429, "RESOURCE_EXHAUSTED", "TOO_MANY_CALLS")
    # What they answered waits for a stream that is not opened, and counts as well.
    calls = list(client.site.runtime.suspended)
    over = asyncio.Event()
    calls[-1].on_done(lambda call, error: over.set())
    library.gate.set()
    await over.wait()
    await asyncio.gather(*[call.task for call in calls if call.task is not None])
    assert await ask(client, token, "more", AUTHOR) == 429
    opened(client, token).leave()


async def test_reservations_are_bounded() -> None:
    options = GraphqlOptions(max_streams=3, max_peer_streams=2)
    async with TestClient(App(Library(), graphql=options)) as client:
        tokens = [await reserved(client) for _ in range(2)]
        assert told(await client.put("/graphql")) == (429, "RESOURCE_EXHAUSTED", "TOO_MANY_STREAMS")
        opened(client, tokens[0]).leave()
        await reserved(client)


async def test_a_reservation_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = asyncio.get_running_loop()
    later = loop.call_later

    def call_later(seconds: float, *given: Any, **options: Any) -> asyncio.TimerHandle:
        return later(0 if seconds == 7.5 else seconds, *given, **options)

    monkeypatch.setattr(loop, "call_later", call_later)
    library = Library()
    async with TestClient(App(library, graphql=GraphqlOptions(init_timeout_s=7.5))) as client:
        token = await reserved(client)
        assert await ask(client, token, "a", "subscription {watchForEver {id}}") == 202
        await library.stream_closed.wait()
        assert await ask(client, token, "b", AUTHOR) == 404


async def test_pages_of_other_origins_reserve_nothing(client: TestClient) -> None:
    answer = await client.put("/graphql", headers=[("origin", "https://evil.example")])
    assert answer.status == 403
