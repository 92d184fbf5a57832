"""gRPC-Web as callers see it: the trailers are the last frame, in text all is base64."""

from __future__ import annotations

import gzip
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator, Iterable
from typing import Any

import pytest

from polywire import App
from polywire.protocols.rpc.framing import frame, frame_compressed
from polywire.testing import Answer, MemorySink, TestClient
from tests.protocols.rpc_service import Words

LIMIT = 5000
W, X = b"\x0a\x01w", b"\x0a\x01x"
"""Word("w") and Word("x")."""
OK = b"\x80\0\0\0\x10grpc-status: 0\r\n"
BINARY, TEXT = "application/grpc-web+proto", "application/grpc-web-text+proto"
both = pytest.mark.parametrize("content_type", [BINARY, TEXT])


@pytest.fixture
async def client() -> AsyncIterator[TestClient]:
    async with TestClient(App(Words(), max_request_bytes=LIMIT)) as client:
        yield client
        assert client.site.open_calls == 0


def open_call(
    client: TestClient,
    method: str,
    body: bytes,
    headers: Iterable[tuple[str, str]] = (),
    *,
    content_type: str = BINARY,
    **options: Any,
) -> MemorySink:
    fields = [("content-type", content_type), ("x-grpc-web", "1"), ("x-request-id", "id-1"), *headers]
    return client.open("POST", f"/rpc.Words/{method}", headers=fields, body=body, **options)


async def call(
    client: TestClient,
    method: str,
    body: bytes,
    headers: Iterable[tuple[str, str]] = (),
    *,
    content_type: str = BINARY,
    **options: Any,
) -> Answer:
    """Its body as it was before base64."""
    if content_type.startswith("application/grpc-web-text"):
        body = b64encode(body)
    answer = await open_call(client, method, body, headers, content_type=content_type, **options).answer()
    if content_type.startswith("application/grpc-web-text"):
        answer.body = b"".join(b64decode(answer.body[at : at + 4]) for at in range(0, len(answer.body), 4))
    return answer


def told(answer: Answer) -> dict[str, str]:
    """The trailers of an answer without messages."""
    assert answer.status == 200
    assert (answer.body[0], int.from_bytes(answer.body[1:5])) == (0x80, len(answer.body) - 5)
    lines = answer.body[5:].decode().split("\r\n")
    assert lines.pop() == ""
    fields = dict(line.split(": ", 1) for line in lines)
    assert fields.pop("x-request-id") == "id-1"
    fields.pop("grpc-status-details-bin", None)
    return fields


# What goes well


@pytest.mark.parametrize("version", ["1.0", "1.1", "2"])
@both
async def test_a_unary_call(client: TestClient, content_type: str, version: str) -> None:
    answer = await call(client, "Echo", frame(W), content_type=content_type, version=version)
    assert (answer.status, answer.body) == (200, frame(W) + OK)
    assert dict(answer.headers.items()) == {
        "content-type": content_type,
        "grpc-accept-encoding": "identity,gzip,zstd,br",
    }
    assert answer.trailers.items() == []


@pytest.mark.parametrize(
    "content_type",
    [
        *("application/grpc-web", "application/grpc-web-text"),
        "application/grpc-web+proto; charset=utf-8",
        "Application/gRPC-Web-Text",
    ],
)
async def test_other_spellings_of_the_content_type(client: TestClient, content_type: str) -> None:
    body = b64encode(frame(W)) if "text" in content_type.lower() else frame(W)
    answer = await open_call(client, "Echo", body, content_type=content_type).answer()
    assert answer.headers["content-type"] == content_type.partition(";")[0].lower()
    assert answer.body in (frame(W) + OK, b64encode(frame(W) + OK))


async def test_json(client: TestClient) -> None:
    answer = await call(client, "Echo", frame(b'{"text":"w"}'), content_type="application/grpc-web+json")
    assert answer.body == frame(b'{"text":"w"}') + OK


@pytest.mark.parametrize(
    ("method", "body", "expected"),
    [
        ("Repeat", frame(W + b"\x10\x02"), frame(W) + frame(W + b"\x10\x01") + OK),
        ("Repeat", frame(W), OK),
        ("Join", frame(W) + frame(X), frame(b"\x0a\x03w x") + OK),
        ("Mirror", frame(W) + frame(X), frame(W) + frame(X) + OK),
        ("Mirror", b"", OK),
    ],
)
@both
async def test_streams(client: TestClient, method: str, body: bytes, expected: bytes, content_type: str) -> None:
    answer = await call(client, method, body, content_type=content_type)
    assert (answer.status, answer.body) == (200, expected)


@both
async def test_metadata_goes_before_and_after(client: TestClient, content_type: str) -> None:
    answer = await call(client, "Decorated", frame(b""), content_type=content_type)
    assert (answer.headers["x-cost"], answer.headers["trace-bin"]) == ("3", "/w")
    trailers = b"grpc-status: 0\r\nx-rows: 7\r\nsum-bin: AAE\r\n"
    assert answer.body == frame(W) + frame(trailers, 0x80)


@both
async def test_an_error_stands_in_the_body(client: TestClient, content_type: str) -> None:
    """Not in the head, where there is no body: pages of other origins may not see that."""
    answer = await call(client, "Refused", frame(b""), content_type=content_type)
    assert told(answer) == {"grpc-status": "5", "grpc-message": "no %C3%A9", "retry-after": "3", "x-rows": "7"}
    assert answer.headers["x-cost"] == "3"
    assert "grpc-status" not in answer.headers


@both
async def test_an_error_after_messages(client: TestClient, content_type: str) -> None:
    answer = await call(client, "Breaks", frame(W), content_type=content_type)
    assert answer.body.startswith(frame(W) + b"\x80")
    assert b"grpc-status: 5\r\ngrpc-message: no more\r\n" in answer.body
    assert answer.body.endswith(b"x-left: 0\r\nx-rows: 1\r\nx-request-id: id-1\r\n")


async def test_a_page_may_read_what_it_is_told() -> None:
    async with TestClient(App(Words(), origins=["https://a.example"])) as client:
        headers = [("origin", "https://a.example"), ("host", "b.example")]
        answer = await call(client, "Decorated", frame(b""), headers)
        assert answer.headers["access-control-allow-origin"] == "https://a.example"
        exposed = answer.headers["access-control-expose-headers"].split(", ")
        assert {"x-cost", "trace-bin", "grpc-accept-encoding"} <= set(exposed)


@pytest.mark.parametrize("coding", ["gzip", "zstd", "br"])
@both
async def test_compressed_both_ways(client: TestClient, content_type: str, coding: str) -> None:
    message = b"\x0a\xd0\x0f" + b"x" * 2000
    headers = [("grpc-encoding", coding), ("grpc-accept-encoding", coding)]
    for method in ("Echo", "Mirror"):
        answer = await call(client, method, frame_compressed(coding, message), headers, content_type=content_type)
        assert answer.headers["grpc-encoding"] == coding
        assert answer.body == frame_compressed(coding, message) + OK


# What is wrong with a call

BAD: dict[str, tuple[str, bytes, list[tuple[str, str]], str]] = {
    "no message": ("Echo", b"", [], "12"),
    "two messages": ("Echo", frame(W) + frame(W), [], "12"),
    "half a prefix": ("Echo", b"\0\0\0", [], "3"),
    "cut off": ("Echo", frame(W)[:-1], [], "3"),
    "cut off in a stream": ("Join", frame(W)[:-1], [], "3"),
    "trailers": ("Join", frame(W) + OK, [], "3"),
    "unknown flags": ("Echo", b"\x02\0\0\0\0", [], "3"),
    "too large": ("Echo", b"\0\xff\xff\xff\xff", [], "8"),
    "too large as sent": ("Echo", frame(b"x" * 6000), [], "8"),
    "too large in a stream": ("Join", b"\0\0\0\x13\x89", [], "8"),
    "garbage": ("Echo", frame(b"\x0a\xff"), [], "3"),
    "compressed, undeclared": ("Echo", frame(b"", 1), [], "13"),
    "bomb": ("Echo", frame(gzip.compress(bytes(4_000_000)), 1), [("grpc-encoding", "gzip")], "8"),
    "unknown coding": ("Echo", frame(W), [("grpc-encoding", "snappy")], "12"),
    "time-out": ("Echo", frame(W), [("grpc-timeout", "5")], "3"),
    "unknown method": ("Nowhere", frame(W), [], "12"),
}


@pytest.mark.parametrize(("method", "body", "headers", "status"), BAD.values(), ids=BAD)
@both
async def test_bad_calls(
    client: TestClient, method: str, body: bytes, headers: list[tuple[str, str]], status: str, content_type: str
) -> None:
    answer = await call(client, method, body, headers, content_type=content_type)
    assert f"grpc-status: {status}\r\n".encode() in answer.body[5:]
    assert answer.body[0] == 0x80


@pytest.mark.parametrize("verb", ["GET", "PUT", "DELETE"])
@both
async def test_another_verb(client: TestClient, verb: str, content_type: str) -> None:
    answer = await client.request(verb, "/rpc.Words/Echo", headers=[("content-type", content_type)], body=b"")
    assert (answer.status, answer.headers["allow"]) == (405, "POST")


# Text


def padded(*parts: bytes) -> bytes:
    return b"".join(b64encode(part) for part in parts)


@pytest.mark.parametrize(
    "body",
    [
        padded(frame(W)),
        padded(frame(W)[:5], W),
        padded(frame(W)[:1], frame(W)[1:3], frame(W)[3:]),
        padded(*(frame(W)[at : at + 1] for at in range(len(frame(W))))),
    ],
    ids=["at once", "prefix and message", "anyhow", "each byte"],
)
@pytest.mark.parametrize("method", ["Echo", "Join"])
async def test_padding_in_the_middle(client: TestClient, method: str, body: bytes) -> None:
    answer = await open_call(client, method, body, content_type=TEXT).answer()
    assert answer.body in (padded(frame(W) + OK), padded(frame(W), OK)), "each frame by itself, where it is a stream"


@pytest.mark.parametrize(
    "body",
    [b"!!!!", b"AAA", b"AAAAA", b"AAAA====", b"=AAA", b"A===", b"AA=A", b"AAAA\r\n", b"AAAA AAA", b"AA-_", b"\xff" * 4],
)
@pytest.mark.parametrize("method", ["Echo", "Join"])
async def test_what_is_no_base64(client: TestClient, method: str, body: bytes) -> None:
    answer = await open_call(client, method, body, content_type=TEXT).answer()
    answer.body = b64decode(answer.body)
    assert told(answer)["grpc-status"] == "3"
    assert "base64" in told(answer)["grpc-message"]


async def test_each_message_is_answered_as_it_comes(client: TestClient) -> None:
    text = b64encode(frame(W))
    sink = open_call(client, "Mirror", text[:5], content_type=TEXT, version="2", more=True)
    sink.feed(text[5:])
    assert await sink.received() == text
    sink.feed(text, end=True)
    assert (await sink.answer()).body == text + b64encode(OK)


async def test_padding_is_bounded() -> None:
    """A part that is padded takes far longer than its byte would."""
    async with TestClient(App(Words(), max_request_bytes=1_000_000)) as client:
        answer = await open_call(client, "Echo", b"AA==" * 501, content_type=TEXT).answer()
        answer.body = b64decode(answer.body)
        assert told(answer)["grpc-message"] == "the body has more than 1000 padding characters"
        # Streams have as much padding as messages; these are empty.
        assert (await open_call(client, "Join", b"AAAAAAA=" * 2000, content_type=TEXT).answer()).status == 200
