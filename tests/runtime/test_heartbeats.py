"""Heartbeats: one timer for all, and none where nobody waits."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from polywire.runtime.heartbeats import Heartbeats


class Beat:
    def __init__(self, beat: Callable[[], object]) -> None:
        self.beat: Callable[[], Any] = beat


class Handle:
    def __init__(self) -> None:
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class FakeLoop:
    """A loop whose timers go off when a test says so."""

    def __init__(self) -> None:
        self.timers: list[tuple[float, Callable[[], None], Handle]] = []

    def call_later(self, delay: float, callback: Callable[[], None]) -> Handle:
        handle = Handle()
        self.timers.append((delay, callback, handle))
        return handle

    def pass_time(self) -> None:
        ((_, callback, handle),) = self.timers
        self.timers.clear()
        assert not handle.cancelled
        callback()


@pytest.fixture
def loop() -> FakeLoop:
    return FakeLoop()


def heartbeats(loop: Any, interval_s: float = 10.0) -> Heartbeats:
    return Heartbeats(loop, interval_s)


def test_without_anybody_there_is_no_timer(loop: FakeLoop) -> None:
    hearts = heartbeats(loop)
    hearts.close()
    assert loop.timers == []


def test_one_timer_calls_everybody_twice_in_an_interval(loop: FakeLoop) -> None:
    hearts = heartbeats(loop)
    beats: list[str] = []
    hearts.add(Beat(lambda: beats.append("a")))
    hearts.add(Beat(lambda: beats.append("b")))
    for count in (1, 2, 3):
        assert [delay for delay, *_ in loop.timers] == [5.0]
        loop.pass_time()
        assert sorted(beats) == ["a"] * count + ["b"] * count


def test_who_was_discarded_is_not_called_and_the_timer_ends_with_the_last(loop: FakeLoop) -> None:
    hearts = heartbeats(loop)
    beats: list[int] = []

    class Stream:
        def beat(self) -> None:
            beats.append(1)

    first, second = Stream(), Stream()
    hearts.add(first)
    hearts.add(second)
    hearts.discard(first)
    loop.pass_time()
    assert beats == [1]
    hearts.discard(second)
    hearts.discard(second)
    loop.pass_time()
    assert (beats, loop.timers) == ([1], [])
    hearts.add(first)
    loop.pass_time()
    assert beats == [1, 1]


def test_one_that_leaves_while_it_is_called(loop: FakeLoop) -> None:
    hearts = heartbeats(loop)
    beats: list[int] = []

    class Once:
        def beat(self) -> None:
            beats.append(1)
            hearts.discard(self)

    hearts.add(Once())
    loop.pass_time()
    loop.pass_time()
    assert (beats, loop.timers) == ([1], [])


def test_closing_ends_the_timer(loop: FakeLoop) -> None:
    hearts = heartbeats(loop)
    hearts.add(Beat(list))
    ((_, _, handle),) = loop.timers
    hearts.close()
    assert handle.cancelled


def test_many_are_called_back_little_by_little_and_each_once(loop: FakeLoop) -> None:
    hearts = heartbeats(loop)
    beats: list[int] = []
    calls = [Beat(partial(beats.append, number)) for number in range(150)]
    for call in calls:
        hearts.add(call)
    sizes = []
    loop.pass_time()
    hearts.discard(calls[(set(range(150)) - set(beats)).pop()])  # one that waits for its turn and will not have it
    while True:
        sizes.append(len(beats))
        later = [timer for timer in loop.timers if timer[0] < 5.0]
        if not later:
            break
        loop.timers.remove(later[0])
        later[0][1]()
    assert (sizes[0], sizes[-1]) == (64, 149)
    assert len(sizes) == 3
    assert len(set(beats)) == len(beats) == 149
    assert [delay for delay, *_ in loop.timers] == [5.0]
    loop.pass_time()
    hearts.close()
    assert all(handle.cancelled for *_, handle in loop.timers)


async def test_in_a_real_loop() -> None:
    beaten = asyncio.Event()
    hearts = Heartbeats(asyncio.get_running_loop(), 0.002)
    hearts.add(Beat(beaten.set))
    for _ in range(2):
        await asyncio.wait_for(beaten.wait(), 10)
        beaten.clear()
    hearts.close()
