"""GraphQL over HTTP, byte by byte: forms, statuses, what is no request."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlencode

import pytest

from polywire import App
from polywire.protocols.graphql.accept import HTML, JSON, RESPONSE, accepted_forms
from polywire.protocols.rest.negotiation import EVENT_STREAM
from polywire.service.options import GraphqlOptions
from polywire.testing import Answer, TestClient
from tests.protocols.graphql.library import Library

AUTHOR = "{author(id: 3) {name}}"
DATA = b'{"data":{"author":{"name":"Author 3"}}}'
ID = ("x-request-id", "r-1")


@pytest.fixture
async def client() -> AsyncIterator[TestClient]:
    async with TestClient(App(Library(), max_request_bytes=10_000)) as client:
        yield client
        assert client.site.open_calls == 0


async def post(client: TestClient, query: str | None, accept: str | None = None, **members: Any) -> Answer:
    body = members if query is None else {"query": query, **members}
    return await client.post("/graphql", json=body, headers=[("accept", accept)] if accept else [])


async def get(client: TestClient, accept: str | None = None, **fields: str) -> Answer:
    return await client.get(f"/graphql?{urlencode(fields)}", headers=[("accept", accept)] if accept else [])


def code_of(answer: Answer) -> tuple[int, str, str | None]:
    (error,) = answer.json()["errors"]
    assert set(answer.json()) == {"errors"}
    return answer.status, error["extensions"]["code"], error["extensions"].get("reason")


# Forms


@pytest.mark.parametrize(
    ("accept", "forms"),
    [
        ("*/*", (JSON, RESPONSE)),
        ("application/json", (JSON,)),
        (RESPONSE, (RESPONSE,)),
        (f"{RESPONSE}, application/json;q=0.9", (RESPONSE, JSON)),
        (f"{RESPONSE};q=0.5, application/json", (JSON, RESPONSE)),
        (f"application/json, {RESPONSE}", (RESPONSE, JSON)),
        (f"{RESPONSE};q=0, */*", (JSON,)),
        ("application/*;q=0.1", (JSON, RESPONSE)),
        ("text/event-stream", (EVENT_STREAM,)),
        ("text/*", ()),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", (HTML, JSON, RESPONSE)),
        ("image/png", ()),
        ("application/json;q=nonsense", ()),
    ],
)
def test_forms(accept: str, forms: tuple[str, ...]) -> None:
    assert accepted_forms(accept) == forms


@pytest.mark.parametrize(
    ("accept", "form"),
    [(None, JSON), ("*/*", JSON), (JSON, JSON), (RESPONSE, RESPONSE), (f"{JSON};q=0.9, {RESPONSE}", RESPONSE)],
)
async def test_an_answer_is_in_the_form_that_is_accepted(client: TestClient, accept: str | None, form: str) -> None:
    headers = [ID] if accept is None else [("accept", accept), ID]
    answer = await client.post("/graphql", json={"query": AUTHOR}, headers=headers)
    assert (answer.status, answer.body) == (200, DATA)
    assert dict(answer.headers.items()) == {
        "content-type": f"{form}; charset=utf-8",
        "vary": "accept, accept-encoding",
        "x-request-id": "r-1",
    }


async def test_what_is_not_accepted_is_406(client: TestClient) -> None:
    answer = await post(client, AUTHOR, "image/png")
    assert code_of(answer) == (406, "INVALID_ARGUMENT", "NOT_ACCEPTABLE")
    assert answer.headers["content-type"] == "application/json; charset=utf-8"


@pytest.mark.parametrize(
    ("query", "variables"),
    [
        ("{", {}),
        ("{nothing}", {}),
        ("query A {authors {id}} query B {authors {id}}", {}),
        ("query ($id: ID!) {author(id: $id) {name}}", {}),
        ("query ($id: ID!) {author(id: $id) {name}}", {"id": None}),
        ("", {}),
    ],
)
async def test_a_refused_document_has_another_status_in_each_form(
    client: TestClient, query: str, variables: dict[str, Any]
) -> None:
    for form, status in ((JSON, 200), (RESPONSE, 400), (None, 200)):
        answer = await post(client, query, form, variables=variables)
        assert code_of(answer) == (status, "INVALID_ARGUMENT", None)


async def test_an_error_of_a_field_is_a_result(client: TestClient) -> None:
    for form in (JSON, RESPONSE):
        answer = await post(client, "{author(id: 1001) {name} authors(count: 1) {id}}", form)
        assert answer.status == 200
        assert answer.json() == {
            "errors": [
                {
                    "message": "no author 1001",
                    "locations": [{"line": 1, "column": 2}],
                    "path": ["author"],
                    "extensions": {
                        "code": "NOT_FOUND",
                        "reason": "AUTHOR_NOT_FOUND",
                        "requestId": answer.headers["x-request-id"],
                    },
                }
            ],
            "data": {"author": None, "authors": [{"id": "0"}]},
        }


# By POST


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"", (400, "INVALID_ARGUMENT", "MALFORMED")),
        (b"NONSENSE", (400, "INVALID_ARGUMENT", "MALFORMED")),
        (b'{"query": "{', (400, "INVALID_ARGUMENT", "MALFORMED")),
        (b'{"query": "\xff"}', (400, "INVALID_ARGUMENT", "MALFORMED")),
        (b"{}", (400, "INVALID_ARGUMENT", None)),
        (b'{"qeury": "{a}"}', (400, "INVALID_ARGUMENT", None)),
        (b'{"query": null}', (400, "INVALID_ARGUMENT", None)),
        (b'{"query": 7}', (400, "INVALID_ARGUMENT", None)),
        (b'{"query": ["{a}"]}', (400, "INVALID_ARGUMENT", None)),
        (b'{"query": "{a}", "variables": [7]}', (400, "INVALID_ARGUMENT", None)),
        (b'{"query": "{a}", "variables": "{}"}', (400, "INVALID_ARGUMENT", None)),
        (b'{"query": "{a}", "extensions": 0}', (400, "INVALID_ARGUMENT", None)),
        (b'{"query": "{a}", "operationName": {}}', (400, "INVALID_ARGUMENT", None)),
        (b"null", (400, "INVALID_ARGUMENT", None)),
        (b"7", (400, "INVALID_ARGUMENT", None)),
        (b'[{"query": "{a}"}]', (400, "INVALID_ARGUMENT", "BATCH")),
        (b" [] ", (400, "INVALID_ARGUMENT", "BATCH")),
        (b'{"query": "{a}", "documentId": "x"}', (400, "INVALID_ARGUMENT", None)),
        (b'{"variables":' + b'{"a":' * 3000 + b"1" + b"}" * 3000 + b"}", (413, "RESOURCE_EXHAUSTED", "TOO_LARGE")),
        (b'{"variables":' + b"[" * 4000 + b"]" * 4000 + b"}", (400, "INVALID_ARGUMENT", None)),
        (b'{"variables":{"a":' + b"[" * 4000 + b"]" * 4000 + b"}}", (400, "INVALID_ARGUMENT", "MALFORMED")),
    ],
)
async def test_what_is_no_request(client: TestClient, body: bytes, told: tuple[int, str, str | None]) -> None:
    for form in (JSON, RESPONSE):
        headers = [("content-type", "application/json"), ("accept", form)]
        answer = await client.post("/graphql", body=body, headers=headers)
        assert code_of(answer) == told
        assert answer.headers["content-type"] == f"{form}; charset=utf-8"


async def test_members_that_nobody_knows_are_ignored(client: TestClient) -> None:
    answer = await post(client, AUTHOR, operationName=None, variables=None, extensions={"own": {"a": 1}}, new=[1, 2])
    assert (answer.status, answer.body) == (200, DATA)


async def test_the_operation_is_chosen_by_its_name(client: TestClient) -> None:
    text = "query A {author(id: 1) {id}} query B {author(id: 2) {id}}"
    assert (await post(client, text, operationName="B")).json() == {"data": {"author": {"id": "2"}}}
    assert code_of(await post(client, text, RESPONSE, operationName="C")) == (400, "INVALID_ARGUMENT", None)


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("application/json", 200),
        ("application/json; charset=utf-8", 200),
        ('application/json;charset="UTF-8"', 200),
        ("application/json; charset=latin-1", 415),
        ("text/plain", 415),
        ("application/x-www-form-urlencoded", 415),
        ("multipart/form-data; boundary=x", 415),
        ("application/graphql", 415),
        ("", 415),
        (None, 415),
    ],
)
async def test_types_of_bodies(client: TestClient, content_type: str | None, status: int) -> None:
    headers = [] if content_type is None else [("content-type", content_type)]
    answer = await client.post("/graphql", body=json.dumps({"query": AUTHOR}).encode(), headers=headers)
    assert answer.status == status
    if status == 415:
        assert code_of(answer) == (415, "UNIMPLEMENTED", "UNSUPPORTED_MEDIA_TYPE")


@pytest.mark.parametrize("fields", [[("origin", "https://evil.example")], [("sec-fetch-site", "cross-site")]])
async def test_pages_of_other_origins_cannot_post(client: TestClient, fields: list[tuple[str, str]]) -> None:
    headers = [*fields, ("content-type", "text/plain")]
    body = json.dumps({"query": 'mutation {add(title: "x") {title}}'}).encode()
    answer = await client.post("/graphql", body=body, headers=headers)
    assert answer.status == 403
    headers = [*fields, ("content-type", "application/json")]
    assert (await client.post("/graphql", body=body, headers=headers)).status == 403


async def test_a_body_beyond_the_limit(client: TestClient) -> None:
    answer = await post(client, "{a}" + " " * 10_000)
    assert code_of(answer) == (413, "RESOURCE_EXHAUSTED", "TOO_LARGE")


async def test_a_body_that_does_not_end_is_answered_at_the_deadline(client: TestClient) -> None:
    headers = [("content-type", "application/json"), ("request-timeout", "0.01")]
    sink = client.open("POST", "/graphql", headers=headers, body=b'{"query"', more=True)
    assert code_of(await sink.answer()) == (504, "DEADLINE_EXCEEDED", None)


async def test_a_body_that_comes_in_pieces(client: TestClient) -> None:
    body = json.dumps({"query": AUTHOR}).encode()
    headers = [("content-type", "application/json"), ("request-timeout", "30")]
    sink = client.open("POST", "/graphql", headers=headers, body=body[:9], more=True)
    sink.feed(body[9:], end=True)
    assert (await sink.answer()).body == DATA


async def test_a_caller_that_leaves_before_its_body_is_whole(client: TestClient) -> None:
    sink = client.open("POST", "/graphql", headers=[("content-type", "application/json")], body=b"{", more=True)
    sink.leave()
    assert client.site.runtime.pending.held_bytes == 0


@pytest.mark.parametrize("seconds", ["0", "-1", "soon", "1e3"])
async def test_a_wrong_timeout(client: TestClient, seconds: str) -> None:
    headers = [("request-timeout", seconds)]
    answer = await client.post("/graphql", json={"query": AUTHOR}, headers=headers)
    assert code_of(answer) == (400, "INVALID_ARGUMENT", "MALFORMED")


async def test_a_caller_that_leaves_cancels_what_it_asked() -> None:
    library = Library()
    async with TestClient(App(library)) as client:
        body = json.dumps({"query": '{slow(name: "a")}'}).encode()
        sink = client.open("POST", "/graphql", headers=[("content-type", "application/json")], body=body)
        assert library.waiting == 1
        (call,) = client.site.runtime.suspended
        over = asyncio.Event()
        call.on_done(lambda call, error: over.set())
        sink.leave()
        await over.wait()
        assert client.site.open_calls == 0


# By GET


async def test_get(client: TestClient) -> None:
    answer = await get(
        client,
        query="query Q($id: ID!) {author(id: $id) {name}}",
        variables='{"id": "3"}',
        operationName="Q",
        extensions="",
    )
    assert (answer.status, answer.body) == (200, DATA)
    head = await client.request("HEAD", f"/graphql?{urlencode({'query': AUTHOR})}")
    assert (head.status, head.body) == (200, b"")


async def test_a_mutation_by_get_is_405_and_does_not_run() -> None:
    library = Library()
    async with TestClient(App(library)) as client:
        for form in (JSON, RESPONSE):
            answer = await get(client, form, query='mutation {add(title: "x") {title}}')
            assert code_of(answer) == (405, "UNIMPLEMENTED", "METHOD_NOT_ALLOWED")
            assert answer.headers["allow"] == "POST"
    assert not library.asked


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("", (400, "INVALID_ARGUMENT", None)),
        ("query=", (400, "INVALID_ARGUMENT", None)),
        ("query=%FF", (400, "INVALID_ARGUMENT", "MALFORMED")),
        ("query={a}&query={b}", (400, "INVALID_ARGUMENT", None)),
        ("query={a}&variables=[1]", (400, "INVALID_ARGUMENT", None)),
        ("query={a}&variables=nonsense", (400, "INVALID_ARGUMENT", "MALFORMED")),
        ("query={a}&extensions=7", (400, "INVALID_ARGUMENT", None)),
        ("query={a}&variables=" + "[" * 4000, (400, "INVALID_ARGUMENT", "MALFORMED")),
        ("&".join(f"x{number}=1" for number in range(101)), (400, "INVALID_ARGUMENT", "MALFORMED")),
    ],
)
async def test_what_is_no_query_string(client: TestClient, query: str, told: tuple[int, str, str | None]) -> None:
    assert code_of(await client.get(f"/graphql?{query}")) == told


async def test_answers_that_caches_may_keep() -> None:
    options = GraphqlOptions(cache_control="private, max-age=60")
    async with TestClient(App(Library(), graphql=options)) as client:
        answer = await get(client, query=AUTHOR)
        assert (answer.headers["cache-control"], answer.headers["vary"]) == (
            "private, max-age=60",
            "accept, accept-encoding",
        )
        for other in (await get(client, query="{author(id: 1001) {name}}"), await get(client, query="{nothing}")):
            assert "cache-control" not in other.headers
        assert "cache-control" not in (await post(client, AUTHOR)).headers


async def test_a_subscription_has_no_single_answer(client: TestClient) -> None:
    for form in (JSON, RESPONSE):
        answer = await post(client, "subscription {watch(count: 1) {id}}", form)
        assert code_of(answer) == (406, "INVALID_ARGUMENT", "NOT_ACCEPTABLE")


async def test_other_methods_and_paths(client: TestClient) -> None:
    answer = await client.request("PATCH", "/graphql")
    assert answer.status == 405
    async with TestClient(App(Library(), graphql=GraphqlOptions(path="/api"))) as other:
        assert (await other.post("/api", json={"query": AUTHOR})).body == DATA
        assert (await other.post("/graphql", json={"query": AUTHOR})).status == 404
    async with TestClient(App(Library(), graphql=GraphqlOptions(path=None))) as none:
        assert (await none.post("/graphql", json={"query": AUTHOR})).status == 404
