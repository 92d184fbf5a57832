"""The sum over all workers: asked, answered, timed out, and kept when a worker goes."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from polywire.runtime.snapshot import Family, MethodCounts, Snapshot, decode, encode
from polywire.server import tally
from polywire.server.channel import Channel, Message
from polywire.server.tally import ANSWER_S, Tally


def counted(calls: int, gauge: float = 0.0) -> Snapshot:
    return Snapshot(
        [MethodCounts("a.B/C", "grpc", [calls, 1], [0, calls], calls * 10)],
        {200: calls},
        [Family("app_jobs_total", "counter", "Jobs.", [((), float(calls))]),
         Family("app_queue", "gauge", "Queue.", [((("q", "x"),), gauge)])],
    )  # fmt: skip


class Bench:
    """A parent's tally, and the workers' ends of its channels."""

    def __init__(self) -> None:
        self.tally = Tally()
        self.ends: dict[int, Channel] = {}
        self.parents: list[Channel] = []

    def join(self, key: int) -> None:
        ours, theirs = socket.socketpair()
        self.ends[key] = Channel(theirs)
        self.parents.append(Channel(ours))
        self.tally.join(key, self.parents[-1])

    def say(self, key: int, topic: str, snapshot: Snapshot, id: int, now: float) -> None:
        self.tally.receive(key, Message(topic, id, encode(snapshot)), now)

    def heard(self, key: int) -> list[Message]:
        return self.ends[key].receive()


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    for key in (1, 2, 3):
        made.join(key)
    yield made
    for channel in (*made.ends.values(), *made.parents):
        channel.close()


def jobs(message: Message) -> float:
    return dict(decode(message.body).families[0].samples)[()]


def test_everybody_is_asked_and_added_up(bench: Bench) -> None:
    bench.say(1, tally.ASK, counted(1, 0.5), 77, 0.0)
    for key in (2, 3):
        (asked,) = bench.heard(key)
        assert asked.topic == tally.REPORT
        assert bench.heard(1) == []
        bench.say(key, tally.REPORT, counted(key * 10, 1.0), asked.id, 0.1)
    (told,) = bench.heard(1)
    assert (told.topic, told.id) == (tally.SUM, 77)
    total = decode(told.body)
    assert total.methods == [MethodCounts("a.B/C", "grpc", [51, 3], [0, 51], 510)]
    assert total.statuses == {200: 51}
    assert [list(family.samples) for family in total.families] == [[((), 51.0)], [((("q", "x"),), 2.5)]]
    assert bench.tally.due is None


def test_a_stuck_worker_does_not_hold_up_the_others_and_counts_with_what_it_said_last(bench: Bench) -> None:
    bench.say(2, tally.REPORT, counted(20), 0, 0.0)
    bench.say(1, tally.ASK, counted(1), 1, 1.0)
    (asked,) = bench.heard(3)
    bench.say(3, tally.REPORT, counted(30), asked.id, 1.1)
    assert bench.heard(1) == []
    assert bench.tally.due == 1.0 + ANSWER_S
    bench.tally.tick(1.0 + ANSWER_S)
    (told,) = bench.heard(1)
    assert jobs(told) == 51


def test_counters_of_a_worker_that_is_gone_stay_and_its_gauges_do_not(bench: Bench) -> None:
    bench.say(2, tally.REPORT, counted(20, 5.0), 0, 0.0)
    bench.tally.leave(2, 0.0)
    bench.tally.leave(3, 0.0)
    bench.say(1, tally.ASK, counted(1, 0.5), 1, 1.0)
    (told,) = bench.heard(1)
    assert jobs(told) == 21
    assert list(decode(told.body).families[1].samples) == [((("q", "x"),), 0.5)]


def test_one_that_dies_while_it_is_asked_is_not_waited_for(bench: Bench) -> None:
    bench.say(1, tally.ASK, counted(1), 1, 0.0)
    bench.tally.leave(2, 0.1)
    bench.tally.leave(3, 0.1)
    assert len(bench.heard(1)) == 1


def test_an_asker_that_dies_is_forgotten(bench: Bench) -> None:
    bench.say(1, tally.ASK, counted(1), 1, 0.0)
    bench.tally.leave(1, 0.1)
    assert bench.tally.due is None


def test_what_is_no_snapshot_changes_nothing(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    bench.say(2, tally.REPORT, counted(20), 0, 0.0)
    bench.tally.receive(2, Message(tally.REPORT, 0, b"\xc1"), 0.1)
    assert bench.tally.total().statuses == {200: 20}
    assert "cannot be read" in caplog.text
