"""`SqliteBroker`: the promises of every broker, and what survives."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import sys
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from polywire import Unavailable
from polywire.topics import Broker, History, SqliteBroker
from polywire.topics.broker import Lost
from tests.topics.suite.promises import KEEP, BrokerSuite, Clock, Inbox, started, texts


class TestSqliteBroker(BrokerSuite):
    @pytest.fixture(autouse=True)
    def _file(self, tmp_path: Path) -> None:
        self.path = tmp_path / "topics.db"

    def make(self, clock: Clock) -> AbstractAsyncContextManager[Broker]:
        return started(SqliteBroker(self.path, clock=clock))

    async def test_history_positions_and_ids_survive_a_restart(self, clock: Clock) -> None:
        async with self.make(clock) as broker:
            first = await broker.publish("t", b"a", KEEP, dedupe_id="1")
            await broker.publish("t", b"b", KEEP)
            await broker.publish("empty", b"x", History(), dedupe_id="2")
        async with self.make(clock) as broker:
            subscription = await broker.subscribe("t", first, Inbox().deliver)
            assert (subscription.lost, texts(subscription.backlog)) == (None, ["b"])
            await subscription.close()
            assert await broker.publish("t", b"again", KEEP, dedupe_id="1") == first
            third = await broker.publish("t", b"c", KEEP)
            assert (third.epoch, third.offset) == (first.epoch, 3)
            assert (await broker.publish("empty", b"y", History())).offset == 2
            clock.now += 301
            assert (await broker.publish("t", b"late", KEEP, dedupe_id="1")).offset == 4

    async def test_what_was_trimmed_stays_so(self, clock: Clock) -> None:
        limits = History(count=2)
        async with self.make(clock) as broker:
            positions = [await broker.publish("t", text.encode(), limits) for text in "abcde"]
        with sqlite3.connect(self.path) as db:
            assert db.execute("SELECT offset FROM messages").fetchall() == [(4,), (5,)]
        db.close()
        async with self.make(clock) as broker:
            subscription = await broker.subscribe("t", positions[1], Inbox().deliver)
            assert (subscription.lost, texts(subscription.backlog)) == (Lost.HISTORY_GONE, ["d", "e"])
            await subscription.close()

    async def test_topics_that_had_to_make_room_are_read_again(self, clock: Clock) -> None:
        async with started(SqliteBroker(self.path, clock=clock, max_topics=2)) as broker:
            first = await broker.publish("a", b"1", KEEP)
            await broker.publish("a", b"2", KEEP)
            for topic in "bcd":
                await broker.publish(topic, b"1", KEEP)
            subscription = await broker.subscribe("a", first, Inbox().deliver)
            assert (subscription.lost, texts(subscription.backlog)) == (None, ["2"])
            await subscription.close()

    async def test_what_cannot_be_written_is_told_and_leaves_no_hole(self, clock: Clock) -> None:
        async with started(SqliteBroker(self.path, clock=clock)) as broker:
            await broker.publish("t", b"a", KEEP)
            await broker._run(lambda: broker._store._db.execute("PRAGMA query_only=ON"))
            with pytest.raises(Unavailable):
                await broker.publish("t", b"lost", KEEP, dedupe_id="1")
            await broker._run(lambda: broker._store._db.execute("PRAGMA query_only=OFF"))
            assert (await broker.publish("t", b"b", KEEP, dedupe_id="1")).offset == 2

    async def test_a_file_has_one_broker(self, clock: Clock) -> None:
        async with self.make(clock):
            with pytest.raises(RuntimeError, match="locked"):
                await SqliteBroker(self.path).start()

    async def test_a_file_of_something_else_is_refused(self) -> None:
        self.path.write_bytes(b"no database" * 100)
        with pytest.raises(RuntimeError, match="not a database"):
            await SqliteBroker(self.path).start()


PUBLISHER = """
import asyncio, sys
from polywire.topics import History, SqliteBroker

async def main():
    broker = SqliteBroker(sys.argv[1])
    await broker.start()
    async def one(lane):
        number = 0
        while True:
            position = await broker.publish(lane, b"%d" % number, History(count=100_000))
            print(lane, number, position, flush=True)
            number += 1
    await asyncio.gather(*map(one, "abc"))

asyncio.run(main())
"""


async def test_what_was_accepted_survives_a_kill(tmp_path: Path) -> None:
    path = tmp_path / "topics.db"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PUBLISHER, str(path), stdout=asyncio.subprocess.PIPE, env=os.environ
    )
    assert process.stdout is not None
    told = [await process.stdout.readline() for _ in range(300)]
    process.send_signal(signal.SIGKILL)
    told += (await process.stdout.read()).splitlines(keepends=True)
    await process.wait()
    accepted: dict[str, list[str]] = {"a": [], "b": [], "c": []}
    for line in told:
        if line.endswith(b"\n"):
            lane, number, position = line.decode().split()
            assert int(position.rpartition(":")[2]) == int(number) + 1
            accepted[lane].append(number)
    async with started(SqliteBroker(path)) as broker:
        for lane, numbers in accepted.items():
            page = await broker.history(lane, None, 1_000_000)
            stored = texts(page.publications)
            assert stored[: len(numbers)] == numbers
            assert stored == [str(number) for number in range(len(stored))], "in order, without a hole"
            assert len(stored) <= len(numbers) + 1, "at most what was under way"
            assert page.position.offset == len(stored)
