"""tRPC over HTTP, as its client sends and reads it: exact bytes of calls, batches, lines and events."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import pytest

from polywire import App, Int32, NotFound, SchemaError, Service, Tracked, current_call, mutation, query
from polywire.service.options import GraphqlOptions, TrpcOptions
from polywire.testing import TestClient
from polywire.testing.memory import Answer

from .rpc_service import Word, Words

ID = [("x-request-id", "r-1")]


class Stream(Service, package="rpc"):
    def __init__(self) -> None:
        self.go_on = asyncio.Event()
        self.running = 0

    @query
    async def count(self, to: Int32) -> AsyncIterator[Tracked[Int32]]:
        after = current_call().resume_after
        for number in range(int(after or 0) + 1, to + 1):
            yield Tracked(str(number), number)

    @query
    async def plain(self) -> AsyncIterator[str]:
        yield "a"
        yield "b"

    @query
    async def breaks(self) -> AsyncIterator[str]:
        yield "a"
        raise NotFound("no more", reason="DRY")

    @query
    async def for_ever(self) -> AsyncIterator[str]:
        self.running += 1
        try:
            current_call().send_metadata()
            await asyncio.Event().wait()
            yield ""
        finally:
            self.running -= 1

    @query
    async def late(self) -> str:
        await self.go_on.wait()
        return "late"

    @query
    async def who(self) -> AsyncIterator[str]:
        metadata = current_call().metadata
        yield f"{metadata.get('authorization')} {metadata.get('x-hand')}"

    @query
    async def optional(self, word: str = "none") -> str:
        return word

    @mutation
    async def hangs(self) -> None:
        self.running += 1
        try:
            await asyncio.Event().wait()
        finally:
            self.running -= 1


@pytest.fixture
def stream() -> Stream:
    return Stream()


@pytest.fixture
async def client(stream: Stream) -> AsyncIterator[TestClient]:
    app = App(
        Words(),
        stream,
        trpc=TrpcOptions(max_batch=5),
        graphql=GraphqlOptions(path=None),
        max_request_bytes=1000,
        heartbeat_s=0.01,
    )
    async with TestClient(app) as client:
        yield client
        assert client.site.open_calls == 0
    assert stream.running == 0


def asked(path: str, given: Any = None, **more: str) -> str:
    fields = dict(more) if given is None else {"input": json.dumps(given), **more}
    return f"/trpc/{path}?" + "&".join(f"{name}={quote(text, safe='')}" for name, text in fields.items())


def refusal(answer: Answer) -> tuple[int, int, str]:
    """Status, tRPC's number and its name."""
    error = answer.json()["error"]
    assert error["data"]["httpStatus"] == answer.status
    return answer.status, error["code"], error["data"]["code"]


# Calls


async def test_a_query(client: TestClient) -> None:
    answer = await client.get(asked("words.echo", {"text": "é", "times": 2}), headers=ID)
    assert (answer.status, answer.body) == (
        200,
        '{"result":{"data":{"text":"é","times":2,"number_of_all":0}}}'.encode(),
    )
    assert dict(answer.headers.items()) == {
        "content-type": "application/json",
        "vary": "trpc-accept, accept",
        "x-request-id": "r-1",
    }


async def test_a_mutation(client: TestClient) -> None:
    answer = await client.post("/trpc/words.change", json={"text": "a"})
    assert answer.body == b'{"result":{"data":{"text":"a","times":0,"number_of_all":0}}}'


async def test_undefined_both_ways(client: TestClient) -> None:
    answer = await client.post("/trpc/words.nothing")
    assert (answer.status, answer.body) == (200, b'{"result":{}}')
    for target in ("/trpc/stream.optional", asked("stream.optional", {}), "/trpc/stream.optional?other=1"):
        assert (await client.get(target)).body == b'{"result":{"data":"none"}}'


async def test_a_plus_is_a_blank(client: TestClient) -> None:
    assert (await client.get('/trpc/stream.optional?input={"word":"a+b%2B"}')).json() == {"result": {"data": "a b+"}}


async def test_head_says_nothing(client: TestClient) -> None:
    answer = await client.request("HEAD", "/trpc/words.echo")
    assert (answer.status, answer.body) == (204, b"")


async def test_response_metadata_are_headers(client: TestClient) -> None:
    answer = await client.get("/trpc/words.decorated")
    assert answer.headers["x-cost"] == "3"


async def test_deadlines(client: TestClient) -> None:
    assert (await client.get("/trpc/words.timeout", headers=[("request-timeout", "2.5")])).body == (
        b'{"result":{"data":2.5}}'
    )
    assert refusal(await client.get("/trpc/words.timeout", headers=[("request-timeout", "soon")])) == (
        400,
        -32700,
        "PARSE_ERROR",
    )
    answer = await client.post("/trpc/stream.hangs", headers=[("request-timeout", "0.01")])
    assert refusal(answer) == (504, -32603, "GATEWAY_TIMEOUT")


async def test_an_error_whole(client: TestClient) -> None:
    answer = await client.get("/trpc/words.refused", headers=ID)
    assert answer.status == 404
    assert answer.headers["retry-after"] == "3"
    assert json.loads(answer.body) == {
        "error": {
            "message": "no é",
            "code": -32004,
            "data": {
                "code": "NOT_FOUND",
                "httpStatus": 404,
                "status": "NOT_FOUND",
                "path": "words.refused",
                "reason": "NO_WORD",
                "details": [{"type": "Word", "text": "why", "times": 2, "number_of_all": 0}],
                "requestId": "r-1",
            },
        }
    }


REFUSALS = {
    "unknown": ("GET", "/trpc/words.nothing_such", None, (), (404, -32004, "NOT_FOUND")),
    "no path": ("GET", "/trpc/%20", None, (), (404, -32004, "NOT_FOUND")),
    "a mutation by GET": ("GET", "/trpc/words.change", None, (), (405, -32005, "METHOD_NOT_SUPPORTED")),
    "a query by POST": ("POST", "/trpc/words.echo", b"{}", (), (405, -32005, "METHOD_NOT_SUPPORTED")),
    "a subscription by POST": ("POST", "/trpc/stream.plain", b"{}", (), (405, -32005, "METHOD_NOT_SUPPORTED")),
    "text": (
        "POST",
        "/trpc/words.change",
        b"{}",
        (("content-type", "text/plain"),),
        (415, -32015, "UNSUPPORTED_MEDIA_TYPE"),
    ),
    "a form": (
        "POST",
        "/trpc/words.change",
        b"a=1",
        (("content-type", "application/x-www-form-urlencoded"),),
        (415, -32015, "UNSUPPORTED_MEDIA_TYPE"),
    ),
    "a body without a type": (
        "POST",
        "/trpc/words.change",
        b"{}",
        (("content-type", ""),),
        (415, -32015, "UNSUPPORTED_MEDIA_TYPE"),
    ),
    "no JSON": ("POST", "/trpc/words.change", b"{", (), (400, -32700, "PARSE_ERROR")),
    "no JSON in a URL": ("GET", "/trpc/words.echo?input=%7B", None, (), (400, -32700, "PARSE_ERROR")),
    "no UTF-8 in a URL": ("GET", "/trpc/words.echo?input=%FF", None, (), (400, -32700, "PARSE_ERROR")),
    "a field that is wrong": ("POST", "/trpc/words.change", b'{"text":1}', (), (422, -32022, "UNPROCESSABLE_CONTENT")),
    "too large": ("POST", "/trpc/words.change", b" " * 1001, (), (413, -32013, "PAYLOAD_TOO_LARGE")),
    "depth": (
        "POST",
        "/trpc/words.change",
        b'{"x":' + b"[" * 400 + b"]" * 400 + b"}",
        (),
        (400, -32700, "PARSE_ERROR"),
    ),
    "an unknown coding": (
        "POST",
        "/trpc/words.change",
        b"x",
        (("content-encoding", "snappy"),),
        (415, -32015, "UNSUPPORTED_MEDIA_TYPE"),
    ),
    "50 fields": (
        "GET",
        "/trpc/words.echo?" + "&".join("a=1" for _ in range(51)),
        None,
        (),
        (400, -32700, "PARSE_ERROR"),
    ),
    "a batch beyond its bound": (
        "GET",
        "/trpc/" + ",".join(["a"] * 6) + "?batch=1",
        None,
        (),
        (400, -32600, "BAD_REQUEST"),
    ),
    "10,000 calls": ("POST", "/trpc/" + "a," * 10_000 + "a?batch=1", b"{}", (), (400, -32600, "BAD_REQUEST")),
    "a batch of an array": (
        "POST",
        "/trpc/words.change,words.change?batch=1",
        b"[1,2]",
        (),
        (400, -32600, "BAD_REQUEST"),
    ),
    "a batch of no JSON": ("GET", "/trpc/words.echo?batch=1&input=%7B", None, (), (400, -32600, "BAD_REQUEST")),
    "parameters that are no object": (
        "GET",
        "/trpc/stream.plain?connectionParams=1",
        None,
        (("accept", "text/event-stream"),),
        (400, -32700, "PARSE_ERROR"),
    ),
}


@pytest.mark.parametrize(("method", "target", "body", "headers", "expected"), REFUSALS.values(), ids=REFUSALS)
async def test_refusals(
    client: TestClient,
    method: str,
    target: str,
    body: bytes | None,
    headers: tuple[tuple[str, str], ...],
    expected: tuple[int, int, str],
) -> None:
    fields = list(headers)
    if body is not None and not any(name == "content-type" for name, _ in headers):
        fields.append(("content-type", "application/json"))
    answer = await client.request(method, target, body=body, headers=[pair for pair in fields if pair[1]])
    assert refusal(answer) == expected
    assert answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize("fields", [[("origin", "https://evil.example")], [("sec-fetch-site", "cross-site")]])
async def test_pages_of_other_origins_may_not_write(client: TestClient, fields: list[tuple[str, str]]) -> None:
    headers = [("content-type", "application/json"), *fields]
    assert (await client.post("/trpc/words.change", body=b'{"text":"a"}', headers=headers)).status == 403


# Batches


async def test_a_batch_is_answered_in_order(client: TestClient) -> None:
    given = {"0": {"text": "a"}, "2": {"text": "c"}}
    answer = await client.get(asked("words.echo,stream.optional,words.echo", given, batch="1"))
    assert answer.status == 200
    assert [one["result"]["data"] for one in answer.json()] == [
        {"text": "a", "times": 0, "number_of_all": 0},
        "none",
        {"text": "c", "times": 0, "number_of_all": 0},
    ]


async def test_a_batch_of_one_and_of_none(client: TestClient) -> None:
    assert (await client.get("/trpc/stream.optional?batch=1")).body == b'[{"result":{"data":"none"}}]'
    assert (await client.post("/trpc/words.nothing?batch=1", json={})).body == b'[{"result":{}}]'


async def test_a_batch_of_mixed_outcomes(client: TestClient) -> None:
    answer = await client.get(asked("stream.optional,words.refused,words.change", {}, batch="1"))
    assert answer.status == 207
    ok, failed, wrong = answer.json()
    assert ok == {"result": {"data": "none"}}
    assert failed["error"]["data"]["path"] == "words.refused"
    assert wrong["error"]["data"]["code"] == "METHOD_NOT_SUPPORTED"
    both = await client.get(asked("words.refused,nothing", {}, batch="1"))
    assert (both.status, len(both.json())) == (404, 2)


async def test_indices_that_mean_nothing_are_ignored(client: TestClient) -> None:
    given = {"-1": {"word": "a"}, "99999999999999999999": {"word": "b"}, "0": {"word": "c"}, "x": 1}
    assert (await client.get(asked("stream.optional", given, batch="1"))).json() == [{"result": {"data": "c"}}]


async def test_leaving_cancels_a_batch(client: TestClient, stream: Stream) -> None:
    sink = client.open(
        "POST", "/trpc/stream.hangs,stream.hangs?batch=1", headers=[("content-type", "application/json")], body=b"{}"
    )
    assert stream.running == 2
    sink.leave()
    await ended(client)
    assert stream.running == 0


async def ended(client: TestClient) -> None:
    tasks = [call.task for call in client.site.runtime.suspended if call.task is not None]
    if tasks:
        await asyncio.wait(tasks)


# Lines


async def test_lines_come_as_they_are_ready(client: TestClient, stream: Stream) -> None:
    target = asked("stream.late,stream.optional,words.refused", {}, batch="1")
    sink = client.open("GET", target, headers=[("trpc-accept", "application/jsonl"), *ID])
    head, *first = (await sink.received()).split(b"\n")
    assert head == b'{"0":[[0],[null,0,0]],"1":[[0],[null,0,1]],"2":[[0],[null,0,2]]}'
    assert first[:3] == [
        b'[1,0,[[{"result":0}],["result",0,3]]]',
        b'[3,0,[[{"data":0}],["data",0,4]]]',
        b'[4,0,[["none"]]]',
    ]
    refused = json.loads(first[3])
    assert refused[:2] == [2, 0]
    assert refused[2][0][0]["error"]["data"]["code"] == "NOT_FOUND"
    stream.go_on.set()
    rest = b""
    while not sink.closed:
        rest += await sink.received()
    assert rest.replace(b" ", b"").split(b"\n")[:3] == [
        b'[0,0,[[{"result":0}],["result",0,5]]]',
        b'[5,0,[[{"data":0}],["data",0,6]]]',
        b'[6,0,[["late"]]]',
    ]
    assert (await sink.answer()).headers["content-type"] == "application/json"


async def test_undefined_in_lines(client: TestClient) -> None:
    headers = [("content-type", "application/json"), ("trpc-accept", "application/jsonl")]
    answer = await client.post("/trpc/words.nothing?batch=1", body=b"{}", headers=headers)
    assert answer.body.split(b"\n")[-2] == b"[2,0,[[]]]"


async def test_leaving_cancels_lines(client: TestClient, stream: Stream) -> None:
    headers = [("content-type", "application/json"), ("trpc-accept", "application/jsonl")]
    sink = client.open("POST", "/trpc/stream.hangs?batch=1", headers=headers, body=b"{}")
    assert stream.running == 1
    sink.leave()
    await ended(client)
    assert stream.running == 0


# Events

EVENTS = [("accept", "text/event-stream")]


async def test_events_to_their_end(client: TestClient) -> None:
    answer = await client.get("/trpc/stream.plain", headers=[*EVENTS, *ID])
    assert answer.status == 200
    assert answer.body == (b'event: connected\ndata: {}\n\ndata: "a"\n\ndata: "b"\n\nevent: return\ndata: \n\n')
    assert dict(answer.headers.items()) == {
        "content-type": "text/event-stream",
        "cache-control": "no-cache, no-transform",
        "x-accel-buffering": "no",
        "vary": "accept",
        "x-request-id": "r-1",
    }


@pytest.mark.parametrize(
    ("target", "headers"),
    [
        (asked("stream.count", {"to": 3}), [("last-event-id", "2")]),
        (asked("stream.count", {"to": 3}, lastEventId="2"), []),
        (asked("stream.count", {"to": 3, "lastEventId": "2"}), []),
        (asked("stream.count", {"to": 3, "lastEventId": 2}), []),
        (asked("stream.count", {"to": 3, "lastEventId": "0"}), [("last-event-id", "2")]),
    ],
)
async def test_tracked_events_go_on(client: TestClient, target: str, headers: list[tuple[str, str]]) -> None:
    answer = await client.get(target, headers=[*EVENTS, *headers])
    assert answer.body.split(b"\n\n")[1:-1] == [b"id: 3\ndata: 3", b"event: return\ndata: "]


async def test_an_error_is_an_event(client: TestClient) -> None:
    for target, said in (("/trpc/stream.breaks", "DRY"), (asked("stream.count", {}), "INVALID")):
        answer = await client.get(target, headers=EVENTS)
        assert answer.status == 200
        *_, last, rest = answer.body.split(b"\n\n")
        name, data = last.split(b"\n")
        assert (name, rest) == (b"event: serialized-error", b"")
        assert json.loads(data.removeprefix(b"data: "))["data"]["reason"] == said


async def test_a_silent_subscription_pings_until_it_is_left(client: TestClient, stream: Stream) -> None:
    sink = client.open("GET", "/trpc/stream.forEver", headers=EVENTS)
    got = b""
    while b"event: ping\ndata: \n\n" not in got:
        got += await sink.received()
    assert got.startswith(b"event: connected\ndata: {}\n\n")
    sink.leave()
    await ended(client)
    assert stream.running == 0


async def test_connection_parameters_become_metadata_and_replace_nothing(client: TestClient) -> None:
    parameters = {"authorization": "Bearer a", "x-hand": "left"}
    target = asked("stream.who", None, connectionParams=json.dumps(parameters))
    assert b'data: "Bearer a left"' in (await client.get(target, headers=EVENTS)).body
    headers = [*EVENTS, ("x-hand", "right")]
    assert b'data: "Bearer a right"' in (await client.get(target, headers=headers)).body


async def test_one_router_for_two_services_is_refused() -> None:
    class Other(Service, package="other", name="WordsService"):
        @query
        async def x(self) -> Word:
            return Word("")

    with pytest.raises(SchemaError, match="'words' in tRPC too"):
        TestClient(App(Words(), Other(), graphql=GraphqlOptions(path=None)))
