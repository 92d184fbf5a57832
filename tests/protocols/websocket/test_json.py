"""Messages in and out, in JSON: the tables of docs/websocket-protocol.md."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from polywire.http.websocket import Deflate
from polywire.testing import TestClient
from polywire.testing.websocket import TestSocket
from tests.protocols.websocket.desk import Desk, make_app

VIOLATIONS = [
    ("{", "the message is not JSON"),
    ("[" * 2000 + "]" * 2000, "the message is none of this protocol: Expected `object`, got `array`"),
    ("7", "the message is none of this protocol: Expected `object`, got `int`"),
    ("{}", "the message is none of this protocol: Object missing required field `type`"),
    ('{"type": "subscribe"}', "there is no type 'subscribe'"),
    ('{"type": 1}', "the message is none of this protocol: Expected `str`, got `int` - at `$.type`"),
    ('{"type": "call", "method": "desk.Desk/Bare"}', "the id of a call is between 1 and 9007199254740991"),
    ('{"type": "call", "id": 0, "method": "desk.Desk/Bare"}', "the id of a call is between 1 and 9007199254740991"),
    ('{"type": "call", "id": -1, "method": "desk.Desk/Bare"}', "the id of a call is between 1 and 9007199254740991"),
    (
        '{"type": "call", "id": 9007199254740992, "method": "desk.Desk/Bare"}',
        "the id of a call is between 1 and 9007199254740991",
    ),
    (
        '{"type": "call", "id": "1", "method": "desk.Desk/Bare"}',
        "the message is none of this protocol: Expected `int`, got `str` - at `$.id`",
    ),
    ('{"type": "call", "id": 1, "method": "desk.Desk/Bare", "input": {]}', "the message is not JSON"),
    ('{"type": "call", "id": 1, "method": "desk.Desk/Count", "credit": -1}', "credit is 1 or more"),
    ('{"type": "credit", "id": 1}', "credit is 1 or more"),
    ('{"type": "credit", "id": 1, "count": -5}', "credit is 1 or more"),
]


async def opened(ws: TestSocket) -> dict[str, Any]:
    welcome: dict[str, Any] = await ws.receive_json()
    assert welcome["type"] == "welcome"
    return welcome


async def exchange(ws: TestSocket, *messages: dict[str, Any], count: int = 1) -> list[Any]:
    for message in messages:
        ws.send_json(message)
    return [await ws.receive_json() for _ in range(count)]


@pytest.mark.parametrize("subprotocols", [(), ("polywire.v1.json",), ("other", "polywire.v1.json")])
@pytest.mark.parametrize("version", ["1.1", "2"])
async def test_the_welcome_comes_first(version: str, subprotocols: tuple[str, ...]) -> None:
    async with TestClient(make_app()) as client:
        async with client.websocket("/ws", version=version, subprotocols=subprotocols) as ws:
            assert ws.subprotocol == ("polywire.v1.json" if subprotocols else None)
            welcome = await opened(ws)
            session, server = welcome.pop("session"), welcome.pop("server")
            assert welcome == {
                "type": "welcome",
                "version": 1,
                "app": {"name": "desk", "version": "3"},
                "capabilities": ["calls", "streams", "credit", "resume"],
                "heartbeat_s": 15.0,
                "limits": {"message_bytes": 1048576, "calls": 128, "credit": 64},
            }
        async with client.websocket("/ws") as ws:
            other = await opened(ws)
            assert (other["session"] != session, other["server"]) == (True, server)


async def test_an_offer_that_is_not_spoken_here_is_closed() -> None:
    async with TestClient(make_app()) as client, client.websocket("/ws", subprotocols=["polywire.v2.json"]) as ws:
        assert ws.subprotocol is None
        assert (await ws.closed())[0] == 4406


@pytest.mark.parametrize(("text", "told"), VIOLATIONS)
async def test_what_is_no_message_is_told_and_closed(text: str, told: str) -> None:
    async with TestClient(make_app()) as client, client.websocket("/ws") as ws:
        await opened(ws)
        ws.send(text)
        error = await ws.receive_json()
        error.pop("request_id")
        assert error == {"type": "error", "code": "INVALID_ARGUMENT", "reason": "MALFORMED", "message": told}
        assert await ws.closed() == (4400, "that is no message of this protocol")


@pytest.mark.parametrize(
    ("messages", "told"),
    [
        ([{"type": "ping"}, {"type": "hello"}], "hello may only be the first message"),
        ([{"type": "call", "id": 1, "method": "desk.Desk/Waits"}] * 2, "the id 1 is in use"),
        (
            [{"type": "call", "id": 1, "method": "desk.Desk/Waits"}, {"type": "next", "id": 1, "message": 1}],
            "desk.Desk/Waits takes no stream",
        ),
        (
            [{"type": "call", "id": 1, "method": "desk.Desk/Waits"}, {"type": "end", "id": 1}],
            "desk.Desk/Waits takes no stream",
        ),
        (
            [
                {"type": "call", "id": 1, "method": "desk.Desk/Join"},
                {"type": "end", "id": 1},
                {"type": "next", "id": 1, "message": {"text": "a"}},
            ],
            "the stream 1 has ended",
        ),
    ],
)
async def test_what_may_not_come_now(messages: list[dict[str, Any]], told: str) -> None:
    desk = Desk()
    async with TestClient(make_app(desk)) as client, client.websocket("/ws") as ws:
        await opened(ws)
        for message in messages:
            ws.send(json.dumps(message))
        received = [await ws.receive_json()]
        while "id" in received[-1] or received[-1]["type"] == "pong":
            received.append(await ws.receive_json())
        assert (received[-1]["code"], received[-1]["message"]) == ("INVALID_ARGUMENT", told)
        assert (await ws.closed())[0] == 4400
        async with asyncio.timeout(5):
            while client.site.open_calls:  # noqa: ASYNC110 -- turns of the loop, no time
                await asyncio.sleep(0)


async def test_bytes_are_no_json() -> None:
    async with TestClient(make_app()) as client, client.websocket("/ws") as ws:
        ws.send(b"{}")
        assert await ws.closed() == (1003, "messages are text")


@pytest.mark.parametrize("version", ["1.1", "2"])
async def test_messages_are_compressed_where_both_want_that(version: str) -> None:
    deflate: Deflate = "context_takeover"
    async with (
        TestClient(make_app(deflate=deflate)) as client,
        client.websocket("/ws", version=version, deflate=deflate) as ws,
    ):
        assert ws.deflate is not None
        await opened(ws)
        text = "the same again and again " * 30
        ws.send_json({"type": "call", "id": 1, "method": "desk.Desk/Get", "input": {"text": text}})
        assert (await ws.receive_json())["message"]["text"] == text
