"""Batches that many readers are sent alike: made once, sent whole or not at all."""

from __future__ import annotations

from typing import Any

import pytest

from polywire.runtime._outlet import SharedBatch, SharedOutlet
from polywire.shared import Shared


class Reader(SharedOutlet):
    """Takes what it is sent; with `full` it asks to wait."""

    def __init__(self, key: Any = "alike", credit: int = 10) -> None:
        self.key = key
        self.credit = credit
        self.encode = self.made
        self.write = self.take
        self.taken: list[bytes] = []
        self.encoded = 0
        self.full = False

    def made(self, batch: SharedBatch) -> bytes:
        self.encoded += 1
        return b"".join(item.value for item, _ in batch.items)

    def take(self, data: bytes) -> bool:
        self.taken.append(data)
        return not self.full


def batch(*values: bytes) -> SharedBatch:
    return SharedBatch([(Shared(value), f"e:{place}") for place, value in enumerate(values, 1)])


def test_a_batch_is_made_once_for_all_that_are_alike_and_is_one_write() -> None:
    news = batch(b"a", b"b", b"c")
    first, second, other = Reader(), Reader(), Reader("another way")
    assert [one.send(news) for one in (first, second, other)] == [True, True, True]
    assert first.taken == second.taken == other.taken == [b"abc"]
    assert [one.encoded for one in (first, second, other)] == [1, 0, 1]
    assert (news.count, news.last_id) == (3, "e:3")


def test_who_has_less_credit_than_there_are_items_is_sent_none_of_them() -> None:
    reader = Reader(credit=2)
    assert reader.send(batch(b"a", b"b", b"c")) is None
    assert (reader.taken, reader.credit, reader.moved) == ([], 2, 0)
    assert reader.send(batch(b"a", b"b")) is False
    assert (reader.taken, reader.credit, reader.moved) == ([b"ab"], 0, 2)


def test_who_is_full_has_been_sent_it_and_waits() -> None:
    reader = Reader()
    reader.full = True
    assert reader.send(batch(b"a")) is False
    assert (reader.taken, reader.credit) == ([b"a"], 9)


@pytest.mark.parametrize(("key", "is_over"), [(None, False), ("alike", True)])
def test_who_has_no_such_way_or_is_over_is_sent_nothing(key: Any, is_over: bool) -> None:
    reader = Reader(key)
    reader.is_over = is_over
    assert reader.send(batch(b"a")) is None
    assert (reader.taken, reader.credit) == ([], 10)


def test_what_cannot_be_made_costs_no_credit_and_is_tried_again() -> None:
    news = batch(b"a")
    reader, other = Reader(), Reader()
    reader.encode = lambda _: 1 // 0  # type: ignore[assignment, return-value]
    with pytest.raises(ZeroDivisionError):
        reader.send(news)
    assert (reader.taken, reader.credit) == ([], 10)
    assert other.send(news) is True


def test_what_a_batch_keeps_is_bounded_however_many_ways_readers_choose() -> None:
    news = batch(b"a")
    readers = [Reader(number) for number in range(50)]
    for reader in readers * 2:
        assert reader.send(news) is True
    assert sum(reader.encoded for reader in readers) == 16 + 2 * 34
