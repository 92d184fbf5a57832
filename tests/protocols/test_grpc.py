"""gRPC as callers see it: heads, messages, trailers, streams."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator, Iterable
from types import SimpleNamespace
from typing import Any

import pytest

from polywire import (
    App,
    Call,
    Cancelled,
    Code,
    Int32,
    Invoke,
    MalformedInput,
    Message,
    NotFound,
    ResourceExhausted,
    Service,
    Unauthenticated,
    current_call,
    mutation,
    query,
)
from polywire.errors import TOO_LARGE
from polywire.http.exchange import Exchange
from polywire.protocols.rpc.framing import SMALLEST_COMPRESSED_BYTES, frame, message_splitter
from polywire.protocols.streams import MessageReader
from polywire.runtime.call import UNKNOWN_PEER
from polywire.runtime.metrics import Metrics
from polywire.runtime.runtime import Runtime
from polywire.testing import Answer, MemorySink, TestClient
from polywire.testing.memory import HIGH_WATER_BYTES

LIMIT = 5000


class Word(Message):
    text: str
    times: Int32 = 0


class Words(Service, package="grpc"):
    def __init__(self) -> None:
        self.made = 0
        self.closed = 0
        self.finished = asyncio.Event()

    @query
    async def echo(self, word: Word) -> Word:
        return word

    @query
    async def decorated(self) -> Word:
        call = current_call()
        call.response_metadata.add("x-cost", "3")
        call.response_metadata.add("trace-bin", b"\xff")
        call.trailers.add("x-rows", "7")
        return Word("w")

    @query
    async def refused(self) -> Word:
        call = current_call()
        call.response_metadata.add("x-cost", "3")
        call.trailers.add("x-rows", "7")
        raise NotFound("100% é", reason="NO_WORD", metadata={"Retry-After": "3"})

    @query
    async def unsendable(self, what: str) -> Word:
        raise NotFound("secret", details=[object()] if what == "details" else (), metadata={"x": "a\r\nb"})

    @query
    async def timeout(self) -> float | None:
        return current_call().timeout_s

    @mutation
    async def nothing(self) -> None: ...

    @query
    async def repeat(self, word: Word) -> AsyncIterator[Word]:
        try:
            for number in range(word.times):
                self.made += 1
                yield Word(word.text, number)
        finally:
            self.closed += 1

    @mutation(on_disconnect="finish")
    async def repeat_to_the_end(self, word: Word) -> AsyncIterator[Word]:
        for number in range(word.times):
            self.made += 1
            yield Word(word.text, number)
        self.finished.set()

    @query
    async def breaks(self, word: Word) -> AsyncIterator[Word]:
        current_call().response_metadata.add("x-cost", "3")
        yield word
        current_call().trailers.add("x-rows", "1")
        raise NotFound("no more words", reason="DRY")

    @mutation
    async def join(self, words: AsyncIterator[Word]) -> Word:
        return Word(" ".join([word.text async for word in words]))

    @mutation
    async def first(self, words: AsyncIterator[Word]) -> Word:
        async for word in words:
            return word
        raise NotFound("no word came")

    @mutation
    async def mirror(self, words: AsyncIterator[Word]) -> AsyncIterator[Word]:
        try:
            async for word in words:
                yield word
        finally:
            self.closed += 1


@pytest.fixture
def service() -> Words:
    return Words()


@pytest.fixture
async def client(service: Words) -> AsyncIterator[TestClient]:
    async with TestClient(App(service, max_request_bytes=LIMIT)) as client:
        yield client
        assert client.site.open_calls == 0


W = b"\x0a\x01w"
"""Word("w")."""
HEAD = {"content-type": "application/grpc", "grpc-accept-encoding": "identity,gzip,zstd,br"}


def open_call(
    client: TestClient,
    method: str,
    body: bytes | None = None,
    headers: Iterable[tuple[str, str]] = (),
    *,
    content_type: str = "application/grpc",
    version: str = "2",
    verb: str = "POST",
    more: bool = False,
) -> MemorySink:
    fields = [("content-type", content_type), ("te", "trailers"), *headers]
    return client.open(verb, f"/grpc.Words/{method}", headers=fields, body=body, version=version, more=more)


async def call(
    client: TestClient, method: str, body: bytes, headers: Iterable[tuple[str, str]] = (), **options: Any
) -> Answer:
    return await open_call(client, method, body, headers, **options).answer()


# Heads, trailers and bodies


async def test_an_answer(client: TestClient) -> None:
    answer = await call(client, "Echo", frame(W))
    assert (answer.status, answer.body) == (200, frame(W))
    assert dict(answer.headers.items()) == HEAD
    assert answer.trailers.items() == [("grpc-status", "0")]


async def test_metadata_goes_before_and_after(client: TestClient) -> None:
    answer = await call(client, "Decorated", frame(b""))
    assert dict(answer.headers.items()) == {**HEAD, "x-cost": "3", "trace-bin": "/w"}
    assert answer.trailers.items() == [("grpc-status", "0"), ("x-rows", "7")]


async def test_an_error_with_metadata_has_a_head_and_trailers(client: TestClient) -> None:
    answer = await call(client, "Refused", frame(b""), [("x-request-id", "id-1")])
    assert (answer.status, answer.body) == (200, b"")
    assert answer.headers["x-cost"] == "3"
    fields = dict(answer.trailers.items())
    assert fields.pop("grpc-status-details-bin")
    assert fields == {
        "grpc-status": "5",
        "grpc-message": "100%25 %C3%A9",
        "retry-after": "3",
        "x-rows": "7",
        "x-request-id": "id-1",
    }


async def test_an_error_without_any_is_trailers_only(client: TestClient) -> None:
    answer = await call(client, "First", b"")
    assert (answer.status, answer.body, answer.trailers.items()) == (200, b"", [])
    assert answer.headers["grpc-status"] == "5"


@pytest.mark.parametrize("method", ["Refused", "Breaks"])
async def test_the_access_log_knows_the_request_by_the_same_id(client: TestClient, method: str) -> None:
    """Also where the caller gave none: unary, and as a stream."""
    seen: list[str] = []
    client.site._observers.append(lambda exchange: seen.append(exchange.request_id))
    answer = await call(client, method, frame(b""))
    fields = answer.trailers if "grpc-status" in answer.trailers else answer.headers
    assert seen == [fields["x-request-id"]]


@pytest.mark.parametrize("what", ["details", "metadata"])
async def test_an_error_that_cannot_be_sent_is_internal(client: TestClient, what: str) -> None:
    answer = await call(client, "Unsendable", frame(b"\x0a" + bytes([len(what)]) + what.encode()))
    assert (answer.headers["grpc-status"], answer.headers["grpc-message"]) == ("13", "internal error")
    assert "secret" not in repr(answer.headers)


async def test_an_empty_result_is_an_empty_message(client: TestClient) -> None:
    answer = await call(client, "Nothing", frame(b""))
    assert (answer.body, answer.trailers["grpc-status"]) == (frame(b""), "0")


@pytest.mark.parametrize(
    ("content_type", "answered"),
    [
        ("application/grpc", "application/grpc"),
        ("application/grpc+proto", "application/grpc+proto"),
        ("application/grpc;charset=utf-8", "application/grpc"),
        ("application/grpc+proto ; x=y", "application/grpc+proto"),
        ("application/grpc+PROTO", "application/grpc+proto"),
    ],
)
async def test_content_types(client: TestClient, content_type: str, answered: str) -> None:
    answer = await call(client, "Echo", frame(W), content_type=content_type)
    assert (answer.headers["content-type"], answer.trailers["grpc-status"]) == (answered, "0")


async def test_messages_in_json(client: TestClient) -> None:
    answer = await call(client, "Echo", frame(b'{"text":"w"}'), content_type="application/grpc+json")
    assert answer.headers["content-type"] == "application/grpc+json"
    assert answer.body[5:] == b'{"text":"w"}'


@pytest.mark.parametrize(
    ("options", "status"),
    [
        ({"content_type": "application/grpc+thrift"}, 415),
        ({"content_type": "application/grpc-web+thrift"}, 415),
        ({"content_type": "application/grpcx"}, 415),
        ({"version": "1.1"}, 415),
        ({"verb": "PUT"}, 405),
    ],
)
async def test_what_is_not_grpc_is_told_in_http(client: TestClient, options: dict[str, Any], status: int) -> None:
    answer = await call(client, "Echo", frame(W), **options)
    assert answer.status == status
    assert "grpc-status" not in answer.headers


async def test_an_unknown_method(client: TestClient) -> None:
    answer = await call(client, "Nowhere", frame(W))
    assert (answer.status, answer.headers["grpc-status"]) == (200, "12")


# What goes wrong with messages


@pytest.mark.parametrize(
    ("body", "headers", "code"),
    [
        (b"", [], Code.UNIMPLEMENTED),
        (frame(W) + frame(W), [], Code.UNIMPLEMENTED),
        (frame(W)[:-1], [], Code.INVALID_ARGUMENT),
        (frame(b"\x0a\xff"), [], Code.INVALID_ARGUMENT),
        (frame(b"x" * (LIMIT + 1)), [], Code.RESOURCE_EXHAUSTED),
        (b"\1" + frame(W)[1:], [], Code.INTERNAL),
        (frame(W), [("grpc-encoding", "deflate")], Code.UNIMPLEMENTED),
        (frame(W), [("grpc-timeout", "1s")], Code.INVALID_ARGUMENT),
    ],
)
@pytest.mark.parametrize("method", ["Echo", "Repeat"])
async def test_bad_requests(
    client: TestClient, method: str, body: bytes, headers: list[tuple[str, str]], code: Code
) -> None:
    answer = await call(client, method, body, headers)
    assert (answer.status, answer.headers["grpc-status"]) == (200, str(int(code)))
    if headers and headers[0][0] == "grpc-encoding":
        assert answer.headers["grpc-accept-encoding"] == "identity,gzip,zstd,br"
    if code is Code.RESOURCE_EXHAUSTED:
        assert str(LIMIT) in answer.headers["grpc-message"]


@pytest.mark.parametrize("method", ["Echo", "Join", "Repeat"])
async def test_a_compressed_request(client: TestClient, method: str) -> None:
    packed = gzip.compress(W)
    body = b"\1" + len(packed).to_bytes(4) + packed
    answer = await call(client, method, body, [("grpc-encoding", "gzip")])
    assert answer.trailers["grpc-status"] == "0"
    assert answer.body == (b"" if method == "Repeat" else frame(W))


@pytest.mark.parametrize("method", ["Echo", "Join"])
@pytest.mark.parametrize("size", [10, SMALLEST_COMPRESSED_BYTES])
@pytest.mark.parametrize("accepted", [None, "identity,gzip,zstd,br"])
async def test_a_compressed_answer(client: TestClient, method: str, size: int, accepted: str | None) -> None:
    message = b"\x0a" + _varint(size) + b"x" * size
    headers = [] if accepted is None else [("grpc-accept-encoding", accepted)]
    answer = await call(client, method, frame(message), headers)
    if accepted is not None and size >= SMALLEST_COMPRESSED_BYTES:
        assert answer.headers["grpc-encoding"] == "gzip"
        assert answer.body[0] == 1
        assert gzip.decompress(answer.body[5:]) == message
    else:
        assert answer.body == frame(message)


def _varint(number: int) -> bytes:
    return bytes([number]) if number < 128 else bytes([number & 127 | 128, number >> 7])


async def test_the_callers_timeout_reaches_the_call(client: TestClient) -> None:
    assert await client.grpc("grpc.Words/Timeout", timeout_s=2.5) == 2.5
    assert await client.grpc("grpc.Words/Timeout") == 30.0


# Streams


async def test_a_stream_out(client: TestClient) -> None:
    answer = await call(client, "Repeat", frame(b"\x0a\x01w\x10\x03"))
    assert answer.body == frame(W) + frame(W + b"\x10\x01") + frame(W + b"\x10\x02")
    assert dict(answer.headers.items()) == HEAD
    assert answer.trailers.items() == [("grpc-status", "0")]


async def test_a_stream_that_is_empty_has_a_head_all_the_same(client: TestClient) -> None:
    answer = await call(client, "Repeat", frame(W))
    assert (answer.body, dict(answer.headers.items()), answer.trailers["grpc-status"]) == (b"", HEAD, "0")


async def test_an_error_in_the_middle_is_told_in_trailers(client: TestClient) -> None:
    answer = await call(client, "Breaks", frame(W))
    assert answer.body == frame(W)
    assert answer.headers["x-cost"] == "3"
    assert "grpc-status" not in answer.headers
    assert (answer.trailers["grpc-status"], answer.trailers["x-rows"]) == ("5", "1")
    assert "content-type" not in answer.trailers


async def test_a_slow_caller_holds_the_producer_back(client: TestClient, service: Words) -> None:
    words = 1000
    sink = open_call(client, "Repeat", more=True)
    sink.paused = True
    sink.feed(frame(b"\x0a\xe8\x07" + b"x" * 1000 + b"\x10\xe8\x07"), end=True)
    await asyncio.sleep(0)
    held = service.made
    assert held <= HIGH_WATER_BYTES / 1000 + 1
    for _ in range(5):
        await asyncio.sleep(0)
    assert service.made == held, "it waits"
    assert service.closed == 0
    sink.resume()
    assert (await sink.answer()).trailers["grpc-status"] == "0"
    assert (service.made, service.closed) == (words, 1)


async def test_a_caller_that_leaves_while_it_is_slow_ends_the_stream(client: TestClient, service: Words) -> None:
    sink = open_call(client, "Repeat", more=True)
    sink.paused = True
    sink.feed(frame(b"\x0a\xe8\x07" + b"x" * 1000 + b"\x10\xe8\x07"), end=True)
    (suspended,) = client.site.runtime.suspended
    sink.leave()
    assert suspended.task is not None
    await asyncio.wait({suspended.task})
    assert service.made < 100
    assert service.closed == 1
    assert suspended.cancel_code is Code.CANCELLED


async def test_unless_the_method_is_to_finish(
    client: TestClient, service: Words, caplog: pytest.LogCaptureFixture
) -> None:
    sink = open_call(client, "RepeatToTheEnd", more=True)
    sink.paused = True
    sink.feed(frame(b"\x0a\xe8\x07" + b"x" * 1000 + b"\x10\xe8\x07"), end=True)
    assert client.site.open_calls == 1
    sink.leave()
    turns = 0
    async with asyncio.timeout(5):
        while not service.finished.is_set():
            turns += 1
            await asyncio.sleep(0)
    assert service.made == 1000
    assert turns > 500, "nobody waits for what it sends, and still others get their turns"
    assert not caplog.records, "that a caller leaves is no failure"


async def test_a_stream_in(client: TestClient) -> None:
    words = [Word("a"), {"text": "b"}, Word("c")]
    assert await client.grpc("grpc.Words/Join", words) == Word("a b c")
    assert await client.grpc("grpc.Words/Join", []) == Word("")


async def test_an_answer_before_the_stream_in_ends(client: TestClient) -> None:
    sink = open_call(client, "First", more=True)
    sink.feed(frame(W) + frame(W)[:3])
    answer = await sink.answer()
    assert (answer.body, answer.trailers["grpc-status"]) == (frame(W), "0")
    sink.feed(frame(W)[3:], end=True)


async def test_each_way_at_once(client: TestClient, service: Words) -> None:
    sink = open_call(client, "Mirror", more=True)
    for text in (b"a", b"b"):
        message = frame(b"\x0a\x01" + text)
        sink.feed(message)
        assert await sink.received() == message
    sink.feed(b"", end=True)
    assert await sink.received() == b""
    assert (await sink.answer()).trailers["grpc-status"] == "0"
    assert service.closed == 1


async def test_a_caller_that_leaves_ends_both_ways(client: TestClient, service: Words) -> None:
    sink = open_call(client, "Mirror", more=True)
    (suspended,) = client.site.runtime.suspended
    sink.leave()
    assert suspended.task is not None
    await asyncio.wait({suspended.task})
    assert service.closed == 1


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (frame(W) + b"\0\0", Code.INVALID_ARGUMENT),
        (frame(W) + frame(W)[:-1], Code.INVALID_ARGUMENT),
        (frame(W) + b"\2" + frame(W)[1:], Code.INVALID_ARGUMENT),
        (frame(W) + frame(b"\x0a\xff"), Code.INVALID_ARGUMENT),
        (frame(W) + b"\0\xff\xff\xff\xff", Code.RESOURCE_EXHAUSTED),
    ],
)
async def test_a_stream_in_that_goes_wrong(client: TestClient, body: bytes, code: Code) -> None:
    answer = await call(client, "Join", body)
    assert answer.headers["grpc-status"] == str(int(code))
    mirrored = await call(client, "Mirror", body)
    assert (mirrored.body, mirrored.trailers["grpc-status"]) == (frame(W), str(int(code)))


# MessageReader by itself


def reader(*, body: bytes | None = None, limit: int = LIMIT) -> tuple[MemorySink, MessageReader]:
    sink = MemorySink("POST", "/x", body=body, version="2", more=body is None)
    exchange = Exchange(sink, UNKNOWN_PEER)
    call = Call(SimpleNamespace(timeout_s=None, idle_s=None), exchange)  # type: ignore[arg-type]
    return sink, MessageReader(Runtime(App(Words()), Metrics()), call, exchange, message_splitter(limit), bytes, bytes)


@pytest.mark.parametrize("step", [1, 2, 3, 4, 5, 6, 7, 100])
async def test_messages_do_not_align_with_what_arrives(step: int) -> None:
    messages = [b"", b"a", b"bc" * 20, b""]
    body = b"".join(map(frame, messages))
    sink, messages_in = reader()
    got: list[bytes] = []

    async def read() -> None:
        got.extend([message async for message in messages_in])

    task = asyncio.create_task(read())
    for start in range(0, len(body), step):
        sink.feed(body[start : start + step])
        await asyncio.sleep(0)
    sink.feed(b"", end=True)
    await task
    assert got == messages
    assert sink.granted_bytes == len(body)


async def test_what_is_too_large_is_refused_before_it_comes() -> None:
    sink, messages = reader(limit=10)
    sink.feed(frame(b"x" * 11)[:5])
    with pytest.raises(ResourceExhausted) as caught:
        await anext(messages)
    assert caught.value.reason == TOO_LARGE
    assert sink.granted_bytes == 5


async def test_a_cancelled_read_loses_nothing() -> None:
    sink, messages = reader()
    sink.feed(frame(b"abc")[:6])
    task = asyncio.ensure_future(anext(messages))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait({task})
    sink.feed(frame(b"abc")[6:], end=True)
    assert await anext(messages) == b"abc"
    with pytest.raises(StopAsyncIteration):
        await anext(messages)


async def test_a_caller_that_left() -> None:
    sink, messages = reader()
    sink.leave()
    with pytest.raises(Cancelled):
        await anext(messages)


async def test_the_end_within_a_message() -> None:
    for body in (frame(b"abc")[:3], frame(b"abc")[:7]):
        _, messages = reader(body=body)
        with pytest.raises(MalformedInput):
            await anext(messages)


async def test_interceptors_are_for_the_services_of_the_app_alone() -> None:
    async def refuse(call: Call, proceed: Invoke) -> Any:
        raise Unauthenticated("a token is needed")

    class Echo(Service, package="guarded"):
        @query
        async def echo(self, text: str) -> str:
            return text

    async with TestClient(App(Echo(), interceptors=[refuse])) as client:
        with pytest.raises(Unauthenticated):
            await client.grpc("guarded.Echo/Echo", {"text": "x"})
        headers = [("content-type", "application/grpc"), ("te", "trailers")]
        path = "/grpc.health.v1.Health/Check"
        answer = await client.request("POST", path, headers=headers, body=bytes(5), version="2")
        assert answer.trailers["grpc-status"] == "0"
