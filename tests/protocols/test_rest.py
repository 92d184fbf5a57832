"""REST as callers see it: statuses, bodies, headers."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from polywire import (
    App,
    Code,
    FieldViolation,
    Int32,
    Message,
    RpcError,
    Service,
    Unauthenticated,
    current_call,
    mutation,
    query,
)
from polywire.errors import (
    INVALID,
    METHOD_NOT_ALLOWED,
    NOT_ACCEPTABLE,
    PRECONDITION_FAILED,
    TOO_LARGE,
    UNSUPPORTED_MEDIA_TYPE,
    MalformedInput,
)
from polywire.http.compression import SMALLEST_COMPRESSED_BYTES, decompress
from polywire.protocols.rest.errors import STATUS_OF_CODE, STATUS_OF_REASON, status_of
from polywire.protocols.rest.negotiation import accepts_json, accepts_problem, is_json, timeout_s
from polywire.testing import Answer, TestClient
from polywire.wire.http1_text import REASONS


class Thing(Message):
    name: str
    count: Int32 = 0


class Note(Message):
    text: str


class Things(Service, package="rest"):
    def __init__(self) -> None:
        self.finished = asyncio.Event()
        self.timeouts: list[float | None] = []

    @query("GET /things/{name}")
    async def get(self, name: str, count: Int32 = 0) -> Thing:
        return Thing(name, count)

    @mutation("POST /things", status=201)
    async def create(self, thing: Thing) -> Thing:
        current_call().response_metadata.add("location", f"/things/{thing.name}")
        return thing

    @mutation("DELETE /things/{name}")
    async def delete(self, name: str) -> None: ...

    @mutation("POST /jobs", status=202)
    async def begin(self) -> None: ...

    @query("GET /count")
    async def count(self) -> int:
        return 3

    @query("GET /names")
    async def names(self) -> list[str]:
        return ["a", "b"]

    @query("GET /maybe/{there}")
    async def maybe(self, there: bool) -> str | None:
        return "here" if there else None

    @query("GET /text/{size}")
    async def text(self, size: int) -> str:
        return "x" * (size - 2)

    @query("GET /fails")
    async def fails(self) -> None:
        current_call().response_metadata.add("x-cost", "3")
        current_call().trailers.add("x-trailer", "nowhere to go in REST")
        raise RpcError(
            "no",
            code=Code.ABORTED,
            reason="BUSY",
            details=[FieldViolation("a.b", "is bad"), Note("careful")],
            metadata={"Retry-After": "3"},
        )

    @query("GET /who")
    async def who(self) -> None:
        raise Unauthenticated("who is it?", metadata={"WWW-Authenticate": 'Basic realm="x"'})

    @query("GET /unsendable/{what}")
    async def unsendable(self, what: str) -> None:
        if what == "metadata":
            raise RpcError("secret", metadata={"x": "a\r\nset-cookie: b"})
        if what == "name":
            raise RpcError("secret", metadata={"x y": "a"})
        if what == "framing":
            raise RpcError("secret", metadata={"Content-Length": "5"})
        raise RpcError("secret", details=[object()])

    @query("GET /time")
    async def time(self) -> None:
        self.timeouts.append(current_call().timeout_s)

    @mutation("POST /slow")
    async def slow(self) -> None:
        await asyncio.Event().wait()

    @mutation("POST /steady", on_disconnect="finish")
    async def steady(self) -> None:
        await asyncio.sleep(0)
        self.finished.set()


@pytest.fixture
def service() -> Things:
    return Things()


@pytest.fixture
async def client(service: Things) -> AsyncIterator[TestClient]:
    async with TestClient(App(service, max_request_bytes=2000)) as client:
        yield client


JSON_VARY = [("content-type", "application/json"), ("vary", "accept, accept-encoding")]


def without_id(answer: Answer) -> list[tuple[str, str]]:
    return [pair for pair in answer.headers.items() if pair[0] != "x-request-id"]


# What comes of a call


@pytest.mark.parametrize(
    ("verb", "target", "body", "status", "expected"),
    [
        ("GET", "/things/a", None, 200, b'{"name":"a","count":0}'),
        ("GET", "/things/a%20%C3%A9?count=2", None, 200, '{"name":"a é","count":2}'.encode()),
        ("POST", "/things", {"name": "b"}, 201, b'{"name":"b","count":0}'),
        ("DELETE", "/things/a", None, 204, b""),
        ("POST", "/jobs", None, 202, b""),
        ("POST", "/jobs", {}, 202, b""),
        ("GET", "/count", None, 200, b"3"),
        ("GET", "/names", None, 200, b'["a","b"]'),
        ("GET", "/maybe/true", None, 200, b'"here"'),
        ("GET", "/maybe/false", None, 200, b"null"),
        ("HEAD", "/count", None, 200, b""),
        ("HEAD", "/nowhere", None, 404, b""),
    ],
)
async def test_results(client: TestClient, verb: str, target: str, body: Any, status: int, expected: bytes) -> None:
    answer = await (client.request(verb, target) if body is None else client.request(verb, target, json=body))
    assert (answer.status, answer.body) == (status, expected)
    has_body = status == 200 or status == 201 or status == 404
    assert ("content-type" in answer.headers) is has_body


async def test_metadata_becomes_headers(client: TestClient) -> None:
    answer = await client.post("/things", json={"name": "b"})
    assert without_id(answer) == [*JSON_VARY, ("location", "/things/b")]
    assert not answer.trailers.items()


# Errors


@pytest.mark.parametrize(
    ("code", "reason", "status"),
    [
        (Code.CANCELLED, None, 499),
        (Code.UNKNOWN, None, 500),
        (Code.INVALID_ARGUMENT, None, 400),
        (Code.DEADLINE_EXCEEDED, None, 504),
        (Code.NOT_FOUND, None, 404),
        (Code.ALREADY_EXISTS, None, 409),
        (Code.PERMISSION_DENIED, None, 403),
        (Code.RESOURCE_EXHAUSTED, None, 429),
        (Code.FAILED_PRECONDITION, None, 400),
        (Code.ABORTED, None, 409),
        (Code.OUT_OF_RANGE, None, 400),
        (Code.UNIMPLEMENTED, None, 501),
        (Code.INTERNAL, None, 500),
        (Code.UNAVAILABLE, None, 503),
        (Code.DATA_LOSS, None, 500),
        (Code.UNAUTHENTICATED, None, 401),
        (Code.INVALID_ARGUMENT, INVALID, 422),
        (Code.INVALID_ARGUMENT, NOT_ACCEPTABLE, 406),
        (Code.RESOURCE_EXHAUSTED, TOO_LARGE, 413),
        (Code.UNIMPLEMENTED, METHOD_NOT_ALLOWED, 405),
        (Code.UNIMPLEMENTED, UNSUPPORTED_MEDIA_TYPE, 415),
        (Code.FAILED_PRECONDITION, PRECONDITION_FAILED, 412),
        (Code.NOT_FOUND, INVALID, 404),
        (Code.NOT_FOUND, "USER_NOT_FOUND", 404),
    ],
)
def test_statuses_by_code_and_reason(code: Code, reason: str | None, status: int) -> None:
    assert status_of(RpcError(code=code, reason=reason)) == status


@pytest.mark.parametrize("code", [Code.OK, 0, 17, -1])
def test_what_is_no_code_of_an_error(code: Any) -> None:
    with pytest.raises(ValueError, match=r"code|Code"):
        RpcError(code=code)


def test_every_code_has_a_status() -> None:
    assert all(400 <= status_of(RpcError(code=code)) < 600 for code in list(Code)[1:])


DETAILS = [{"field": "a.b", "reason": "is bad"}, {"type": "Note", "text": "careful"}]


async def test_the_envelope(client: TestClient) -> None:
    answer = await client.get("/fails", headers=[("x-request-id", "id-1")])
    assert answer.status == 409
    assert answer.headers.items() == [*JSON_VARY, ("x-cost", "3"), ("x-request-id", "id-1"), ("retry-after", "3")]
    error = {"code": "ABORTED", "reason": "BUSY", "message": "no", "details": DETAILS, "request_id": "id-1"}
    assert answer.body == json.dumps({"error": error}, separators=(",", ":")).encode()


async def test_the_problem(client: TestClient) -> None:
    headers = [("x-request-id", "id-1"), ("accept", "application/problem+json")]
    answer = await client.get("/fails", headers=headers)
    assert answer.status == 409
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["vary"] == "accept, accept-encoding"
    problem = {
        "type": "about:blank",
        "title": "Conflict",
        "status": 409,
        "detail": "no",
        "code": "ABORTED",
        "reason": "BUSY",
        "details": DETAILS,
        "request_id": "id-1",
    }
    assert answer.body == json.dumps(problem, separators=(",", ":")).encode()


async def test_the_title_is_the_phrase_of_the_status_line(client: TestClient) -> None:
    """Not `http.HTTPStatus`'s, which differs between versions of Python."""
    answer = await client.get("/things/a?count=x", headers=[("accept", "application/problem+json")])
    assert (answer.status, answer.json()["title"]) == (422, "Unprocessable Content")


def test_every_status_has_a_title() -> None:
    assert {*STATUS_OF_CODE.values(), *STATUS_OF_REASON.values()} <= REASONS.keys()


async def test_without_a_reason_there_is_none(client: TestClient) -> None:
    for accept in ("application/json", "application/problem+json"):
        answer = await client.get("/who", headers=[("accept", accept)])
        assert b"reason" not in answer.body


async def test_a_challenge_of_the_handler_stands_alone(client: TestClient) -> None:
    answer = await client.get("/who")
    assert (answer.status, answer.headers.get_all("www-authenticate")) == (401, ['Basic realm="x"'])


@pytest.mark.parametrize("what", ["metadata", "name", "framing", "details"])
async def test_an_error_that_cannot_be_sent_is_internal(client: TestClient, what: str) -> None:
    answer = await client.get(f"/unsendable/{what}")
    assert (answer.status, answer.json()["error"]["message"]) == (500, "internal error")
    assert "set-cookie" not in answer.headers
    assert b"secret" not in answer.body


# Negotiation


@pytest.mark.parametrize(
    ("accept", "json_too", "problem"),
    [
        ("*/*", True, False),
        ("application/*", True, False),
        ("application/json", True, False),
        ("APPLICATION/JSON", True, False),
        ("text/html, */*;q=0.1", True, False),
        ("application/json;charset=utf-8", True, False),
        ("application/problem+json", True, True),
        ("application/problem+json, application/json", True, True),
        ("application/problem+json;q=0.5, application/json", True, False),
        ("application/problem+json, application/json;q=0.5", True, True),
        ("application/problem+json;q=0, application/json", True, False),
        ("application/json;q=0", False, False),
        ("application/json;q=0, */*", True, False),
        ("application/json;q=nonsense", False, False),
        ("text/html", False, False),
        ("text/*", False, False),
        ("", False, False),
    ],
)
def test_accept(accept: str, json_too: bool, problem: bool) -> None:
    assert accepts_json(accept) is json_too
    assert accepts_problem(accept) is problem


async def test_what_cannot_be_answered_in_json_is_406(client: TestClient) -> None:
    answer = await client.get("/count", headers=[("accept", "text/html")])
    assert (answer.status, answer.json()["error"]["reason"]) == (406, "NOT_ACCEPTABLE")


@pytest.mark.parametrize(
    ("content_type", "taken"),
    [
        ("application/json", True),
        ("Application/JSON", True),
        ("application/json; charset=utf-8", True),
        ('application/json;charset="UTF-8"', True),
        ("application/merge-patch+json", True),
        ("application/json; charset=us-ascii", True),
        ("application/json; profile=x", True),
        ("application/json; charset=utf-16", False),
        ("application/json; charset=latin-1", False),
        ("text/json", False),
        ("text/plain", False),
        ("application/x-www-form-urlencoded", False),
        ("application/jsonx", False),
        ("", False),
        (None, False),
    ],
)
async def test_content_type(client: TestClient, content_type: str | None, taken: bool) -> None:
    assert is_json(content_type or "") is taken
    headers = [] if content_type is None else [("content-type", content_type)]
    answer = await client.post("/things", body=b'{"name":"b"}', headers=headers)
    assert answer.status == (201 if taken else 415)
    if not taken:
        error = answer.json()["error"]
        said = f"it is {content_type!r}" if content_type else "there is none"
        assert error["message"] == f"the content-type must be application/json in UTF-8; {said}"
        assert error["reason"] == "UNSUPPORTED_MEDIA_TYPE"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1", 1.0),
        ("2.5", 2.5),
        (" 3 ", 3.0),
        (".5", 0.5),
        ("0", None),
        ("0.0", None),
        ("-1", None),
        ("+1", None),
        ("1e3", None),
        ("1_0", None),
        ("1.2.3", None),
        ("inf", None),
        ("nan", None),
        ("", None),
        (".", None),
        ("٣", None),
        ("9" * 17, None),
        ("1s", None),
    ],
)
async def test_request_timeout(client: TestClient, service: Things, text: str, seconds: float | None) -> None:
    if seconds is None:
        with pytest.raises(MalformedInput):
            timeout_s(text)
    else:
        assert timeout_s(text) == seconds
    answer = await client.get("/time", headers=[("request-timeout", text)])
    assert answer.status == (400 if seconds is None else 204)
    assert service.timeouts == ([] if seconds is None else [seconds])


# Routes and methods


@pytest.mark.parametrize(
    ("target", "allow"),
    [
        ("/things/a", "DELETE, GET, HEAD, OPTIONS"),
        ("/things", "OPTIONS, POST"),
        ("/health", "GET, HEAD, OPTIONS"),
        ("*", "OPTIONS"),
    ],
)
async def test_options_and_allow(client: TestClient, target: str, allow: str) -> None:
    answer = await client.request("OPTIONS", target)
    assert (answer.status, answer.headers["allow"], answer.body) == (204, allow, b"")
    if target != "*":
        refused = await client.request("TRACE", target)
        assert (refused.status, refused.headers["allow"]) == (405, allow)
        assert refused.json()["error"]["reason"] == "METHOD_NOT_ALLOWED"


@pytest.mark.parametrize(
    ("verb", "target", "status"),
    [
        ("GET", "/nowhere", 404),
        ("OPTIONS", "/nowhere", 404),
        ("GET", "/things/", 404),
        ("GET", "/things/a/", 404),
        ("GET", "//things/a", 404),
        ("GET", "*", 404),
        ("GET", "/things/%FF", 400),
        ("HEAD", "/things", 405),
        ("POST", "/rest.Things/Get", 415),
    ],
)
async def test_what_is_not_there(client: TestClient, verb: str, target: str, status: int) -> None:
    assert (await client.request(verb, target)).status == status


# Bodies


@pytest.mark.parametrize(
    ("verb", "target", "body", "status", "reason"),
    [
        ("GET", "/count", b"{}", 400, "MALFORMED"),
        ("DELETE", "/things/a", b"{}", 400, "MALFORMED"),
        ("POST", "/things", b"{", 400, "MALFORMED"),
        ("POST", "/things", b"\xff", 400, "MALFORMED"),
        ("POST", "/things", b"", 422, "INVALID"),
        ("POST", "/things", b"{}", 422, "INVALID"),
        ("POST", "/things", b'{"name":1}', 422, "INVALID"),
        ("POST", "/things", b'{"name":"a","count":2147483648}', 422, "INVALID"),
        ("POST", "/things", b'{"name":"a","count":NaN}', 400, "MALFORMED"),
        ("POST", "/things", b"[" * 1999, 400, "MALFORMED"),
        ("POST", "/things", b" " * 2001, 413, "TOO_LARGE"),
    ],
)
async def test_bad_bodies(client: TestClient, verb: str, target: str, body: bytes, status: int, reason: str) -> None:
    answer = await client.request(verb, target, body=body, headers=[("content-type", "application/json")])
    assert (answer.status, answer.json()["error"]["reason"]) == (status, reason)


async def test_a_body_in_pieces(client: TestClient) -> None:
    sink = client.open("POST", "/things", headers=[("content-type", "application/json")], more=True)
    for piece in (b'{"na', b'me":', b'"b"}'):
        sink.feed(piece)
    sink.feed(b"", end=True)
    answer = await sink.answer()
    assert (answer.status, answer.json()) == (201, {"name": "b", "count": 0})
    assert sink.granted_bytes == 12


async def test_a_body_in_pieces_is_bounded(client: TestClient) -> None:
    sink = client.open("POST", "/things", headers=[("content-type", "application/json")], more=True)
    sink.feed(b" " * 1500)
    sink.feed(b" " * 501)
    assert (await sink.answer()).status == 413
    assert sink.granted_bytes == 1500, "what is too much is not asked for"


@pytest.mark.parametrize(
    ("coding", "body", "status"),
    [
        ("gzip", gzip.compress(b'{"name":"b"}'), 201),
        ("gzip", gzip.compress(b" " * 100_000), 413),
        ("gzip", b"{}", 400),
        ("gzip", gzip.compress(b'{"name":"b"}')[:-9], 400),
        ("identity", b'{"name":"b"}', 201),
        ("br", b"{}", 400),
        ("deflate", b"{}", 415),
    ],
)
async def test_codings_of_bodies(client: TestClient, coding: str, body: bytes, status: int) -> None:
    headers = [("content-type", "application/json"), ("content-encoding", coding)]
    answer = await client.post("/things", body=body, headers=headers)
    assert answer.status == status


@pytest.mark.parametrize(
    ("size", "accept_encoding", "coding"),
    [
        (SMALLEST_COMPRESSED_BYTES - 1, "gzip", None),
        (SMALLEST_COMPRESSED_BYTES, "gzip", "gzip"),
        (SMALLEST_COMPRESSED_BYTES, "gzip, zstd", "zstd"),
        (SMALLEST_COMPRESSED_BYTES, "zstd;q=0.5, gzip", "gzip"),
        (SMALLEST_COMPRESSED_BYTES, "br", "br"),
        (SMALLEST_COMPRESSED_BYTES, "deflate", None),
        (SMALLEST_COMPRESSED_BYTES, "gzip;q=0", None),
        (SMALLEST_COMPRESSED_BYTES, None, None),
    ],
)
async def test_compression(client: TestClient, size: int, accept_encoding: str | None, coding: str | None) -> None:
    headers = [] if accept_encoding is None else [("accept-encoding", accept_encoding)]
    answer = await client.get(f"/text/{size}", headers=headers)
    assert answer.headers.get("content-encoding") == coding
    assert answer.headers["vary"] == "accept, accept-encoding", "said to caches whether or not it was done"
    body = answer.body if coding is None else decompress(coding, answer.body, size)
    assert body == b'"' + b"x" * (size - 2) + b'"'
    assert (len(answer.body) < size) is (coding is not None)


# Request ids


@pytest.mark.parametrize("target", ["/count", "/things/%FF", "/nowhere", "/fails"])
@pytest.mark.parametrize(("given", "echoed"), [("id-1", True), ("a b", False), ("x" * 129, False), (None, False)])
async def test_request_ids(client: TestClient, target: str, given: str | None, echoed: bool) -> None:
    headers = [] if given is None else [("x-request-id", given)]
    answer = await client.get(target, headers=headers)
    (sent,) = answer.headers.get_all("x-request-id")
    assert (sent == given) is echoed
    assert sent
    if answer.status >= 400:
        assert answer.json()["error"]["request_id"] == sent


# Callers that leave


async def test_a_caller_that_leaves_cancels(client: TestClient) -> None:
    sink = client.open("POST", "/slow")
    (call,) = client.site.runtime.suspended
    sink.leave()
    assert call.task is not None
    await asyncio.wait({call.task})
    assert call.cancel_code is Code.CANCELLED
    assert client.site.open_calls == 0


async def test_unless_the_method_is_to_finish(client: TestClient, service: Things) -> None:
    sink = client.open("POST", "/steady")
    sink.leave()
    await service.finished.wait()


async def test_one_that_leaves_within_its_body_starts_nothing(client: TestClient) -> None:
    sink = client.open("POST", "/slow", headers=[("content-type", "application/json")], more=True)
    sink.feed(b"{")
    sink.leave()
    sink.feed(b"}", end=True)
    assert client.site.open_calls == 0
    with pytest.raises(ConnectionResetError):
        await sink.answer()


async def test_one_that_leaves_within_its_body_is_forgotten_at_once(client: TestClient) -> None:
    """However far away the deadline that it asked for."""
    headers = [("content-type", "application/json"), ("request-timeout", "9999999999")]
    sink = client.open("POST", "/slow", headers=headers, more=True)
    wheel = client.site.runtime._wheel
    assert wheel is not None
    assert wheel._slots
    sink.leave()
    assert not wheel._slots
    assert b'{method="rest.Things/Slow",protocol="rest",code="CANCELLED"} 1' in client.site.metrics.render()


async def test_a_page_of_another_origin_cannot_call_what_changes_things() -> None:
    class Door(Service, package="door"):
        def __init__(self) -> None:
            self.opened = 0

        @mutation("POST /open")
        async def open(self) -> None:
            self.opened += 1

    door = Door()
    async with TestClient(App(door)) as client:
        # What a form of another site can send: no preflight asks for leave.
        headers = [("host", "door.example"), ("origin", "http://evil.example"), ("content-type", "text/plain")]
        answer = await client.post("/open", headers=headers)
        assert (answer.status, answer.json()["error"]["reason"]) == (403, "CROSS_ORIGIN")
        assert door.opened == 0
        assert (await client.post("/open", headers=headers[:1])).status == 204


async def test_an_asterisk_is_no_path() -> None:
    class Root(Service, package="root"):
        @query("GET /")
        async def root(self) -> str:
            return "root"

    async with TestClient(App(Root())) as client:
        assert (await client.get("/")).json() == "root"
        assert (await client.get("*")).status == 404


async def test_a_get_whose_handler_names_its_state_is_answered_304() -> None:
    class Stated(Service, package="stated"):
        @query("GET /stated")
        async def stated(self) -> str:
            current_call().response_metadata.add("etag", '"7"')
            return "seven"

        @mutation("POST /stated")
        async def change(self) -> str:
            current_call().response_metadata.add("etag", '"7"')
            return "seven"

    async with TestClient(App(Stated())) as client:
        answer = await client.get("/stated")
        assert (answer.status, answer.headers["etag"]) == (200, '"7"')
        for known, status in (('"7"', 304), ('"6", W/"7"', 304), ("*", 304), ('"6"', 200), ("7", 200)):
            answer = await client.get("/stated", headers=[("if-none-match", known)])
            assert (answer.status, answer.headers["etag"]) == (status, '"7"')
            assert answer.body == (b"" if status == 304 else b'"seven"')
        assert (await client.post("/stated", headers=[("if-none-match", '"7"')])).status == 200
