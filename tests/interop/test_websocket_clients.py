"""The clients of websockets (asyncio and blocking) and aiohttp: a raw endpoint, and the polywire protocol in JSON."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest

from polywire import History, Message, Topic
from polywire.service.options import WebSocketOptions
from tests.live.server import Live, serve
from tests.live.service import MOST_ECHOED_BYTES

from .sockets import CLIENTS, FRAGMENTING, Closed, Refused, Talk, socket_of

JSON = "polywire.v1.json"


@pytest.fixture(params=CLIENTS)
def client(request: pytest.FixtureRequest) -> str:
    return str(request.param)


class Headline(Message):
    text: str


@pytest.fixture
def newsroom() -> Iterator[Live]:
    """A server with a topic that keeps the last three messages."""
    news = Topic("news.{desk}", Headline, history=History(count=3), publishable=True)
    with serve(app={"topics": [news]}) as live:
        yield live


@asynccontextmanager
async def talk(client: str, live: Live) -> AsyncIterator[Talk]:
    """The welcome has been heard."""
    async with socket_of(client, live.authority, "/ws", [JSON]) as socket:
        assert socket.subprotocol == JSON
        talk = Talk(socket)
        welcome = await talk.hear()
        assert (welcome["type"], welcome["version"]) == ("welcome", 1)
        assert {"calls", "streams", "credit", "resume"} <= set(welcome["capabilities"])
        yield talk


async def end(receive: Callable[[], Awaitable[Any]]) -> Closed:
    """How the socket ends, whatever comes before."""
    while True:
        try:
            await receive()
        except Closed as closed:
            return closed


def messages() -> list[str | bytes]:
    rng = random.Random(1)
    sizes = [0, 1, 125, 126, 65_535, 65_536, MOST_ECHOED_BYTES]
    return [*((f"{size} né " * size)[: size // 2] for size in sizes), *map(rng.randbytes, sizes), b"ab" * 50_000]


# A raw endpoint


@pytest.mark.parametrize(("path", "deflate"), [("/echo", False), ("/echo", True), ("/echo-kept", True)])
async def test_an_endpoint_that_echoes(live: Live, client: str, path: str, deflate: bool) -> None:
    async with socket_of(client, live.authority, path, deflate=deflate) as socket:
        assert (socket.is_compressed, socket.subprotocol) == (deflate, None)
        for message in messages():
            await socket.send(message)
            assert await socket.receive() == message
        await socket.ping(b"there?")
        await socket.close(4321, "bye")


@pytest.mark.parametrize("client", FRAGMENTING)
@pytest.mark.parametrize("deflate", [False, True])
async def test_messages_in_many_frames(live: Live, client: str, deflate: bool) -> None:
    async with socket_of(client, live.authority, "/echo-kept", deflate=deflate) as socket:
        assert socket.is_compressed is deflate
        for _ in range(2):
            await socket.send_parts(["né ", "", "in ", "three " * 1000])
            assert await socket.receive() == "né in " + "three " * 1000
            await socket.send_parts([bytes([number]) * 300 for number in range(100)])
            assert await socket.receive() == b"".join(bytes([number]) * 300 for number in range(100))


@pytest.mark.parametrize("deflate", [False, True])
async def test_a_message_that_is_too_long(live: Live, client: str, deflate: bool) -> None:
    async with socket_of(client, live.authority, "/echo", deflate=deflate) as socket:
        await socket.send(b"\0" * (MOST_ECHOED_BYTES + 1))
        with pytest.raises(Closed) as caught:
            await socket.receive()
    assert caught.value.code == 1009
    assert str(MOST_ECHOED_BYTES) in caught.value.reason


async def test_a_path_where_nothing_is(live: Live, client: str) -> None:
    with pytest.raises(Refused) as caught:
        async with socket_of(client, live.authority, "/nowhere"):
            pass
    assert caught.value.status == 404


# The polywire protocol


async def test_calls_of_every_shape(live: Live, client: str) -> None:
    async with talk(client, live) as said:
        await said.call(1, "lab.Lab/GetItem", input={"name": "né", "count": 3})
        item = {"name": "né", "count": 3, "tags": []}
        assert await said.hear() == {"type": "result", "id": 1, "message": item}
        await said.call(2, "lab.Lab/GetItem", input={"name": "missing"})
        error = await said.hear()
        assert (error["type"], error["id"], error["code"], error["reason"]) == (
            "error",
            2,
            "NOT_FOUND",
            "ITEM_NOT_FOUND",
        )
        await said.call(3, "lab.Lab/Total")
        for size in range(5):
            await said.say(type="next", id=3, message={"text": "x" * size})
        await said.say(type="end", id=3)
        assert await said.hear() == {"type": "result", "id": 3, "message": {"text": 10, "data": 0}}
        await said.call(4, "lab.Lab/Echo")
        for text in ("one", "two"):
            await said.say(type="next", id=4, message={"text": text})
            assert await said.hear() == {"type": "next", "id": 4, "message": {"text": text, "data": ""}}
        await said.say(type="end", id=4)
        assert await said.hear() == {"type": "end", "id": 4}
        await said.say(type="ping")
        assert await said.hear() == {"type": "pong"}


async def test_a_stream_waits_for_credit(live: Live, client: str) -> None:
    async with talk(client, live) as said:
        await said.call(1, "lab.Lab/Stream", input={"count": 5}, credit=2)
        assert [one["type"] for one in await said.hear_all(2)] == ["next", "next"]
        # The answer to a later call comes next: nothing of the stream is on its way.
        await said.call(2, "lab.Lab/GetItem", input={"name": "between"})
        assert (await said.hear())["id"] == 2
        await said.say(type="credit", id=1, count=4)
        assert [one["type"] for one in await said.hear_all(4)] == ["next", "next", "next", "end"]


async def test_a_call_that_is_cancelled(live: Live, client: str) -> None:
    async with talk(client, live) as said:
        await said.call(1, "lab.Lab/StreamWaits")
        assert (await said.hear())["message"]["text"] == "one"
        await said.say(type="cancel", id=1)
        error = await said.hear()
        assert (error["id"], error["code"]) == (1, "CANCELLED")
    assert live.lab.cancelled == 1


async def test_a_stream_goes_on_where_it_was(live: Live, client: str) -> None:
    heard = []
    after: dict[str, str] = {}
    for _ in range(2):
        async with talk(client, live) as said:
            await said.call(1, "lab.Lab/Watch", **after)
            while (one := await said.hear())["type"] == "next":
                heard.append(one["message"]["name"])
                after = {"after": one["position"]}
    assert heard == ["item 1", "item 2", "item 3", "item 4"]


async def test_a_topic_goes_on_where_it_was_and_tells_a_gap(newsroom: Live, client: str) -> None:
    subscribe, publish = "topics.News/Subscribe", "topics.News/Publish"
    async with AsyncExitStack() as stack:
        desk = await stack.enter_async_context(talk(client, newsroom))
        ids = iter(range(1, 100))

        async def publish_all(*texts: str) -> None:
            for text in texts:
                await desk.call(next(ids), publish, input={"desk": "home", "data": {"text": text}})
                assert (await desk.hear())["type"] == "result"

        async with talk(client, newsroom) as reader:
            await reader.call(1, subscribe, input={"desk": "home"})
            greeting = await reader.hear()
            assert greeting["position"] == greeting["message"]["position"]
            assert (greeting["message"]["data"], greeting["message"]["gap"]) == (None, None)
            await publish_all("one")
            first = await reader.hear()
            assert first["message"]["data"] == {"text": "one"}
        await publish_all("two", "three")
        async with talk(client, newsroom) as reader:
            await reader.call(1, subscribe, input={"desk": "home"}, after=first["position"])
            back = await reader.hear_all(3)
            assert back[0]["message"]["gap"] is None
            assert [one["message"]["data"] for one in back[1:]] == [{"text": "two"}, {"text": "three"}]
        await publish_all("four", "five")
        async with talk(client, newsroom) as reader:
            await reader.call(1, subscribe, input={"desk": "home"}, after=first["position"])
            late = await reader.hear_all(4)
            assert late[0]["message"]["gap"] == {"after": first["position"], "reason": "HISTORY_GONE"}
            assert [one["message"]["data"]["text"] for one in late[1:]] == ["three", "four", "five"]


@pytest.mark.parametrize(
    ("subprotocol", "message", "code"),
    [(JSON, '{"type": "call"}', 4400), (JSON, "no JSON", 4400), (JSON, b"{}", 1003), ("polywire.v9", None, 4406)],
)
async def test_what_ends_a_socket(live: Live, client: str, subprotocol: str, message: str | bytes, code: int) -> None:
    async with socket_of(client, live.authority, "/ws", [subprotocol]) as socket:
        if message is not None:
            await socket.send(message)
        closed = await end(socket.receive)
    assert closed.code == code


async def test_a_server_that_goes_away(client: str) -> None:
    with serve() as live:
        async with talk(client, live) as said:
            await said.call(1, "lab.Lab/StreamWaits")
            assert (await said.hear())["type"] == "next"
            live.drain()
            assert (await said.hear())["type"] == "going_away"
            await said.say(type="cancel", id=1)
            closed = await end(said.hear)
    assert closed.code == 1012


async def test_heartbeats_are_answered(client: str) -> None:
    """The call takes longer than a peer that answers no ping is kept."""
    options = {"heartbeat_s": 0.1, "websocket": WebSocketOptions(missed_beats=10)}
    with serve(app=options) as live:
        async with talk(client, live) as said:
            await said.call(1, "lab.Lab/Hangs", timeout_s=1)
            assert (await asyncio.wait_for(said.hear(), 10))["code"] == "DEADLINE_EXCEEDED"
