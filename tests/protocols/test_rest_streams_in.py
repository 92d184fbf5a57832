"""Streams of JSON lines that come in over REST, and those that go both ways."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import pytest

from polywire import App
from polywire.errors import MALFORMED, TOO_LARGE, UNSUPPORTED_MEDIA_TYPE
from polywire.protocols.rest.negotiation import EVENT_STREAM, NDJSON, is_ndjson
from polywire.testing import TestClient
from polywire.testing.memory import HIGH_WATER_BYTES

from .ticks import LIMIT, LINES_IN, Ticks, authenticate, ended, error_of, lines, until


@pytest.fixture
def service() -> Ticks:
    return Ticks()


@pytest.fixture
async def client(service: Ticks) -> AsyncIterator[TestClient]:
    app = App(service, interceptors=[authenticate], max_request_bytes=LIMIT, sse_retry_s=None)
    async with TestClient(app) as client:
        yield client
        assert client.site.open_calls == 0
    assert service.running == 0


# In


BODY = b'{"number":1}\r\n\n \r\n{"number":2, "text":"\\u00e9\xc3\xa9"}\n{"number":3}'


async def test_lines_in_whole(client: TestClient, service: Ticks) -> None:
    answer = await client.post("/total", body=BODY, headers=LINES_IN)
    assert (answer.status, answer.json()) == (200, {"total": 6})
    assert answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize("step", [1, 2, 3, 7, 1000])
async def test_lines_in_piece_by_piece(client: TestClient, service: Ticks, step: int) -> None:
    sink = client.open("POST", "/total", headers=LINES_IN, more=True)
    for start in range(0, len(BODY), step):
        sink.feed(BODY[start : start + step])
        await asyncio.sleep(0)
    assert service.running == 1
    sink.feed(b"", end=True)
    assert (await sink.answer()).json() == {"total": 6}
    assert service.seen == [1, 2, 3]
    assert sink.granted_bytes == len(BODY)


@pytest.mark.parametrize("body", [b"", b"\n", b"\r\n\r\n"])
async def test_nothing_in(client: TestClient, body: bytes) -> None:
    assert (await client.post("/total", body=body, headers=LINES_IN)).json() == {"total": 0}


@pytest.mark.parametrize(
    ("bad", "status", "code", "reason"),
    [
        (b'{"number":', 400, "INVALID_ARGUMENT", MALFORMED),
        (b"\xff\xfe", 400, "INVALID_ARGUMENT", MALFORMED),
        (b'{"number":3}{"number":4}', 400, "INVALID_ARGUMENT", MALFORMED),
        (b'{"number":-1}', 422, "INVALID_ARGUMENT", "INVALID"),
        (b"[]", 422, "INVALID_ARGUMENT", "INVALID"),
        (b" " * LIMIT + b" ", 413, "RESOURCE_EXHAUSTED", TOO_LARGE),
    ],
)
async def test_a_line_that_is_wrong(
    client: TestClient, service: Ticks, bad: bytes, status: int, code: str, reason: str
) -> None:
    body = b'{"number":1}\n{"number":2}\n' + bad + b'\n{"number":5}\n'
    answer = await client.post("/total", body=body, headers=LINES_IN)
    assert error_of(answer) == (status, code, reason)
    assert service.seen == [1, 2], "what was right before it has been read"
    *good, last = lines((await client.post("/mirror", body=body, headers=LINES_IN)).body)
    assert [tick["number"] for tick in good] == [1, 2]
    assert (last["error"]["code"], last["error"]["reason"]) == (code, reason)


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("content-type", "application/json")],
        [("content-type", "text/plain")],
        [*LINES_IN, ("content-encoding", "gzip")],
        [*LINES_IN, ("content-encoding", "br")],
    ],
)
@pytest.mark.parametrize("path", ["/total", "/mirror"])
async def test_what_is_not_declared_as_lines_is_refused(
    client: TestClient, service: Ticks, path: str, headers: list[tuple[str, str]]
) -> None:
    answer = await client.post(path, body=b'{"number":1}', headers=headers)
    assert error_of(answer) == (415, "UNIMPLEMENTED", UNSUPPORTED_MEDIA_TYPE)
    assert service.seen == []


@pytest.mark.parametrize("name", ["application/x-ndjson", "Application/NDJSON", "application/jsonl; charset=utf-8"])
async def test_names_of_lines(client: TestClient, name: str) -> None:
    assert is_ndjson(name)
    headers = [("content-type", name), ("content-encoding", "identity")]
    assert (await client.post("/total", body=b'{"number":4}', headers=headers)).json() == {"total": 4}


async def test_an_answer_before_the_end_of_the_request(client: TestClient) -> None:
    sink = client.open("POST", "/first", headers=LINES_IN, more=True)
    sink.feed(b'{"number":9}\n{"num')
    assert (await sink.answer()).json() == {"total": 9}


async def test_a_caller_that_leaves_within_its_stream(client: TestClient, service: Ticks) -> None:
    sink = client.open("POST", "/total", headers=LINES_IN, more=True)
    sink.feed(b'{"number":9}\n')
    await until(lambda: service.seen == [9])
    assert service.running == 1
    sink.leave()
    await ended(client)
    assert (service.running, service.seen) == (0, [9])


async def test_a_deadline_while_lines_come(client: TestClient, service: Ticks) -> None:
    sink = client.open("POST", "/total", headers=[*LINES_IN, ("request-timeout", "0.01")], more=True)
    assert error_of(await sink.answer()) == (504, "DEADLINE_EXCEEDED", None)
    await ended(client)


async def test_a_body_that_may_take_its_time(client: TestClient) -> None:
    sink = client.open("POST", "/total", headers=LINES_IN, more=True)
    assert not sink.body_timed
    sink.feed(b"", end=True)
    await sink.answer()


async def test_pages_of_others_cannot_send_streams(client: TestClient) -> None:
    headers = [*LINES_IN, ("sec-fetch-site", "cross-site")]
    assert (await client.post("/total", body=b"", headers=headers)).status == 403


# Both ways


@pytest.mark.parametrize("form", [NDJSON, EVENT_STREAM])
async def test_an_answer_to_each(client: TestClient, form: str) -> None:
    """Each line is answered before the next is sent, and the half-close ends it."""
    heard = asyncio.Event()

    async def ticks() -> AsyncIterator[dict[str, int]]:
        for number in range(3):
            yield {"number": number}
            await heard.wait()
            heard.clear()

    seen: list[int] = []
    if form == NDJSON:
        async for value in client.stream("POST", "/mirror", ticks()):
            seen.append(value["number"])
            heard.set()
    else:
        async for event in client.events("POST", "/mirror", ticks()):
            seen.append(event.value["number"])
            heard.set()
    assert seen == [0, 1, 2]


async def test_whom_nobody_reads_is_read_no_further(client: TestClient, service: Ticks) -> None:
    """Back-pressure goes through the handler: what it cannot send, it does not read."""
    sink = client.open("POST", "/mirror", headers=LINES_IN, more=True, paused=True)
    line = json.dumps({"number": 1, "text": "x" * 900}).encode() + b"\n"
    for _ in range(200):
        sink.feed(line)
        await asyncio.sleep(0)
    assert sink.buffered_out_bytes < HIGH_WATER_BYTES + 1000
    assert sink.buffered_in_bytes > 100 * len(line)
    assert sink.granted_bytes < HIGH_WATER_BYTES + 2 * len(line)
    sink.resume()
    sink.feed(b"", end=True)
    assert (await sink.answer()).body.count(b"\n") == 200


async def test_streams_are_advertised(client: TestClient) -> None:
    document = (await client.get("/openapi.json")).json()
    content = document["paths"]["/tracked"]["get"]["responses"]["200"]["content"]
    assert set(content) == {NDJSON, EVENT_STREAM}
    assert NDJSON in document["paths"]["/total"]["post"]["requestBody"]["content"]
