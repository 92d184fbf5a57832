from __future__ import annotations

import asyncio

from polywire.tasks.turns import MOST_BYTES, Turns


async def test_open_until_enough_was_done_in_a_turn() -> None:
    turns = Turns()
    assert turns.is_open
    turns.spend(MOST_BYTES - 1)
    assert turns.is_open
    turns.spend(1)
    assert not turns.is_open
    await asyncio.sleep(0)
    assert turns.is_open


async def test_those_that_wait_go_on_in_order_as_far_as_a_turn_reaches() -> None:
    turns = Turns()
    ran: list[int] = []

    def work(number: int, size: int) -> None:
        turns.wait(lambda: (ran.append(number), turns.spend(size)))  # type: ignore[func-returns-value, arg-type]

    for number, size in enumerate([1, MOST_BYTES, MOST_BYTES // 2, MOST_BYTES // 2, 1]):
        work(number, size)
    assert not turns.is_open, "those who come later must not overtake"
    assert ran == []
    for expected in ([0, 1], [0, 1, 2, 3], [0, 1, 2, 3, 4]):
        await asyncio.sleep(0)
        assert ran == expected
    assert turns.is_open


async def test_one_that_goes_on_by_itself_ends_the_turn() -> None:
    turns = Turns()
    ran: list[int] = []
    turns.wait(turns.pass_on)
    turns.wait(lambda: ran.append(1))
    await asyncio.sleep(0)
    assert ran == []
    await asyncio.sleep(0)
    assert ran == [1]


async def test_one_that_fails_does_not_hold_up_the_others() -> None:
    turns = Turns()
    ran: list[int] = []
    failures: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: failures.append(context["exception"]))
    failure = RuntimeError("no")

    def fail() -> None:
        raise failure

    turns.wait(fail)
    turns.wait(lambda: ran.append(1))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert (failures, ran) == ([failure], [1])


async def test_closed_it_forgets_what_waits() -> None:
    turns = Turns()
    ran: list[int] = []
    turns.wait(lambda: ran.append(1))
    turns.close()
    await asyncio.sleep(0)
    assert turns.is_open
    assert ran == []
