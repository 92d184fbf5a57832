"""The client over the polywire WebSocket protocol: all shapes, errors, credit, tokens, connections that are lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

import pytest

import polywire
from polywire import (
    App,
    Cancelled,
    DeadlineExceeded,
    History,
    Int32,
    InvalidArgument,
    InvalidInput,
    Message,
    NotFound,
    ResourceExhausted,
    Service,
    SocketSettings,
    SqliteBroker,
    Topic,
    Tracked,
    Unauthenticated,
    Unavailable,
    call_options,
    current_call,
    query,
)
from polywire.client.socket import link
from polywire.protocols.site import Site
from polywire.protocols.websocket.messages import AppInfo, Limits, Welcome
from polywire.protocols.websocket.protobuf_framing import ProtobufFraming
from polywire.server.serve import Server
from polywire.server.settings import ServerSettings
from polywire.service.options import WebSocketOptions
from polywire.topics import MemoryBroker
from polywire.wire.websocket import WebSocketEngine
from polywire.wire.websocket_key import accept_key
from tests.client.servers import until
from tests.live.server import Live, serve
from tests.live.service import Blob, Item, Lab, Size
from tests.topics.faults.proxy import Proxy

QUICK = SocketSettings(backoff_s=0.005, max_backoff_s=0.05, connect_timeout_s=2.0, poll_wait_s=0.5)


def over(transport: str, live: Live, **options: Any) -> polywire.SocketChannel:
    """A channel to a server by one transport."""
    settings = SocketSettings(transports=(transport,), backoff_s=0.005, max_backoff_s=0.05)  # type: ignore[arg-type]
    return polywire.connect_websocket(f"ws://{live.authority}", settings=settings, **options)


async def blobs(count: int, size: int = 0) -> AsyncIterator[Blob]:
    for number in range(count):
        yield Blob(text="x" * (size or number))


@pytest.fixture(params=["websocket", "http"])
def transport(request: pytest.FixtureRequest) -> str:
    return str(request.param)


async def test_one_message_each_way(live: Live, transport: str) -> None:
    async with over(transport, live) as channel:
        lab = channel.client(Lab)
        assert isinstance(lab, Lab)
        assert await lab.get_item("a") == Item("a", 0)
        assert await lab.get_item("a", 3) == await lab.get_item(name="a", count=3) == Item("a", 3)
        assert await lab.create_item(Item("b", tags=["x", "y"])) == Item("b", tags=["x", "y"])
        assert await lab.delete_item("a") is None  # type: ignore[func-returns-value]
        assert channel.transport == transport


async def test_streams_of_every_shape(live: Live, transport: str) -> None:
    async with over(transport, live) as channel:
        lab = channel.client(Lab)
        assert [one async for one in lab.stream(count=3, size=2)] == [Blob("xx")] * 3
        assert [one async for one in lab.stream(0)] == []
        assert len([one async for one in lab.stream(count=2000, size=100)]) == 2000
        assert await lab.total(blobs(10)) == Size(45, 0)
        assert await lab.total(blobs(0)) == Size(0, 0)
        assert [len(one.text) async for one in lab.echo(blobs(200))] == list(range(200))


async def test_a_stream_both_ways_goes_on_by_turns(live: Live) -> None:
    async with over("websocket", live) as channel:
        asked: asyncio.Queue[Blob | None] = asyncio.Queue()

        async def questions() -> AsyncIterator[Blob]:
            while (question := await asked.get()) is not None:
                yield question

        answers = channel.client(Lab).echo(questions())
        for number in range(5):
            asked.put_nowait(Blob(str(number)))
            assert (await anext(answers)).text == str(number)
        asked.put_nowait(None)
        assert await anext(answers, None) is None


async def test_errors_come_as_they_were_raised(live: Live, transport: str) -> None:
    async with over(transport, live) as channel:
        lab = channel.client(Lab)
        with pytest.raises(NotFound) as missing:
            await lab.get_item("missing")
        assert (missing.value.reason, missing.value.message) == ("ITEM_NOT_FOUND", "no such item: 100% «gone»\n")
        with pytest.raises(InvalidArgument) as bad:
            await lab.create_item(Item("bad"))
        assert [(one.field, one.reason) for one in bad.value.details] == [("item.name", "is bad")]
        stream = lab.stream_fails()
        assert await anext(stream) == Blob("one")
        with pytest.raises(InvalidArgument, match="in the middle"):
            await anext(stream)
        with pytest.raises(InvalidInput):
            await lab.create_item(Item(""))
        with pytest.raises(TypeError):
            await lab.get_item(nome="a")  # type: ignore[call-arg]


async def test_deadlines_and_metadata(live: Live, transport: str) -> None:
    async with over(transport, live, timeout_s=0.05) as channel:
        lab = channel.client(Lab)
        with pytest.raises(DeadlineExceeded):
            await lab.hangs()
        with pytest.raises(DeadlineExceeded):
            async for _ in lab.stream_waits():
                pass
        with call_options(timeout_s=5.0, metadata={"given": "Grüße"[:2]}):
            assert await lab.get_item("a") == Item("a", 0)
            # What is said where a stream is asked for holds for it, wherever it is read.
            with call_options(timeout_s=0.05):
                late = lab.stream_waits()
        assert await anext(late) == Blob("one")
        with pytest.raises(DeadlineExceeded):
            await anext(late)
        with pytest.raises(TypeError):
            lab.stream(size=1)
        await until(lambda: live.lab.running == 0)


async def test_what_its_caller_gives_up_is_cancelled(live: Live, transport: str) -> None:
    async with over(transport, live) as channel:
        lab = channel.client(Lab)
        call = asyncio.ensure_future(lab.hangs())
        await until(lambda: live.lab.running == 1)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await until(lambda: live.lab.cancelled == 1)
        stream = lab.stream_waits()
        assert await anext(stream) == Blob("one")
        await stream.aclose()  # type: ignore[attr-defined]
        await until(lambda: live.lab.cancelled == 2)
        stream = lab.stream_waits()
        await anext(stream)
        del stream
        await until(lambda: live.lab.cancelled == 3)


async def test_a_stream_that_is_not_read_holds_the_server_back(live: Live) -> None:
    async with over("websocket", live) as channel:
        lab = channel.client(Lab)
        stream = lab.stream(count=100_000, size=1)
        await anext(stream)
        # Others go on meanwhile.
        for _ in range(20):
            await lab.get_item("a")
        [call] = channel._session._link.calls.values()  # type: ignore[union-attr]
        assert len(call._results) < 64
        await stream.aclose()  # type: ignore[attr-defined]


async def test_the_end_of_the_channel_ends_its_calls(live: Live, transport: str) -> None:
    channel = over(transport, live)
    async with channel:
        lab = channel.client(Lab)
        call = asyncio.ensure_future(lab.hangs())
        await until(lambda: live.lab.running == 1)
    with pytest.raises(Cancelled):
        await call
    with pytest.raises(Cancelled):
        await lab.get_item("a")


async def test_a_message_longer_than_the_server_takes_is_not_sent(live: Live) -> None:
    async with over("websocket", live) as channel:
        with pytest.raises(ResourceExhausted, match="longer than the server takes"):
            await channel.client(Lab).size(Blob("x" * 2_000_000))


async def test_where_no_server_is_calls_fail_or_wait() -> None:
    async with running(App(Lab())) as first:
        port = first
    async with polywire.connect_websocket(f"ws://127.0.0.1:{port}", settings=QUICK) as channel:
        lab = channel.client(Lab)
        with pytest.raises(Unavailable, match="cannot be reached") as failed:
            await lab.get_item("a")
        assert "127.0.0.1" not in str(failed.value)
        patient = asyncio.ensure_future(channel.client(Lab, wait_for_ready=True).get_item("b"))
        async with running(App(Lab()), port=port):
            assert await patient == Item("b", 0)


# Tokens


async def authenticate(token: str | None, peer: object) -> str:
    if token != "right":
        raise Unauthenticated("who is that?", reason="BAD_TOKEN")
    return "anna"


async def test_tokens_are_asked_for_and_refused() -> None:
    app = App(Lab(), websocket=WebSocketOptions(authenticate=authenticate))
    async with running(app) as port:
        url = f"ws://127.0.0.1:{port}"
        only = SocketSettings(transports=("websocket",), backoff_s=0.005)
        async with polywire.connect_websocket(url, token="right", settings=only) as channel:
            assert await channel.client(Lab).get_item("a") == Item("a", 0)
        async with polywire.connect_websocket(url, token="wrong", settings=only) as channel:
            for _ in range(2):
                with pytest.raises(Unauthenticated, match=r"who is that\?") as caught:
                    await channel.client(Lab).get_item("a")
                assert caught.value.reason == "BAD_TOKEN"
        tokens = iter(["stale", "right"])

        async def token() -> str:
            return next(tokens)

        async with polywire.connect_websocket(url, token=token, settings=only) as channel:
            assert await channel.client(Lab).get_item("a") == Item("a", 0)


# What is lost


class Tick(Message):
    n: Int32


class Clock(Service, package="clock"):
    @query
    async def now(self) -> Tick:
        return Tick(0)


def make_topic(**options: Any) -> Topic[Tick]:
    return Topic("ticks.{lane}", Tick, history=History(count=100_000), **options)


@asynccontextmanager
async def running(app: App, **settings: Any) -> AsyncIterator[int]:
    """A server for a while; its port."""
    server = Server(Site(app), ServerSettings(**{"port": 0, "tick_s": 0.02, "drain_s": 0.02, **settings}))
    await server.start()
    try:
        yield server.port
    finally:
        await server.drain()


@asynccontextmanager
async def cutting(port: int, cut_s: float) -> AsyncIterator[Proxy]:
    proxy = Proxy(port, cut_s, Random(7))
    await proxy.start()
    proxy.begin()
    try:
        yield proxy
    finally:
        await proxy.stop()


async def read(events: Any, count: int, found: list[int] | None = None) -> list[int]:
    """So many messages of a topic, in which nothing may be missing."""
    found = [] if found is None else found
    async with aclosing(events):
        async for event in events:
            assert event.gap is None
            if event.data is not None:
                found.append(event.data.n)
            if len(found) == count:
                break
    return found


@pytest.mark.parametrize("transport", ["websocket", "http"])
async def test_a_topic_outlives_its_connections(transport: str) -> None:
    ticks = make_topic()
    settings = SocketSettings(
        transports=(transport,),  # type: ignore[arg-type]
        backoff_s=0.005,
        max_backoff_s=0.02,
    )
    async with (
        running(App(Clock(), topics=[ticks])) as port,
        cutting(port, 0.05) as proxy,
        polywire.connect_websocket(f"ws://127.0.0.1:{proxy.port}", settings=settings) as channel,
    ):
        events = channel.subscribe(ticks, lane="a")
        greeting = await anext(events)
        assert greeting.position == events.position
        found: list[int] = []
        reading = asyncio.ensure_future(read(events, -1, found))
        count = 0
        while proxy.cuts.total() < 5:
            await ticks.publish(Tick(count), lane="a")
            count += 1
            await asyncio.sleep(0.001)
        await until(lambda: len(found) == count, within_s=20)
        reading.cancel()
        assert found == list(range(count))


async def test_a_topic_outlives_its_server(tmp_path: Path) -> None:
    """Killed twice, with a history on disk: each message once and in order."""
    port = 0
    reading: asyncio.Future[list[int]] | None = None
    channel = None
    for life in range(3):
        ticks = make_topic()
        app = App(Clock(), topics=[ticks], broker=SqliteBroker(str(tmp_path / "topics.db")))
        async with running(app, port=port) as port:
            if channel is None:
                channel = polywire.connect_websocket(f"ws://127.0.0.1:{port}", settings=QUICK)
                await channel.__aenter__()
                events = channel.subscribe(ticks, lane="a")
                await anext(events)
                reading = asyncio.ensure_future(read(events, 300))
            for n in range(100):
                await ticks.publish(Tick(100 * life + n), lane="a")
    ticks = make_topic()
    app = App(Clock(), topics=[ticks], broker=SqliteBroker(str(tmp_path / "topics.db")))
    assert reading is not None
    assert channel is not None
    async with running(app, port=port):
        assert await asyncio.wait_for(reading, 20) == list(range(300))
        await channel.close()


async def test_a_restart_without_history_is_a_gap() -> None:
    port, channel, events = 0, None, None
    for _ in range(2):
        ticks = make_topic()
        async with running(App(Clock(), topics=[ticks], broker=MemoryBroker()), port=port) as port:
            if channel is None:
                channel = polywire.connect_websocket(f"ws://127.0.0.1:{port}", settings=QUICK)
                await channel.__aenter__()
                events = channel.subscribe(ticks, lane="a")
                assert (await anext(events)).gap is None
            else:
                assert events is not None
                event = await asyncio.wait_for(anext(events), 10)
                assert event.gap.reason.value == "EPOCH_CHANGED"
                await channel.close()


async def test_calls_that_only_ask_are_sent_again_and_others_are_not() -> None:
    class Slow(Service, package="slow"):
        def __init__(self) -> None:
            self.asked = self.done = 0
            self.go = asyncio.Event()

        @query
        async def ask(self) -> Int32:
            self.asked += 1
            await self.go.wait()
            return self.asked

        @polywire.mutation
        async def do(self) -> Int32:
            self.done += 1
            await self.go.wait()
            return self.done

    slow = Slow()
    async with running(App(slow)) as port:
        proxy = Proxy(port, 1000, Random(7))
        await proxy.start()
        only = SocketSettings(transports=("websocket",), backoff_s=0.005)
        async with polywire.connect_websocket(f"ws://127.0.0.1:{proxy.port}", settings=only) as channel:
            client = channel.client(Slow)
            asking, doing = asyncio.ensure_future(client.ask()), asyncio.ensure_future(client.do())
            await until(lambda: slow.asked == slow.done == 1)
            for pair in list(proxy.open):
                pair.reset()
            with pytest.raises(Unavailable) as lost:
                await doing
            assert lost.value.reason == "CONNECTION_LOST"
            await until(lambda: slow.asked == 2)
            slow.go.set()
            assert await asking == 2
        await proxy.stop()


async def test_a_server_that_drains_is_left_without_a_break() -> None:
    ticks = make_topic()
    app = App(Clock(), topics=[ticks], drain_s=5.0)
    async with running(app) as second_port:
        first = Server(Site(app), ServerSettings(port=0, tick_s=0.02))
        await first.start()
        ports = [first.port, second_port]

        async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            up_reader, up_writer = await asyncio.open_connection("127.0.0.1", ports[0])

            async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
                while data := await source.read(65536):
                    sink.write(data)
                sink.close()

            await asyncio.gather(pump(reader, up_writer), pump(up_reader, writer), return_exceptions=True)

        balancer = await asyncio.start_server(forward, "127.0.0.1", 0)
        port = balancer.sockets[0].getsockname()[1]
        async with polywire.connect_websocket(f"ws://127.0.0.1:{port}", settings=QUICK) as channel:
            events = channel.subscribe(ticks, lane="a")
            await anext(events)
            reading = asyncio.ensure_future(read(events, 20))
            for n in range(10):
                await ticks.publish(Tick(n), lane="a")
            ports.pop(0)
            draining = asyncio.ensure_future(first.drain())
            for n in range(10, 20):
                await ticks.publish(Tick(n), lane="a")
            assert await asyncio.wait_for(reading, 10) == list(range(20))
        await draining
        balancer.close()


class Numbers(Service, package="numbers"):
    """Counts up from wherever its reader was."""

    def __init__(self) -> None:
        self.began = 0
        self.tokens: list[str | None] = []

    @query
    async def count(self) -> AsyncIterator[Tracked[Tick]]:
        self.began += 1
        self.tokens.append(current_call().metadata.get("authorization"))
        n = int(current_call().resume_after or -1)
        while True:
            n += 1
            yield Tracked(str(n), Tick(n))

    @query
    async def fail(self) -> AsyncIterator[Tracked[Tick]]:
        self.began += 1
        yield Tracked("0", Tick(0))
        raise Unavailable("come back later")


@pytest.mark.parametrize("transport", ["websocket", "http"])
async def test_a_stream_that_waits_to_come_back_ends_with_its_channel(transport: str) -> None:
    settings = SocketSettings(transports=(transport,), backoff_s=30.0)  # type: ignore[arg-type]
    async with running(App(Numbers())) as port:
        channel = polywire.connect_websocket(f"ws://127.0.0.1:{port}", settings=settings)
        async with channel:
            stream = channel.client(Numbers).fail()
            assert await anext(stream) == Tick(0)
            waiting = asyncio.ensure_future(anext(stream))
            await until(lambda: channel._session._tasks)  # type: ignore[union-attr]
        with pytest.raises(Cancelled):
            await asyncio.wait_for(waiting, 5)


async def test_what_is_not_read_stays_bounded_over_any_number_of_connections() -> None:
    numbers = Numbers()
    settings = SocketSettings(transports=("websocket",), window=10, backoff_s=0.001)
    async with running(App(numbers)) as port:
        proxy = Proxy(port, 1000, Random(7))
        await proxy.start()
        async with polywire.connect_websocket(f"ws://127.0.0.1:{proxy.port}", settings=settings) as channel:
            stream: Any = channel.client(Numbers).count()
            read = [(await anext(stream)).n]
            for times in range(1, 12):
                for pair in list(proxy.open):
                    pair.reset()
                # It comes back when there is room, for no more than there is room for.
                read += [(await anext(stream)).n]
                await until(lambda: numbers.began > times and stream._call.link is not None)  # noqa: B023
                assert len(stream._call._results) <= 10
            read += [(await anext(stream)).n for _ in range(30)]
            assert read == list(range(42))
            await stream.aclose()
        await proxy.stop()


async def test_over_http_a_token_is_asked_for_each_time() -> None:
    numbers = Numbers()
    tokens = iter("abc")

    async def token() -> str:
        return next(tokens)

    settings = SocketSettings(transports=("http",), backoff_s=0.001)
    async with running(App(numbers)) as port:
        url = f"ws://127.0.0.1:{port}"
        async with polywire.connect_websocket(url, token=token, settings=settings) as channel:
            for _ in range(2):
                stream: Any = channel.client(Numbers).count()
                await anext(stream)
                await stream.aclose()
    assert numbers.tokens == ["Bearer b", "Bearer c"]


async def test_over_http_a_server_that_is_gone_is_not_asked_again_and_again() -> None:
    settings = SocketSettings(transports=("http",), backoff_s=30.0)
    async with running(App(Numbers())) as port:
        channel = polywire.connect_websocket(f"ws://127.0.0.1:{port}", settings=settings)
        await channel.__aenter__()
        stream: Any = channel.client(Numbers).count()
        await anext(stream)
        session: Any = channel._session
    # Its setback is the call's; whoever calls now finds that nobody is there.
    with pytest.raises(Unavailable):
        await asyncio.wait_for(channel.client(Numbers).fail().__anext__(), 5)
    assert channel.transport is None
    assert session._failures <= 1
    await channel.close()


# Servers that are not as they should be


@asynccontextmanager
async def closing_server(full: asyncio.Event | None = None) -> AsyncIterator[tuple[int, list[int]]]:
    """Closes with its welcome in the same packet, 1012; its port, and one for each connection.

    full: reads nothing, and closes when that is set.
    """
    engine = WebSocketEngine(1 << 20)
    limits = Limits(1 << 20, 128, 1 << 20)
    welcome = ProtobufFraming().welcome(Welcome(1, "s", "f", AppInfo("a", "1"), [], 15.0, limits))
    came: list[int] = []
    gone = asyncio.Event()

    async def serve_one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        came.append(1)
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        key = head.partition("Sec-WebSocket-Key: ")[2].partition("\r\n")[0]
        answer = f"upgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-accept: {accept_key(key)}\r\n"
        answer = f"HTTP/1.1 101 Welcome\r\n{answer}sec-websocket-protocol: polywire.v1.protobuf\r\n\r\n"
        writer.write(answer.encode() + engine.encode(welcome))
        if full is not None:
            writer.transport.pause_reading()  # type: ignore[attr-defined]
            await full.wait()
        writer.write(engine.encode_close(1012))
        await gone.wait()
        writer.close()

    server = await asyncio.start_server(serve_one, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1], came
    finally:
        gone.set()
        server.close()


async def test_a_server_that_closes_with_its_welcome_is_come_back_to() -> None:
    settings = SocketSettings(transports=("websocket",), backoff_s=0.005, max_backoff_s=0.02)
    async with (
        closing_server() as (port, came),
        polywire.connect_websocket(f"ws://127.0.0.1:{port}", settings=settings) as channel,
        asyncio.timeout(10),
    ):
        with pytest.raises(Unavailable):
            await channel.client(Lab).get_item("a")
        with call_options(wait_for_ready=True, timeout_s=0.2), pytest.raises(DeadlineExceeded):
            await channel.client(Lab).get_item("a")
        assert len(came) > 1


async def test_a_server_that_takes_nothing_does_not_keep_what_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link, "_CLOSING_S", 0.01)
    settings = SocketSettings(transports=("websocket",), backoff_s=60.0, max_backoff_s=60.0)
    full = asyncio.Event()
    async with (
        closing_server(full) as (port, _),
        polywire.connect_websocket(f"ws://127.0.0.1:{port}", settings=settings) as channel,
        asyncio.timeout(10),
    ):
        session: Any = channel._session
        call = asyncio.ensure_future(channel.client(Lab).total(blobs(10_000, 100_000)))
        await until(lambda: session._link is not None and not session._link._writable.is_set())
        full.set()
        with pytest.raises(Unavailable, match="lost"):
            await call
        await asyncio.gather(*[one.gone for one in session._open])


# Behind what does not let WebSockets through


@asynccontextmanager
async def no_upgrades(port: int) -> AsyncIterator[int]:
    """A proxy that answers a WebSocket's handshake with 400 and passes on the rest."""

    async def serve_one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        if b"upgrade: websocket" in head.lower():
            writer.write(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
            writer.close()
            return
        up_reader, up_writer = await asyncio.open_connection("127.0.0.1", port)
        up_writer.write(head)

        async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
            try:
                while data := await source.read(65536):
                    sink.write(data)
            finally:
                sink.close()

        await asyncio.gather(pump(reader, up_writer), pump(up_reader, writer), return_exceptions=True)

    server = await asyncio.start_server(serve_one, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


async def test_what_lets_no_websocket_through_is_passed_by_http() -> None:
    ticks = make_topic()
    async with (
        running(App(Lab(), topics=[ticks])) as port,
        no_upgrades(port) as proxied,
        polywire.connect_websocket(f"ws://127.0.0.1:{proxied}", settings=QUICK) as channel,
    ):
        assert await channel.client(Lab).get_item("a") == Item("a", 0)
        assert channel.transport == "http"
        events = channel.subscribe(ticks, lane="a")
        await anext(events)
        for n in range(5):
            await ticks.publish(Tick(n), lane="a")
        assert await read(events, 5) == list(range(5))


async def test_a_topic_whose_events_are_held_back_is_polled() -> None:
    ticks = make_topic()
    settings = SocketSettings(transports=("http",), greeting_timeout_s=0.05, poll_wait_s=0.2)

    async with running(App(Lab(), topics=[ticks])) as port:

        async def serve_one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            """Keeps event streams to itself."""
            up_reader, up_writer = await asyncio.open_connection("127.0.0.1", port)
            held = False

            async def up() -> None:
                nonlocal held
                while data := await reader.read(65536):
                    held = held or b"text/event-stream" in data
                    up_writer.write(data)
                up_writer.close()

            async def down() -> None:
                while data := await up_reader.read(65536):
                    if not held:
                        writer.write(data)
                writer.close()

            await asyncio.gather(up(), down(), return_exceptions=True)

        server = await asyncio.start_server(serve_one, "127.0.0.1", 0)
        proxied = server.sockets[0].getsockname()[1]
        # More than the server gives at a time: "from now on" is behind all of them.
        for n in range(-1100, 0):
            await ticks.publish(Tick(n), lane="a")
        async with polywire.connect_websocket(f"ws://127.0.0.1:{proxied}", settings=settings) as channel:
            assert await read(channel.subscribe(ticks, lane="a", last=3), 3) == [-3, -2, -1]
            events = channel.subscribe(ticks, lane="a")
            await anext(events)
            reading = asyncio.ensure_future(read(events, 30))
            for n in range(30):
                await ticks.publish(Tick(n), lane="a")
                await asyncio.sleep(0.005)
            assert await asyncio.wait_for(reading, 10) == list(range(30))
        server.close()


async def test_a_poll_that_is_not_held_is_not_asked_again_at_once() -> None:
    asked = 0

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """As a cache that holds the first page for ever; event streams stay silent."""
        nonlocal asked
        while head := await reader.readuntil(b"\r\n\r\n"):
            if b"text/event-stream" in head:
                await reader.read()
                break
            length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
            await reader.readexactly(int(length or 0))
            asked += b"/History" in head
            page = b'{"events":[],"position":"e:0","gap":null}'
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(page), page))
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    settings = SocketSettings(transports=("http",), greeting_timeout_s=0.01)
    url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with polywire.connect_websocket(url, settings=settings) as channel:
        events = channel.subscribe(make_topic(), lane="a")
        await anext(events)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(read(events, 1), 0.3)
        assert asked == 2, "from where on, and what is new"
    server.close()


def test_addresses_and_settings_that_cannot_be() -> None:
    for url in ("http://a:1", "ws://", "ws://a:1/#x", "ws://u:p@a:1"):
        with pytest.raises(ValueError, match=r"leads nowhere|more than"):
            polywire.connect_websocket(url)
    with pytest.raises(ValueError, match="clear text"):
        polywire.connect_websocket("ws://a:1", ca_file="ca.pem")
    with pytest.raises(ValueError, match="transports"):
        SocketSettings(transports=("smoke",))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="window"):
        SocketSettings(window=0)


async def test_nothing_is_left_behind() -> None:
    before = asyncio.all_tasks()
    with serve() as live:
        for transport in ("websocket", "http"):
            async with over(transport, live) as channel:
                await channel.client(Lab).get_item("a")
        assert asyncio.all_tasks() == before
