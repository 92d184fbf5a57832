"""tRPC over a WebSocket, as wsLink speaks it: messages in and out, and what a hostile peer gets."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from polywire import App, History, Message, Topic
from polywire.runtime import runtime
from polywire.service.options import GraphqlOptions
from polywire.testing import TestClient
from polywire.testing.websocket import SocketClosed, SocketRefused, TestSocket

from .rpc_service import Words
from .test_trpc import Stream, ended
from .ticks import until


@pytest.fixture
def stream() -> Stream:
    return Stream()


@pytest.fixture
async def client(stream: Stream) -> AsyncIterator[TestClient]:
    app = App(Words(), stream, graphql=GraphqlOptions(path=None), max_request_bytes=20_000)
    async with TestClient(app) as client:
        yield client
    assert stream.running == 0


@pytest.fixture(params=["1.1", "2"])
async def ws(client: TestClient, request: pytest.FixtureRequest) -> AsyncIterator[TestSocket]:
    async with client.websocket("/trpc", version=request.param) as ws:
        yield ws
    await ended(client)


def asked(id: int | str, method: str, path: str, given: Any = None, **more: Any) -> dict[str, Any]:
    params = {"path": path, **more} if given is None else {"path": path, "input": given, **more}
    return {"id": id, "method": method, "params": params}


async def test_calls(ws: TestSocket) -> None:
    ws.send_json(asked(1, "query", "words.echo", {"text": "é"}))
    assert await ws.receive() == ('{"id":1,"result":{"type":"data","data":{"text":"é","times":0,"number_of_all":0}}}')
    ws.send_json(asked("a", "mutation", "words.nothing"))
    assert await ws.receive() == '{"id":"a","result":{"type":"data"}}'
    ws.send_json({"jsonrpc": "2.0", **asked(2, "query", "stream.optional", {"word": "x"})})
    assert await ws.receive() == '{"id":2,"jsonrpc":"2.0","result":{"type":"data","data":"x"}}'


async def test_errors(ws: TestSocket) -> None:
    ws.send_json(asked(1, "query", "words.refused"))
    told = await ws.receive_json()
    assert (told["id"], told["error"]["code"], told["error"]["data"]["reason"]) == (1, -32004, "NO_WORD")
    for method, path in (
        ("query", "words.nothing"),
        ("mutation", "words.echo"),
        ("query", "x"),
        ("query", "stream.plain"),
    ):
        ws.send_json(asked(2, method, path))
        told = await ws.receive_json()
        assert (told["id"], told["error"]["data"]["code"]) == (2, "NOT_FOUND")
    ws.send_json(asked(3, "query", "words.echo", {"text": 1}))
    assert (await ws.receive_json())["error"]["data"]["code"] == "UNPROCESSABLE_CONTENT"


async def test_a_batch_is_answered_one_by_one(ws: TestSocket) -> None:
    ws.send_json([asked(id, "query", "stream.optional", {"word": str(id)}) for id in (1, 2)])
    assert [(await ws.receive_json())["result"]["data"] for _ in range(2)] == ["1", "2"]


async def test_calls_do_not_wait_for_each_other(ws: TestSocket, stream: Stream) -> None:
    ws.send_json(asked(1, "query", "stream.late"))
    ws.send_json(asked(2, "query", "stream.optional"))
    assert (await ws.receive_json())["id"] == 2
    stream.go_on.set()
    assert (await ws.receive_json()) == {"id": 1, "result": {"type": "data", "data": "late"}}


async def test_a_subscription(ws: TestSocket) -> None:
    ws.send_json(asked(7, "subscription", "stream.count", {"to": 2}))
    assert [await ws.receive() for _ in range(4)] == [
        '{"id":7,"result":{"type":"started"}}',
        '{"id":7,"result":{"type":"data","id":"1","data":{"id":"1","data":1}}}',
        '{"id":7,"result":{"type":"data","id":"2","data":{"id":"2","data":2}}}',
        '{"id":7,"result":{"type":"stopped"}}',
    ]
    ws.send_json(asked(7, "subscription", "stream.plain"))
    assert [(await ws.receive_json())["result"].get("data") for _ in range(4)] == [None, "a", "b", None]


@pytest.mark.parametrize("more", [{"lastEventId": "2"}, {"lastEventId": 2}])
async def test_a_subscription_goes_on(ws: TestSocket, more: dict[str, Any]) -> None:
    ws.send_json(asked(7, "subscription", "stream.count", {"to": 3}, **more))
    await ws.receive()
    assert (await ws.receive_json())["result"]["id"] == "3"


async def test_a_subscription_is_stopped(ws: TestSocket, client: TestClient, stream: Stream) -> None:
    ws.send_json(asked(1, "subscription", "stream.forEver"))
    assert (await ws.receive_json())["result"] == {"type": "started"}
    assert stream.running == 1
    ws.send_json({"id": 1, "method": "subscription.stop"})
    assert (await ws.receive_json())["result"] == {"type": "stopped"}
    await ended(client)
    assert stream.running == 0
    ws.send_json({"id": 1, "method": "subscription.stop"})
    ws.send("PING")
    assert await ws.receive() == "PONG", "a stop for what is over is nothing"


async def test_an_error_then_stopped(ws: TestSocket) -> None:
    ws.send_json(asked(1, "subscription", "stream.breaks"))
    told = [await ws.receive_json() for _ in range(4)]
    assert told[2]["error"]["data"]["reason"] == "DRY"
    assert told[3]["result"] == {"type": "stopped"}


async def test_an_id_is_used_once_at_a_time(ws: TestSocket, stream: Stream) -> None:
    for _ in range(2):
        ws.send_json(asked(1, "query", "stream.late"))
    told = await ws.receive_json()
    assert told["error"]["message"] == "Duplicate id 1"
    stream.go_on.set()
    assert (await ws.receive_json())["result"]["data"] == "late"


@pytest.mark.parametrize(
    "text",
    ["{", "[", "7", "null", '"x"', "[" * 100_00, '{"method":7}', "[1]", "\ud800".encode("utf-8", "replace").decode()],
)
async def test_what_is_no_message(ws: TestSocket, text: str) -> None:
    ws.send(text)
    told = await ws.receive_json()
    assert (told["id"], told["error"]["code"]) == (None, -32700)
    ws.send("PING")
    assert await ws.receive() == "PONG"


async def test_what_lacks_something(ws: TestSocket) -> None:
    for message in (
        {"method": "query"},
        {"id": 1, "method": "x", "params": {"path": "a"}},
        {"id": 1, "method": "query"},
    ):
        ws.send_json(message)
        assert (await ws.receive_json())["error"]["data"]["code"] == "PARSE_ERROR"


async def test_bounded_batches_and_calls(ws: TestSocket, client: TestClient, stream: Stream) -> None:
    ws.send_json([asked(id, "query", "words.timeout") for id in range(101)])
    assert (await ws.receive_json())["error"]["data"]["code"] == "BAD_REQUEST"
    for start in range(0, 10_000, 100):
        ws.send_json([asked(start + place, "query", "stream.late") for place in range(100)])
    assert len(client.site.runtime.suspended) == 128
    refused = [await ws.receive_json() for _ in range(10_000 - 128)]
    assert {told["error"]["data"]["reason"] for told in refused} == {"TOO_MANY_CALLS"}
    stream.go_on.set()
    assert {(await ws.receive_json())["id"] for _ in range(128)} == set(range(128))


async def test_bytes_are_not_taken(ws: TestSocket) -> None:
    ws.send(b"{}")
    assert await ws.closed() == (1003, "messages are text")


async def test_a_message_that_is_too_long(ws: TestSocket) -> None:
    ws.send(" " * 20_001)
    assert (await ws.closed())[0] == 1009


async def test_leaving_cancels(client: TestClient, stream: Stream) -> None:
    async with client.websocket("/trpc") as ws:
        ws.send_json(asked(1, "mutation", "stream.hangs"))
        ws.send_json(asked(2, "subscription", "stream.forEver"))
        await until(lambda: stream.running == 2)
    await ended(client)
    assert stream.running == 0


async def test_connection_parameters_come_first(client: TestClient) -> None:
    async with client.websocket("/trpc?connectionParams=1", headers=[("x-hand", "right")]) as ws:
        ws.send_json({"method": "connectionParams", "data": {"authorization": "Bearer a", "x-hand": "left"}})
        ws.send_json(asked(1, "subscription", "stream.who"))
        await ws.receive()
        assert (await ws.receive_json())["result"]["data"] == "Bearer a right"


@pytest.mark.parametrize("first", ['{"method":"query"}', "{", '{"method":"connectionParams","data":7}'])
async def test_other_first_messages_end_it(client: TestClient, first: str) -> None:
    async with client.websocket("/trpc?connectionParams=1") as ws:
        ws.send(first)
        told = await ws.receive_json()
        assert told["id"] is None
        assert "error" in told
        assert await ws.closed() == (1008, "the connection parameters are refused")


async def test_a_server_that_goes_lets_the_client_move(client: TestClient, stream: Stream) -> None:
    async with client.websocket("/trpc") as ws:
        ws.send_json(asked(1, "query", "stream.late"))
        await until(lambda: bool(client.site.runtime.suspended))
        client.site.go_away()
        assert await ws.receive_json() == {"id": None, "method": "reconnect"}
        stream.go_on.set()
        assert (await ws.receive_json())["result"]["data"] == "late", "this one goes on until the client has moved"


class Note(Message):
    text: str


async def test_a_subscription_that_stays_behind_is_not_told_that_it_has_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client asks for it anew when its socket is closed, and for nothing that has stopped."""
    monkeypatch.setattr(runtime, "_LEAST_SPREAD_S", 0.02)
    notes = Topic("notes", Note)
    async with TestClient(App(Words(), topics=[notes])) as client, client.websocket("/trpc") as ws, asyncio.timeout(10):
        ws.send_json(asked(1, "subscription", "notes.subscribe"))
        assert [(await ws.receive_json())["result"]["type"] for _ in range(2)] == ["started", "data"]
        client.site.go_away()
        assert await ws.receive_json() == {"id": None, "method": "reconnect"}
        with pytest.raises(SocketClosed) as caught:
            await ws.receive()
        assert caught.value.code == 1001


async def test_a_socket_that_nothing_runs_on_is_closed_when_the_client_could_have_moved(
    client: TestClient, stream: Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtime, "_LEAST_SPREAD_S", 0.02)
    async with client.websocket("/trpc") as idle, client.websocket("/trpc") as busy, asyncio.timeout(10):
        busy.send_json(asked(1, "query", "stream.late"))
        await until(lambda: bool(client.site.runtime.suspended))
        client.site.go_away()
        assert await idle.closed() == (1001, "the server is going away")
        stream.go_on.set()
        assert await busy.receive_json() == {"id": None, "method": "reconnect"}
        assert (await busy.receive_json())["result"]["data"] == "late"
        assert await busy.closed() == (1001, "the server is going away")


async def test_who_is_too_slow_for_a_topic_is_told_why() -> None:
    notes = Topic("notes", Note, history=History(count=10), queue=1)
    async with TestClient(App(Words(), topics=[notes])) as client, client.websocket("/trpc") as ws:
        ws.send_json(asked(1, "subscription", "notes.subscribe"))
        assert [(await ws.receive_json())["result"]["type"] for _ in range(2)] == ["started", "data"]
        ws.sink.paused = True
        for _ in range(8):
            await notes.publish(Note("x" * 20_000))
            await asyncio.sleep(0)
        await until(lambda: not client.site.open_calls)
        ws.sink.resume()
        told = await ws.receive_json()
        while "result" in told:
            assert told["result"]["type"] == "data"
            told = await ws.receive_json()
        assert told["error"]["data"]["reason"] == "SLOW_CONSUMER"
        assert (await ws.receive_json())["result"]["type"] == "stopped"


async def test_pages_of_other_origins_get_no_socket(client: TestClient) -> None:
    with pytest.raises(SocketRefused) as caught:
        async with client.websocket("/trpc", headers=[("origin", "https://evil.example")]):
            pass
    assert caught.value.answer.status == 403


async def test_who_asks_without_reading_is_read_no_further(client: TestClient) -> None:
    async with client.websocket("/trpc") as ws:
        ws.sink.paused = True
        sent = 0
        message = json.dumps([asked(id, "query", "stream.optional", {"word": "x" * 150}) for id in range(50)])
        for _ in range(100):
            ws.send(message)
            sent += len(message)
        await asyncio.sleep(0)
        assert ws.sink.buffered_in_bytes > sent // 2
        assert ws.sink.buffered_out_bytes < 200_000
