from __future__ import annotations

import json
from typing import Annotated, Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from polywire import ID, App, Int32, Message, Service, mutation, query
from polywire.protocols.docs_page import docs_headers, docs_page
from polywire.protocols.docs_page.endpoints import docs_endpoints
from polywire.wire.headers import HeaderBlock


class Thing(Message):
    id: Annotated[Int32, ID]
    name: str | None = None


class Things(Service, package="things"):
    """Keeps things."""

    @query("GET /things/{id}")
    async def get_thing(self, id: Int32) -> Thing:
        """One thing."""
        return Thing(id)

    @mutation("DELETE /things/{id}")
    async def drop_thing(self, id: Int32) -> None:
        """Drops it."""


class Recorder:
    """Stands in for an Exchange: keeps what was answered."""

    def respond(self, status: int, block: HeaderBlock, body: bytes, *_: Any) -> None:
        self.status = status
        self.headers = {name.decode(): value.decode() for name, value in block.pairs}
        self.body = body


@pytest.fixture(scope="module")
def endpoints() -> dict[str, Any]:
    return docs_endpoints(App(Things(), name="Things", version="3"))


def ask(endpoint: Any) -> Recorder:
    recorder = Recorder()
    endpoint(recorder)
    return recorder


def test_the_document(endpoints: dict[str, Any]) -> None:
    answer = ask(endpoints["/openapi.json"])
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    document = json.loads(answer.body)
    OpenAPIV31SpecValidator(document).validate()
    assert document["info"] == {"title": "Things", "version": "3"}
    assert set(document["paths"]["/things/{id}"]) == {"get", "delete"}
    assert set(document["paths"]["/things/{id}"]["delete"]["responses"]) == {"204", "default"}
    assert ask(endpoints["/openapi.json"]).body is answer.body


def test_the_page(endpoints: dict[str, Any]) -> None:
    answer = ask(endpoints["/docs"])
    assert (answer.status, answer.body) == (200, docs_page())
    for name, value in docs_headers():
        assert answer.headers[name] == value
