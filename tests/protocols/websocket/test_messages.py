"""Messages in and out, in each framing and over both HTTP versions."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from polywire.testing import TestClient
from tests.protocols.websocket.cases import CALLS
from tests.protocols.websocket.desk import Desk, make_app
from tests.protocols.websocket.tongues import TONGUES, MessagePack, Tongue


@pytest.mark.parametrize("tongue", TONGUES, ids=lambda tongue: tongue.name)
@pytest.mark.parametrize("version", ["1.1", "2"])
@pytest.mark.parametrize(("sent", "expected"), [row[1:] for row in CALLS], ids=[row[0] for row in CALLS])
async def test_messages(
    sent: list[dict[str, Any]], expected: list[dict[str, Any]], version: str, tongue: type[Tongue]
) -> None:
    desk = Desk()
    desk.may_read.set()
    async with (
        TestClient(make_app(desk)) as client,
        client.websocket("/ws", version=version, subprotocols=[tongue.name]) as ws,
    ):
        peer = tongue(client, ws)
        assert (await peer.receive())["limits"] == {"message_bytes": 1048576, "calls": 128, "credit": 64}
        for message in sent:
            peer.send(message)
        received = [await peer.receive() for _ in expected]
        ids = [message.pop("request_id") for message in received if message["type"] == "error"]
        assert all(ids)
        assert received == expected
        peer.send({"type": "ping"})
        assert await peer.receive() == {"type": "pong"}


@pytest.mark.parametrize("tongue", TONGUES[1:], ids=lambda tongue: tongue.name)
@pytest.mark.parametrize("data", [b"\xc1", b"\x0a\xff\xff", b"", b"\x08\x00", b"\x08\x7f", msgspec.msgpack.encode(7)])
async def test_bytes_that_are_no_message(tongue: type[Tongue], data: bytes) -> None:
    async with TestClient(make_app()) as client, client.websocket("/ws", subprotocols=[tongue.name]) as ws:
        peer = tongue(client, ws)
        await peer.receive()
        ws.send(data)
        error = await peer.receive()
        assert (error["type"], error["reason"], "id" in error) == ("error", "MALFORMED", False)
        assert (await ws.closed())[0] == 4400


@pytest.mark.parametrize("tongue", TONGUES[1:], ids=lambda tongue: tongue.name)
async def test_text_is_not_bytes(tongue: type[Tongue]) -> None:
    async with TestClient(make_app()) as client, client.websocket("/ws", subprotocols=[tongue.name]) as ws:
        ws.send("{}")
        assert await ws.closed() == (1003, "messages are bytes")


@pytest.mark.parametrize(
    ("payload", "told"),
    [
        (msgspec.msgpack.encode({"text": "a", "data": b"\x00\xff"}), {"text": "a", "number": 0, "data": "AP8="}),
        (msgspec.msgpack.encode({"text": "a", "data": "AP8="}), {"text": "a", "number": 0, "data": "AP8="}),
        (msgspec.msgpack.encode({"text": "a", "number": float("nan")}), "MALFORMED"),
        (msgspec.msgpack.encode({"text": "a", "other": [{"x": float("inf")}]}), "MALFORMED"),
        (msgspec.msgpack.encode({"text": msgspec.msgpack.Ext(5, b"x")}), "MALFORMED"),
        (b"\x81" * 2000, None),
        (msgspec.msgpack.encode([]), "INVALID"),
    ],
)
async def test_payloads_of_message_pack(payload: bytes, told: Any) -> None:
    async with TestClient(make_app()) as client, client.websocket("/ws", subprotocols=[MessagePack.name]) as ws:
        peer = MessagePack(client, ws)
        await peer.receive()
        call = {"type": "call", "id": 1, "method": "desk.Desk/Mirror"}
        ws.send(msgspec.msgpack.encode(call))
        ws.send(msgspec.msgpack.encode({"type": "next", "id": 1, "message": msgspec.Raw(payload)}))
        answer = await peer.receive()
        if told is None:
            assert "id" not in answer, "the whole message cannot be read"
        elif isinstance(told, str):
            assert (answer["id"], answer["reason"]) == (1, told)
        else:
            assert answer == {"type": "next", "id": 1, "message": told}
