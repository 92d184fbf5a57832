"""Credit both ways, what waits, and how sockets end while calls run."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from polywire.testing import TestClient
from polywire.testing.memory import HIGH_WATER_BYTES
from polywire.testing.websocket import TestSocket
from tests.protocols.websocket.desk import Desk, make_app
from tests.protocols.websocket.turns import turns, until
from tests.runtime.beats import Beats


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
async def client(desk: Desk) -> AsyncIterator[TestClient]:
    async with TestClient(make_app(desk, max_calls=3, max_message_bytes=1000)) as client:
        yield client
        assert client.site.runtime.pending.held_bytes == 0


async def welcomed(ws: TestSocket) -> None:
    assert (await ws.receive_json())["type"] == "welcome"


def call(ws: TestSocket, method: str, id: int = 1, **more: Any) -> None:
    ws.send_json({"type": "call", "id": id, "method": f"desk.Desk/{method}", **more})


def say(ws: TestSocket, kind: str, id: int = 1, **more: Any) -> None:
    ws.send_json({"type": kind, "id": id, **more})


async def items(ws: TestSocket, count: int) -> list[Any]:
    return [(await ws.receive_json())["message"] for _ in range(count)]


async def test_no_more_is_sent_than_there_is_credit_for(client: TestClient, desk: Desk) -> None:
    async with client.websocket("/ws") as ws:
        await welcomed(ws)
        call(ws, "Count", input={"to": 10}, credit=3)
        assert await items(ws, 3) == [0, 1, 2]
        await turns()
        assert desk.made == 3
        call(ws, "Bare", id=2)
        assert await ws.receive_json() == {"type": "result", "id": 2, "message": 7}, "others go on"
        say(ws, "credit", count=2)
        assert await items(ws, 2) == [3, 4]
        await turns()
        assert desk.made == 5
        say(ws, "credit", count=2**60)
        assert await items(ws, 5) == [5, 6, 7, 8, 9]
        assert await ws.receive_json() == {"type": "end", "id": 1}


async def test_256_items_without_a_word(client: TestClient, desk: Desk) -> None:
    async with client.websocket("/ws") as ws:
        await welcomed(ws)
        call(ws, "Count", input={"to": 1000})
        await until(lambda: desk.made == 256)
        await turns()
        assert desk.made == 256
        assert await items(ws, 256) == list(range(256))
        say(ws, "cancel")
        assert (await ws.receive_json())["code"] == "CANCELLED"


async def test_credit_comes_as_items_are_read(client: TestClient, desk: Desk) -> None:
    async with client.websocket("/ws") as ws:
        await welcomed(ws)
        call(ws, "Join")
        for number in range(64):
            say(ws, "next", message={"text": str(number)})
        await turns()
        desk.may_read.set()
        assert await ws.receive_json() == {"type": "credit", "id": 1, "count": 32}
        assert await ws.receive_json() == {"type": "credit", "id": 1, "count": 32}
        for number in range(64, 128):
            say(ws, "next", message={"text": str(number)})
        assert [await ws.receive_json() for _ in range(2)] == [{"type": "credit", "id": 1, "count": 32}] * 2
        say(ws, "next", message={"text": "last"})
        say(ws, "end")
        assert (await ws.receive_json())["message"] == "+".join([*map(str, range(128)), "last"])


async def test_more_than_the_credit_ends_the_call(client: TestClient, desk: Desk) -> None:
    async with client.websocket("/ws") as ws:
        await welcomed(ws)
        call(ws, "Join")
        for _ in range(10_000):
            say(ws, "next", message={"text": "x"})
        desk.may_read.set()
        error = await ws.receive_json()
        assert (error["id"], error["code"], error["reason"]) == (1, "RESOURCE_EXHAUSTED", "CREDIT_EXCEEDED")
        say(ws, "next", message={"text": "x"})
        call(ws, "Bare")
        assert (await ws.receive_json())["message"] == 7, "the socket goes on"


async def test_many_bytes_that_wait_stop_the_reading(client: TestClient, desk: Desk) -> None:
    async with client.websocket("/ws") as ws:
        await welcomed(ws)
        call(ws, "Join")
        for _ in range(60):
            say(ws, "next", message={"text": "x" * 500})
        say(ws, "end")
        await turns()
        assert client.site.runtime.pending.held_bytes < 2000
        assert ws.sink.buffered_in_bytes > 20_000, "it is not read"
        desk.may_read.set()
        received = await ws.receive_json()
        while received["type"] == "credit":
            received = await ws.receive_json()
        assert received["message"] == "+".join(["x" * 500] * 60)


async def test_the_budget_of_the_process_is_kept(desk: Desk) -> None:
    app = make_app(desk, max_pending_bytes=100)
    async with TestClient(app) as client, client.websocket("/ws") as ws:
        await welcomed(ws)
        call(ws, "Join")
        say(ws, "next", message={"text": "x" * 200})
        desk.may_read.set()
        error = await ws.receive_json()
        assert (error["code"], error["reason"]) == ("UNAVAILABLE", "OVERLOADED")
        assert client.site.runtime.pending.held_bytes == 0


async def test_an_item_that_is_wrong_comes_after_those_that_were_right(client: TestClient, desk: Desk) -> None:
    async with client.websocket("/ws") as ws:
        await welcomed(ws)
        call(ws, "Mirror")
        say(ws, "next", message={"text": "a"})
        say(ws, "next", message={"text": 5})
        say(ws, "next", message={"text": "b"})
        assert (await ws.receive_json())["message"]["text"] == "a"
        error = await ws.receive_json()
        assert (error["id"], error["reason"]) == (1, "INVALID")
        call(ws, "Bare")
        assert (await ws.receive_json())["message"] == 7


async def test_who_reads_nothing_stops_the_stream_and_what_it_asks(client: TestClient, desk: Desk) -> None:
    async with client.websocket("/ws") as ws:
        await welcomed(ws)
        ws.sink.paused = True
        call(ws, "Count", input={"to": 10_000_000}, credit=1_000_000)
        await until(lambda: ws.sink.buffered_out_bytes >= HIGH_WATER_BYTES)
        made = desk.made
        for _ in range(1000):
            ws.send_json({"type": "ping"})
        await turns()
        assert desk.made == made
        assert ws.sink.buffered_out_bytes < HIGH_WATER_BYTES + 1000
        assert ws.sink.buffered_in_bytes > 10_000
        ws.leave()
    await until(lambda: client.site.open_calls == 0)


async def test_calls_are_bounded_and_the_others_refused(client: TestClient, desk: Desk) -> None:
    async with client.websocket("/ws") as ws:
        await welcomed(ws)
        for id in range(1, 10_001):
            call(ws, "Count", id=id, input={"to": 0, "wait": True})
        assert client.site.open_calls == 3
        for id in range(4, 10_001):
            error = await ws.receive_json()
            assert (error["id"], error["code"], error["reason"]) == (id, "RESOURCE_EXHAUSTED", "TOO_MANY_CALLS")
        say(ws, "cancel", id=2)
        assert (await ws.receive_json())["code"] == "CANCELLED"
        call(ws, "Bare", id=2)
        assert (await ws.receive_json())["message"] == 7
    await until(lambda: len(desk.gone) == 3)


async def test_calls_end_with_the_socket(client: TestClient, desk: Desk) -> None:
    async with client.websocket("/ws") as ws:
        await welcomed(ws)
        call(ws, "Waits", id=1)
        call(ws, "Count", id=2, input={"to": 9}, credit=1)
        call(ws, "Mirror", id=3)
        say(ws, "next", id=3, message={"text": "a"})
        await turns()
        assert client.site.open_calls == 3
        ws.leave()
    await until(lambda: client.site.open_calls == 0)
    assert desk.gone == ["waits"]
    assert not client.site.runtime.sockets


async def test_a_handler_that_does_not_stop_sends_to_nobody(client: TestClient, desk: Desk) -> None:
    async with client.websocket("/ws") as ws:
        await welcomed(ws)
        call(ws, "Stubborn", timeout_s=0.01)
        assert (await ws.receive_json())["code"] == "DEADLINE_EXCEEDED"
        call(ws, "Join")
        await until(lambda: desk.seen == ["cancelled", "over"])
        desk.may_read.set()
        say(ws, "next", message={"text": "a"})
        say(ws, "end")
        assert await ws.receive_json() == {"type": "result", "id": 1, "message": "a"}, "and not to the next of its id"


async def test_what_is_to_finish_does(client: TestClient, desk: Desk) -> None:
    async with client.websocket("/ws") as ws:
        await welcomed(ws)
        call(ws, "Finishes")
        ws.leave()
    await turns()
    assert client.site.open_calls == 1
    desk.may_read.set()
    await until(lambda: desk.seen == ["finished"])


async def test_when_the_server_goes(client: TestClient, desk: Desk) -> None:
    async with client.websocket("/ws") as busy, client.websocket("/ws") as idle:
        await welcomed(busy)
        await welcomed(idle)
        call(busy, "Join")
        client.site.go_away()
        assert await idle.receive_json() == {"type": "going_away", "reconnect_s": 0.5}
        assert await idle.closed() == (1012, "the server is going away")
        assert (await busy.receive_json())["type"] == "going_away"
        call(busy, "Bare", id=2)
        error = await busy.receive_json()
        assert (error["id"], error["code"], error["reason"]) == (2, "UNAVAILABLE", "GOING_AWAY")
        say(busy, "next", message={"text": "a"})
        say(busy, "end")
        desk.may_read.set()
        assert (await busy.receive_json())["message"] == "a"
        assert await busy.closed() == (1012, "the server is going away")


async def test_clients_come_back_before_the_server_is_gone(client: TestClient) -> None:
    async with client.websocket("/ws") as ws:
        await welcomed(ws)
        client.site.go_away(within_s=0.5)
        assert await ws.receive_json() == {"type": "going_away", "reconnect_s": 0.25}


async def test_who_comes_while_the_server_goes_is_told(client: TestClient) -> None:
    client.site.go_away()
    async with client.websocket("/ws") as late, asyncio.timeout(10):
        await welcomed(late)
        assert (await late.receive_json())["type"] == "going_away"
        assert await late.closed() == (1012, "the server is going away")


async def test_calls_that_are_left_are_told_at_the_end(desk: Desk) -> None:
    client = await TestClient(make_app(desk)).__aenter__()
    async with client.websocket("/ws") as ws:
        await welcomed(ws)
        call(ws, "Waits")
        client.site.go_away()
        assert (await ws.receive_json())["type"] == "going_away"
        await client.__aexit__(None, None, None)
        error = await ws.receive_json()
        assert (error["id"], error["code"]) == (1, "UNAVAILABLE")
        assert (await ws.closed())[0] == 1012


async def test_who_does_not_answer_pings_is_lost(desk: Desk) -> None:
    app = make_app(desk, heartbeat_s=0.02)
    async with TestClient(app) as client, client.websocket("/ws") as ws:
        welcome = json.loads(str(await ws.receive()))
        assert welcome["heartbeat_s"] == 0.02
        call(ws, "Waits")
        await until(lambda: client.site.open_calls == 1)
        beats = Beats()
        client.site.runtime.heartbeats.add(beats)
        for _ in range(5):
            await beats.next()
        await until(lambda: client.site.open_calls == 0)
        assert await ws.closed() == (1001, "nothing was heard for too long")
    assert desk.gone == ["waits"]
