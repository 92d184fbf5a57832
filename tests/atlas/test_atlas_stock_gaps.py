"""Whoever comes back to the prices with a position that is gone is told a gap, over every protocol."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from typing import Any
from urllib.parse import quote

import msgspec
import pytest

from atlas.services.market import Market, StockUpdate, confirmations, stocks
from polywire import App
from polywire.protocols.rpc.framing import frame
from polywire.testing import TestClient
from tests.topics.test_parity import Parts

NEVER_S = 1e6
METHOD = "market.Market/StockUpdates"
SUBSCRIPTION = "subscription ($after: String) { stockUpdates(after: $after) { symbol price gap { after reason } } }"

Events = AsyncIterator[tuple[str | None, dict[str, Any]]]
"""Positions, where the protocol tells them, and what was sent with them; what is null left out."""


@pytest.fixture
async def client() -> AsyncIterator[TestClient]:
    market = Market(NEVER_S, seed=1)
    app = App(market, topics=[stocks, confirmations])
    app.on_start(market.open)
    app.on_stop(market.close)
    async with TestClient(app) as client, asyncio.timeout(10):
        yield client


async def sse(client: TestClient, after: str) -> Events:
    async with aclosing(client.events("GET", "/api/stock-updates", after=after)) as events:
        async for event in events:
            yield event.id, event.value


async def lines(client: TestClient, after: str) -> Events:
    async with aclosing(client.stream("GET", "/api/stock-updates", params={"after": after})) as values:
        async for value in values:
            yield None, value


async def grpc(client: TestClient, after: str) -> Events:
    async with aclosing(client.grpc_stream(METHOD, {"after": after})) as events:
        async for event in events:
            yield None, msgspec.to_builtins(event)


async def grpc_metadata(client: TestClient, after: str) -> Events:
    async with aclosing(client.grpc_stream(METHOD, metadata=[("last-event-id", after)])) as events:
        async for event in events:
            yield None, msgspec.to_builtins(event)


async def connect(client: TestClient, after: str) -> Events:
    body = json.dumps({"after": after}).encode()
    headers = [("content-type", "application/connect+json"), ("connect-protocol-version", "1")]
    sink = client.open("POST", f"/{METHOD}", headers=headers, body=frame(body))
    buffer = b""
    try:
        while True:
            while len(buffer) < 5 or len(buffer) < 5 + int.from_bytes(buffer[1:5]):
                part = await sink.received()
                assert part, buffer
                buffer += part
            end = 5 + int.from_bytes(buffer[1:5])
            yield None, json.loads(buffer[5:end])
            buffer = buffer[end:]
    finally:
        sink.leave()


async def graphql_events(client: TestClient, after: str) -> Events:
    body = json.dumps({"query": SUBSCRIPTION, "variables": {"after": after}}).encode()
    headers = [("content-type", "application/json"), ("accept", "text/event-stream")]
    sink = client.open("POST", "/graphql", headers=headers, body=body)
    parts = Parts(sink, rb"(?:retry: [0-9]+\n+)?event: next\nid: [^\n]*\ndata: ([^\n]*)\n\n")
    try:
        while True:
            yield None, json.loads(await parts.next())["data"]["stockUpdates"]
    finally:
        sink.leave()


async def graphql_socket(client: TestClient, after: str) -> Events:
    async with client.websocket("/graphql", subprotocols=["graphql-transport-ws"]) as ws:
        ws.send_json({"type": "connection_init"})
        assert (await ws.receive_json())["type"] == "connection_ack"
        payload = {"query": SUBSCRIPTION, "variables": {"after": after}}
        ws.send_json({"type": "subscribe", "id": "1", "payload": payload})
        while True:
            yield None, (await ws.receive_json())["payload"]["data"]["stockUpdates"]


async def trpc_events(client: TestClient, after: str) -> Events:
    given = quote(json.dumps({"lastEventId": after}))
    sink = client.open("GET", f"/trpc/market.stockUpdates?input={given}", headers=[("accept", "text/event-stream")])
    parts = Parts(sink, rb"(?:event: connected\ndata: {}\n\n)?(id: [^\n]*\ndata: [^\n]*)\n\n")
    try:
        while True:
            id, data = (await parts.next()).decode().split("\ndata: ")
            yield id.removeprefix("id: "), json.loads(data)
    finally:
        sink.leave()


async def trpc_socket(client: TestClient, after: str) -> Events:
    async with client.websocket("/trpc") as ws:
        params = {"path": "market.stockUpdates", "input": {"lastEventId": after}}
        ws.send_json({"id": 1, "method": "subscription", "params": params})
        assert (await ws.receive_json())["result"]["type"] == "started"
        while True:
            tracked = (await ws.receive_json())["result"]["data"]
            yield tracked["id"], tracked["data"]


async def polywire_socket(client: TestClient, after: str) -> Events:
    async with client.websocket("/ws") as ws:
        assert (await ws.receive_json())["type"] == "welcome"
        ws.send_json({"type": "call", "id": 1, "method": METHOD, "after": after})
        while True:
            item = await ws.receive_json()
            yield item["position"], item["message"]


PROTOCOLS: dict[str, Callable[[TestClient, str], Events]] = {
    "SSE": sse,
    "NDJSON": lines,
    "gRPC": grpc,
    "gRPC, metadata": grpc_metadata,
    "Connect": connect,
    "GraphQL over SSE": graphql_events,
    "graphql-transport-ws": graphql_socket,
    "tRPC over SSE": trpc_events,
    "tRPC over WebSocket": trpc_socket,
    "polywire's WebSocket": polywire_socket,
}


@asynccontextmanager
async def back(name: str, client: TestClient, after: str) -> AsyncIterator[Callable[[], Any]]:
    """What comes next for one who has come back: its position and what it holds."""
    async with aclosing(PROTOCOLS[name](client, after)) as events:  # type: ignore[type-var]

        async def read() -> tuple[str | None, dict[str, Any]]:
            position, value = await anext(events)
            return position, {key: one for key, one in value.items() if one is not None}

        yield read


@pytest.mark.parametrize("name", PROTOCOLS)
async def test_a_position_of_another_epoch(client: TestClient, name: str) -> None:
    kept = await stocks.publish(StockUpdate("ACME", 1.5))
    async with back(name, client, "before:7") as read:
        position, told = await read()
        gap = told.pop("gap")
        # Proto JSON has the name of protobuf.
        reason = "GAP_REASON_EPOCH_CHANGED" if name == "Connect" else "EPOCH_CHANGED"
        assert (gap, told) == ({"after": "before:7", "reason": reason}, {})
        assert (await read())[1] == {"symbol": "ACME", "price": 1.5}
        live = await stocks.publish(StockUpdate("ACNA", 2.5))
        assert await read() == (position and str(live), {"symbol": "ACNA", "price": 2.5})
    if position is not None:
        # The gap has a position as well: whoever has seen it, and no more, is not told it again.
        async with back(name, client, position) as read:
            assert await read() == (str(kept), {"symbol": "ACME", "price": 1.5})


@pytest.mark.parametrize("name", PROTOCOLS)
async def test_a_position_that_is_there(client: TestClient, name: str) -> None:
    seen = await stocks.publish(StockUpdate("ACME", 1.5))
    await stocks.publish(StockUpdate("ACNA", 2.5))
    async with back(name, client, str(seen)) as read:
        assert (await read())[1] == {"symbol": "ACNA", "price": 2.5}


async def test_a_position_that_is_older_than_what_is_kept(client: TestClient) -> None:
    seen = await stocks.publish(StockUpdate("ACME", 1.0))
    for number in range(5001):
        await stocks.publish(StockUpdate("ACNA", float(number)))
    async with back("SSE", client, str(seen)) as read:
        assert (await read())[1] == {"gap": {"after": str(seen), "reason": "HISTORY_GONE"}}
        assert (await read())[1] == {"symbol": "ACNA", "price": 1.0}
