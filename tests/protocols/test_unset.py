"""Fields of an answer that may be left out, `T | UnsetType`: missing, or null where GraphQL is asked for them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any

import pytest
from msgspec import UNSET, Meta, UnsetType

from polywire import ID, App, Int32, Message, Service, query
from polywire.contract.sdl import sdl_text
from polywire.contract.typescript import typescript_text
from polywire.testing import TestClient


class Place(Message):
    street: str


class Found(Message):
    name: str
    id: Annotated[Int32, ID] | UnsetType = UNSET
    percent: Annotated[Int32, Meta(le=100)] | UnsetType = UNSET
    tags: list[str] | UnsetType = UNSET
    place: Place | UnsetType = UNSET
    maybe: str | UnsetType | None = UNSET


ALL = {"name": "b", "id": 1, "percent": 50, "tags": ["x"], "place": {"street": "s"}, "maybe": None}
FIELDS = "name id percent tags place { street } maybe"


class Finder(Service, package="finder"):
    @query("GET /found")
    async def find(self) -> list[Found]:
        return [Found("a"), Found("b", 1, 50, ["x"], Place("s"), None)]

    @query("GET /wrong")
    async def wrong(self) -> Found:
        return Found("a", percent=None)  # type: ignore[arg-type]

    @query("GET /too-much")
    async def too_much(self) -> Found:
        return Found("a", percent=101)


@pytest.fixture
async def client() -> AsyncIterator[TestClient]:
    async with TestClient(App(Finder())) as client:
        yield client


async def ask(client: TestClient, field: str) -> Any:
    return (await client.post("/graphql", json={"query": f"{{ {field} }}"})).json()


async def test_what_is_unset_is_missing(client: TestClient) -> None:
    assert (await client.get("/found")).json() == [{"name": "a"}, ALL]
    assert await client.grpc("finder.Finder/Find") == [Found("a"), Found("b", 1, 50, ["x"], Place("s"))]


async def test_what_is_unset_is_null_in_graphql(client: TestClient) -> None:
    nothing = dict.fromkeys(ALL, None) | {"name": "a"}
    assert await ask(client, f"find {{ {FIELDS} }}") == {"data": {"find": [nothing, ALL | {"id": "1"}]}}


@pytest.mark.parametrize("method", ["wrong", "tooMuch"])
async def test_what_may_be_unset_is_checked_all_the_same(client: TestClient, method: str) -> None:
    answer = await ask(client, f"{method} {{ name percent }}")
    assert answer["data"] == {method: {"name": "a", "percent": None}}
    (error,) = answer["errors"]
    assert (error["path"], error["extensions"]["code"]) == ([method, "percent"], "INTERNAL")


def test_contracts_say_so() -> None:
    sdl = sdl_text([Finder.__polywire__])
    assert "  name: String!\n  id: ID\n  percent: Int\n  tags: [String!]\n  place: Place\n  maybe: String\n" in sdl
    typescript = typescript_text([Finder.__polywire__])
    assert (
        "  name: string;\n  id?: number;\n  percent?: number;\n  tags?: Array<string>;\n  place?: Place;\n"
        in typescript
    )
