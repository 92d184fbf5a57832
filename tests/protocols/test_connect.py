"""Connect's unary calls by POST, as callers see them."""

from __future__ import annotations

import gzip
from collections.abc import AsyncIterator, Iterable
from typing import Any

import pytest

from polywire import App, Code, InvalidArgument
from polywire.http.compression import compress
from polywire.protocols.connect.errors import timeout_s
from polywire.protocols.rest.errors import STATUS_OF_CODE
from polywire.service.options import ConnectOptions
from polywire.testing import Answer, TestClient
from tests.protocols.rpc_service import Words

LIMIT = 5000
W = b"\x0a\x01w"
"""Word("w")."""
ACCEPT_POST = "application/json, application/proto, application/grpc, application/grpc-web, application/grpc-web-text"


@pytest.fixture
async def client() -> AsyncIterator[TestClient]:
    async with TestClient(App(Words(), max_request_bytes=LIMIT)) as client:
        yield client
        assert client.site.open_calls == 0


async def post(
    client: TestClient,
    method: str,
    body: bytes,
    headers: Iterable[tuple[str, str]] = (),
    *,
    content_type: str = "application/proto",
    **options: Any,
) -> Answer:
    fields = [("content-type", content_type), ("x-request-id", "id-1"), *headers]
    return await client.request("POST", f"/rpc.Words/{method}", headers=fields, body=body, **options)


def told(answer: Answer) -> tuple[int, str, str]:
    """The status, code and message of an error, which is JSON whatever the call was in."""
    assert answer.headers["content-type"] == "application/json"
    error = answer.json()
    return answer.status, error["code"], error.get("message", "")


# What goes well


@pytest.mark.parametrize("version", ["1.0", "1.1", "2"])
async def test_protobuf(client: TestClient, version: str) -> None:
    answer = await post(client, "Echo", W, version=version)
    assert (answer.status, answer.body) == (200, W)
    assert dict(answer.headers.items()) == {
        "content-type": "application/proto",
        "vary": "accept-encoding",
        "x-request-id": "id-1",
    }


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "application/json; charset=utf-8",
        'Application/JSON;Charset="UTF-8"',
    ],
)
async def test_json_is_that_of_protobuf(client: TestClient, content_type: str) -> None:
    body = b'{"text":"w","number_of_all":12,"unknown":[1]}'
    answer = await post(client, "Echo", body, content_type=content_type)
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    assert answer.text == '{"text":"w","numberOfAll":"12"}'


@pytest.mark.parametrize(("content_type", "body"), [("application/proto", b""), ("application/json", b"{}")])
async def test_nothing_in_and_out(client: TestClient, content_type: str, body: bytes) -> None:
    answer = await post(client, "Nothing", body, content_type=content_type)
    assert (answer.status, answer.body) == (200, body)


async def test_metadata_goes_before_and_after(client: TestClient) -> None:
    answer = await post(client, "Decorated", b"")
    assert (answer.status, answer.body) == (200, W)
    fields = dict(answer.headers.items())
    assert (fields["x-cost"], fields["trace-bin"]) == ("3", "/w")
    assert (fields["trailer-x-rows"], fields["trailer-sum-bin"]) == ("7", "AAE")


async def test_an_error_with_all_that_it_can_have(client: TestClient) -> None:
    answer = await post(client, "Refused", b"")
    assert told(answer) == (404, "not_found", "no é")
    assert answer.text == (
        '{"code":"not_found","message":"no é","details":['
        '{"type":"google.rpc.ErrorInfo","value":"CgdOT19XT1JEEglycGMuV29yZHM",'
        '"debug":{"reason":"NO_WORD","domain":"rpc.Words"}},'
        '{"type":"rpc.Word","value":"CgN3aHkQAg","debug":{"text":"why","times":2}}]}'
    )
    assert dict(answer.headers.items()) == {
        "content-type": "application/json",
        "vary": "accept-encoding",
        "x-request-id": "id-1",
        "x-cost": "3",
        "retry-after": "3",
        "trailer-x-rows": "7",
    }


async def test_an_error_that_cannot_be_sent_is_internal(client: TestClient) -> None:
    answer = await post(client, "Unsendable", b"")
    assert told(answer) == (500, "internal", "internal error")
    assert b"secret" not in answer.body


# Compression


@pytest.mark.parametrize("coding", ["gzip", "zstd", "br"])
async def test_compressed_both_ways(client: TestClient, coding: str) -> None:
    message = b"\x0a\xd0\x0f" + b"x" * 2000
    headers = [("content-encoding", coding), ("accept-encoding", coding)]
    answer = await post(client, "Echo", compress(coding, message), headers)
    assert answer.headers["content-encoding"] == coding
    assert answer.body == compress(coding, message)


@pytest.mark.parametrize("coding", ["identity", "gzip", "zstd", "br"])
async def test_nothing_is_not_decompressed(client: TestClient, coding: str) -> None:
    assert (await post(client, "Nothing", b"", [("content-encoding", coding)])).status == 200


async def test_a_small_answer_is_sent_as_it_is(client: TestClient) -> None:
    answer = await post(client, "Echo", W, [("accept-encoding", "gzip, br")])
    assert ("content-encoding" in answer.headers, answer.body) == (False, W)


async def test_an_unknown_coding_is_refused_with_those_that_are_known(client: TestClient) -> None:
    answer = await post(client, "Echo", W, [("content-encoding", "snappy")])
    message = "content-encoding 'snappy' is not supported; use one of zstd, gzip, br"
    assert told(answer) == (501, "unimplemented", message)
    assert answer.headers["accept-encoding"] == "zstd, gzip, br"


# What is wrong with a call


@pytest.mark.parametrize(
    ("method", "content_type", "body", "status", "code"),
    [
        ("Echo", "application/proto", b"\x0a\xff\xff", 400, "invalid_argument"),
        ("Echo", "application/proto", b"\x0a\x01\xff", 400, "invalid_argument"),
        ("Echo", "application/json", b"[]", 400, "invalid_argument"),
        ("Echo", "application/json", b'{"text":', 400, "invalid_argument"),
        ("Echo", "application/json", b'{"text":1}', 400, "invalid_argument"),
        ("Echo", "application/json", b"{}{}", 400, "invalid_argument"),
        ("Echo", "application/proto", b"\x0a\x89\x27" + b"x" * 5001, 429, "resource_exhausted"),
    ],
)
async def test_a_bad_message(
    client: TestClient, method: str, content_type: str, body: bytes, status: int, code: str
) -> None:
    answer = await post(client, method, body, content_type=content_type)
    assert told(answer)[:2] == (status, code)
    assert answer.json()["details"][0]["type"] == "google.rpc.ErrorInfo"


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"not gzip", 400, "invalid_argument"),
        (gzip.compress(W)[:-1], 400, "invalid_argument"),
        (gzip.compress(bytes(5_000_000)), 429, "resource_exhausted"),
    ],
    ids=["broken", "cut off", "bomb"],
)
async def test_a_bad_compressed_message(client: TestClient, body: bytes, status: int, code: str) -> None:
    assert told(await post(client, "Echo", body, [("content-encoding", "gzip")]))[:2] == (status, code)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("0", 0.0), ("1", 0.001), ("5000", 5.0), ("9999999999", 9999999.999), ("0000000001", 0.001)],
)
def test_timeouts(text: str, seconds: float) -> None:
    assert timeout_s(text) == seconds


BAD_TIMEOUTS = ["", "+5", "-5", "1_0", "5 ", "1.5", "5s", "12345678901", "٣", "²", "0x1", "x" * 1000]


@pytest.mark.parametrize("text", BAD_TIMEOUTS)
async def test_a_timeout_is_1_to_10_digits(client: TestClient, text: str) -> None:
    with pytest.raises(InvalidArgument):
        timeout_s(text)
    if text.isascii():
        answer = await post(client, "Timeout", b"", [("connect-timeout-ms", text)])
        assert told(answer) == (400, "invalid_argument", "connect-timeout-ms must be 1 to 10 digits")


async def test_a_timeout_bounds_the_call(client: TestClient) -> None:
    answer = await post(client, "Timeout", b"{}", [("connect-timeout-ms", "5000")], content_type="application/json")
    assert answer.json() == {"value": 5.0}


@pytest.mark.parametrize(
    ("version", "is_required", "status"),
    [(None, False, 200), ("1", False, 200), ("2", False, 400), (None, True, 400), ("1", True, 200), ("v1", True, 400)],
)
async def test_the_version(version: str | None, is_required: bool, status: int) -> None:
    async with TestClient(App(Words(), connect=ConnectOptions(require_version=is_required))) as client:
        headers = [] if version is None else [("connect-protocol-version", version)]
        answer = await post(client, "Echo", W, headers)
        assert answer.status == status
        if status == 400:
            assert told(answer)[1] == "invalid_argument"
            assert "connect-protocol-version" in told(answer)[2]


def test_every_code_has_the_status_of_the_protocol() -> None:
    """Whatever the reason: the status says the code to those who cannot read the body (Connect, Error Codes)."""
    statuses = {
        "CANCELLED": 499,
        "UNKNOWN": 500,
        "INVALID_ARGUMENT": 400,
        "DEADLINE_EXCEEDED": 504,
        "NOT_FOUND": 404,
        "ALREADY_EXISTS": 409,
        "PERMISSION_DENIED": 403,
        "RESOURCE_EXHAUSTED": 429,
        "FAILED_PRECONDITION": 400,
        "ABORTED": 409,
        "OUT_OF_RANGE": 400,
        "UNIMPLEMENTED": 501,
        "INTERNAL": 500,
        "UNAVAILABLE": 503,
        "DATA_LOSS": 500,
        "UNAUTHENTICATED": 401,
    }
    assert {code.name: STATUS_OF_CODE[code] for code in Code if code is not Code.OK} == statuses


# What is no call


@pytest.mark.parametrize(
    "content_type",
    [
        *("text/plain", "application/xml", "application/json+x", "application/json; charset=latin-1", "application/"),
        *("application/connect+json", "application/connect+proto"),
    ],
)
async def test_a_wrong_content_type(client: TestClient, content_type: str) -> None:
    answer = await post(client, "Echo", W, content_type=content_type)
    assert (answer.status, answer.headers["accept-post"]) == (415, ACCEPT_POST)
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"


async def test_no_content_type(client: TestClient) -> None:
    assert (await client.request("POST", "/rpc.Words/Echo", body=W)).status == 415


@pytest.mark.parametrize("content_type", ["application/proto", "application/json", "application/connect+json"])
async def test_an_unknown_method(client: TestClient, content_type: str) -> None:
    answer = await post(client, "Nowhere", W, content_type=content_type)
    assert answer.status == 404
    assert "code" not in (answer.json() if answer.headers["content-type"] == "application/json" else {})


@pytest.mark.parametrize("verb", ["PUT", "PATCH", "DELETE"])
async def test_another_verb(client: TestClient, verb: str) -> None:
    for content_type in ("application/proto", "application/json"):
        headers = [("content-type", content_type)]
        answer = await client.request(verb, "/rpc.Words/Echo", headers=headers, body=W)
        assert (answer.status, "POST" in answer.headers["allow"]) == (405, True)
