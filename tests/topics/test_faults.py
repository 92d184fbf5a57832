"""Connections cut at random, a server killed: every message once and in order, and what would not be is found out."""

from __future__ import annotations

import asyncio
import os

import pytest
import uvloop

from tests.topics.faults.people import COMES_BACK_BY_ITSELF, PROTOCOLS
from tests.topics.faults.run import Outcome, Settings, run, verdict

SECONDS = float(os.environ.get("FAULT_SECONDS", "10"))
"""The full minute: FAULT_SECONDS=60, or `python -m tests.topics.faults`, which tells what happens."""


def outcome_of(settings: Settings) -> Outcome:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(run(settings, print))


@pytest.mark.slow
def test_every_message_once_and_in_order_whatever_is_cut_and_killed() -> None:
    outcome = outcome_of(Settings(SECONDS, kills=max(2, int(SECONDS / 10))))
    assert outcome.faults == {}
    assert all(count > SECONDS for count in outcome.published.values())
    assert outcome.connects.keys() == PROTOCOLS.keys()
    assert {"in the middle, FIN", "in the middle, RST", "RST", "silence", "refused"} == outcome.cuts.keys()
    assert outcome.retries, "publishers were cut off, too"


@pytest.mark.slow
def test_who_comes_back_without_a_position_is_found_out() -> None:
    outcome = outcome_of(Settings(4, subscribers=30, forgetful=15, kills=1, cut_s=1))
    forgot = {number for number, name in enumerate(PROTOCOLS) if name not in COMES_BACK_BY_ITSELF}
    assert {int(who.partition(":")[0]) for who in outcome.faults} == forgot, "they, and nobody else"
    # A poll without a position begins with the history.
    assert all(" is missing" in fault for who, fault in outcome.faults.items() if "long polling" not in who)


@pytest.mark.slow
def test_a_broker_that_forgets_is_found_out() -> None:
    outcome = outcome_of(Settings(2, subscribers=15, kills=1, durable=False))
    subscribers = [fault for who, fault in outcome.faults.items() if not who.startswith("publisher")]
    assert subscribers == ["a gap: EPOCH_CHANGED"] * 15


@pytest.mark.parametrize(
    ("numbers", "count", "told"),
    [
        ([0, 1, 2], 3, None),
        ([], 0, None),
        ([0, 2], 3, "1 is missing"),
        ([1], 2, "0 is missing"),
        ([0, 1, 1, 2], 3, "1 came again"),
        ([0, 2, 1], 3, "1 is missing"),
        ([0, 1, 0], 2, "0 came again"),
        ([0, 1], 3, "2 is missing, and all behind it"),
        ([0, 1], 1, "1 was never published"),
    ],
)
def test_what_is_wrong_is_told(numbers: list[int], count: int, told: str | None) -> None:
    assert verdict(numbers, count) == told
