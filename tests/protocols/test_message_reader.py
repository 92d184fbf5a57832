"""Messages are split and credited as they are read, and what a call holds goes with it."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import AsyncIterator, Callable, Iterator
from types import SimpleNamespace

import pytest

from polywire import App, Call, Cancelled, Int32, Message, Service, current_call, mutation, query
from polywire.http.exchange import Exchange
from polywire.protocols.rest.lines import LineSplitter
from polywire.protocols.rpc.framing import frame, message_splitter
from polywire.protocols.streams import MessageReader, Splitter
from polywire.runtime.call import UNKNOWN_PEER
from polywire.runtime.metrics import Metrics
from polywire.runtime.runtime import Runtime
from polywire.testing import MemorySink, TestClient

BATCH = 256
GRPC = [("content-type", "application/grpc")]
LINES = [("content-type", "application/x-ndjson")]


class Part(Message):
    text: str = ""


class Parts(Service, package="parts"):
    def __init__(self) -> None:
        self.calls: list[weakref.ref[Call]] = []
        self.started = asyncio.Event()
        self.go_on = asyncio.Event()

    def note(self) -> None:
        self.calls.append(weakref.ref(current_call()))
        self.started.set()

    @mutation("POST /v1/count")
    async def count(self, parts: AsyncIterator[Part]) -> Int32:
        self.note()
        count = 0
        async for _ in parts:
            count += 1
        return count

    @mutation("POST /v1/first")
    async def first(self, parts: AsyncIterator[Part]) -> str:
        """Stops reading in the middle."""
        self.note()
        async for part in parts:
            return part.text
        return ""

    @mutation("POST /v1/echo")
    async def echo(self, parts: AsyncIterator[Part]) -> AsyncIterator[Part]:
        self.note()
        async for part in parts:
            yield part

    @mutation("POST /v1/stubborn")
    async def stubborn(self, parts: AsyncIterator[Part]) -> Int32:
        """Reads on after it was cancelled."""
        try:
            async for _ in parts:
                pass
        except asyncio.CancelledError:
            self.started.set()
            await self.go_on.wait()
            with pytest.raises(Cancelled):
                await anext(parts)
            self.started.clear()
        return 0

    @mutation("POST /v1/wait")
    async def wait(self, text: str) -> str:
        self.note()
        await self.go_on.wait()
        return text

    @query("GET /v1/feed")
    async def feed(self) -> AsyncIterator[Part]:
        self.note()
        current_call().send_metadata()
        yield Part("a")
        await self.go_on.wait()


@pytest.fixture
def runtime() -> Runtime:
    return Runtime(App(Parts()), Metrics())


def reader(runtime: Runtime, splitter: Splitter) -> tuple[MemorySink, MessageReader]:
    sink = MemorySink("POST", "/x", version="2", more=True)
    exchange = Exchange(sink, UNKNOWN_PEER)
    call = Call(SimpleNamespace(timeout_s=None, idle_s=None), exchange)  # type: ignore[arg-type]
    unpack = None if isinstance(splitter, LineSplitter) else bytes
    return sink, MessageReader(runtime, call, exchange, splitter, bytes, unpack)


@pytest.mark.parametrize(
    ("make", "message"), [(message_splitter, frame(b"")), (LineSplitter, b"1\n")], ids=["envelopes", "lines"]
)
async def test_credit_comes_in_steps_as_messages_are_read(
    runtime: Runtime, make: Callable[[int], Splitter], message: bytes
) -> None:
    """All of it was split and credited before the first was read: 3 MB for 256 KiB."""
    sink, messages = reader(runtime, make(100))
    count = 10 * BATCH + 5
    sink.feed(message * count)
    for number in range(count):
        await anext(messages)
        assert len(messages._ready) <= BATCH
        assert sink.granted_bytes == number // BATCH * BATCH * len(message)
    sink.feed(b"", end=True)
    with pytest.raises(StopAsyncIteration):
        await anext(messages)
    assert sink.granted_bytes == count * len(message)


async def test_an_unfinished_message_gets_credit_after_those_before_it(runtime: Runtime) -> None:
    sink, messages = reader(runtime, message_splitter(1000))
    sink.feed(frame(b"a") + frame(b"b" * 500)[:100])
    assert await anext(messages) == b"a"
    assert (sink.granted_bytes, runtime.pending.held_bytes) == (0, 100)
    rest = asyncio.ensure_future(anext(messages))
    await asyncio.sleep(0)
    assert sink.granted_bytes == 106
    sink.feed(frame(b"b" * 500)[100:300])
    await asyncio.sleep(0)
    assert (sink.granted_bytes, runtime.pending.held_bytes) == (306, 300)
    sink.feed(frame(b"b" * 500)[300:])
    assert await rest == b"b" * 500
    assert (sink.granted_bytes, runtime.pending.held_bytes) == (306, 0)


async def test_a_handler_that_outlives_its_call_reads_no_more() -> None:
    """Not even an end, which it could take for that of all messages."""
    service = Parts()
    async with TestClient(App(service)) as client:
        sink = client.open("POST", "/v1/stubborn", headers=[*LINES, ("request-timeout", "0.01")], body=b"{}", more=True)
        assert (await sink.answer()).status == 504
        await service.started.wait()
        assert client.site.runtime.pending.held_bytes == 0
        service.go_on.set()
        await ended(client)
        assert not service.started.is_set()


@pytest.fixture
def no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


BODY = frame(b"\x0a\x01a") * 3


@pytest.mark.parametrize("ending", ["whole", "left", "deadline"])
@pytest.mark.parametrize("method", ["Count", "First", "Echo", "Feed", "Wait"])
async def test_a_call_over_grpc_goes_when_it_ends(no_collector: None, method: str, ending: str) -> None:
    service = Parts()
    async with TestClient(App(service)) as client:
        headers = [*GRPC, ("grpc-timeout", "1m" if ending == "deadline" else "10S")]
        one = method in ("Feed", "Wait")
        body = (frame(b"") if method == "Feed" else frame(b"\x0a\x01a")) if one else BODY + frame(b"\x0a\x01a")[:4]
        sink = client.open("POST", f"/parts.Parts/{method}", headers=headers, body=body, version="2", more=not one)
        await service.started.wait()
        await end(client, service, sink, ending, frame(b"\x0a\x01a")[4:])


@pytest.mark.parametrize("ending", ["whole", "left", "deadline"])
@pytest.mark.parametrize("method", ["count", "first", "echo", "feed", "wait"])
async def test_a_call_over_rest_goes_when_it_ends(no_collector: None, method: str, ending: str) -> None:
    service = Parts()
    async with TestClient(App(service)) as client:
        headers = [("request-timeout", "0.001" if ending == "deadline" else "10")]
        if method == "feed":
            sink = client.open("GET", "/v1/feed", headers=[*headers, ("accept", "text/event-stream")])
        elif method == "wait":
            headers.append(("content-type", "application/json"))
            sink = client.open("POST", "/v1/wait", headers=headers, body=b'{"text":"a"}')
        else:
            body = b'{"text":"a"}\n{"text'
            sink = client.open("POST", f"/v1/{method}", headers=[*headers, *LINES], body=body, more=True)
        await service.started.wait()
        await end(client, service, sink, ending, b'":"a"}\n')


async def ended(client: TestClient) -> None:
    """Wait until no handler runs any more."""
    tasks = [call.task for call in client.site.runtime.suspended if call.task is not None]
    if tasks:
        await asyncio.wait(tasks)


async def end(client: TestClient, service: Parts, sink: MemorySink, ending: str, rest: bytes) -> None:
    if ending == "whole":
        service.go_on.set()
        if not sink.ended:
            sink.feed(rest, end=True)
    elif ending == "left":
        sink.leave()
    try:
        await sink.answer()
    except ConnectionResetError:
        assert ending == "left"
    await ended(client)
    del sink
    for _ in range(3):
        await asyncio.sleep(0)
    (call,) = service.calls
    assert call() is None
    assert client.site.runtime.pending.held_bytes == 0
