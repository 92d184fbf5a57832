"""Messages that never become whole share one budget, whoever sends them and however."""

from __future__ import annotations

import asyncio
import base64
import gzip
import itertools
from collections.abc import AsyncIterator, Callable

import pytest

from polywire import App, Int32, Message, Service, mutation
from polywire.errors import OVERLOADED
from polywire.protocols.rpc.framing import frame, frame_compressed
from polywire.testing import Answer, MemorySink, TestClient

KIBIBYTE = 1024
BUDGET = 100 * KIBIBYTE
PIECE = 30 * KIBIBYTE
GRPC = [("content-type", "application/grpc"), ("te", "trailers")]
JSON = [("content-type", "application/json")]
Pairs = tuple[tuple[str, str], ...]
LINES = [("content-type", "application/x-ndjson")]


class Part(Message):
    text: str = ""


class Parts(Service, package="pending"):
    @mutation("POST /v1/one")
    async def one(self, text: str) -> Int32:
        return len(text)

    @mutation("POST /v1/many")
    async def many(self, parts: AsyncIterator[Part]) -> Int32:
        return sum([len(part.text) async for part in parts])

    @mutation("POST /v1/two")
    async def two(self, parts: AsyncIterator[Part]) -> Int32:
        """Stops reading after two."""
        await anext(parts)
        return len((await anext(parts)).text)


def protobuf(size: int) -> bytes:
    return b"\x0a" + bytes([size & 127 | 128, size >> 7 & 127 | 128, size >> 14]) + b"x" * size


def json_of(size: int) -> bytes:
    return b'{"text":"' + b"x" * size + b'"}'


async def turns() -> None:
    """A test's own task feeds, so handlers go on in the next turns."""
    for _ in range(3):
        await asyncio.sleep(0)


async def ended(client: TestClient) -> None:
    """Wait until no handler runs any more."""
    tasks = [call.task for call in client.site.runtime.suspended if call.task is not None]
    if tasks:
        await asyncio.wait(tasks)


class Way:
    """One way to send a message: it begins with `first`, and `rest` makes it whole."""

    def __init__(self, target: str, headers: list[tuple[str, str]], data: bytes, before: bytes = b"") -> None:
        self.target = target
        self.headers = headers
        self.before = before
        self.first, self.rest = data[:PIECE], data[PIECE:]
        self.version = "2" if headers is GRPC else "1.1"

    async def open(self, client: TestClient, headers: Pairs = ()) -> MemorySink:
        sink = client.open(
            "POST", self.target, headers=[*self.headers, *headers], body=self.before, version=self.version, more=True
        )
        sink.feed(self.first)
        await turns()
        return sink


SIZE = PIECE + 100
WAYS = {
    "unary-grpc": Way("/pending.Parts/One", GRPC, frame(protobuf(SIZE))),
    "unary-rest": Way("/v1/one", JSON, json_of(SIZE)),
    "stream-grpc": Way("/pending.Parts/Many", GRPC, frame(protobuf(SIZE)), frame(protobuf(1))),
    "stream-rest": Way("/v1/many", LINES, json_of(SIZE), json_of(1) + b"\n"),
}
each_way = pytest.mark.parametrize("way", WAYS.values(), ids=WAYS.keys())


@pytest.fixture
async def client() -> AsyncIterator[TestClient]:
    async with TestClient(App(Parts(), max_pending_bytes=BUDGET)) as client:
        yield client
        assert held(client) == 0


def held(client: TestClient) -> int:
    return client.site.runtime.pending.held_bytes


def check_ok(answer: Answer) -> None:
    assert answer.status == 200
    assert answer.trailers.get("grpc-status") in (None, "0")


def check_overloaded(answer: Answer) -> None:
    if answer.headers.get("content-type") == "application/grpc":
        assert answer.headers["grpc-status"] == "14"
        assert OVERLOADED.encode() in base64.b64decode(answer.headers["grpc-status-details-bin"] + "==")
    else:
        assert answer.status == 503
        assert answer.json()["error"]["reason"] == OVERLOADED


@each_way
async def test_the_call_that_wants_more_is_refused_and_the_others_go_on(client: TestClient, way: Way) -> None:
    sinks = [await way.open(client) for _ in range(3)]
    assert 3 * PIECE - 100 <= held(client) <= 3 * PIECE
    check_overloaded(await (await way.open(client)).answer())
    assert held(client) <= 3 * PIECE
    check_ok(await client.post("/v1/one", body=json_of(SIZE), headers=JSON))
    for sink in sinks:
        sink.feed(way.rest, end=True)
        check_ok(await sink.answer())


@each_way
async def test_no_way_to_end_keeps_any_of_it(client: TestClient, way: Way) -> None:
    """Sixty calls, of which three would fit."""
    endings: list[Callable[[MemorySink], None]] = [
        lambda sink: sink.feed(way.rest, end=True),
        lambda sink: sink.feed(b"", end=True),
        MemorySink.leave,
        lambda sink: None,
    ]
    for end, _ in itertools.product(endings, range(5)):
        sink = await way.open(client, (("grpc-timeout", "5m"), ("request-timeout", "0.005")))
        assert held(client) >= PIECE - 100
        end(sink)
        try:
            await sink.answer()
        except ConnectionResetError:
            await asyncio.sleep(0)
        await ended(client)
        assert held(client) == 0


async def test_a_method_that_stops_reading_in_the_middle_of_a_message(client: TestClient) -> None:
    for target, headers, message in (
        ("/pending.Parts/Two", GRPC, frame(protobuf(200))),
        ("/v1/two", LINES, json_of(200) + b"\n"),
    ):
        version = "2" if headers is GRPC else "1.1"
        sink = client.open("POST", target, headers=headers, body=message, version=version, more=True)
        sink.feed(message + message[:100])
        assert held(client) in (0, 100)
        check_ok(await sink.answer())
        assert held(client) == 0


async def test_a_line_above_the_limit_is_kept_no_longer() -> None:
    async with TestClient(App(Parts(), max_request_bytes=KIBIBYTE)) as client:
        sink = client.open("POST", "/v1/many", headers=LINES, more=True)
        sink.feed(b"x" * KIBIBYTE)
        await turns()
        assert held(client) == KIBIBYTE
        sink.feed(b"xxx")
        assert (await sink.answer()).status == 413
        assert held(client) == 0


async def test_what_waits_to_be_decompressed_counts_too(client: TestClient) -> None:
    """Its turn has not come, and its peer has credit for more."""
    noise = bytes(range(256)) * 4
    zipped = gzip.compress(noise, 0)
    client.site.runtime.turns.wait(lambda: None)
    grpc = [*GRPC, ("grpc-encoding", "gzip")]
    packed = b"\1" + len(zipped).to_bytes(4) + zipped
    call = client.open("POST", "/pending.Parts/One", headers=grpc, body=packed, version="2")
    assert held(client) == len(packed)
    rest = client.open("POST", "/v1/one", headers=[*JSON, ("content-encoding", "gzip")], body=zipped)
    assert held(client) == len(packed) + len(zipped)
    left = client.open("POST", "/v1/one", headers=[*JSON, ("content-encoding", "gzip")], body=zipped)
    left.leave()
    assert held(client) == len(packed) + len(zipped)
    for sink in (call, rest):
        await sink.answer()
    assert held(client) == 0


async def test_beyond_the_budget_nothing_waits_for_its_turn() -> None:
    packed = frame_compressed("gzip", protobuf(SIZE))
    async with TestClient(App(Parts(), max_pending_bytes=len(packed) - 1)) as client:
        headers = [*GRPC, ("grpc-encoding", "gzip")]
        check_ok(await client.request("POST", "/pending.Parts/One", body=packed, headers=headers, version="2"))
        client.site.runtime.turns.wait(lambda: None)
        sink = client.open("POST", "/pending.Parts/One", headers=headers, body=packed, version="2")
        check_overloaded(await sink.answer())
        client.site.runtime.turns.wait(lambda: None)
        zipped = gzip.compress(json_of(200_000))
        sink = client.open("POST", "/v1/one", headers=[*JSON, ("content-encoding", "gzip")], body=zipped)
        check_overloaded(await sink.answer())
