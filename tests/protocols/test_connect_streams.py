"""Connect's streams, as callers see them: enveloped messages, and one that says how it ended."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Iterable
from typing import Any

import pytest

from polywire import App
from polywire.protocols.rpc.framing import frame, frame_compressed
from polywire.service.options import ConnectOptions
from polywire.testing import Answer, MemorySink, TestClient
from tests.protocols.rpc_service import Words

LIMIT = 5000
W, X = b"\x0a\x01w", b"\x0a\x01x"
"""Word("w") and Word("x")."""
END = b"\x02\0\0\0\x02{}"
HEAD = {"content-type": "application/connect+proto", "connect-accept-encoding": "identity,gzip,zstd,br"}
STREAMS = "application/connect+json, application/connect+proto"
GRPC = "application/grpc, application/grpc-web, application/grpc-web-text"


@pytest.fixture
async def client() -> AsyncIterator[TestClient]:
    async with TestClient(App(Words(), max_request_bytes=LIMIT)) as client:
        yield client
        assert client.site.open_calls == 0


def open_call(
    client: TestClient,
    method: str,
    body: bytes | None = None,
    headers: Iterable[tuple[str, str]] = (),
    *,
    content_type: str = "application/connect+proto",
    **options: Any,
) -> MemorySink:
    fields = [("content-type", content_type), ("x-request-id", "id-1"), *headers]
    return client.open("POST", f"/rpc.Words/{method}", headers=fields, body=body, **options)


async def call(
    client: TestClient, method: str, body: bytes, headers: Iterable[tuple[str, str]] = (), **options: Any
) -> Answer:
    return await open_call(client, method, body, headers, **options).answer()


def ended(answer: Answer) -> dict[str, Any]:
    """The last envelope of an answer that has no other."""
    assert (answer.status, answer.headers["content-type"][:20]) == (200, "application/connect+")
    assert (answer.body[0], int.from_bytes(answer.body[1:5])) == (2, len(answer.body) - 5)
    last: dict[str, Any] = json.loads(answer.body[5:])
    return last


def told(answer: Answer) -> tuple[str, str]:
    last = ended(answer)
    assert last["metadata"]["x-request-id"] == ["id-1"]
    return last["error"]["code"], last["error"].get("message", "")


@pytest.mark.parametrize("version", ["1.1", "2"])
@pytest.mark.parametrize(
    ("method", "body", "expected"),
    [
        ("Repeat", frame(W + b"\x10\x02"), frame(W) + frame(W + b"\x10\x01") + END),
        ("Repeat", frame(W), END),
        ("Join", frame(W) + frame(X), frame(b"\x0a\x03w x") + END),
        ("Join", b"", frame(b"") + END),
        ("Mirror", frame(W) + frame(X), frame(W) + frame(X) + END),
        ("Mirror", b"", END),
    ],
)
async def test_streams(client: TestClient, method: str, body: bytes, expected: bytes, version: str) -> None:
    answer = await call(client, method, body, version=version)
    assert (answer.status, answer.body) == (200, expected)
    assert dict(answer.headers.items()) == HEAD
    assert answer.trailers.items() == []


async def test_json(client: TestClient) -> None:
    body = frame(b'{"text":"w","times":2,"number_of_all":1}')
    answer = await call(client, "Repeat", body, content_type="application/connect+json")
    assert answer.headers["content-type"] == "application/connect+json"
    assert answer.body == frame(b'{"text":"w"}') + frame(b'{"text":"w","times":1}') + END


async def test_each_message_is_answered_as_it_comes(client: TestClient) -> None:
    sink = open_call(client, "Mirror", frame(W), version="2", more=True)
    assert await sink.received() == frame(W)
    sink.feed(frame(X)[:6])
    sink.feed(frame(X)[6:])
    assert await sink.received() == frame(X)
    sink.feed(b"", end=True)
    assert (await sink.answer()).body == END


async def test_a_caller_that_leaves_ends_the_call(client: TestClient) -> None:
    sink = open_call(client, "Mirror", frame(W), version="2", more=True)
    (running,) = client.site.runtime.suspended
    sink.leave()
    assert running.task is not None
    await asyncio.wait({running.task})


async def test_an_error_after_messages(client: TestClient) -> None:
    answer = await call(client, "Breaks", frame(W))
    assert answer.headers["x-cost"] == "3"
    assert answer.body.startswith(frame(W) + b"\x02")
    assert json.loads(answer.body[len(frame(W)) + 5 :]) == {
        "error": {
            "code": "not_found",
            "message": "no more",
            "details": [
                {
                    "type": "google.rpc.ErrorInfo",
                    "value": "CgNEUlkSCXJwYy5Xb3Jkcw",
                    "debug": {"reason": "DRY", "domain": "rpc.Words"},
                }
            ],
        },
        "metadata": {"x-left": ["0"], "x-request-id": ["id-1"], "x-rows": ["1"]},
    }


# Compression


@pytest.mark.parametrize("coding", ["gzip", "zstd", "br"])
async def test_compressed_both_ways(client: TestClient, coding: str) -> None:
    message = b"\x0a\xd0\x0f" + b"x" * 2000
    headers = [("connect-content-encoding", coding), ("connect-accept-encoding", coding)]
    body = frame_compressed(coding, message) + frame(W)
    answer = await call(client, "Mirror", body, headers)
    assert dict(answer.headers.items()) == {**HEAD, "connect-content-encoding": coding}
    assert answer.body == frame_compressed(coding, message) + frame(W) + END, "what is small is sent as it is"


async def test_nothing_is_not_decompressed(client: TestClient) -> None:
    answer = await call(client, "Mirror", b"\x01\0\0\0\0", [("connect-content-encoding", "br")])
    assert answer.body == frame(b"") + END


async def test_an_unknown_coding_is_refused_with_those_that_are_known(client: TestClient) -> None:
    answer = await call(client, "Mirror", frame(W), [("connect-content-encoding", "snappy")])
    message = "connect-content-encoding 'snappy' is not supported; use one of identity,gzip,zstd,br"
    assert told(answer) == ("unimplemented", message)
    assert answer.headers["connect-accept-encoding"] == "identity,gzip,zstd,br"


# What is wrong with a stream

BAD: dict[str, tuple[str, bytes, list[tuple[str, str]], str]] = {
    "no message": ("Repeat", b"", [], "unimplemented"),
    "two messages": ("Repeat", frame(W) + frame(W), [], "unimplemented"),
    "half a prefix": ("Repeat", b"\0\0\0", [], "invalid_argument"),
    "half a prefix in a stream": ("Join", frame(W) + b"\0\0\0", [], "invalid_argument"),
    "cut off": ("Repeat", frame(W)[:-1], [], "invalid_argument"),
    "cut off in a stream": ("Join", frame(W)[:-1], [], "invalid_argument"),
    "an end": ("Repeat", END, [], "invalid_argument"),
    "an end in a stream": ("Join", frame(W) + END, [], "invalid_argument"),
    "unknown flags": ("Join", b"\x80\0\0\0\0", [], "invalid_argument"),
    "too large": ("Repeat", b"\0\xff\xff\xff\xff", [], "resource_exhausted"),
    "too large in a stream": ("Join", b"\0\0\0\x13\x89", [], "resource_exhausted"),
    "garbage": ("Repeat", frame(b"\x0a\xff"), [], "invalid_argument"),
    "garbage in a stream": ("Join", frame(b"\x0a\xff"), [], "invalid_argument"),
    "compressed, undeclared": ("Join", frame(b"", 1), [], "internal"),
    "not gzip": ("Join", frame(b"x", 1), [("connect-content-encoding", "gzip")], "invalid_argument"),
    "bomb": (
        "Join",
        frame(gzip.compress(bytes(4_000_000)), 1),
        [("connect-content-encoding", "gzip")],
        "resource_exhausted",
    ),
    "time-out": ("Repeat", frame(W), [("connect-timeout-ms", "5s")], "invalid_argument"),
    "time-out of a stream": ("Join", frame(W), [("connect-timeout-ms", "12345678901")], "invalid_argument"),
    "version": ("Join", frame(W), [("connect-protocol-version", "2")], "invalid_argument"),
}


@pytest.mark.parametrize(("method", "body", "headers", "code"), BAD.values(), ids=BAD)
async def test_bad_streams(
    client: TestClient, method: str, body: bytes, headers: list[tuple[str, str]], code: str
) -> None:
    assert told(await call(client, method, body, headers))[0] == code


@pytest.mark.parametrize(("headers", "is_good"), [([("connect-protocol-version", "1")], True), ([], False)])
async def test_the_version_where_it_is_required(headers: list[tuple[str, str]], is_good: bool) -> None:
    async with TestClient(App(Words(), connect=ConnectOptions(require_version=True))) as client:
        answer = await call(client, "Join", frame(W), headers)
        if is_good:
            assert answer.body == frame(W) + END
        else:
            assert told(answer) == ("invalid_argument", 'connect-protocol-version is required here; send "1"')


# What is no call


@pytest.mark.parametrize("content_type", ["application/json", "application/proto", "text/plain", "application/connect"])
@pytest.mark.parametrize("method", ["Repeat", "Join", "Mirror"])
async def test_a_wrong_content_type(client: TestClient, method: str, content_type: str) -> None:
    """A status of its own, as who knows nothing of streams would take a 200 for success."""
    answer = await call(client, method, b"{}", content_type=content_type)
    assert (answer.status, answer.headers["accept-post"]) == (415, f"{STREAMS}, {GRPC}")


async def test_an_unknown_method(client: TestClient) -> None:
    answer = await call(client, "Nowhere", frame(W))
    assert (answer.status, answer.headers["content-type"]) == (404, "text/plain; charset=utf-8")


@pytest.mark.parametrize("verb", ["GET", "PUT", "DELETE"])
async def test_another_verb(client: TestClient, verb: str) -> None:
    headers = [("content-type", "application/connect+proto")]
    answer = await client.request(verb, "/rpc.Words/Join", headers=headers, body=frame(W))
    assert (answer.status, answer.headers["allow"]) == (405, "POST")
