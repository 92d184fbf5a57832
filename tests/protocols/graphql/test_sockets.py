"""graphql-transport-ws, message by message, as graphql-ws sends and expects them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import pytest

from polywire import App, Call, RpcError, Unauthenticated, Unavailable
from polywire.protocols.graphql.sockets import SUBPROTOCOL
from polywire.protocols.sockets import MOST_CALLS
from polywire.service.options import GraphqlOptions
from polywire.testing import TestClient
from polywire.testing.websocket import SocketRefused, TestSocket
from tests.protocols.graphql.library import Library

INIT = '{"type":"connection_init"}'
ACK = '{"type":"connection_ack"}'
AUTHOR = {"query": "{author(id: 3) {name}}"}
WATCH = {"query": "subscription {watch(count: 2) {id books(first: 1) {title}}}"}


@pytest.fixture
def library() -> Library:
    return Library()


@pytest.fixture
async def client(library: Library) -> AsyncIterator[TestClient]:
    async with TestClient(App(library)) as client:
        yield client
        assert client.site.open_calls == 0
        assert not client.site.runtime.sockets


@asynccontextmanager
async def connected(client: TestClient, payload: Any = None, **options: Any) -> AsyncIterator[TestSocket]:
    """A socket that has been acknowledged."""
    async with client.websocket("/graphql", subprotocols=[SUBPROTOCOL], **options) as ws:
        assert ws.subprotocol == SUBPROTOCOL
        ws.send_json(
            {"type": "connection_init"} if payload is None else {"type": "connection_init", "payload": payload}
        )
        assert await ws.receive() == ACK
        yield ws


def subscribe(ws: TestSocket, payload: Any, id: str = "1") -> None:
    ws.send_json({"id": id, "type": "subscribe", "payload": payload})


@pytest.mark.parametrize("version", ["1.1", "2"])
async def test_a_query(client: TestClient, version: str) -> None:
    async with connected(client, version=version) as ws:
        subscribe(ws, AUTHOR)
        assert await ws.receive() == '{"id":"1","type":"next","payload":{"data":{"author":{"name":"Author 3"}}}}'
        assert await ws.receive() == '{"id":"1","type":"complete"}'
        subscribe(ws, {"query": 'mutation {add(title: "x") {title}}'})
        assert (await ws.receive_json())["payload"] == {"data": {"add": {"title": "x"}}}
        assert (await ws.receive_json())["type"] == "complete"


async def test_a_subscription(client: TestClient) -> None:
    async with connected(client) as ws:
        subscribe(ws, WATCH, 'a"b')
        assert [await ws.receive() for _ in range(3)] == [
            '{"id":"a\\"b","type":"next","payload":{"data":{"watch":{"id":"0","books":[{"title":"Book 0"}]}}}}',
            '{"id":"a\\"b","type":"next","payload":{"data":{"watch":{"id":"1","books":[{"title":"Book 10"}]}}}}',
            '{"id":"a\\"b","type":"complete"}',
        ]


async def test_operations_run_side_by_side(client: TestClient, library: Library) -> None:
    async with connected(client) as ws:
        subscribe(ws, {"query": '{slow(name: "a")}'}, "slow")
        subscribe(ws, AUTHOR, "quick")
        assert [(await ws.receive_json())["id"] for _ in range(2)] == ["quick", "quick"]
        library.gate.set()
        assert (await ws.receive_json())["payload"] == {"data": {"slow": "a"}}


async def test_a_server_that_goes_answers_what_is_under_way(client: TestClient, library: Library) -> None:
    async with connected(client) as ws:
        subscribe(ws, {"query": "subscription {watchForEver {id}}"}, "watch")
        assert (await ws.receive_json())["id"] == "watch"
        subscribe(ws, {"query": '{slow(name: "a")}'}, "slow")
        await asyncio.sleep(0)
        client.site.go_away()
        subscribe(ws, AUTHOR, "late")
        refused = await ws.receive_json()
        assert (refused["id"], refused["type"]) == ("late", "error")
        assert refused["payload"][0]["extensions"]["reason"] == "GOING_AWAY"
        (watching,) = [call for call in client.site.runtime.suspended if "WatchForEver" in call.method.full_name]
        watching.fail(Unavailable("as a topic's is ended, which the client is not to take for its end"))
        library.gate.set()
        assert (await ws.receive_json())["payload"] == {"data": {"slow": "a"}}
        assert await ws.receive_json() == {"id": "slow", "type": "complete"}
        assert await ws.closed() == (1001, "the server is going away")


async def test_a_server_that_goes_does_not_wait_for_what_the_client_gives_up(client: TestClient) -> None:
    async with connected(client) as ws:
        subscribe(ws, {"query": '{slow(name: "a")}'}, "slow")
        await asyncio.sleep(0)
        client.site.go_away()
        ws.send_json({"id": "slow", "type": "complete"})
        assert await ws.closed() == (1001, "the server is going away")


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        ({"query": "{"}, "INVALID_ARGUMENT"),
        ({"query": "{nothing}"}, "INVALID_ARGUMENT"),
        ({"query": "query ($id: ID!) {author(id: $id) {id}}"}, "INVALID_ARGUMENT"),
        ({"query": "query A {authors {id}}", "operationName": "B"}, "INVALID_ARGUMENT"),
        ({"query": "{author(id: 1)" + "{friend" * 50 + "{id}" + "}" * 51}, "RESOURCE_EXHAUSTED"),
        ({"query": "subscription {watch(count: 1) @skip(if: true) {id}}"}, "INVALID_ARGUMENT"),
        ({}, "INVALID_ARGUMENT"),
        ({"documentId": "nobody"}, "NOT_FOUND"),
    ],
)
async def test_a_refused_document_is_an_error(client: TestClient, payload: Any, code: str) -> None:
    async with connected(client) as ws:
        subscribe(ws, payload)
        message = await ws.receive_json()
        assert (message["id"], message["type"]) == ("1", "error")
        assert message["payload"][0]["extensions"]["code"] == code
        # No `complete` follows, and the id is free.
        subscribe(ws, AUTHOR)
        assert (await ws.receive_json())["type"] == "next"


async def test_a_stream_that_fails_ends_with_an_error(client: TestClient) -> None:
    async with connected(client) as ws:
        subscribe(ws, {"query": "subscription {watchFails {id}}"})
        assert (await ws.receive_json())["type"] == "next"
        message = await ws.receive_json()
        assert message["type"] == "error"
        assert message["payload"][0]["extensions"]["code"] == "NOT_FOUND"


async def test_complete_stops_an_operation(client: TestClient, library: Library) -> None:
    async with connected(client) as ws:
        subscribe(ws, {"query": "subscription {watchForEver {id}}"})
        assert (await ws.receive_json())["type"] == "next"
        assert library.open_streams == 1
        ws.send_json({"id": "1", "type": "complete"})
        subscribe(ws, {"query": '{slow(name: "a")}'})
        ws.send_json({"id": "1", "type": "complete"})
        ws.send_json({"id": "nobody", "type": "complete"})
        subscribe(ws, AUTHOR)
        assert (await ws.receive_json())["payload"] == {"data": {"author": {"name": "Author 3"}}}
        library.gate.set()
        assert (await ws.receive_json())["type"] == "complete"
        await library.stream_closed.wait()


async def test_one_who_leaves_stops_everything(client: TestClient, library: Library) -> None:
    async with connected(client) as ws:
        subscribe(ws, {"query": "subscription {watchForEver {id}}"}, "1")
        subscribe(ws, {"query": '{slow(name: "a")}'}, "2")
        await ws.receive()
        calls = list(client.site.runtime.suspended)
        assert len(calls) == 2
        over = [asyncio.Event() for _ in calls]
        for call, event in zip(calls, over, strict=True):
            call.on_done(partial(_tell, event))
    for event in over:
        await event.wait()
    assert library.open_streams == 0


def _tell(event: asyncio.Event, call: Call, error: RpcError | None) -> None:
    event.set()


async def test_pings(client: TestClient) -> None:
    async with client.websocket("/graphql", subprotocols=[SUBPROTOCOL]) as ws:
        ws.send('{"type":"ping"}')
        assert await ws.receive() == '{"type":"pong"}'
        ws.send('{"type":"ping","payload":{"at":7}}')
        assert await ws.receive() == '{"type":"pong","payload":{"at":7}}'
        ws.send('{"type":"pong"}')
        ws.send(INIT)
        assert await ws.receive() == ACK


# How it is closed


async def closed(client: TestClient, *messages: str | bytes, subprotocols: tuple[str, ...] = (SUBPROTOCOL,)) -> Any:
    async with client.websocket("/graphql", subprotocols=list(subprotocols)) as ws:
        for message in messages:
            ws.send(message)
        return await ws.closed()


SUBSCRIBE = json.dumps({"id": "1", "type": "subscribe", "payload": {"query": '{slow(name: "a")}'}})


@pytest.mark.parametrize(
    ("messages", "end"),
    [
        (["nonsense"], (4400, "Invalid message received")),
        ([b"\x00"], (4400, "Invalid message received")),
        (["[]"], (4400, "Invalid message received")),
        (["{}"], (4400, "Invalid message received")),
        (['{"type":7}'], (4400, "Invalid message received")),
        (['{"type":"start"}'], (4400, "Invalid message received")),
        (["[" * 5000], (4400, "Invalid message received")),
        (['{"type":"ping","payload":7}'], (4400, "Invalid message received")),
        (['{"type":"connection_init","payload":"token"}'], (4400, "Invalid message received")),
        (['{"type":"connection_init","payload":' + "[" * 5000 + "}"], (4400, "Invalid message received")),
        ([INIT, '{"type":"subscribe","payload":{"query":"{a}"}}'], (4400, "Invalid message received")),
        ([INIT, '{"type":"subscribe","id":"","payload":{"query":"{a}"}}'], (4400, "Invalid message received")),
        ([INIT, '{"type":"subscribe","id":1,"payload":{"query":"{a}"}}'], (4400, "Invalid message received")),
        ([INIT, '{"type":"subscribe","id":"1"}'], (4400, "Invalid message received")),
        ([INIT, '{"type":"subscribe","id":"1","payload":{"query":7}}'], (4400, "Invalid message received")),
        (
            [INIT, '{"type":"subscribe","id":"1","payload":{"query":"{a}","variables":[]}}'],
            (4400, "Invalid message received"),
        ),
        ([INIT, '{"type":"complete"}'], (4400, "Invalid message received")),
        ([SUBSCRIBE], (4401, "Unauthorized")),
        ([INIT, SUBSCRIBE, SUBSCRIBE], (4409, "Subscriber for 1 already exists")),
        ([INIT, INIT], (4429, "Too many initialisation requests")),
    ],
)
async def test_closes(client: TestClient, messages: list[str | bytes], end: tuple[int, str]) -> None:
    assert await closed(client, *messages) == end


async def test_the_reason_of_a_close_is_short(client: TestClient) -> None:
    message = SUBSCRIBE.replace('"1"', json.dumps("é" * 500, ensure_ascii=False))
    code, reason = await closed(client, INIT, message, message)
    assert code == 4409
    assert reason == f"Subscriber for {'é' * 40} already exists"


@pytest.mark.parametrize("offered", [(), ("graphql-ws",), ("graphql-transport-ws2",)])
async def test_another_subprotocol(client: TestClient, offered: tuple[str, ...]) -> None:
    async with client.websocket("/graphql", subprotocols=list(offered)) as ws:
        assert ws.subprotocol is None
        assert await ws.closed() == (4406, "Subprotocol not acceptable")


async def test_one_who_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []
    later = asyncio.get_running_loop().call_later

    def call_later(seconds: float, *given: Any, **options: Any) -> asyncio.TimerHandle:
        waited.append(seconds)
        return later(0 if seconds == 7.5 else seconds, *given, **options)

    monkeypatch.setattr(asyncio.get_running_loop(), "call_later", call_later)
    async with TestClient(App(Library(), graphql=GraphqlOptions(init_timeout_s=7.5))) as client:
        assert await closed(client) == (4408, "Connection initialisation timeout")
        assert 7.5 in waited


async def test_pages_of_other_origins_are_refused(client: TestClient) -> None:
    with pytest.raises(SocketRefused, match="403"):
        async with client.websocket(
            "/graphql", subprotocols=[SUBPROTOCOL], headers=[("origin", "https://evil.example")]
        ):
            pass


# Who calls


async def authenticate(call: Call, proceed: Any) -> Any:
    if call.metadata.get("authorization") != "Bearer good":
        raise Unauthenticated("who are you?")
    return await proceed(call)


@pytest.mark.parametrize(
    ("payload", "headers"),
    [
        ({"Authorization": "Bearer good", "other": {"a": 1}}, []),
        ({}, [("authorization", "Bearer good")]),
        ({"authorization": "Bearer bad"}, [("authorization", "Bearer good")]),
    ],
)
async def test_parameters_of_the_connection_are_metadata(payload: Any, headers: list[tuple[str, str]]) -> None:
    async with (
        TestClient(App(Library(), interceptors=[authenticate])) as client,
        connected(client, payload, headers=headers) as ws,
    ):
        for one in (AUTHOR, WATCH):
            subscribe(ws, one)
            message = await ws.receive_json()
            assert "errors" not in message["payload"]
            while message["type"] != "complete":
                message = await ws.receive_json()


async def test_one_who_is_not_known() -> None:
    async with TestClient(App(Library(), interceptors=[authenticate])) as client, connected(client) as ws:
        subscribe(ws, AUTHOR)
        message = await ws.receive_json()
        assert message["payload"]["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"
        await ws.receive()
        subscribe(ws, WATCH)
        message = await ws.receive_json()
        assert message["type"] == "error"
        assert message["payload"][0]["extensions"]["code"] == "UNAUTHENTICATED"


async def test_too_many_parameters(client: TestClient) -> None:
    payload = {f"p{number}": "x" for number in range(101)}
    end = await closed(client, json.dumps({"type": "connection_init", "payload": payload}))
    assert end == (4400, "Invalid message received")


# Bounds


async def test_operations_of_one_socket_are_bounded(client: TestClient, library: Library) -> None:
    async with connected(client) as ws:
        for number in range(MOST_CALLS + 1):
            subscribe(ws, {"query": '{slow(name: "a")}'}, str(number))
        message = await ws.receive_json()
        assert (message["id"], message["type"]) == (str(MOST_CALLS), "error")
        assert message["payload"][0]["extensions"]["reason"] == "TOO_MANY_CALLS"
        library.gate.set()
        assert {(await ws.receive_json())["type"] for _ in range(2 * MOST_CALLS)} == {"next", "complete"}


async def test_one_who_never_reads_is_sent_no_more(client: TestClient, library: Library) -> None:
    async with connected(client) as ws:
        ws.sink.paused = True
        for number in range(3):
            subscribe(ws, {"query": "subscription {watchMuch {name}}"}, str(number))
        await asyncio.sleep(0)
        sent = library.sent
        assert sent < 100
        # Nor is more asked of it: its messages stay where they are.
        subscribe(ws, AUTHOR, "unread")
        assert ws.sink.buffered_in_bytes > 0
        await asyncio.sleep(0)
        assert library.sent == sent
        ws.sink.resume()
        assert ws.sink.buffered_in_bytes == 0
        ended: set[str] = set()
        while len(ended) < 4:
            message = await ws.receive_json()
            if message["type"] == "complete":
                ended.add(message["id"])
        assert library.sent == 600
