"""The market: ticks that nobody misses, alerts, orders that are placed once, and bars that caches may keep."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import aclosing
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pytest

from atlas.services import market as market_module
from atlas.services.market import SYMBOLS, Market, StockUpdate, confirmations, stocks
from polywire import App
from polywire.errors import RpcError
from polywire.testing import TestClient
from tests.atlas.talk import until

NEVER_S = 1e6


@pytest.fixture
def market() -> Market:
    return Market(NEVER_S, seed=1)


@pytest.fixture
async def client(market: Market) -> AsyncIterator[TestClient]:
    app = App(market, topics=[stocks, confirmations])
    app.on_start(market.open)
    app.on_stop(market.close)
    async with TestClient(app) as client:
        yield client


async def test_fifty_prices(client: TestClient) -> None:
    found = (await client.get("/api/stocks")).json()
    assert [stock["symbol"] for stock in found] == SYMBOLS
    assert len(set(SYMBOLS)) == 50
    assert all(stock["price"] > 0 for stock in found)


async def test_an_update_is_what_browsers_expect(client: TestClient, market: Market) -> None:
    seen = await stocks.publish(StockUpdate("ACME", 1.0))
    position = await stocks.publish(StockUpdate("ACNA", 12.5))
    headers = [("accept", "text/event-stream"), ("last-event-id", str(seen))]
    sink = client.open("GET", "/api/stock-updates", headers=headers)
    assert await sink.headed() == 200
    assert sink.sent_headers["content-type"] == "text/event-stream"
    text = ""
    async with asyncio.timeout(10):
        while '"ACNA"' not in text or not text.endswith("\n\n"):
            text += (await sink.received()).decode()
    sink.leave()
    (block,) = [one for one in text.split("\n\n") if "data:" in one and "retry" not in one]
    fields = dict(line.split(": ", 1) for line in block.split("\n"))
    assert fields.pop("id") == str(position)
    assert json.loads(fields.pop("data")) == {"symbol": "ACNA", "price": 12.5}
    assert fields == {"event": "stock-update"}


async def test_whoever_comes_back_has_missed_nothing(client: TestClient, market: Market) -> None:
    first = await stocks.publish(StockUpdate("ACME", 1.0))
    missed = [await market.step() for _ in range(10)]
    async with aclosing(client.events("GET", "/api/stock-updates", after=str(first))) as events:
        heard = [await anext(events) for _ in missed]
        live = await market.step()
        heard.append(await anext(events))
    assert [StockUpdate(**event.value) for event in heard] == [*missed, live]
    assert len({event.id for event in heard}) == 11
    await until(lambda: client.site.open_calls == 0)


async def test_prices_move_by_themselves() -> None:
    market = Market(0.0, seed=2)
    app = App(market, topics=[stocks, confirmations])
    app.on_start(market.open)
    app.on_stop(market.close)
    async with TestClient(app), asyncio.timeout(10), aclosing(stocks.subscribe()) as events:
        heard = [event.data async for event in _first(events, 20) if event.data is not None]
    assert {update.symbol for update in heard} <= set(SYMBOLS)
    assert all(update.price > 0 for update in heard)


async def _first(events: AsyncIterator[object], count: int) -> AsyncIterator[object]:
    for _ in range(count):
        yield await anext(events)


async def test_an_alert_for_each_crossing(client: TestClient, market: Market) -> None:
    market.prices["ACME"] = 100.0
    target = "/api/stocks/ACME/alerts?limit=110"
    async with aclosing(client.stream("GET", target)) as alerts, asyncio.timeout(10):
        first = asyncio.ensure_future(anext(alerts))
        await asyncio.sleep(0)
        for symbol, price in [("ACNA", 120), ("ACME", 109.99), ("ACME", 110), ("ACME", 111), ("ACME", 109)]:
            await stocks.publish(StockUpdate(symbol, float(price)))
        found = [await first, await anext(alerts)]
    assert found == [
        {"symbol": "ACME", "price": 110.0, "limit": 110.0},
        {"symbol": "ACME", "price": 109.0, "limit": 110.0},
    ]
    await until(lambda: client.site.open_calls == 0)


async def test_an_order_is_placed_once(client: TestClient, market: Market) -> None:
    market.prices["ACME"] = 100.0
    order = {"quantity": 3, "key": "k1"}
    async with aclosing(confirmations.subscribe()) as events:
        await anext(events)
        placed = await client.post("/api/stocks/ACME/orders", json=order)
        assert placed.status == 201
        assert placed.json() == {"id": 1, "symbol": "ACME", "quantity": 3, "price": 100.0, "key": "k1"}
        market.prices["ACME"] = 200.0
        assert (await client.post("/api/stocks/ACME/orders", json=order)).json() == placed.json()
        taken = await client.post("/api/stocks/ACME/orders", json={"quantity": 4, "key": "k1"})
        assert (taken.status, taken.json()["error"]["reason"]) == (409, "KEY_TAKEN")
        assert (await client.post("/api/stocks/ACME/orders", json={"quantity": 1, "key": "k2"})).json()["id"] == 2
        confirmed = [(await anext(events)).data, (await anext(events)).data]
    assert [one.key for one in confirmed if one is not None] == ["k1", "k2"]


@pytest.mark.parametrize(
    ("target", "body", "status"),
    [
        ("/api/stocks/ZZZZ/orders", {"quantity": 1, "key": "k"}, 404),
        ("/api/stocks/acme/orders", {"quantity": 1, "key": "k"}, 422),
        ("/api/stocks/ACME/orders", {"quantity": 0, "key": "k"}, 422),
        ("/api/stocks/ACME/orders", {"quantity": 10_001, "key": "k"}, 422),
        ("/api/stocks/ACME/orders", {"quantity": 1, "key": ""}, 422),
        ("/api/stocks/ACME/orders", {"quantity": 1}, 422),
    ],
)
async def test_what_is_no_order(client: TestClient, target: str, body: dict[str, object], status: int) -> None:
    assert (await client.post(target, json=body)).status == status


async def test_old_orders_are_forgotten(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(market_module, "MOST_ORDERS", 2)
    ids = []
    for key in ("a", "b", "c", "c", "a"):
        ids.append((await client.post("/api/stocks/ACME/orders", json={"quantity": 1, "key": key})).json()["id"])
    assert ids == [1, 2, 3, 3, 4]


async def test_bars_may_be_kept(client: TestClient, market: Market) -> None:
    answer = await client.get("/api/stocks/ACME/bars")
    assert answer.headers["cache-control"] == "public, max-age=86400"
    bars = answer.json()["bars"]
    assert len(bars) == 30
    days = [date.fromisoformat(bar["day"]) for bar in bars]
    assert all(later - earlier == timedelta(days=1) for earlier, later in pairwise(days))
    assert all(earlier["close"] == later["open"] for earlier, later in pairwise(bars))
    assert all(bar["low"] <= min(bar["open"], bar["close"]) for bar in bars)
    assert all(bar["high"] >= max(bar["open"], bar["close"]) for bar in bars)
    assert bars[-1]["close"] == market.prices["ACME"]
    again = await client.get("/api/stocks/ACME/bars", headers=[("if-none-match", answer.headers["etag"] or "")])
    assert (again.status, again.body) == (304, b"")
    other = await client.get("/api/stocks/ACNA/bars", headers=[("if-none-match", answer.headers["etag"] or "")])
    assert other.status == 200


async def test_bars_of_a_time(client: TestClient) -> None:
    bars = (await client.get("/api/stocks/ACME/bars?until=2024-03-02&days=3")).json()["bars"]
    assert [bar["day"] for bar in bars] == ["2024-02-28", "2024-02-29", "2024-03-01"]
    today = datetime.now(UTC).date()
    future = (await client.get("/api/stocks/ACME/bars?until=9999-12-31&days=1")).json()["bars"]
    assert date.fromisoformat(future[0]["day"]) < today + timedelta(days=1)
    assert (await client.get("/api/stocks/ACME/bars?until=0001-01-02")).status == 400
    assert (await client.get("/api/stocks/ACME/bars?days=366")).status == 422
    assert (await client.get("/api/stocks/ZZZZ/bars")).status == 404


async def test_no_alert_for_what_is_no_stock(client: TestClient) -> None:
    with pytest.raises(RpcError) as caught:
        await anext(client.stream("GET", "/api/stocks/ZZZZ/alerts?limit=1"))
    assert caught.value.reason == "STOCK_NOT_FOUND"
