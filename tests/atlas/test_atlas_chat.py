"""The rooms: what is said reaches every protocol, with history and presence; socket.io clients are in the same ones."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import pytest

from atlas.services.chat import ChatService, Typist, named, rooms, typing
from atlas.socketio_chat import MOST_QUEUED, SocketioChat
from polywire import App
from polywire.errors import Code, RpcError
from polywire.testing import TestClient
from polywire.testing.memory import Answer
from tests.atlas.talk import until

HOSTILE = '<script>alert("☃")</script>\u2028</style>'


@pytest.fixture
def chat() -> ChatService:
    return ChatService()


@pytest.fixture
def sockets(chat: ChatService) -> SocketioChat:
    return SocketioChat(chat)


@pytest.fixture
async def client(chat: ChatService, sockets: SocketioChat) -> AsyncIterator[TestClient]:
    app = App(chat, topics=[rooms, typing], interceptors=[named])
    app.mount("/socket.io", sockets.app)
    app.on_stop(sockets.close)
    async with TestClient(app) as client:
        yield client


async def say(client: TestClient, text: str, room: str = "lobby", **more: str) -> Answer:
    return await client.post(f"/v1/rooms/{room}/messages", json={"user": "Alice", "text": text, **more})


async def history(client: TestClient, room: str = "lobby") -> list[str]:
    events = (await client.get(f"/topics/rooms/{room}/history?last=100")).json()["events"]
    return [event["data"]["text"] for event in events]


async def test_what_is_said_by_rest_is_heard_by_every_protocol(client: TestClient) -> None:
    async with (
        aclosing(client.events("GET", "/topics/rooms/lobby")) as sse,
        aclosing(client.grpc_stream("topics.Rooms/Subscribe", {"room": "lobby"})) as grpc,
        aclosing(rooms.subscribe(room="lobby")) as own,
    ):
        for events in (sse, grpc, own):
            await anext(events)
        answer = await say(client, HOSTILE)
        assert answer.status == 201
        position = answer.json()["position"]
        heard = await _next_data(sse)
        assert (heard.id, heard.value["data"]["text"]) == (position, HOSTILE)
        for events in (grpc, own):
            event = await _next_data(events)
            assert (event.data.user, event.data.text) == ("Alice", HOSTILE)


async def _next_data(events: Any) -> Any:
    async for event in events:
        value = getattr(event, "value", event)
        if (value.get("data") if isinstance(value, dict) else value.data) is not None:
            return event
    raise AssertionError("the stream has ended")


async def test_a_message_with_a_key_is_said_once(client: TestClient) -> None:
    first = (await say(client, "once", key="k")).json()
    assert (await say(client, "once", key="k")).json() == first
    other = await client.post("/v1/rooms/lobby/messages", json={"user": "Bob", "text": "mine", "key": "k"})
    assert other.json() != first
    assert await history(client) == ["once", "mine"]


async def test_rooms_are_apart(client: TestClient) -> None:
    await say(client, "here", "one")
    await say(client, "there", "two")
    assert (await history(client, "one"), await history(client, "two")) == (["here"], ["there"])


@pytest.mark.parametrize("name", ["Lobby", "a b", "../etc", "x" * 41, "ä"])
async def test_what_is_no_room_is_refused(client: TestClient, name: str) -> None:
    with pytest.raises(RpcError) as caught:
        await anext(client.grpc_stream("topics.Rooms/Subscribe", {"room": name}))
    assert (caught.value.code, caught.value.reason) == (Code.INVALID_ARGUMENT, "BAD_ROOM")
    with pytest.raises(RpcError) as caught:
        await client.grpc("chat.ChatService/Say", {"room": name, "user": "Alice", "text": "hello"})
    assert caught.value.code is Code.INVALID_ARGUMENT


@pytest.mark.parametrize(
    "body", [{"user": "", "text": "x"}, {"user": "A", "text": ""}, {"user": "A", "text": "x" * 2001}]
)
async def test_what_is_no_message_is_refused(client: TestClient, body: dict[str, str]) -> None:
    assert (await client.post("/v1/rooms/lobby/messages", json=body)).status == 422
    assert await history(client) == []


@pytest.mark.parametrize(
    ("sent", "shown"), [("Alice", "Alice"), ("J%C3%B6rg%20%E2%98%83", "Jörg ☃"), ("100%", "100%"), ("x" * 50, "x" * 40)]
)
async def test_members_have_the_name_that_they_tell(client: TestClient, sent: str, shown: str) -> None:
    async with aclosing(client.events("GET", "/topics/rooms/lobby", headers=[("user", sent)])) as events:
        await anext(events)
        assert (await anext(events)).value["joined"]["user"] == shown
        (member,) = (await client.get("/topics/rooms/lobby/members")).json()["members"]
        assert member["user"] == shown

    await nobody_is_there(client)


async def nobody_is_there(client: TestClient) -> None:
    async with asyncio.timeout(30):
        while (await client.get("/topics/rooms/lobby/members")).json()["members"]:  # noqa: ASYNC110 -- it tells nobody
            await asyncio.sleep(0.001)


async def test_who_types_is_told(client: TestClient) -> None:
    async with aclosing(typing.subscribe(room="lobby")) as events:
        await anext(events)
        answer = await client.post("/v1/rooms/lobby/typing", json={"user": "Alice"})
        assert answer.status in (200, 204)
        assert (await _next_data(events)).data == Typist("Alice")


# socket.io, as its clients speak it by polling: Engine.IO 4, in which packets are parted by the byte 0x1e.


class SocketioClient:
    def __init__(self, client: TestClient) -> None:
        self._client = client
        self._target = "/socket.io/?EIO=4&transport=polling"
        self._packets: list[str] = []
        self.heard: list[Any] = []

    async def open(self) -> SocketioClient:
        self._target += f"&sid={json.loads((await self._packet('0'))[1:])['sid']}"
        await self.send("40")
        await self._packet("40")
        return self

    async def send(self, packet: str) -> None:
        body = packet.encode()
        headers = [("content-type", "text/plain"), ("content-length", str(len(body)))]
        answer = await self._client.post(self._target, body=body, headers=headers)
        assert (answer.status, answer.text) == (200, "OK")

    async def ask(self, number: int, event: str, data: Any) -> Any:
        """What it is acknowledged with."""
        await self.send(f"42{number}{json.dumps([event, data])}")
        return json.loads((await self._packet(f"43{number}["))[2 + len(str(number)) :])[0]

    async def hear(self) -> Any:
        """The next event."""
        if not self.heard:
            self.heard.append(json.loads((await self._packet("42["))[2:]))
        return self.heard.pop(0)

    async def _packet(self, kind: str) -> str:
        """The next that begins so; events before it are kept."""
        while True:
            while self._packets:
                packet = self._packets.pop(0)
                if packet.startswith(kind):
                    return packet
                if packet.startswith("42["):
                    self.heard.append(json.loads(packet[2:]))
            async with asyncio.timeout(20):
                answer = await self._client.get(self._target)
            assert answer.status == 200
            self._packets = answer.text.split("\x1e")


async def test_a_socketio_client_is_in_the_same_room(client: TestClient) -> None:
    await say(client, "before")
    socket = await SocketioClient(client).open()
    assert await socket.ask(1, "join", {"room": "lobby", "user": "Sam"}) == {}
    (member,) = (await client.get("/topics/rooms/lobby/members")).json()["members"]
    assert member["user"] == "Sam"
    name, message = await socket.hear()
    assert (name, message["user"], message["text"]) == ("message", "Alice", "before")
    await say(client, HOSTILE)
    assert (await socket.hear())[1]["text"] == HOSTILE
    assert ":" in (await socket.ask(2, "say", {"text": "by socket.io"}))["position"]
    assert await history(client) == ["before", HOSTILE, "by socket.io"]


async def test_a_socketio_client_that_leaves_is_forgotten(client: TestClient, sockets: SocketioChat) -> None:
    socket = await SocketioClient(client).open()
    await socket.ask(1, "join", {"room": "lobby", "user": "Sam"})
    assert len(sockets._listening) == 1
    await socket.send("41")
    await until(lambda: not sockets._listening and not sockets._joined)
    await nobody_is_there(client)


async def test_a_socketio_client_that_does_not_read_is_left(client: TestClient, sockets: SocketioChat) -> None:
    """python-socketio would queue for it without a bound."""
    socket = await SocketioClient(client).open()
    assert await socket.ask(1, "join", {"room": "lobby", "user": "Sam"}) == {}
    (engine,) = sockets._server.eio.sockets.values()
    while engine.queue.qsize() <= MOST_QUEUED:
        before = engine.queue.qsize()
        await say(client, "once more")
        await until(lambda: engine.queue.qsize() > before)  # noqa: B023 -- called at once
    for _ in range(rooms.queue + 10):
        await say(client, "too much")
    await until(lambda: not sockets._listening)
    assert MOST_QUEUED < engine.queue.qsize() < MOST_QUEUED + 5
    assert (await client.get("/topics/rooms/lobby/members")).json()["members"] == []
