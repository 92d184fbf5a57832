"""Who may open a socket, with which token and when, and how much it may do."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from polywire import PermissionDenied, Unauthenticated
from polywire.runtime.call import Peer
from polywire.service.options import WebSocketOptions
from polywire.testing import TestClient
from polywire.testing.websocket import SocketRefused, TestSocket
from tests.protocols.websocket.desk import Desk, make_app
from tests.protocols.websocket.turns import until

TOLD = {"type": "call", "id": 1, "method": "desk.Desk/Told", "input": {"name": "principal"}}


class Door:
    """Knows tokens, and whom it has been asked about."""

    def __init__(self) -> None:
        self.asked: list[tuple[str | None, str]] = []
        self.open = asyncio.Event()
        self.open.set()

    async def __call__(self, token: str | None, peer: Peer) -> Any:
        self.asked.append((token, peer.address))
        await self.open.wait()
        if token == "bug":
            raise LookupError("a secret")
        if token == "banned":
            raise PermissionDenied("you are banned")
        if token is None or not token.startswith("of-"):
            raise Unauthenticated("who are you?", reason="BAD_TOKEN")
        return token.removeprefix("of-")


async def welcomed(ws: TestSocket) -> None:
    assert (await ws.receive_json())["type"] == "welcome"


async def refusal(ws: TestSocket) -> tuple[str, str | None, int]:
    """The error's code and reason, and the close."""
    error = await ws.receive_json()
    assert (error["type"], "id" in error) == ("error", False)
    assert "secret" not in str(error)
    return error["code"], error.get("reason"), (await ws.closed())[0]


@pytest.mark.parametrize("version", ["1.1", "2"])
@pytest.mark.parametrize("by", ["header", "hello"])
async def test_the_principal_is_that_of_the_token(by: str, version: str) -> None:
    door = Door()
    headers = [("authorization", "Bearer of-anna")] if by == "header" else []
    async with (
        TestClient(make_app(authenticate=door)) as client,
        client.websocket("/ws", headers=headers, version=version) as ws,
    ):
        await welcomed(ws)
        door.open.clear()
        if by == "hello":
            ws.send_json({"type": "hello", "token": "of-anna"})
        ws.send_json(TOLD)
        await until(lambda: len(door.asked) == 1)
        door.open.set()
        assert (await ws.receive_json())["message"] == "anna"
    assert door.asked == [("of-anna", "127.0.0.1")]


@pytest.mark.parametrize(
    ("first", "refused"),
    [
        ({"type": "hello", "token": "wrong"}, ("UNAUTHENTICATED", "BAD_TOKEN", 4401)),
        ({"type": "hello"}, ("UNAUTHENTICATED", "BAD_TOKEN", 4401)),
        ({"type": "hello", "token": "banned"}, ("PERMISSION_DENIED", None, 4401)),
        ({"type": "hello", "token": "bug"}, ("INTERNAL", None, 1011)),
        ({"type": "hello", "token": 5}, ("INVALID_ARGUMENT", "MALFORMED", 4400)),
        (TOLD, ("UNAUTHENTICATED", "NO_HELLO", 4401)),
        ({"type": "ping"}, ("UNAUTHENTICATED", "NO_HELLO", 4401)),
    ],
)
async def test_who_is_not_let_in(first: dict[str, Any], refused: tuple[str, str | None, int]) -> None:
    async with TestClient(make_app(authenticate=Door())) as client, client.websocket("/ws") as ws:
        await welcomed(ws)
        ws.send_json(first)
        ws.send_json(TOLD)
        assert await refusal(ws) == refused
        assert not client.site.runtime.sockets


async def test_a_wrong_header_is_refused_too() -> None:
    headers = [("authorization", "Bearer wrong")]
    async with TestClient(make_app(authenticate=Door())) as client, client.websocket("/ws", headers=headers) as ws:
        await welcomed(ws)
        assert await refusal(ws) == ("UNAUTHENTICATED", "BAD_TOKEN", 4401)


async def test_a_hello_that_comes_late() -> None:
    app = make_app(authenticate=Door(), first_message_s=0.02)
    async with TestClient(app) as client, client.websocket("/ws") as ws:
        await welcomed(ws)
        assert await ws.closed() == (4408, "no hello came in time")


async def test_an_answer_that_comes_late() -> None:
    door = Door()
    door.open.clear()
    app = make_app(authenticate=door, first_message_s=0.02)
    async with TestClient(app) as client, client.websocket("/ws") as ws:
        await welcomed(ws)
        ws.send_json({"type": "hello", "token": "of-anna"})
        assert await refusal(ws) == ("UNAVAILABLE", None, 1011)


async def test_who_leaves_is_not_asked_about_any_longer() -> None:
    door = Door()
    door.open.clear()
    async with TestClient(make_app(authenticate=door)) as client:
        async with client.websocket("/ws") as ws:
            ws.send_json({"type": "hello", "token": "of-anna"})
            await until(lambda: len(door.asked) == 1)
        await until(lambda: asyncio.all_tasks() == {asyncio.current_task()})


@pytest.mark.parametrize("headers", [[("origin", "https://evil.example")], [("sec-fetch-site", "cross-site")]])
async def test_pages_of_other_origins_are_refused(headers: list[tuple[str, str]]) -> None:
    async with TestClient(make_app()) as client:
        with pytest.raises(SocketRefused) as caught:
            async with client.websocket("/ws", headers=headers):
                pass
        assert caught.value.answer.status == 403


async def test_sockets_of_one_principal_are_bounded() -> None:
    app = make_app(authenticate=Door(), max_per_principal=1)
    headers = [("authorization", "Bearer of-anna")]
    async with TestClient(app) as client:
        async with client.websocket("/ws", headers=headers) as first:
            await welcomed(first)
            first.send_json(TOLD)
            assert (await first.receive_json())["message"] == "anna"
            async with client.websocket("/ws", headers=headers) as second:
                await welcomed(second)
                assert await refusal(second) == ("RESOURCE_EXHAUSTED", "TOO_MANY_SOCKETS", 4429)
            async with client.websocket("/ws", headers=[("authorization", "Bearer of-bert")]) as other:
                await welcomed(other)
                other.send_json(TOLD)
                assert (await other.receive_json())["message"] == "bert"
        async with client.websocket("/ws", headers=headers) as again:
            await welcomed(again)
            again.send_json(TOLD)
            assert (await again.receive_json())["message"] == "anna"


@pytest.mark.parametrize("path", ["/ws", "/trpc", "/graphql"])
async def test_sockets_of_one_address_are_bounded_whatever_is_spoken(path: str) -> None:
    async with TestClient(make_app(max_per_address=2)) as client:
        async with client.websocket("/ws"), client.websocket("/trpc"):
            with pytest.raises(SocketRefused) as caught:
                async with client.websocket(path):
                    pass
            answer = caught.value.answer
            assert (answer.status, answer.headers["retry-after"]) == (429, "1")
            assert answer.json()["error"]["reason"] == "TOO_MANY_SOCKETS"
        with pytest.raises(SocketRefused):
            async with client.websocket("/nowhere"):
                pass
        async with client.websocket(path), client.websocket(path):
            pass
        assert client.site._gate is not None
        assert client.site._gate.open == {}


async def test_sockets_are_not_opened_too_fast() -> None:
    async with TestClient(make_app(connects_per_s=0.001)) as client:
        async with client.websocket("/ws"):
            pass
        with pytest.raises(SocketRefused) as caught:
            async with client.websocket("/ws"):
                pass
        assert (caught.value.answer.status, caught.value.answer.json()["error"]["reason"]) == (429, "TOO_FAST")


async def test_messages_come_too_fast() -> None:
    async with TestClient(make_app(messages_per_s=2)) as client, client.websocket("/ws") as ws:
        await welcomed(ws)
        for _ in range(50):
            ws.send_json({"type": "ping"})
        assert [await ws.receive_json(), await ws.receive_json()] == [{"type": "pong"}] * 2
        assert await refusal(ws) == ("RESOURCE_EXHAUSTED", "TOO_FAST", 4429)


async def test_a_socket_without_calls_is_closed() -> None:
    desk = Desk()
    async with TestClient(make_app(desk, idle_s=0.03, heartbeat_s=0.02)) as client, client.websocket("/ws") as ws:
        await welcomed(ws)
        ws.send_json({"type": "call", "id": 1, "method": "desk.Desk/Waits", "timeout_s": 0.1})
        ws.send_json({"type": "ping"})
        assert (await ws.receive_json())["type"] == "pong"
        assert (await ws.receive_json())["code"] == "DEADLINE_EXCEEDED", "a call under way keeps it open"
        assert await ws.closed() == (4000, "no call for too long")


async def test_a_message_that_is_too_long() -> None:
    async with TestClient(make_app(max_message_bytes=200)) as client, client.websocket("/ws") as ws:
        assert (await ws.receive_json())["limits"]["message_bytes"] == 200
        ws.send_json({"type": "hello", "token": "x" * 200})
        assert await ws.closed() == (1009, "a message is larger than 200 bytes")


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"max_calls": 0}, "max_calls=0 must be 1 or more"),
        ({"max_message_bytes": True}, "max_message_bytes=True must be 1 or more"),
        ({"messages_per_s": 0.5}, "messages_per_s=0.5 must be 1 or more"),
        ({"connects_per_s": 0}, "connects_per_s=0 must be above 0"),
        ({"idle_s": float("inf")}, "idle_s=inf must be above 0"),
        ({"first_message_s": None}, "first_message_s=None must be above 0"),
        ({"max_per_address": 0}, "max_per_address=0 must be 1 or more"),
        ({"max_per_principal": 1}, "max_per_principal= needs authenticate="),
        ({"authenticate": 5}, "authenticate= is a function"),
    ],
)
def test_options_that_cannot_be(wrong: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        WebSocketOptions(**wrong)
