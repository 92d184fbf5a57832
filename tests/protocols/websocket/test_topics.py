"""Topics over the protocol: calls like all others, whose frames are made once for many sockets."""

from __future__ import annotations

import gc
from contextlib import AsyncExitStack
from typing import Any

import pytest

from polywire import App, History, Int32, Message, Topic
from polywire.protocols.websocket.json_framing import JsonFraming
from polywire.protocols.websocket.streams import Window
from polywire.testing import TestClient
from polywire.testing.memory import MemorySink
from tests.protocols.websocket.desk import Desk
from tests.protocols.websocket.tongues import TONGUES, MessagePack, Protobuf, Tongue
from tests.protocols.websocket.turns import turns


class Tick(Message):
    cents: Int32


def make(**options: Any) -> tuple[Topic[Tick], App]:
    topic = Topic("prices.{symbol}", Tick, history=History(count=5), **options)
    return topic, App(Desk(), topics=[topic])


def subscribe(id: int = 1, **more: Any) -> dict[str, Any]:
    return {"type": "call", "id": id, "method": "topics.Prices/Subscribe", "input": {"symbol": "ACME"}, **more}


@pytest.mark.parametrize("tongue", TONGUES, ids=lambda tongue: tongue.name)
async def test_a_subscription_greets_tells_and_is_resumed(tongue: type[Tongue]) -> None:
    prices, app = make()
    async with TestClient(app) as client:
        async with client.websocket("/ws", subprotocols=[tongue.name]) as ws:
            peer = tongue(client, ws)
            assert "topics" in (await peer.receive())["capabilities"]
            peer.send(subscribe())
            greeting = await peer.receive()
            assert greeting["position"] == greeting["message"]["position"]
            first = await prices.publish(Tick(1), symbol="ACME")
            item = await peer.receive()
            assert (item["type"], item["id"], item["position"]) == ("next", 1, str(first))
            assert item["message"]["data"] == {"cents": 1}
        await prices.publish(Tick(2), symbol="ACME")
        async with client.websocket("/ws", subprotocols=[tongue.name]) as ws:
            peer = tongue(client, ws)
            await peer.receive()
            peer.send(subscribe(7, after=str(first)))
            assert (await peer.receive())["position"] == str(first)
            assert (await peer.receive())["message"]["data"] == {"cents": 2}
            peer.send({"type": "cancel", "id": 7})
            assert (await peer.receive())["code"] == "CANCELLED"


async def test_a_frame_is_made_once_for_all_that_are_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []
    original = JsonFraming.next

    def counted(self: JsonFraming, id: int, payload: bytes, position: str | None) -> str:
        made.append(id)
        return original(self, id, payload, position)

    monkeypatch.setattr(JsonFraming, "next", counted)
    prices, app = make()
    async with TestClient(app) as client, AsyncExitStack() as stack:
        peers: list[Tongue] = []
        alike: list[tuple[type[Tongue], int]] = [(Tongue, 1)] * 5
        for tongue, id in [*alike, (Tongue, 2), (MessagePack, 1), (Protobuf, 1)]:
            ws = await stack.enter_async_context(client.websocket("/ws", subprotocols=[tongue.name]))
            peer = tongue(client, ws)
            await peer.receive()
            peer.send(subscribe(id))
            await peer.receive()
            peers.append(peer)
        made.clear()
        await prices.publish(Tick(3), symbol="ACME")
        items = [await peer.receive() for peer in peers]
        assert [item["id"] for item in items] == [1, 1, 1, 1, 1, 2, 1, 1]
        assert [item["message"]["data"] for item in items] == [{"cents": 3}] * 8
        assert made == [1, 2]


async def test_what_is_published_in_one_turn_is_one_write(monkeypatch: pytest.MonkeyPatch) -> None:
    writes: list[bytes] = []
    original = MemorySink.send_data

    def noted(self: MemorySink, data: bytes) -> bool:
        writes.append(data)
        return original(self, data)

    prices, app = make()
    async with TestClient(app) as client, client.websocket("/ws") as ws, client.websocket("/ws") as poor:
        for peer, credit in ((ws, 100), (poor, 13)):
            await peer.receive_json()
            peer.send_json(subscribe(credit=credit))
            await peer.receive_json()
        monkeypatch.setattr(MemorySink, "send_data", noted)
        for first in (0, 10):
            for cents in range(first, first + 10):
                await prices.publish(Tick(cents), symbol="ACME")
            await turns()
        whole = [await ws.receive_json() for _ in range(20)]
        assert [item["message"]["data"]["cents"] for item in whole] == [*range(20)]
        assert [item["position"] for item in whole] == [item["message"]["position"] for item in whole]
        # The other one has credit for the greeting, ten and two more: these go one by one, and so does what has waited.
        some = [await poor.receive_json() for _ in range(12)]
        assert [item["message"]["data"]["cents"] for item in some] == [*range(12)]
        assert [data.count(b'"type":"next"') for data in writes] == [10, 10, 10, 1, 1]
        poor.send_json({"type": "credit", "id": 1, "count": 100})
        rest = [await poor.receive_json() for _ in range(8)]
        assert [item["message"]["data"]["cents"] for item in rest] == [*range(12, 20)]


async def test_a_subscription_goes_when_it_ends_not_when_the_collector_comes() -> None:
    prices, app = make()
    async with TestClient(app) as client, client.websocket("/ws") as ws:
        await ws.receive_json()
        gc.collect()
        before = windows()
        gc.disable()
        try:
            ws.send_json(subscribe())
            await ws.receive_json()
            await prices.publish(Tick(1), symbol="ACME")
            await ws.receive_json()
            assert windows() == before + 1
            ws.send_json({"type": "cancel", "id": 1})
            assert (await ws.receive_json())["code"] == "CANCELLED"
            await turns()
            assert windows() == before
        finally:
            gc.enable()


def windows() -> int:
    return sum(type(one) is Window for one in gc.get_objects())


async def test_who_gives_no_credit_is_cut_off_with_a_word() -> None:
    prices, app = make(queue=4)
    async with TestClient(app) as client, client.websocket("/ws") as ws:
        await ws.receive_json()
        ws.send_json(subscribe(credit=2))
        await ws.receive_json()
        for cents in range(20):
            await prices.publish(Tick(cents), symbol="ACME")
        await turns()
        item, error = await ws.receive_json(), await ws.receive_json()
        assert item["message"]["data"] == {"cents": 0}
        assert (error["id"], error["code"], error["reason"]) == (1, "UNAVAILABLE", "SLOW_CONSUMER")
        ws.send_json({"type": "call", "id": 1, "method": "desk.Desk/Bare"})
        assert (await ws.receive_json())["message"] == 7


async def test_credit_that_comes_brings_what_has_waited() -> None:
    prices, app = make(queue=50)
    async with TestClient(app) as client, client.websocket("/ws") as ws:
        await ws.receive_json()
        ws.send_json(subscribe(credit=2))
        await ws.receive_json()
        for cents in range(5):
            await prices.publish(Tick(cents), symbol="ACME")
        assert (await ws.receive_json())["message"]["data"] == {"cents": 0}
        ws.send_json({"type": "credit", "id": 1, "count": 2})
        assert [(await ws.receive_json())["message"]["data"]["cents"] for _ in range(2)] == [1, 2]
        ws.send_json({"type": "credit", "id": 1, "count": 100})
        assert [(await ws.receive_json())["message"]["data"]["cents"] for _ in range(2)] == [3, 4]
        await prices.publish(Tick(9), symbol="ACME")
        assert (await ws.receive_json())["message"]["data"] == {"cents": 9}
