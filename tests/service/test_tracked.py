"""`Tracked`: an item and its position, and methods that yield it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from polywire import Message, Service, Tracked, query
from polywire.schema.types import ResultForm, Shape


class Price(Message):
    cents: int


@pytest.mark.parametrize("id", ["1", "a b", "2026-11-21T00:00:00Z", "é→", "end:", "x" * 1000])
def test_a_position_is_kept(id: str) -> None:
    tracked = Tracked(id, Price(5))
    assert (tracked.id, tracked.value) == (id, Price(5))
    assert tracked == Tracked(id, Price(5))
    assert tracked != Tracked(id, Price(6))
    assert tracked != Tracked(id + "0", Price(5))
    assert tracked != Price(5)
    assert repr(tracked) == f"Tracked({id!r}, Price(cents=5))"


@pytest.mark.parametrize(
    "id", ["", ":", ":end", "a\nb", "a\rb", "a\0b", "a\tb", "\x7f", " a", "a ", "\ud800", "\u2028", 1, None, b"a"]
)
def test_what_cannot_be_sent_or_come_back_is_no_position(id: Any) -> None:
    with pytest.raises(ValueError, match="is no position"):
        Tracked(id, Price(5))


def test_the_table_of_a_method_that_tells_positions() -> None:
    class Prices(Service, package="tracked"):
        @query
        async def prices(self) -> AsyncIterator[Tracked[Price]]:
            yield Tracked("1", Price(1))

        @query
        async def numbers(self) -> AsyncIterator[Tracked[int]]:
            yield Tracked("1", 1)

        @query(idle_s=2.5)
        async def plain(self) -> AsyncIterator[Price]:
            yield Price(1)

    prices, numbers, plain = Prices.__polywire__.methods
    assert [method.tracked for method in (prices, numbers, plain)] == [True, True, False]
    assert {method.shape for method in (prices, numbers, plain)} == {Shape.SERVER_STREAM}
    assert (prices.output.cls, prices.result_form) == (Price, ResultForm.MESSAGE), "the contract knows nothing of it"
    assert numbers.result_form is ResultForm.WRAPPED
    assert [method.idle_s for method in (prices, numbers, plain)] == [None, None, 2.5]
