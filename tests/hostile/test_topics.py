"""Subscribers and publishers of topics that do not behave, over real sockets: the right error, and bounded memory."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

from polywire import History, Int32, Message, Topic
from tests.live.http2 import h2_client
from tests.live.server import Live, serve, until
from tests.live.websocket import Client, websocket
from tests.live.wire import connected

from .memory import resident_bytes

SUBSCRIPTIONS = 10_000
LARGE = "x" * 10_000
MESSAGES = 6_000
"""60 MB, once for each reader."""
BOUND_BYTES = 24 * 1024 * 1024
"""Of more memory than before: the sockets' buffers, the history, the queues, and what Python keeps of what it had."""


class Note(Message):
    number: Int32
    text: str = ""


@contextmanager
def serving(**options: Any) -> Iterator[tuple[Live, Topic[Note]]]:
    kept = {"history": History(count=1_000_000, max_bytes=4 << 20), "publishable": True, **options}
    notes = Topic("notes.{of}", Note, **kept)
    with serve(app={"topics": [notes]}) as live:
        yield live, notes


def subscribe(id: int = 1, of: str = "a", **more: Any) -> dict[str, Any]:
    return {"type": "call", "id": id, "method": "topics.Notes/Subscribe", "input": {"of": of}, **more}


def in_loop(live: Live, work: Any) -> Any:
    """What a coroutine of the server's own loop returns."""
    return asyncio.run_coroutine_threadsafe(work, live._loop).result(60)


async def publish(notes: Topic[Note], numbers: range) -> None:
    for number in numbers:
        await notes.publish(Note(number, LARGE), of="a")


def test_ten_thousand_subscriptions_on_one_connection() -> None:
    with serving() as (live, notes), websocket(live) as other:
        other.send(subscribe())
        assert [other.receive()["type"] for _ in range(2)] == ["welcome", "next"]
        with websocket(live) as client:
            assert client.receive()["type"] == "welcome"
            begun = 0
            for first in range(1, SUBSCRIPTIONS + 1, 500):
                client.send(*[subscribe(id) for id in range(first, first + 500)])
                for _ in range(500):
                    message = client.receive()
                    begun += message["type"] == "next"
                    assert message["type"] == "next" or message["reason"] == "TOO_MANY_CALLS"
            assert begun == live.open_calls - 1 == 128
            in_loop(live, notes.publish(Note(7), of="a"))
            assert [client.receive()["message"]["data"]["number"] for _ in range(128)] == [7] * 128
            assert other.receive()["message"]["data"]["number"] == 7
        until(lambda: live.open_calls == 1)
        assert len(notes.broker._logs["notes.a"].listeners) == 1  # type: ignore[attr-defined]


@contextmanager
def over_websocket(live: Live) -> Iterator[socket.socket]:
    with websocket(live) as client:
        client.send(subscribe(credit=1_000_000))
        yield client.socket


@contextmanager
def over_sse(live: Live) -> Iterator[socket.socket]:
    with connected(live) as opened:
        opened.sendall(b"GET /topics/notes/a HTTP/1.1\r\nhost: localhost\r\naccept: text/event-stream\r\n\r\n")
        yield opened


@contextmanager
def over_sse_http2(live: Live) -> Iterator[socket.socket]:
    with h2_client(live) as client:
        client.h2.increment_flow_control_window(1 << 30)
        for _ in range(20):
            client.begin("GET", "/topics/notes/a", [("accept", "text/event-stream")], end=True)
        yield client.socket


WAYS = {"WebSocket": over_websocket, "SSE": over_sse, "SSE, HTTP/2": over_sse_http2}


@pytest.mark.parametrize("slow", ["disconnect", "drop_oldest", "keep_latest"])
@pytest.mark.parametrize("way", WAYS)
def test_who_never_reads_while_a_publisher_goes_at_full_speed(way: str, slow: Any) -> None:
    """One reads, and gets everything; ten do not, and hold up nobody."""
    with serving(slow=slow, queue=16) as (live, notes), websocket(live) as reader, ExitStack() as deaf:
        reader.send(subscribe(credit=1_000_000))
        assert [reader.receive()["type"] for _ in range(2)] == ["welcome", "next"]
        for _ in range(10):
            deaf.enter_context(WAYS[way](live)).setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        subscribers = 1 + 10 * (20 if way == "SSE, HTTP/2" else 1)
        until(lambda: live.open_calls == subscribers)
        before = resident_bytes()
        # The one who reads must not be taken for slow.
        step = 1 if slow == "keep_latest" else 10
        for first in range(0, MESSAGES, step):
            in_loop(live, publish(notes, range(first, first + step)))
            for number in range(first, first + step):
                assert reader.receive()["message"]["data"]["number"] == number
        grown = resident_bytes() - before
        until(lambda: live.open_calls == (1 if slow == "disconnect" else subscribers))
        assert grown < BOUND_BYTES, f"{grown:,}"


POSITIONS = [
    ("another epoch", "0123456789abcdef:1", "EPOCH_CHANGED"),
    ("ahead of what there is", "{epoch}:4711", "EPOCH_CHANGED"),
    ("far ahead", "{epoch}:99999999999999", "EPOCH_CHANGED"),
    ("gone", "{epoch}:1", "HISTORY_GONE"),
    ("no position", "yesterday", 400),
    ("half of one", "{epoch}:", 400),
    ("below all", "{epoch}:-1", 400),
    ("no digits", "{epoch}:١", 400),
    ("endless", "{epoch}:" + "9" * 5000, 400),
    ("an endless epoch", "e" * 5000 + ":1", 400),
    ("what would end a line", "{epoch}:1\n", 400),
    ("NUL", "\0:1", 400),
]


@pytest.mark.parametrize(("what", "position", "told"), POSITIONS, ids=[what for what, _, _ in POSITIONS])
def test_positions_that_are_none(what: str, position: str, told: str | int) -> None:
    with serving(history=History(count=5)) as (live, notes), websocket(live) as client:
        for number in range(20):
            last = in_loop(live, notes.publish(Note(number), of="a"))
        after = position.replace("{epoch}", last.epoch)
        client.send(subscribe(1, after=after), {**subscribe(2), "method": "topics.Notes/History"})
        client.send({**subscribe(3, of="a"), "method": "topics.Notes/History", "input": {"of": "a", "after": after}})
        answers = {}
        while len(answers) < 3:
            message = client.receive()
            if "id" in message:
                answers.setdefault(message["id"], message)
        assert len(answers[2]["message"]["events"]) == 5
        for id in (1, 3):
            if told == 400:
                assert (answers[id]["code"], answers[id]["reason"]) == ("INVALID_ARGUMENT", "BAD_POSITION")
            else:
                assert answers[id]["message"]["gap"]["reason"] == told
        client.send({"type": "cancel", "id": 1})


CALLS = 1_000_000


def flood(client: Client, made: Callable[[int], dict[str, Any]]) -> None:
    for first in range(0, CALLS, 100):
        client.socket.sendall(client.encode(*[made(number) for number in range(first, first + 100)]))


def test_a_caller_who_publishes_and_never_reads_is_not_read_from() -> None:
    def publish(number: int) -> dict[str, Any]:
        data = {"number": number}
        return {**subscribe(number + 1), "method": "topics.Notes/Publish", "input": {"of": "b", "data": data}}

    with serving() as (live, notes), websocket(live) as client:
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.socket.settimeout(1)
        before = resident_bytes()
        with pytest.raises(TimeoutError):
            flood(client, publish)
        assert resident_bytes() - before < BOUND_BYTES
        position = in_loop(live, notes.broker.history("notes.b", None, 1)).position
        assert 0 < position.offset < CALLS
        with websocket(live) as other:
            other.send(subscribe(of="b", after=str(position)))
            assert [other.receive()["type"] for _ in range(2)] == ["welcome", "next"]


def test_a_caller_who_publishes_at_full_speed_is_told_every_position() -> None:
    with serving() as (live, _), websocket(live) as client, websocket(live) as reader:
        reader.send(subscribe(of="c", credit=1_000_000))
        assert [reader.receive()["type"] for _ in range(2)] == ["welcome", "next"]
        assert client.receive()["type"] == "welcome"
        for first in range(1, 5001, 100):
            client.send(
                *[
                    {**subscribe(id), "method": "topics.Notes/Publish", "input": {"of": "c", "data": {"number": id}}}
                    for id in range(first, first + 100)
                ]
            )
            told = {}
            while len(told) < 100:
                message = client.receive()
                assert message["type"] == "result", json.dumps(message)
                told[message["id"]] = int(message["message"]["position"].rpartition(":")[2])
            assert told == {id: id for id in range(first, first + 100)}
            numbers = [reader.receive()["message"]["data"]["number"] for _ in range(100)]
            assert numbers == list(range(first, first + 100))
