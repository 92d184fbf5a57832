"""REST through httpx, over HTTP/1.1 and HTTP/2 alike."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator

import brotli
import httpx
import pytest
from backports import zstd

from tests.live.server import Live, until

JSON = {"content-type": "application/json"}


def test_every_method(live: Live, client: httpx.Client) -> None:
    got = client.get("/items/a", params={"count": 3})
    assert (got.status_code, got.json()) == (200, {"name": "a", "count": 3, "tags": []})
    made = client.post("/items", json={"name": "é", "tags": ["x"]})
    assert (made.status_code, made.json()) == (201, {"name": "é", "count": 0, "tags": ["x"]})
    assert client.put("/items/b", json={"count": 4}).json() == {"name": "b", "count": 4, "tags": []}
    assert client.patch("/items/b", json={}).json()["count"] == 7
    gone = client.delete("/items/c")
    assert (gone.status_code, gone.content) == (204, b"")
    assert "content-length" not in gone.headers
    assert live.lab.seen == ["é", "c"]


@pytest.mark.parametrize("path", ["/items/a", "/text/100000", "/items/missing", "/nowhere", "/openapi.json", "/docs"])
def test_head_is_get_without_its_body(client: httpx.Client, path: str) -> None:
    got, headed = client.get(path), client.head(path)
    assert (headed.status_code, headed.content) == (got.status_code, b"")
    for name in ("content-type", "content-encoding", "vary"):
        assert headed.headers.get(name) == got.headers.get(name)
    assert headed.headers["content-length"].isdigit()
    assert abs(int(headed.headers["content-length"]) - int(got.headers["content-length"])) <= 2  # request ids differ


@pytest.mark.parametrize(
    ("path", "allow"),
    [
        ("/items/a", "DELETE, GET, HEAD, OPTIONS, PATCH, PUT"),
        ("/items", "OPTIONS, POST"),
        ("/health", "GET, HEAD, OPTIONS"),
    ],
)
def test_options(client: httpx.Client, path: str, allow: str) -> None:
    answered = client.options(path)
    assert (answered.status_code, answered.headers["allow"], answered.content) == (204, allow, b"")


def test_a_body_over_the_limit(live: Live) -> None:
    """Over HTTP/1.1: over HTTP/2 httpx fails on an answer that ends before its request does."""
    with httpx.Client(trust_env=False) as client:
        answered = client.post(f"http://{live.authority}/size", content=bytes(5_000_000), headers=JSON)
        assert (answered.status_code, answered.json()["error"]["reason"]) == (413, "TOO_LARGE")


@pytest.mark.parametrize(
    ("method", "path", "headers", "content", "status", "code"),
    [
        ("GET", "/nowhere", {}, b"", 404, "NOT_FOUND"),
        ("OPTIONS", "/nowhere", {}, b"", 404, "NOT_FOUND"),
        ("POST", "/items/a", JSON, b"{}", 405, "UNIMPLEMENTED"),
        ("GET", "/items/a", {"accept": "image/png"}, b"", 406, "INVALID_ARGUMENT"),
        ("POST", "/items", {"content-type": "text/plain"}, b"a", 415, "UNIMPLEMENTED"),
        ("POST", "/items", JSON, b'{"name":1}', 422, "INVALID_ARGUMENT"),
        ("POST", "/items", JSON, b"{", 400, "INVALID_ARGUMENT"),
    ],
)
def test_errors_in_both_forms(
    client: httpx.Client, method: str, path: str, headers: dict[str, str], content: bytes, status: int, code: str
) -> None:
    plain = client.request(method, path, headers=headers, content=content)
    assert (plain.status_code, plain.headers["content-type"]) == (status, "application/json")
    assert plain.json()["error"]["code"] == code
    assert plain.json()["error"]["request_id"] == plain.headers["x-request-id"]
    if status == 405:
        assert plain.headers["allow"] == "DELETE, GET, HEAD, OPTIONS, PATCH, PUT"
    accept = {"accept": "application/problem+json" if status != 406 else "image/png, application/problem+json;q=0"}
    other = client.request(method, path, headers={**headers, **accept}, content=content)
    assert other.status_code == status
    if status != 406:
        assert other.headers["content-type"] == "application/problem+json"
        problem = other.json()
        assert (problem["status"], problem["code"], problem["type"]) == (status, code, "about:blank")
        assert problem["title"]
        assert problem["detail"] == plain.json()["error"]["message"]


def test_a_request_id_is_kept(client: httpx.Client) -> None:
    assert client.get("/items/a", headers={"x-request-id": "mine-1"}).headers["x-request-id"] == "mine-1"
    assert client.get("/nowhere", headers={"x-request-id": "mine-2"}).json()["error"]["request_id"] == "mine-2"


@pytest.mark.parametrize(("coding", "pack"), [("gzip", gzip.compress), ("zstd", zstd.compress)])
def test_a_compressed_request(client: httpx.Client, coding: str, pack: object) -> None:
    body = json.dumps({"text": "x" * 1_000_000}).encode()
    packed: bytes = pack(body)  # type: ignore[operator]
    answered = client.post("/size", content=packed, headers={**JSON, "content-encoding": coding})
    assert answered.json() == {"text": 1_000_000, "data": 0}


@pytest.mark.parametrize(
    ("accepted", "coding"),
    [
        ("gzip", "gzip"),
        ("zstd", "zstd"),
        ("gzip, zstd", "zstd"),
        ("gzip;q=1, zstd;q=0.5", "gzip"),
        ("br", "br"),
        ("identity", None),
        ("gzip;q=0", None),
        ("*", "zstd"),
        ("", None),
    ],
)
def test_a_compressed_answer(client: httpx.Client, accepted: str, coding: str | None) -> None:
    with client.stream("GET", "/text/50000", headers={"accept-encoding": accepted}) as answered:
        raw = b"".join(answered.iter_raw())
    assert answered.headers.get("content-encoding") == coding
    assert "accept-encoding" in answered.headers["vary"]
    assert int(answered.headers["content-length"]) == len(raw)
    unpack = {
        "gzip": lambda data: zlib.decompress(data, 31),
        "zstd": zstd.decompress,
        "br": brotli.decompress,
        None: bytes,
    }[coding]
    assert json.loads(unpack(raw))["text"] == "x" * 50_000


@pytest.mark.parametrize("size", [0, 1, 65_535, 65_536, 1_000_000, 4_000_000])
def test_large_answers(client: httpx.Client, size: int) -> None:
    for path in ("text", "later"):
        answered = client.get(f"/{path}/{size}", headers={"accept-encoding": "identity"})
        assert len(answered.json()["text"]) == size


@pytest.mark.parametrize("size", [0, 1, 65_535, 300_000, 4_000_000])
@pytest.mark.parametrize("declared", [True, False])
def test_large_requests(client: httpx.Client, size: int, declared: bool) -> None:
    body = b'{"text":"' + b"x" * size + b'"}'

    def parts() -> Iterator[bytes]:
        for start in range(0, len(body), 70_001):
            yield body[start : start + 70_001]

    answered = client.post("/size", content=body if declared else parts(), headers=JSON)
    assert answered.json() == {"text": size, "data": 0}


def test_one_connection_carries_all(live: Live, client: httpx.Client) -> None:
    for number in range(50):
        assert client.get(f"/items/a?count={number}").json()["count"] == number
        client.get("/nowhere")
        client.post("/items", content=b"{", headers=JSON)
        client.delete("/items/a")
        client.head("/items/a")
    assert live.open_connections == 1


def test_metadata_both_ways(client: httpx.Client) -> None:
    answered = client.get("/beside", headers={"given": "text", "given-bin": "AAEC"})
    assert (answered.headers["seen-text"], answered.headers["seen-bin"]) == ("text", "AAEC")


def test_a_time_out_of_the_caller(live: Live, client: httpx.Client) -> None:
    answered = client.get("/hangs", headers={"request-timeout": "0.05"})
    assert (answered.status_code, answered.json()["error"]["code"]) == (504, "DEADLINE_EXCEEDED")
    until(lambda: live.lab.cancelled == 1)


def test_a_client_that_gives_up_cancels_the_handler(live: Live) -> None:
    """Over HTTP/1.1: over HTTP/2 httpx does not tell."""
    with pytest.raises(httpx.ReadTimeout), httpx.Client(trust_env=False) as client:
        client.get(f"http://{live.authority}/hangs", timeout=0.1)
    until(lambda: live.lab.cancelled == 1)


def test_what_a_server_says_about_itself(client: httpx.Client) -> None:
    assert client.get("/health").json()["status"] == "ok"
    assert client.get("/health/live").status_code == 200
    assert client.get("/health/ready").status_code == 200
    assert "polywire_connections_open" in client.get("/metrics").text
    assert client.get("/openapi.json").json()["openapi"].startswith("3.1")
    page = client.get("/docs")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "http://" not in page.text.replace("http://www.w3.org", "")
    assert "https://" not in page.text
