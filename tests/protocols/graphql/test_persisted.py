"""Documents by name: automatic persisted queries as Apollo's clients use them, the application's own, allow-lists."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from polywire import App
from polywire.protocols.graphql.accept import RESPONSE
from polywire.protocols.graphql.persisted import Documents, read_documents, sha256
from polywire.service.options import GraphqlOptions
from polywire.testing import TestClient
from tests.protocols.graphql.library import Library

TEXT = "query Q($id: ID!) {author(id: $id) {name}}"
HASH = sha256(TEXT)
ONE = {"data": {"author": {"name": "Author 1"}}}
NOT_FOUND = b'{"errors":[{"message":"PersistedQueryNotFound","extensions":{"code":"PERSISTED_QUERY_NOT_FOUND"}}]}'


def serving(**options: Any) -> TestClient:
    return TestClient(App(Library(), graphql=GraphqlOptions(**options)))


def named(digest: str = HASH, **members: Any) -> dict[str, Any]:
    extensions = {"persistedQuery": {"version": 1, "sha256Hash": digest}}
    return {"variables": {"id": 1}, "extensions": extensions, **members}


async def told(client: TestClient, body: dict[str, Any]) -> tuple[str, str | None, str]:
    answer = await client.post("/graphql", json=body)
    (error,) = answer.json()["errors"]
    return error["extensions"]["code"], error["extensions"].get("reason"), error["message"]


async def test_a_text_is_registered_by_its_hash() -> None:
    async with serving() as client:
        unknown = await client.post("/graphql", json=named())
        assert (unknown.status, unknown.body) == (200, NOT_FOUND)
        unknown = await client.post("/graphql", json=named(), headers=[("accept", RESPONSE)])
        assert (unknown.status, unknown.body) == (400, NOT_FOUND)
        assert (await client.post("/graphql", json=named(query=TEXT))).json() == ONE
        assert (await client.post("/graphql", json=named())).json() == ONE
        fields = {"variables": '{"id": "1"}', "extensions": json.dumps(named()["extensions"])}
        assert (await client.get(f"/graphql?{urlencode(fields)}")).json() == ONE
        by_id = {"documentId": f"sha256:{HASH}", "variables": {"id": 1}}
        assert (await client.post("/graphql", json=by_id)).json() == ONE


async def test_switched_off() -> None:
    async with serving(automatic_documents=0) as client:
        code, _, message = await told(client, named())
        assert (code, message) == ("PERSISTED_QUERY_NOT_SUPPORTED", "PersistedQueryNotSupported")
        assert (await client.post("/graphql", json=named(query=TEXT))).json() == ONE
        assert (await told(client, named()))[0] == "PERSISTED_QUERY_NOT_SUPPORTED"


async def test_what_is_not_valid_is_not_remembered() -> None:
    wrong = "{nothing}"
    async with serving() as client:
        assert (await told(client, named(sha256(wrong), query=wrong)))[0] == "INVALID_ARGUMENT"
        assert (await told(client, named(sha256(wrong))))[0] == "PERSISTED_QUERY_NOT_FOUND"


@pytest.mark.parametrize(
    "persisted",
    [
        {"version": 2, "sha256Hash": HASH},
        {"sha256Hash": HASH},
        {"version": 1},
        {"version": 1, "sha256Hash": 7},
        {"version": 1, "sha256Hash": HASH[1:]},
        {"version": 1, "sha256Hash": "g" * 64},
        {"version": 1, "sha256Hash": "0" * 64},
        [],
        "x",
    ],
)
async def test_what_names_no_text(persisted: Any) -> None:
    async with serving() as client:
        body = {"query": TEXT, "variables": {"id": 1}, "extensions": {"persistedQuery": persisted}}
        answer = await client.post("/graphql", json=body)
        assert answer.status == 400
        assert answer.json()["errors"][0]["extensions"]["code"] == "INVALID_ARGUMENT"


def test_remembered_texts_are_bounded() -> None:
    documents = Documents(GraphqlOptions(automatic_documents=2))
    texts = ["{a}", "{b}", "{c}"]
    for text in texts:
        documents.register(sha256(text), text)
        documents.register(sha256(text), text)
    assert [documents._find(sha256(text)) for text in texts] == [None, "{b}", "{c}"]
    documents._find(sha256("{b}"))
    documents.register(sha256("{d}"), "{d}")
    assert [documents._find(sha256(text)) for text in ("{b}", "{c}")] == ["{b}", None]
    large = "#" * 3_000_000
    documents.register(sha256(large), large)
    documents.register(sha256(large + "#"), large + "#")
    assert len(documents._registered) == 1


# The application's own


async def test_documents_by_id() -> None:
    async with serving(documents={"author": TEXT}) as client:
        body = {"documentId": "author", "variables": {"id": 1}}
        assert (await client.post("/graphql", json=body)).json() == ONE
        assert (
            await client.get(f"/graphql?{urlencode({'documentId': 'author', 'variables': json.dumps({'id': 1})})}")
        ).json() == ONE
        assert (await client.post("/graphql", json=named())).json() == ONE
        assert await told(client, {"documentId": "nobody"}) == (
            "NOT_FOUND",
            "DOCUMENT_UNKNOWN",
            "there is no document 'nobody'",
        )
        assert (await told(client, {"documentId": "sha256:" + "0" * 64}))[1] == "DOCUMENT_UNKNOWN"
        assert (await client.post("/graphql", json={"query": "{authors {id}}"})).status == 200


async def test_only_documents() -> None:
    library = Library()
    options = GraphqlOptions(documents={"author": TEXT}, only_documents=True)
    async with TestClient(App(library, graphql=options)) as client:
        for good in ({"documentId": "author"}, {"query": TEXT}, named(query=TEXT), named()):
            assert (await client.post("/graphql", json={"variables": {"id": 1}, **good})).json() == ONE
        assert library.asked["author"] == 4
        other = "{authors {id}}"
        for bad in (
            {"query": other},
            {"query": TEXT + " "},
            named(sha256(other), query=other),
            {"query": "{__typename}"},
        ):
            assert (await told(client, bad))[:2] == ("PERMISSION_DENIED", "DOCUMENTS_ONLY")
        assert (await told(client, named(sha256(other))))[0] == "PERSISTED_QUERY_NOT_FOUND"
        assert library.asked == {"author": 4}


def test_a_directory(tmp_path: Path) -> None:
    (tmp_path / "users").mkdir()
    (tmp_path / "one.graphql").write_text(TEXT)
    (tmp_path / "users" / "all.graphql").write_text("{authors {id}}")
    (tmp_path / "notes.txt").write_text("none")
    assert read_documents(tmp_path) == {"one": TEXT, "users/all": "{authors {id}}"}


@pytest.mark.parametrize(
    ("told", "found"),
    [
        ({"a": "{b}"}, {"a": "{b}"}),
        (
            {
                "format": "apollo-persisted-query-manifest",
                "version": 1,
                "operations": [{"id": "a", "body": "{b}", "name": "B"}],
            },
            {"a": "{b}"},
        ),
    ],
)
def test_a_manifest(tmp_path: Path, told: Any, found: dict[str, str]) -> None:
    manifest = tmp_path / "manifest.json"
    manifest.write_text(json.dumps(told))
    assert read_documents(str(manifest)) == found


@pytest.mark.parametrize("told", ["nonsense", "[]", '{"a": 1}', "7"])
def test_what_is_no_manifest(tmp_path: Path, told: str) -> None:
    manifest = tmp_path / "manifest.json"
    manifest.write_text(told)
    with pytest.raises(ValueError, match="manifest"):
        read_documents(manifest)


def test_what_cannot_be_served_is_said_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no \.graphql file"):
        serving(documents=tmp_path)
    with pytest.raises(FileNotFoundError):
        serving(documents=tmp_path / "none.json")
    with pytest.raises(ValueError, match=r"document 'bad' is not valid: Cannot query field 'nothing'"):
        serving(documents={"good": TEXT, "bad": "{nothing}"})
