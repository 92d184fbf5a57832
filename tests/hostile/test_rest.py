"""REST that is wrong in what it says: bodies, types, paths, headers."""

from __future__ import annotations

import gzip
import http.client
import json
import zlib
from typing import Any

import pytest
from backports import zstd

from tests.live.server import Live, serve, until
from tests.live.wire import Answer

from .answers import check_envelope, leaks

JSON = {"content-type": "application/json"}


def ask(live: Live, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None) -> Answer:
    client = http.client.HTTPConnection("127.0.0.1", live.port, timeout=5)
    try:
        client.request(method, path, body, JSON | (headers or {}) if body is not None else headers or {})
        response = client.getresponse()
        return Answer(response.status, response.headers, response.read())
    finally:
        client.close()


def still_answers(live: Live) -> bool:
    return ask(live, "GET", "/items/a").status == 200


DEEP = 100_000
LATIN1 = {"content-type": "application/json; charset=latin1"}
GZIP = {"content-encoding": "gzip"}
ZSTD = {"content-encoding": "zstd"}

BODIES: dict[str, tuple[str, bytes, int]] = {
    "empty": ("/items", b"", 422),
    "not JSON": ("/items", b"hello", 400),
    "cut off": ("/items", b'{"name":"a"', 400),
    "two values": ("/items", b'{"name":"a"}{}', 400),
    "trailing comma": ("/items", b'{"name":"a",}', 400),
    "single quotes": ("/items", b"{'name':'a'}", 400),
    "comment": ("/items", b'{"name":"a"/**/}', 400),
    "UTF-16": ("/items", '{"name":"a"}'.encode("utf-16"), 400),
    "bad UTF-8 in text": ("/items", b'{"name":"\xff\xfe"}', 400),
    "bad UTF-8 in a name": ("/items", b'{"\xc3\x28":1,"name":"a"}', 400),
    "overlong UTF-8": ("/items", b'{"name":"\xc0\xaf"}', 400),
    "encoded surrogate": ("/items", b'{"name":"\xed\xa0\x80"}', 400),
    "lone escape": ("/items", b'{"name":"\\ud800"}', 400),
    "control character": ("/items", b'{"name":"a\x00b"}', 400),
    "bytes": ("/items", bytes(range(256)), 400),
    "not an object": ("/items", b'["name"]', 422),
    "null": ("/items", b"null", 422),
    "wrong type": ("/items", b'{"name":1}', 422),
    "null in a field": ("/items", b'{"name":null}', 422),
    "missing": ("/items", b"{}", 422),
    "too long": ("/items", b'{"name":"' + b"x" * 101 + b'"}', 422),
    "out of bounds": ("/items", b'{"name":"a","count":101}', 422),
    "fraction": ("/items", b'{"name":"a","count":1.5}', 422),
    "text for a number": ("/items", b'{"name":"a","count":"one"}', 422),
    "bool for a number": ("/items", b'{"name":"a","count":true}', 422),
    "wrong element": ("/items", b'{"name":"a","tags":["b",2]}', 422),
    "NaN": ("/numbers", b'{"ratio":NaN}', 400),
    "infinity": ("/numbers", b'{"ratio":-Infinity}', 400),
    "overflow": ("/numbers", b'{"ratio":1e400}', 422),
    "beyond 64 bits": ("/numbers", b'{"big":18446744073709551616}', 422),
    "beyond 32 bits": ("/numbers", b'{"small":2147483648}', 422),
    "a million digits": ("/numbers", b'{"big":' + b"9" * 1_000_000 + b"}", 422),
    "a huge exponent": ("/numbers", b'{"small":1e999999999}', 422),
    "deep, unknown field": ("/items", b'{"name":"a","x":' + b"[" * DEEP + b"]" * DEEP + b"}", 400),
    "deep, never closed": ("/items", b"[" * DEEP, 400),
    "deep, objects": ("/items", b'{"a":' * DEEP, 400),
    "deep, in the schema": ("/tree", b'{"child":' * DEEP + b"null" + b"}" * DEEP, 400),
    "not base64": ("/size", b'{"data":"%%%"}', 422),
}


@pytest.mark.parametrize(("path", "body", "status"), BODIES.values(), ids=BODIES)
def test_bad_bodies(live: Live, path: str, body: bytes, status: int) -> None:
    answer = ask(live, "POST", path, body)
    assert len(answer.body) < 5000
    error = check_envelope(answer, status, "INVALID_ARGUMENT")
    assert error["reason"] == {400: "MALFORMED", 422: "INVALID"}[status]
    assert len(error["details"]) == 0 if status == 400 else len(error["details"]) == 1
    assert live.lab.seen == []
    assert still_answers(live)


def test_a_million_wrong_elements_are_not_a_million_details(live: Live) -> None:
    answer = ask(live, "POST", "/items", b'{"name":"a","tags":[' + b",".join([b"1"] * 1_000_000) + b"]}")
    check_envelope(answer, 422, "INVALID_ARGUMENT")
    assert len(answer.body) < 100_000


def test_a_message_of_very_many_fields(live: Live) -> None:
    body = json.dumps({f"x{number}": number for number in range(150_000)} | {"name": "a"}).encode()
    answer = ask(live, "POST", "/items", body)
    assert answer.status in (201, 422)
    assert len(answer.body) < 100_000


REQUESTS: dict[str, tuple[str, str, bytes | None, dict[str, str], int, str]] = {
    "unknown path": ("GET", "/nowhere", None, {}, 404, "NOT_FOUND"),
    "unknown path with a body": ("POST", "/nowhere", b"{}", {}, 404, "NOT_FOUND"),
    "path above the root": ("GET", "/../../etc/passwd", None, {}, 404, "NOT_FOUND"),
    "encoded slashes": ("GET", "/items%2Fa", None, {}, 404, "NOT_FOUND"),
    "empty segment": ("GET", "/items/", None, {}, 404, "NOT_FOUND"),
    "wrong method": ("POST", "/items/a", b"{}", {}, 405, "UNIMPLEMENTED"),
    "unknown method": ("BREW", "/items/a", None, {}, 405, "UNIMPLEMENTED"),
    "TRACE": ("TRACE", "/items/a", None, {}, 405, "UNIMPLEMENTED"),
    "not acceptable": ("GET", "/items/a", None, {"accept": "text/html;q=1, image/*"}, 406, "INVALID_ARGUMENT"),
    "wrong type": ("POST", "/items", b"<a/>", {"content-type": "text/xml"}, 415, "UNIMPLEMENTED"),
    "form": ("POST", "/items", b"name=a", {"content-type": "application/x-www-form-urlencoded"}, 415, "UNIMPLEMENTED"),
    "other charset": ("POST", "/items", b"{}", LATIN1, 415, "UNIMPLEMENTED"),
    "garbage type": ("POST", "/items", b"{}", {"content-type": ";;;=,"}, 415, "UNIMPLEMENTED"),
    "unknown coding": ("POST", "/items", b"{}", {"content-encoding": "deflate"}, 415, "UNIMPLEMENTED"),
    "stacked codings": ("POST", "/items", b"{}", {"content-encoding": "gzip, gzip"}, 415, "UNIMPLEMENTED"),
    "not gzip": ("POST", "/items", b"{}", GZIP, 400, "INVALID_ARGUMENT"),
    "not zstd": ("POST", "/items", b"{}", ZSTD, 400, "INVALID_ARGUMENT"),
    "gzip cut off": ("POST", "/items", gzip.compress(b"{}" * 99)[:-9], GZIP, 400, "INVALID_ARGUMENT"),
    "zstd cut off": ("POST", "/items", zstd.compress(b"{}" * 99)[:-2], ZSTD, 400, "INVALID_ARGUMENT"),
    "body on GET": ("GET", "/items/a", b"{}", {}, 400, "INVALID_ARGUMENT"),
    "body on DELETE": ("DELETE", "/items/a", b"{}", {}, 400, "INVALID_ARGUMENT"),
    "bad UTF-8 in the path": ("GET", "/items/%ff", None, {}, 400, "INVALID_ARGUMENT"),
    "bad UTF-8 in the query": ("GET", "/items/a?count=%ff", None, {}, 400, "INVALID_ARGUMENT"),
    "bad number in the query": ("GET", "/items/a?count=one", None, {}, 422, "INVALID_ARGUMENT"),
    "huge number in the query": ("GET", "/items/a?count=" + "9" * 5000, None, {}, 422, "INVALID_ARGUMENT"),
    "out of bounds in the query": ("GET", "/items/a?count=-1", None, {}, 422, "INVALID_ARGUMENT"),
    "twice in the query": ("GET", "/items/a?count=1&count=2", None, {}, 422, "INVALID_ARGUMENT"),
    "bad number in the path": ("GET", "/text/%EF%BC%91", None, {}, 422, "INVALID_ARGUMENT"),
    "bad time-out": ("GET", "/items/a", None, {"request-timeout": "soon"}, 400, "INVALID_ARGUMENT"),
    "time-out of NaN": ("GET", "/items/a", None, {"request-timeout": "nan"}, 400, "INVALID_ARGUMENT"),
    "no time at all": ("GET", "/items/a", None, {"request-timeout": "0"}, 400, "INVALID_ARGUMENT"),
}  # fmt: skip


@pytest.mark.parametrize(("method", "path", "body", "headers", "status", "code"), REQUESTS.values(), ids=REQUESTS)
def test_bad_requests(
    live: Live, method: str, path: str, body: bytes | None, headers: dict[str, str], status: int, code: str
) -> None:
    answer = ask(live, method, path, body, headers)
    check_envelope(answer, status, code)
    assert len(answer.body) < 2000
    assert live.lab.seen == []
    if status == 405:
        assert answer.headers["allow"] == "DELETE, GET, HEAD, OPTIONS, PATCH, PUT"
    assert still_answers(live)


@pytest.mark.parametrize(
    ("content_type", "body", "said"),
    [
        ("application/grpc", b"\0\0\0\0\0", b"gRPC is called over HTTP/2"),
        ("application/grpc+xml", b"", b"the content-type must be one of application/grpc, "),
    ],
)
def test_what_is_no_grpc_call_is_refused_in_plain_http(live: Live, content_type: str, body: bytes, said: bytes) -> None:
    answer = ask(live, "POST", "/lab.Lab/Hangs", body, {"content-type": content_type})
    assert (answer.status, answer.headers["content-type"]) == (415, "text/plain; charset=utf-8")
    assert answer.body.startswith(said)


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
def test_a_bomb_is_refused_while_it_is_unpacked(live: Live, coding: str) -> None:
    bomb = bytes(300_000_000)
    if coding == "zstd":
        packed = zstd.compress(bomb)
    else:
        packer = zlib.compressobj(9, wbits=31)
        packed = packer.compress(bomb) + packer.flush()
    del bomb
    answer = ask(live, "POST", "/items", packed, {"content-encoding": coding})
    assert check_envelope(answer, 413, "RESOURCE_EXHAUSTED")["reason"] == "TOO_LARGE"


@pytest.mark.parametrize("path", ["/raises", "/raises-in-thread", "/raises-late", "/wrong"])
@pytest.mark.parametrize("accept", ["application/json", "application/problem+json"])
def test_what_an_unexpected_exception_says_stays_inside(path: str, accept: str) -> None:
    with serve(errors=1) as live:
        answer = ask(live, "GET", path, headers={"accept": accept, "x-request-id": "me-1"})
        assert answer.status == 500
        assert leaks(f"{answer.headers} {answer.body.decode()}") == []
        told = json.loads(answer.body)
        told = told.get("error", told)
        assert (told["code"], told["request_id"]) == ("INTERNAL", "me-1")
        assert told.get("message", told.get("detail")) == "internal error"
        # The log has what the caller must not see.
        assert live.records[0].exc_info is not None
        assert live.records[0].request_id == "me-1"  # type: ignore[attr-defined]
        assert still_answers(live)


def test_a_handler_that_hangs_meets_its_deadline(live: Live) -> None:
    answer = ask(live, "GET", "/hangs", headers={"request-timeout": "0.1"})
    check_envelope(answer, 504, "DEADLINE_EXCEEDED")
    until(lambda: live.lab.cancelled == 1)


def test_a_thread_that_hangs_does_not_keep_its_caller(live: Live) -> None:
    answer = ask(live, "GET", "/hangs-in-thread", headers={"request-timeout": "0.1"})
    check_envelope(answer, 504, "DEADLINE_EXCEEDED")
    assert live.lab.running == 1
    # The other thread of two still serves.
    assert ask(live, "PATCH", "/items/a", b"{}").status == 200
    live.lab.release.set()
    until(lambda: live.lab.running == 0)


def test_hanging_threads_fill_the_queue_and_then_callers_are_refused(live: Live) -> None:
    """Two threads and 128 places: what comes beyond is told so at once, and loop handlers are not touched."""
    clients: list[Any] = []
    try:
        for _ in range(130):
            client = http.client.HTTPConnection("127.0.0.1", live.port, timeout=5)
            client.request("GET", "/hangs-in-thread", headers={"request-timeout": "5"})
            clients.append(client)
        until(lambda: live.open_calls == 130)
        check_envelope(ask(live, "GET", "/hangs-in-thread"), 503, "UNAVAILABLE")
        assert still_answers(live)
    finally:
        live.lab.release.set()
        statuses = [client.getresponse().status for client in clients]
        for client in clients:
            client.close()
    assert statuses == [200] * 130
