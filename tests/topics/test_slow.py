"""Subscribers that do not take what they are sent, under each policy; bounded memory."""

from __future__ import annotations

import asyncio
import json
from contextlib import aclosing
from typing import Any

import pytest

from polywire import App, History, Int32, Message, Topic, Unavailable
from polywire.testing import MemorySink, TestClient
from tests.topics.test_service import Market

LARGE = "x" * 20_000
"""Four of these are above the high-water mark of a connection."""


class Note(Message):
    number: Int32
    text: str = LARGE


def make(slow: Any, queue: int = 3) -> tuple[Topic[Note], App]:
    notes = Topic("notes.{of}", Note, history=History(count=100, max_bytes=1 << 30), queue=queue, slow=slow)
    return notes, App(Market(), topics=[notes])


async def publish(notes: Topic[Note], numbers: range, of: str = "a") -> None:
    """One by one, and wait until each has been delivered: to one who takes everything at once."""
    async with aclosing(notes.subscribe(of=of)) as events:
        await anext(events)
        for number in numbers:
            await notes.publish(Note(number), of=of)
            await anext(events)


def read(received: bytes) -> list[Any]:
    """Of each event its number, or its gap, or the code it ends with."""
    found: list[Any] = []
    for event in received.decode().split("\n\n"):
        fields = dict(line.split(": ", 1) for line in event.splitlines() if ": " in line)
        if "data" not in fields:
            continue
        value = json.loads(fields["data"])
        if "error" in value:
            found.append((value["error"]["code"], value["error"]["reason"], fields.get("id")))
        elif value["gap"] is not None:
            found.append(value["gap"]["reason"])
        else:
            found.append(None if value["data"] is None else value["data"]["number"])
    return found


def slow_reader(client: TestClient, path: str = "/topics/notes/a") -> MemorySink:
    return client.open("GET", path, headers=[("accept", "text/event-stream")], paused=True)


async def test_disconnect_ends_with_what_says_come_back() -> None:
    notes, app = make("disconnect")
    async with TestClient(app) as client:
        sink = slow_reader(client)
        await publish(notes, range(20))
        answer = await sink.answer()
        events = read(answer.body)
        sent = len(events) - 2
        assert events == [None, *range(sent), ("UNAVAILABLE", "SLOW_CONSUMER", None)]
        assert sent < 8, "what is queued is bounded"
        last = f"{(await notes.publish(Note(20), of='a')).epoch}:{sent}"
        async with aclosing(client.events("GET", "/topics/notes/a", after=last)) as again:
            assert (await anext(again)).value["gap"] is None
            assert (await anext(again)).value["data"]["number"] == sent


async def test_drop_oldest_tells_a_gap_and_goes_on() -> None:
    notes, app = make("drop_oldest")
    async with TestClient(app) as client:
        sink = slow_reader(client)
        await publish(notes, range(20))
        first = read(await sink.received())
        sent = len(first) - 1
        assert first == [None, *range(sent)]
        assert sent < 8
        sink.resume()
        assert read(await sink.received()) == ["SLOW", 17, 18, 19]
        await publish(notes, range(20, 22))
        assert read(await sink.received()) == [20, 21]
        sink.leave()


async def test_keep_latest_keeps_one_of_each_topic() -> None:
    notes, app = make("keep_latest")
    async with TestClient(app) as client:
        sink = slow_reader(client, "/topics/notes/*")
        await publish(notes, range(10))
        await publish(notes, range(10, 20), of="b")
        first = read(await sink.received())
        assert first == [None, *range(len(first) - 1)]
        sink.resume()
        assert read(await sink.received()) == ["SLOW", 9, 19]
        sink.leave()


async def test_many_topics_of_a_pattern_are_bounded_too() -> None:
    notes, app = make("keep_latest")
    async with TestClient(app) as client:
        sink = slow_reader(client, "/topics/notes/*")
        await publish(notes, range(10))
        for of in range(10):
            await publish(notes, range(100 + of, 101 + of), of=f"t{of}")
        await sink.received()
        sink.resume()
        assert read(await sink.received()) == ["SLOW", 107, 108, 109]
        sink.leave()


async def test_a_history_longer_than_the_queue_is_sent_as_it_is_taken() -> None:
    notes, app = make("disconnect")
    async with TestClient(app) as client:
        await publish(notes, range(50))
        sink = slow_reader(client, "/topics/notes/a?last=50")
        got = read(await sink.received())
        assert got == [None, *range(len(got) - 1)]
        assert len(got) < 8
        sink.resume()
        assert read(await sink.received()) == list(range(len(got) - 1, 50))
        sink.leave()


async def test_a_subscriber_in_python_that_never_reads() -> None:
    notes, app = make("disconnect")
    async with TestClient(app):
        events = notes.subscribe(of="a")
        await anext(events)
        await publish(notes, range(4))
        with pytest.raises(Unavailable, match="come back"):
            await anext(events)
        await events.aclose()
        with pytest.raises(StopAsyncIteration):
            await anext(events)


async def test_one_that_is_slow_holds_up_nobody() -> None:
    notes, app = make("drop_oldest")
    async with TestClient(app) as client:
        slow = slow_reader(client)
        async with aclosing(client.events("GET", "/topics/notes/a")) as events:
            await anext(events)
            for number in range(20):
                await notes.publish(Note(number), of="a")
                assert (await anext(events)).value["data"]["number"] == number
        slow.leave()


async def test_who_leaves_is_forgotten() -> None:
    notes, app = make("disconnect")
    async with TestClient(app) as client:
        sinks = [slow_reader(client) for _ in range(3)]
        await publish(notes, range(6))
        log = app.broker._logs["notes.a"]  # type: ignore[union-attr]
        for sink in sinks:
            sink.leave()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert not log.listeners
        assert not client.site.runtime.suspended


async def test_a_stream_that_is_closed_from_elsewhere_ends_also_while_its_caller_is_slow() -> None:
    notes, app = make("drop_oldest")
    opened = []
    subscribe = notes.stream
    notes.stream = lambda *given, **options: opened.append(subscribe(*given, **options)) or opened[-1]  # type: ignore[method-assign]
    async with TestClient(app) as client, asyncio.timeout(10):
        sink = slow_reader(client)
        await publish(notes, range(10))
        await opened[0].aclose()
        sink.resume()
        assert b"event: end" in (await sink.answer()).body
