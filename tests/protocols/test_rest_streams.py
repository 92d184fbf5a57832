"""Streams over REST as callers see them: lines of JSON and server-sent events, byte by byte."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import pytest

from polywire import App, DeadlineExceeded, SchemaError, Service, Tracked, query
from polywire.errors import IDLE, MALFORMED, NOT_ACCEPTABLE
from polywire.protocols.rest.negotiation import EVENT_STREAM, NDJSON, accepted_stream
from polywire.testing import TestClient
from polywire.testing.memory import HIGH_WATER_BYTES
from polywire.wire.sse import COMMENT

from .ticks import EVENTS, LIMIT, Ticks, authenticate, ended, error_of, lines, until


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


# Out, as lines


async def test_lines(client: TestClient) -> None:
    answer = await client.get("/ticks/3", headers=[("x-request-id", "r-1")])
    assert answer.status == 200
    assert answer.body == b'{"number":0,"text":""}\n{"number":1,"text":""}\n{"number":2,"text":""}\n'
    assert dict(answer.headers.items()) == {
        "content-type": "application/x-ndjson",
        "x-content-type-options": "nosniff",
        "cache-control": "no-cache, no-transform",
        "x-accel-buffering": "no",
        "vary": "accept",
        "x-request-id": "r-1",
    }


async def test_no_lines(client: TestClient) -> None:
    answer = await client.get("/ticks/0")
    assert (answer.status, answer.body, answer.headers["content-type"]) == (200, b"", NDJSON)


async def test_lines_of_bare_values_and_of_tracked_ones(client: TestClient) -> None:
    assert (await client.get("/numbers")).body == b"1\n2\n"
    assert [tick["number"] for tick in lines((await client.get("/tracked")).body)] == [1, 2, 3]


async def test_the_declared_status_and_a_body_in(client: TestClient) -> None:
    answer = await client.post("/ticks", json={"number": 7})
    assert (answer.status, lines(answer.body)) == (202, [{"number": 7, "text": ""}])
    assert error_of(await client.post("/ticks", json={"number": -1})) == (422, "INVALID_ARGUMENT", "INVALID")
    headers = [("content-type", "text/plain")]
    assert (await client.post("/ticks", body=b"{}", headers=headers)).status == 415


@pytest.mark.parametrize("form", [NDJSON, EVENT_STREAM])
async def test_an_error_before_the_first_item_is_an_http_error(client: TestClient, form: str) -> None:
    answer = await client.get("/fails/0", headers=[("accept", form), ("x-request-id", "r-2")])
    assert error_of(answer) == (404, "NOT_FOUND", "TOLD_TO")
    assert answer.headers["content-type"] == "application/json"
    assert (answer.headers["x-request-id"], answer.headers["retry-after"]) == ("r-2", "3")
    answer = await client.get("/ticks/1", headers=[("accept", form), ("authorization", "Bearer wrong")])
    assert error_of(answer) == (401, "UNAUTHENTICATED", None)


async def test_an_error_after_it_is_the_last_line(client: TestClient) -> None:
    answer = await client.get("/fails/2", headers=[("x-request-id", "r-3")])
    assert answer.status == 200
    first, second, last = lines(answer.body)
    assert [first["number"], second["number"]] == [0, 1]
    assert last == {
        "error": {
            "code": "NOT_FOUND",
            "reason": "TOLD_TO",
            "message": "told to\nfail",
            "details": [],
            "request_id": "r-3",
        }
    }


@pytest.mark.parametrize("path", ["/fails/1?kind=bug", "/wrong/1"])
@pytest.mark.parametrize("form", [NDJSON, EVENT_STREAM])
async def test_what_was_not_foreseen_is_told_to_nobody(
    client: TestClient, path: str, form: str, caplog: pytest.LogCaptureFixture
) -> None:
    answer = await client.get(path, headers=[("accept", form)])
    assert answer.status == 200
    assert b'"code":"INTERNAL","message":"internal error"' in answer.body
    assert b"secret" not in answer.body
    assert b'"number":0' in answer.body
    assert len(caplog.records) == 1


async def test_a_wrong_first_item_is_an_http_error(client: TestClient, caplog: pytest.LogCaptureFixture) -> None:
    assert error_of(await client.get("/wrong/0")) == (500, "INTERNAL", None)
    assert len(caplog.records) == 1


# Out, as events


async def test_events(client: TestClient) -> None:
    answer = await client.get("/ticks/2", headers=[*EVENTS, ("x-request-id", "r-4")])
    assert answer.status == 200
    assert answer.body == (
        b'data: {"number":0,"text":""}\n\ndata: {"number":1,"text":""}\n\nevent: end\nid: :end\ndata: {}\n\n'
    )
    assert dict(answer.headers.items()) == {
        "content-type": "text/event-stream",
        "cache-control": "no-cache, no-transform",
        "x-accel-buffering": "no",
        "vary": "accept",
        "x-request-id": "r-4",
    }


async def test_events_have_the_positions_of_their_items(client: TestClient, service: Ticks) -> None:
    answer = await client.get("/tracked", headers=EVENTS)
    assert answer.body.startswith(b'id: 1\ndata: {"number":1,"text":""}\n\nid: 2\ndata: ')
    events = [event async for event in client.events("GET", "/tracked", after="2")]
    assert [(event.id, event.value["number"]) for event in events] == [("3", 3)]
    assert service.resumed == [None, "2"]


async def test_who_has_seen_the_end_is_told_to_stay_away(client: TestClient, service: Ticks) -> None:
    headers = [("last-event-id", ":end"), ("x-request-id", "r-5")]
    answer = await client.get("/tracked", headers=[*EVENTS, *headers])
    assert (answer.status, answer.body, service.resumed) == (204, b"", [])
    assert answer.headers["x-request-id"] == "r-5"
    answer = await client.get("/ticks/1", headers=headers)
    assert (answer.status, len(lines(answer.body))) == (200, 1), "no browser asks for lines"


@pytest.mark.parametrize(("kind", "id"), [("NotFound", "id: :end\n"), ("Denied", "id: :end\n"), ("Unavailable", "")])
async def test_a_failure_is_an_event(client: TestClient, kind: str, id: str) -> None:
    """After one that another try will not mend, a browser does not come back."""
    answer = await client.get(f"/fails/1?kind={kind}", headers=[*EVENTS, ("x-request-id", "r-6")])
    _, failure, rest = answer.text.split("\n\n")
    head, _, data = failure.rpartition("data: ")
    assert (head, rest) == (f"event: failure\n{id}", "")
    assert json.loads(data)["error"]["reason"] == "TOLD_TO"
    assert json.loads(data)["error"]["request_id"] == "r-6"


async def test_heartbeats_keep_a_silent_stream_alive(service: Ticks) -> None:
    async with TestClient(App(service, heartbeat_s=0.002, sse_retry_s=None)) as client:
        sink = client.open("GET", "/before", headers=EVENTS)
        assert sink._answer.status == 0
        assert await sink.received() == COMMENT, "with the head, though no item has come"
        assert (sink._answer.status, sink._answer.headers["content-type"]) == (200, EVENT_STREAM)
        assert await sink.received() == COMMENT
        service.go.set()
        answer = await sink.answer()
        assert answer.body.replace(COMMENT, b"").startswith(b'data: {"number":1')
        assert not client.site.runtime.heartbeats._beating
        plain = client.open("GET", "/before")
        assert not client.site.runtime.heartbeats._beating, "lines have nothing to say that says nothing"
        await plain.answer()


async def test_heartbeats_do_not_pile_up_before_one_who_takes_nothing() -> None:
    class Flood(Service, package="flood"):
        @query("GET /flood")
        async def flood(self) -> AsyncIterator[str]:
            while True:
                yield "x" * 10_000

    async with TestClient(App(Flood())) as client:
        sink = client.open("GET", "/flood", headers=EVENTS, paused=True)
        queued = sink.buffered_out_bytes
        assert queued > 0
        for _ in range(3):
            client.site.runtime.heartbeats._tick()
        assert sink.buffered_out_bytes == queued
        sink.leave()
        await ended(client)


async def test_heartbeats_end_with_a_caller_that_left(service: Ticks) -> None:
    service.running = 0
    async with TestClient(App(service)) as client:
        sink = client.open("GET", "/waits", headers=EVENTS)
        assert len(client.site.runtime.heartbeats._beating) == 1
        sink.leave()
        await ended(client)
        assert not client.site.runtime.heartbeats._beating


# Which of the two


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        ("*/*", NDJSON),
        ("application/*", NDJSON),
        (NDJSON, NDJSON),
        ("application/ndjson", NDJSON),
        ("application/jsonl", NDJSON),
        ("text/event-stream", EVENT_STREAM),
        ("Text/Event-Stream", EVENT_STREAM),
        ("text/event-stream, */*;q=0.1", EVENT_STREAM),
        ("text/event-stream, */*", EVENT_STREAM),
        ("text/event-stream;q=0.5, application/x-ndjson", NDJSON),
        ("text/event-stream;q=0, */*", NDJSON),
        ("text/*", None),
        ("text/html", None),
        ("application/json", None),
        ("application/x-ndjson;q=0", None),
        ("", None),
    ],
)
async def test_accept(client: TestClient, accept: str, form: str | None) -> None:
    assert accepted_stream(accept) == form
    answer = await client.get("/ticks/1", headers=[("accept", accept)])
    if form is None:
        assert error_of(answer) == (406, "INVALID_ARGUMENT", NOT_ACCEPTABLE)
        assert NDJSON in answer.json()["error"]["message"]
        assert EVENT_STREAM in answer.json()["error"]["message"]
    else:
        assert (answer.status, answer.headers["content-type"]) == (200, form)


@pytest.mark.parametrize("form", [NDJSON, EVENT_STREAM])
async def test_head(client: TestClient, service: Ticks, form: str) -> None:
    answer = await client.request("HEAD", "/ticks/5", headers=[("accept", form), ("x-request-id", "r-7")])
    assert (answer.status, answer.body, service.made) == (200, b"", 0)
    assert (answer.headers["content-type"], answer.headers["x-request-id"]) == (form, "r-7")
    assert "content-length" not in answer.headers


# While it goes on


async def test_items_go_out_as_they_come(client: TestClient, service: Ticks) -> None:
    sink = client.open("GET", "/waits")
    assert lines(await sink.received()) == [{"number": 1, "text": ""}]
    assert sink._answer.headers["x-color"] == "red", "metadata goes with the head"
    service.go.set()
    assert lines(await sink.received()) == [{"number": 2, "text": ""}]
    assert (await sink.answer()).status == 200


async def test_the_head_alone(client: TestClient, service: Ticks) -> None:
    sink = client.open("GET", "/early-head")
    assert (sink._answer.status, sink._answer.headers["x-color"]) == (200, "red")
    service.go.set()
    (last,) = lines((await sink.answer()).body)
    assert last["error"]["code"] == "NOT_FOUND"


@pytest.mark.parametrize("form", [NDJSON, EVENT_STREAM])
async def test_a_slow_reader_holds_the_handler_back(client: TestClient, service: Ticks, form: str) -> None:
    sink = client.open("GET", "/ticks/1000?size=1000", headers=[("accept", form)], paused=True)
    for _ in range(20):
        await asyncio.sleep(0)
    assert sink.buffered_out_bytes < HIGH_WATER_BYTES + 1100
    assert service.made < 70
    sink.resume()
    answer = await sink.answer()
    assert answer.body.count(b'"number"') == 1000


@pytest.mark.parametrize("form", [NDJSON, EVENT_STREAM])
@pytest.mark.parametrize("paused", [False, True])
async def test_a_caller_that_leaves_ends_the_handler(
    client: TestClient, service: Ticks, form: str, paused: bool
) -> None:
    path = "/ticks/1000000?size=1000" if paused else "/waits"
    sink = client.open("GET", path, headers=[("accept", form)], paused=paused)
    await until(lambda: service.running == 1)
    sink.leave()
    await ended(client)
    assert service.running == 0


@pytest.mark.parametrize("form", [NDJSON, EVENT_STREAM])
async def test_a_deadline_is_for_the_whole_stream(client: TestClient, form: str) -> None:
    read = client.stream if form == NDJSON else client.events
    stream = read("GET", "/waits", headers=[("request-timeout", "0.02")])
    await anext(stream)
    with pytest.raises(DeadlineExceeded) as caught:
        await anext(stream)
    assert caught.value.reason is None
    await ended(client)


async def test_a_deadline_before_the_first_item(client: TestClient, service: Ticks) -> None:
    answer = await client.get("/before", headers=[("request-timeout", "0.01")])
    assert error_of(answer) == (504, "DEADLINE_EXCEEDED", None)
    await ended(client)


async def test_a_stream_that_stands_still(client: TestClient) -> None:
    answer = await client.get("/silent")
    first, last = lines(answer.body)
    assert (first["number"], last["error"]["code"], last["error"]["reason"]) == (1, "DEADLINE_EXCEEDED", IDLE)
    await ended(client)


async def test_a_bad_time_out(client: TestClient) -> None:
    answer = await client.get("/ticks/1", headers=[("request-timeout", "soon")])
    assert error_of(answer) == (400, "INVALID_ARGUMENT", MALFORMED)


async def test_stopping_ends_the_stream_properly(service: Ticks) -> None:
    async with TestClient(App(service)) as client:
        sink = client.open("GET", "/waits")
    first, last = lines((await sink.answer()).body)
    assert (first["number"], last["error"]["code"]) == (1, "UNAVAILABLE")


async def test_browsers_are_told_when_to_come_back(service: Ticks) -> None:
    async with TestClient(App(service, sse_retry_s=2.0)) as client:
        bodies = [(await client.get("/ticks/1", headers=EVENTS)).text for _ in range(20)]
        as_lines = (await client.get("/ticks/1")).text
    waits = {int(body.removeprefix("retry: ").partition("\n")[0]) for body in bodies}
    assert len(waits) > 1, "not all at once"
    assert all(1000 <= wait <= 3000 for wait in waits)
    assert "retry" not in as_lines


class Stocks(Service, package="stocks"):
    @query("GET /api/stock-updates", event="stock-update")
    async def updates(self) -> AsyncIterator[Tracked[str]]:
        yield Tracked("7", "ACME")


async def test_events_with_a_name() -> None:
    async with TestClient(App(Stocks(), sse_retry_s=None)) as client:
        answer = await client.get("/api/stock-updates", headers=EVENTS)
    first = answer.text.partition("\n\n")[0]
    assert first == 'event: stock-update\nid: 7\ndata: "ACME"'


@pytest.mark.parametrize("event", ["", "a\nb", "end", "failure", "error", "open"])
def test_names_that_events_cannot_have(event: str) -> None:
    with pytest.raises(SchemaError, match="no name for events"):
        query("GET /x", event=event)


def test_a_single_answer_is_no_event() -> None:
    with pytest.raises(SchemaError, match="event= is for streams"):

        class One(Service, package="stocks"):
            @query("GET /x", event="x")
            async def x(self) -> str:
                return ""
