"""Every method at `/rpc/pkg.Service/Method`, routes of its own or not: the fallback of clients that know names."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from polywire import App, Message, NotFound, Service, Tracked, current_call, mutation, query
from polywire.testing import TestClient


class Note(Message, package="generic"):
    text: str
    number: int = 0


class Notes(Service, package="generic"):
    @query("GET /notes/{number}")
    async def get(self, number: int, text: str = "note") -> Note:
        if number == 0:
            raise NotFound("no such note")
        return Note(text, number)

    @mutation
    async def add(self, note: Note) -> Note:
        return note

    @mutation("POST /notes/clear")
    async def clear(self) -> None:
        return None

    @query
    async def watch(self, to: int) -> AsyncIterator[Tracked[int]]:
        for number in range(int(current_call().resume_after or 0) + 1, to + 1):
            yield Tracked(str(number), number)

    @mutation
    async def join(self, notes: AsyncIterator[Note]) -> str:
        return "+".join([note.text async for note in notes])


@pytest.mark.parametrize(
    ("verb", "target", "body", "status", "answer"),
    [
        ("POST", "Get", {"number": 5}, 200, {"text": "note", "number": 5}),
        ("GET", "Get?number=5&text=x", None, 200, {"text": "x", "number": 5}),
        ("POST", "Add", {"text": "a"}, 200, {"text": "a", "number": 0}),
        ("POST", "Clear", None, 204, None),
    ],
)
async def test_one_answer(verb: str, target: str, body: dict[str, object] | None, status: int, answer: object) -> None:
    async with TestClient(App(Notes())) as client:
        options = {} if body is None else {"json": body}
        got = await client.request(verb, f"/rpc/generic.Notes/{target}", **options)  # type: ignore[arg-type]
        assert got.status == status
        assert (got.json() if got.body else None) == answer


@pytest.mark.parametrize(
    ("verb", "target", "status", "code"),
    [
        ("GET", "Add?text=a", 405, "UNIMPLEMENTED"),
        ("GET", "Join", 405, "UNIMPLEMENTED"),
        ("POST", "Gone", 404, "NOT_FOUND"),
        ("GET", "Get?number=0", 404, "NOT_FOUND"),
        ("GET", "Get", 422, "INVALID_ARGUMENT"),
    ],
)
async def test_what_is_refused(verb: str, target: str, status: int, code: str) -> None:
    async with TestClient(App(Notes())) as client:
        got = await client.request(verb, f"/rpc/generic.Notes/{target}")
        assert (got.status, got.json()["error"]["code"]) == (status, code)


async def test_streams() -> None:
    async with TestClient(App(Notes())) as client:
        assert [item async for item in client.stream("POST", "/rpc/generic.Notes/Watch", json={"to": 3})] == [1, 2, 3]
        assert [item async for item in client.stream("GET", "/rpc/generic.Notes/Watch?to=2")] == [1, 2]
        events = client.events("POST", "/rpc/generic.Notes/Watch", json={"to": 3}, after="1")
        assert [(event.id, event.value) async for event in events if event.id != ":end"] == [("2", 2), ("3", 3)]
        texts = [{"text": "a"}, {"text": "b"}]
        assert [item async for item in client.stream("POST", "/rpc/generic.Notes/Join", texts)] == ["a+b"]
