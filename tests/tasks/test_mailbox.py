"""A mailbox gives everything once and in order, holds up who brings too much, and ends."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from polywire.tasks.eager import Mailbox
from tests.protocols.websocket.turns import turns


class Source:
    """What messages come on."""

    def __init__(self) -> None:
        self.is_blocked = False
        self.paused: list[str] = []

    def pause(self) -> None:
        self.paused.append("until resumed")

    def pause_until_drained(self) -> None:
        self.paused.append("until drained")


class Reader:
    def __init__(self, mailbox: Mailbox) -> None:
        self.mailbox = mailbox

    def __aiter__(self) -> Reader:
        return self

    def __anext__(self) -> Any:
        return self.mailbox


class Brings:
    """Who is asked to go on."""

    def __init__(self, more: Any) -> None:
        self.go_on = more


def make(most: int = 4, most_bytes: int = 100, more: Any = lambda: None) -> Mailbox:
    return Mailbox(most, most_bytes, Brings(more))


async def test_what_comes_before_and_after_it_is_asked_for_comes_once_and_in_order() -> None:
    mailbox, source = make(), Source()
    mailbox.receive(source, ["a", "b"])
    mailbox.receive(source, ["c"])
    assert [await mailbox, len(mailbox)] == ["a", 2]
    mailbox.receive(source, [])

    async def read() -> list[Any]:
        return [message async for message in Reader(mailbox)]

    task = asyncio.create_task(read())
    await turns()
    mailbox.receive(source, ["d", "e"])
    await turns()
    mailbox.receive(source, ["f"])
    mailbox.end()
    assert await task == ["b", "c", "d", "e", "f"]
    with pytest.raises(StopAsyncIteration):
        await mailbox
    assert source.paused == []


async def test_who_is_cancelled_while_it_waits_loses_nothing() -> None:
    mailbox, source = make(), Source()

    async def read() -> Any:
        return await mailbox

    task = asyncio.create_task(read())
    await turns()
    with pytest.raises(RuntimeError):
        await mailbox
    task.cancel()
    await asyncio.wait([task])
    mailbox.receive(source, ["a"])
    assert await mailbox == "a"


@pytest.mark.parametrize(("messages", "pauses"), [(["a"] * 3, 0), (["a"] * 4, 1), (["a" * 50] * 2, 1), (["a" * 99], 0)])
async def test_who_brings_too_many_or_too_much_is_paused(messages: list[str], pauses: int) -> None:
    mailbox, source = make(), Source()
    mailbox.receive(source, messages)
    assert source.paused == ["until resumed"] * pauses
    assert mailbox.holds is bool(pauses)


async def test_the_paused_are_asked_for_more_once_all_is_taken() -> None:
    source = Source()
    brought = [["e"], ["f"]]

    def more() -> None:
        mailbox.receive(source, brought.pop(0))

    mailbox = make(more=more)
    mailbox.receive(source, ["a", "b", "c", "d"])
    assert [await mailbox for _ in range(4)] == ["a", "b", "c", "d"]
    assert len(brought) == 2
    assert await mailbox == "e"
    assert mailbox.holds is False, "nobody is paused any more, and so nobody is asked"
    mailbox.end()
    with pytest.raises(StopAsyncIteration):
        await mailbox
    assert len(brought) == 1


async def test_a_peer_that_does_not_read_is_read_no_further() -> None:
    mailbox, source = make(), Source()
    source.is_blocked = True
    mailbox.receive(source, ["a"])
    assert source.paused == ["until drained"]
    assert mailbox.holds is False


async def test_what_was_cleared_is_gone() -> None:
    mailbox, source = make(), Source()
    mailbox.receive(source, ["a"] * 9)
    mailbox.end()
    mailbox.clear()
    assert len(mailbox) == 0
    with pytest.raises(StopAsyncIteration):
        await mailbox
