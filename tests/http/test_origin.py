from __future__ import annotations

import pytest

from polywire import App, Service, mutation, query
from polywire.http.exchange import Exchange
from polywire.http.origin import CrossOrigin, Origins
from polywire.testing import Answer, MemorySink, TestClient

APP = "https://app.example.com"
EVIL = "https://evil.example"


class Notes(Service, package="notes"):
    @query("GET /notes")
    async def read(self) -> str:
        return "read"

    @mutation("POST /notes", "DELETE /notes")
    async def write(self) -> str:
        return "written"


@pytest.mark.parametrize(
    ("headers", "foreign"),
    [
        ({"sec-fetch-site": "same-origin", "origin": EVIL}, False),
        ({"sec-fetch-site": "none", "origin": EVIL}, False),
        ({"sec-fetch-site": "same-site", "origin": "http://api.example.com"}, True),
        ({"sec-fetch-site": "cross-site", "origin": "http://api.example.com"}, True),
        ({"origin": "http://api.example.com"}, False),
        ({"origin": "https://API.example.com"}, False),
        ({"origin": "http://api.example.com:8080"}, True),
        ({"origin": "http://evil.example"}, True),
        ({"origin": "http://api.example.com.evil.example"}, True),
        ({"origin": "null"}, True),
        ({"origin": ""}, True),
    ],
)
async def test_who_made_the_request(headers: dict[str, str], foreign: bool) -> None:
    exchange = Exchange(MemorySink("POST", "/", [("host", "api.example.com"), *headers.items()]), None)
    if foreign:
        with pytest.raises(CrossOrigin):
            Origins([]).admits(exchange, headers["origin"])
    else:
        assert Origins([]).admits(exchange, headers["origin"])


async def send(client: TestClient, verb: str, *headers: tuple[str, str]) -> Answer:
    return await client.request(verb, "/notes", headers=[("host", "api.example.com"), *headers])


@pytest.mark.parametrize("verb", ["POST", "DELETE"])
@pytest.mark.parametrize(
    "headers", [[("origin", EVIL)], [("origin", "null")], [("sec-fetch-site", "cross-site")]], ids=str
)
async def test_a_write_of_a_page_that_is_not_listed_is_refused(verb: str, headers: list[tuple[str, str]]) -> None:
    for origins in ((), (APP,)):
        async with TestClient(App(Notes(), origins=origins)) as client:
            answer = await send(client, verb, *headers)
            assert (answer.status, answer.json()["error"]["reason"]) == (403, "CROSS_ORIGIN")
            assert "App(origins=...)" in answer.json()["error"]["message"]
            assert "access-control-allow-origin" not in answer.headers


async def test_a_page_that_is_not_listed_may_ask_and_not_read() -> None:
    async with TestClient(App(Notes())) as client:
        answer = await send(client, "GET", ("origin", EVIL))
        assert answer.status == 200
        assert not [name for name, _ in answer.headers.items() if name.startswith("access-control")]
        preflight = await send(client, "OPTIONS", ("origin", EVIL), ("access-control-request-method", "POST"))
        assert (preflight.status, preflight.json()["error"]["reason"]) == (403, "CROSS_ORIGIN")


async def test_a_listed_page_reads_answers_errors_and_their_fields() -> None:
    async with TestClient(App(Notes(), origins=[APP])) as client:
        for verb, status in (("GET", 200), ("POST", 200), ("PUT", 405)):
            answer = await send(client, verb, ("origin", APP), ("sec-fetch-site", "cross-site"))
            assert answer.status == status
            assert answer.headers["access-control-allow-origin"] == APP
            assert answer.headers["access-control-allow-credentials"] == "true"
            assert "x-request-id" in answer.headers["access-control-expose-headers"].split(", ")
            assert "origin" in answer.headers.get_all("vary")[-1]


async def test_its_preflight_is_answered_with_what_it_asks_for() -> None:
    async with TestClient(App(Notes(), origins=[APP])) as client:
        answer = await send(
            client,
            "OPTIONS",
            ("origin", APP),
            ("access-control-request-method", "POST"),
            ("access-control-request-headers", "authorization, content-type"),
        )
        assert (answer.status, answer.body) == (204, b"")
        assert answer.headers["access-control-allow-origin"] == APP
        assert answer.headers["access-control-allow-methods"] == "POST"
        assert answer.headers["access-control-allow-headers"] == "authorization, content-type"
        assert answer.headers["access-control-max-age"] == "7200"
        odd = await send(
            client,
            "OPTIONS",
            ("origin", APP),
            ("access-control-request-method", "PO\xe9ST"),
            ("access-control-request-headers", "x" * 5000),
        )
        assert odd.status == 204
        assert "access-control-allow-methods" not in odd.headers
        assert "access-control-allow-headers" not in odd.headers


async def test_any_page_may_call_without_cookies_where_all_are_listed() -> None:
    async with TestClient(App(Notes(), origins="*")) as client:
        answer = await send(client, "POST", ("origin", EVIL))
        assert (answer.status, answer.headers["access-control-allow-origin"]) == (200, "*")
        assert "access-control-allow-credentials" not in answer.headers


async def test_caches_are_told_that_the_origin_matters_only_where_it_does() -> None:
    async with TestClient(App(Notes(), origins=[APP])) as client:
        for headers in ([], [("origin", EVIL)], [("origin", "https://api.example.com")]):
            answer = await send(client, "GET", *headers)
            assert "origin" in answer.headers.get_all("vary")
    async with TestClient(App(Notes())) as client:
        assert "origin" not in (await send(client, "GET")).headers.get_all("vary")


@pytest.mark.parametrize("origin", ["app.example.com", "https://app.example.com/", "https://a b", "", "HTTPS://x"])
def test_what_is_no_origin_is_refused_when_the_app_is_made(origin: str) -> None:
    with pytest.raises(ValueError, match="no origin"):
        App(Notes(), origins=[origin])
