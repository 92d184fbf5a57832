"""AsyncAPI of the WebSocket protocol: what it says of messages holds for those that go over a socket."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest

from polywire.contract.asyncapi import asyncapi
from polywire.testing import TestClient
from tests.protocols.websocket.cases import CALLS
from tests.protocols.websocket.desk import Desk, make_app

DOCUMENT = asyncapi([Desk.__polywire__], title="desk", version="3")


def references(value: Any) -> Iterator[str]:
    match value:
        case dict():
            for name, inner in value.items():
                if name == "$ref":
                    yield inner
                else:
                    yield from references(inner)
        case list():
            for inner in value:
                yield from references(inner)


def found(reference: str) -> Any:
    place: Any = DOCUMENT
    for name in reference.removeprefix("#/").split("/"):
        place = place[name]
    return place


def test_every_reference_leads_somewhere() -> None:
    names = set(references(DOCUMENT))
    assert names
    for name in names:
        assert found(name)


def test_names_are_those_that_asyncapi_takes() -> None:
    for names in (DOCUMENT["components"]["messages"], DOCUMENT["components"]["schemas"]):
        assert all(re.fullmatch(r"[\w.\-]+", name) for name in names)


@pytest.mark.parametrize(
    ("method", "asked", "told"),
    [
        ("Get", ["call", "cancel"], ["result", "error"]),
        ("Count", ["call", "cancel", "credit"], ["next", "end", "error"]),
        ("Join", ["call", "item", "finish", "cancel"], ["result", "credit", "error"]),
        ("Mirror", ["call", "item", "finish", "cancel", "credit"], ["next", "end", "credit", "error"]),
    ],
)
def test_what_is_said_in_a_call_of_each_shape(method: str, asked: list[str], told: list[str]) -> None:
    operation = DOCUMENT["operations"][f"desk.Desk.{method}"]
    assert operation["action"] == "receive"
    assert [one["$ref"].rpartition("/")[2] for one in operation["messages"]] == asked
    assert [one["$ref"].rpartition("/")[2] for one in operation["reply"]["messages"]] == told
    assert found(operation["channel"]["$ref"])["address"] == "/ws"


def payload(channel: str, name: str) -> dict[str, Any]:
    message = found(found(f"#/channels/{channel}")["messages"][name]["$ref"])
    return {**message["payload"], "components": DOCUMENT["components"]}


NAMES = {
    "client": {"hello": "hello", "ping": "ping", "next": "item", "end": "finish"},
    "server": {"pong": "pong", "welcome": "welcome"},
}


@pytest.mark.parametrize(("title", "sent", "expected"), CALLS, ids=[row[0] for row in CALLS])
async def test_messages_are_as_it_says(title: str, sent: list[dict[str, Any]], expected: list[Any]) -> None:
    channels = {message["id"]: message["method"].replace("/", ".") for message in sent if "method" in message}

    def check(side: str, message: dict[str, Any]) -> bool:
        channel = channels.get(message.get("id", 0), "socket")
        if channel not in DOCUMENT["channels"] or (channel == "socket" and "id" in message):
            # Of a method, or a call, that is not there.
            return False
        name = NAMES[side].get(message["type"], message["type"])
        jsonschema.validate(message, payload(channel, name))
        return True

    desk = Desk()
    desk.may_read.set()
    async with TestClient(make_app(desk)) as client, client.websocket("/ws") as ws:
        check("server", await ws.receive_json())
        for message in sent:
            if title not in ("a wrong input", "a time-out that is none"):
                check("client", message)
            else:
                with pytest.raises(jsonschema.ValidationError):
                    check("client", message)
            ws.send_json(message)
        for _ in expected:
            check("server", await ws.receive_json())


async def test_it_is_served_with_the_path_of_the_app() -> None:
    async with TestClient(make_app(path="/socket")) as client:
        answer = await client.get("/asyncapi.json")
        assert answer.headers["content-type"] == "application/json"
        assert answer.json() == asyncapi([Desk.__polywire__], title="desk", version="3", path="/socket")


def test_nothing_is_said_where_nothing_answers() -> None:
    assert "channels" not in asyncapi([Desk.__polywire__], title="desk", version="3", path=None)
