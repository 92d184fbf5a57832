"""Fifty stocks that are made up: prices that wander, alerts, orders that are placed once, and bars of former days."""

import asyncio
import random
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import aclosing
from datetime import UTC, date, datetime, timedelta
from math import exp, sin
from typing import Annotated

from msgspec import UNSET, Meta, UnsetType

from atlas.locked import LOCK
from polywire import (
    AlreadyExists,
    Doc,
    Gap,
    History,
    Int32,
    InvalidArgument,
    Message,
    NotFound,
    Service,
    Topic,
    Tracked,
    current_call,
    mutation,
    query,
)

SYMBOLS = [
    f"{first}{second}"
    for first in ("AC", "BE", "CO", "DU", "EX", "FI", "GA", "HO", "IN", "JU")
    for second in ("ME", "NA", "RA", "SO", "TY")
]
MOST_ORDERS = 10_000
DAY_S = 24 * 3600

Symbol = Annotated[str, Meta(pattern="^[A-Z]{4}$")]


class StockUpdate(Message):
    symbol: str
    price: float


class StockEvent(Message):
    """A price, or only a gap: prices were missed here, and what they are now is to be asked for."""

    symbol: str | UnsetType = UNSET
    price: float | UnsetType = UNSET
    gap: Gap | UnsetType = UNSET


class Alert(Message):
    symbol: str
    price: float
    limit: Annotated[float, Doc("That the price has crossed.")]


class StockOrder(Message):
    id: Int32
    symbol: str
    quantity: Int32
    price: Annotated[float, Doc("For each of them.")]
    key: str


class Bar(Message):
    day: date
    open: float
    high: float
    low: float
    close: float


class Bars(Message):
    symbol: str
    bars: list[Bar]


stocks = Topic("stocks", StockUpdate, history=History(count=5000, age_s=600), queue=1024)
confirmations = Topic("confirmations", StockOrder, history=History(count=1000))


def price_of_day(symbol: str, day: date) -> float:
    """Always the same for a day: it wanders on three waves."""
    phase = sum(map(ord, symbol))
    middle = 20 + phase % 180
    n = day.toordinal()
    return middle * exp(0.2 * sin(n / 47 + phase) + 0.08 * sin(n / 11 + 2 * phase) + 0.03 * sin(n / 3))


class Market(Service, package="market", lock=LOCK):
    """Trades stocks.

    interval_s: seconds from one price to the next, of some stock. The last 10,000 orders are remembered.
    """

    def __init__(self, interval_s: float = 0.2, seed: int | None = None) -> None:
        self.interval_s = interval_s
        today = datetime.now(UTC).date()
        self.prices = {symbol: round(price_of_day(symbol, today), 2) for symbol in SYMBOLS}
        self._random = random.Random(seed)  # noqa: S311 -- prices are no secrets
        self._orders: OrderedDict[str, StockOrder] = OrderedDict()
        self._next_id = 1
        self._trading: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Let prices move."""
        self._trading = asyncio.create_task(self._trade())

    async def close(self) -> None:
        if self._trading is not None:
            self._trading.cancel()
            await asyncio.wait([self._trading])

    async def _trade(self) -> None:
        while True:
            await asyncio.sleep(self.interval_s)
            await self.step()

    async def step(self) -> StockUpdate:
        """Move the price of one stock."""
        symbol = self._random.choice(SYMBOLS)
        price = self.prices[symbol] * exp(self._random.gauss(0, 0.004))
        self.prices[symbol] = price = round(min(max(price, 1.0), 10_000.0), 2)
        update = StockUpdate(symbol, price)
        await stocks.publish(update)
        return update

    @query("GET /api/stocks")
    async def list_stocks(self) -> list[StockUpdate]:
        """The last price of each of the fifty stocks: lint: allow unbounded-list."""
        return [StockUpdate(symbol, price) for symbol, price in self.prices.items()]

    @query("GET /api/stock-updates", event="stock-update")
    async def stock_updates(
        self, after: Annotated[str | None, Doc("A position, to go on there.")] = None
    ) -> AsyncIterator[Tracked[StockEvent]]:
        """Every price from now on; whoever comes back gets those that were missed, after a gap where some are gone."""
        resumed = current_call().resume_after
        async with aclosing(stocks.subscribe(after=after if resumed is None else resumed)) as events:
            async for event in events:
                if event.gap is not None:
                    yield Tracked(event.position, StockEvent(gap=event.gap))
                elif event.data is not None:
                    yield Tracked(event.position, StockEvent(event.data.symbol, event.data.price))

    @query("GET /api/stocks/{symbol}/alerts")
    async def watch_alerts(self, symbol: Symbol, limit: Annotated[float, Meta(gt=0)]) -> AsyncIterator[Alert]:
        """Each time that the price of a stock crosses a limit."""
        last = self._price(symbol)
        async with aclosing(stocks.subscribe()) as events:
            async for event in events:
                if event.data is None or event.data.symbol != symbol:
                    continue
                if (last < limit) != (event.data.price < limit):
                    yield Alert(symbol, event.data.price, limit)
                last = event.data.price

    @mutation("POST /api/stocks/{symbol}/orders", status=201, idempotent=True)
    async def buy_stock(
        self,
        symbol: Symbol,
        quantity: Annotated[Int32, Meta(ge=1, le=10_000)],
        key: Annotated[str, Meta(min_length=1, max_length=100), Doc("The same key is the same order.")],
    ) -> StockOrder:
        """Buys; sent again with its key it is confirmed again, and not bought twice."""
        known = self._orders.get(key)
        if known is not None:
            if (known.symbol, known.quantity) != (symbol, quantity):
                raise AlreadyExists("there is another order with this key", reason="KEY_TAKEN")
            return known
        order = StockOrder(self._next_id, symbol, quantity, self._price(symbol), key)
        self._next_id += 1
        self._orders[key] = order
        if len(self._orders) > MOST_ORDERS:
            self._orders.popitem(last=False)
        await confirmations.publish(order, dedupe_id=key)
        return order

    @query("GET /api/stocks/{symbol}/bars")
    async def list_bars(
        self, symbol: Symbol, until: date | None = None, days: Annotated[Int32, Meta(ge=1, le=365)] = 30
    ) -> Bars:
        """Former days, which change no more and may be kept for a day. There are `days`: lint: allow unbounded-list."""
        self._price(symbol)
        today = datetime.now(UTC).date()
        last = min(until or today, today)
        if last.toordinal() <= days:
            raise InvalidArgument("there were no stocks yet", reason="BEFORE_TIME")
        call = current_call()
        call.response_metadata.add("cache-control", f"public, max-age={DAY_S}")
        call.response_metadata.add("etag", f'"{symbol}-{last.isoformat()}-{days}"')
        return Bars(symbol, [_bar(symbol, last - timedelta(days=back)) for back in range(days, 0, -1)])

    def _price(self, symbol: str) -> float:
        if symbol not in self.prices:
            raise NotFound(f"no stock {symbol}", reason="STOCK_NOT_FOUND")
        return self.prices[symbol]


def _bar(symbol: str, day: date) -> Bar:
    begin, end = price_of_day(symbol, day), price_of_day(symbol, day + timedelta(days=1))
    spread = abs(sin(day.toordinal())) * 0.01
    return Bar(
        day,
        round(begin, 2),
        round(max(begin, end) * (1 + spread), 2),
        round(min(begin, end) * (1 - spread), 2),
        round(end, 2),
    )
