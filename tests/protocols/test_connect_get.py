"""Connect's unary calls by GET: queries alone, and their message in the URL."""

from __future__ import annotations

import gzip
from base64 import b64encode, urlsafe_b64encode
from collections.abc import AsyncIterator, Iterable
from urllib.parse import quote

import pytest

from polywire import App
from polywire.http.compression import compress
from polywire.service.options import ConnectOptions
from polywire.testing import Answer, TestClient
from tests.protocols.rpc_service import Words

LIMIT = 5000
W = b"\x0a\x01w"
"""Word("w")."""
ALL = b"\x0a\x06ab\xcf\xbf?~\x10\x3e"
"""Word("abϿ?~", 62): its base64 has both characters in which the two alphabets differ, and padding."""
JSON = quote('{"text":"∞","times":62}')


@pytest.fixture
async def client() -> AsyncIterator[TestClient]:
    async with TestClient(App(Words(), max_request_bytes=LIMIT)) as client:
        yield client
        assert client.site.open_calls == 0


async def get(
    client: TestClient, query: str, headers: Iterable[tuple[str, str]] = (), *, method: str = "Echo", verb: str = "GET"
) -> Answer:
    return await client.request(verb, f"/rpc.Words/{method}?{query}", headers=[("x-request-id", "id-1"), *headers])


def told(answer: Answer) -> tuple[int, str, str]:
    assert answer.headers["content-type"] == "application/json"
    error = answer.json()
    return answer.status, error["code"], error["message"]


def text(message: bytes) -> str:
    """base64url without padding, as clients send it."""
    return urlsafe_b64encode(message).rstrip(b"=").decode()


@pytest.mark.parametrize(
    "query",
    [
        f"connect=v1&encoding=json&message={JSON}",
        f"message={JSON}&encoding=json",
        f"utm=1&encoding=json&message={JSON}&utm=2&x",
        f"encoding=json&message={JSON}&base64=0",
        f"encoding=json&message={JSON}&compression=identity",
        "encoding=json&base64=1&message=" + text('{"text":"∞","times":62}'.encode()),
    ],
)
async def test_json(client: TestClient, query: str) -> None:
    answer = await get(client, query)
    assert (answer.status, answer.text) == (200, '{"text":"∞","times":62}')
    assert dict(answer.headers.items()) == {
        "content-type": "application/json",
        "vary": "accept-encoding",
        "x-request-id": "id-1",
    }


@pytest.mark.parametrize(
    "message",
    [text(ALL), quote(urlsafe_b64encode(ALL), safe=""), quote(b64encode(ALL), safe="")],
    ids=["as clients do", "padded", "the other alphabet"],
)
async def test_protobuf(client: TestClient, message: str) -> None:
    answer = await get(client, f"connect=v1&encoding=proto&base64=1&message={message}")
    assert (answer.status, answer.headers["content-type"], answer.body) == (200, "application/proto", ALL)


@pytest.mark.parametrize("coding", ["gzip", "zstd", "br"])
async def test_compressed(client: TestClient, coding: str) -> None:
    long = b"\x0a\xd0\x0f" + b"x" * 2000
    query = f"encoding=proto&base64=1&compression={coding}&message={text(compress(coding, long))}"
    answer = await get(client, query, [("accept-encoding", coding)])
    assert (answer.status, answer.headers["content-encoding"]) == (200, coding)
    assert answer.body == compress(coding, long)
    assert (await get(client, f"encoding=proto&compression={coding}&message=", method="Decorated")).status == 200


async def test_an_empty_message(client: TestClient) -> None:
    assert (await get(client, "encoding=proto&message=", method="Decorated")).body == W
    assert (await get(client, "encoding=json&message=%7B%7D", method="Decorated")).text == '{"text":"w"}'


async def test_a_head_has_no_body(client: TestClient) -> None:
    answer = await get(client, f"encoding=json&message={JSON}", verb="HEAD")
    assert (answer.status, answer.body) == (200, b"")


async def test_a_timeout_is_a_header(client: TestClient) -> None:
    query = "encoding=json&message=%7B%7D"
    answer = await get(client, query, [("connect-timeout-ms", "5000")], method="Timeout")
    assert answer.json() == {"value": 5.0}
    refused = await get(client, query, [("connect-timeout-ms", "5_0")], method="Timeout")
    assert told(refused) == (400, "invalid_argument", "connect-timeout-ms must be 1 to 10 digits")


@pytest.mark.parametrize("method", ["Change", "Nothing"])
async def test_what_may_change_something_is_not_called_by_get(client: TestClient, method: str) -> None:
    answer = await get(client, "connect=v1&encoding=json&message=%7B%7D", method=method)
    assert answer.status == 405
    assert "POST" in answer.headers["allow"]
    assert "GET" not in answer.headers["allow"]


@pytest.mark.parametrize("method", ["Repeat", "Join", "Mirror"])
async def test_nor_are_streams(client: TestClient, method: str) -> None:
    answer = await get(client, "connect=v1&encoding=json&message=%7B%7D", method=method)
    assert (answer.status, answer.headers["allow"]) == (405, "OPTIONS, POST")


@pytest.mark.parametrize("query", ["", "message=%7B%7D", "encoding=&message=", "encoding=xml&message=", "encoding"])
async def test_an_unknown_encoding(client: TestClient, query: str) -> None:
    answer = await get(client, query)
    assert (answer.status, answer.headers["content-type"]) == (415, "text/plain; charset=utf-8")


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("encoding=json", "the query has no message"),
        ("encoding=json&message=%7B%7D&message=%7B%7D", "message is in the query twice"),
        ("encoding=json&encoding=json&message=%7B%7D", "encoding is in the query twice"),
        ("connect=v2&encoding=json&message=%7B%7D", "connect must be \"v1\", not 'v2'"),
        ("connect=1&encoding=json&message=%7B%7D", "connect must be \"v1\", not '1'"),
        ("connect=&encoding=json&message=%7B%7D", "connect must be \"v1\", not ''"),
        ("encoding=proto&base64=1&message=!", "the message is not base64url"),
        ("encoding=proto&base64=1&message=A", "the message is not base64url"),
        ("encoding=proto&base64=1&message=CgF+3", "the message is not base64url"),
        ("encoding=proto&base64=1&message=Cg%3D%3DF3", "the message is not base64url"),
        ("encoding=proto&base64=1&message=%FF", "the message is not base64url"),
        ("&" * 100 + "encoding=json&message=%7B%7D", "the query has more than 100 fields"),
    ],
)
async def test_a_bad_query(client: TestClient, query: str, message: str) -> None:
    assert told(await get(client, query)) == (400, "invalid_argument", message)


@pytest.mark.parametrize("message", ["%7B", "%ff", "%", "%zz", "hello", "%7B%22text%22:1%7D", "\xe9"])
async def test_a_message_that_is_no_json(client: TestClient, message: str) -> None:
    assert told(await get(client, f"encoding=json&message={message}"))[:2] == (400, "invalid_argument")


async def test_an_unknown_compression(client: TestClient) -> None:
    answer = await get(client, "encoding=json&compression=snappy&message=%7B%7D")
    message = "compression 'snappy' is not supported; use one of zstd, gzip, br"
    assert told(answer) == (501, "unimplemented", message)


@pytest.mark.parametrize(
    ("message", "status"),
    [
        (b"not gzip", 400),
        (gzip.compress(W)[:-1], 400),
        (gzip.compress(b"\x0a\x89\x27" + b"x" * 5001), 429),
        (b"x" * (LIMIT + 1), 429),
    ],
    ids=["broken", "cut off", "bomb", "too large as sent"],
)
async def test_a_bad_compressed_message(client: TestClient, message: bytes, status: int) -> None:
    answer = await get(client, f"encoding=proto&base64=1&compression=gzip&message={text(message)}")
    assert told(answer)[0] == status


async def test_a_message_that_is_too_large(client: TestClient) -> None:
    assert told(await get(client, f"encoding=json&message={'x' * (LIMIT + 1)}")) == (
        429,
        "resource_exhausted",
        f"the message is larger than {LIMIT} bytes",
    )


@pytest.mark.parametrize(("query", "status"), [("connect=v1&", 200), ("", 400)])
async def test_the_version_where_it_is_required(query: str, status: int) -> None:
    async with TestClient(App(Words(), connect=ConnectOptions(require_version=True))) as client:
        answer = await get(client, f"{query}encoding=json&message={JSON}")
        assert answer.status == status
        if status == 400:
            assert told(answer)[2] == 'connect is required here; send "v1"'
