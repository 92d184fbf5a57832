"""A fan-out leaves others their turns: so many readers at a time, or as long as a millisecond."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from polywire.topics.fanout import MOST_A_TURN, TURN_S, Fanout


class Reader:
    def __init__(self, told: list[Reader], *, fails: bool = False) -> None:
        self.told = told
        self.fails = fails

    def take(self, batch: Any, /) -> None:
        self.told.append(self)
        if self.fails:
            raise ValueError("not for me")


class News:
    def __init__(self, readers: list[Reader]) -> None:
        self.readers = readers
        self.passes = 0

    def begin_pass(self) -> tuple[tuple[Any, ...], list[Reader]]:
        self.passes += 1
        return (), self.readers

    def end_pass(self) -> bool:
        return False


async def sizes_of_turns(fanout: Fanout, readers: list[Reader], told: list[Reader]) -> list[int]:
    sizes = []
    fanout.add(News(readers))
    while len(told) < len(readers):
        before = len(told)
        await asyncio.sleep(0)
        sizes.append(len(told) - before)
    assert told == readers
    return [size for size in sizes if size]


async def test_so_many_are_told_in_a_turn_and_everybody_once() -> None:
    told: list[Reader] = []
    readers = [Reader(told) for _ in range(2 * MOST_A_TURN + 5)]
    sizes = await sizes_of_turns(Fanout(clock=lambda: 0.0), readers, told)
    assert sizes == [MOST_A_TURN, MOST_A_TURN, 5]


async def test_a_turn_ends_when_its_time_is_up() -> None:
    told: list[Reader] = []
    readers = [Reader(told) for _ in range(MOST_A_TURN)]
    sizes = await sizes_of_turns(Fanout(clock=lambda: len(told) * TURN_S / 32), readers, told)
    assert sizes == [32] * (MOST_A_TURN // 32)


async def test_one_that_fails_costs_the_others_nothing(caplog: pytest.LogCaptureFixture) -> None:
    told: list[Reader] = []
    readers = [Reader(told, fails=place == 1) for place in range(5)]
    assert await sizes_of_turns(Fanout(), readers, told) == [5]
    assert "a subscriber failed" in caplog.text
