"""WebSockets of the user's own, `@app.websocket(...)`: messages, ends of both sides, and handlers of all kinds."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

import pytest

from polywire import App, SchemaError, Service, SocketClosed, WebSocket, current_call, query
from polywire.service.options import WebSocketOptions
from polywire.testing import TestClient
from polywire.testing.websocket import SocketRefused
from polywire.wire.websocket import WebSocketEngine


class Ping(Service, package="raw"):
    @query("GET /echo")
    async def ping(self) -> str:
        return "pong"


Handler = Callable[[WebSocket], Awaitable[None]]


@pytest.fixture
def app() -> App:
    return App(Ping(), drain_s=0.0)


@pytest.fixture(params=["1.1", "2"])
def version(request: pytest.FixtureRequest) -> str:
    return str(request.param)


async def echo(ws: WebSocket) -> None:
    async for message in ws:
        await ws.send(message)


@pytest.mark.parametrize("is_lost", [False, True])
async def test_what_was_sent_is_counted_however_it_ends(app: App, is_lost: bool) -> None:
    app.websocket("/echo")(echo)
    told: list[int] = []
    async with TestClient(app) as client:
        client.site._observers.append(lambda exchange: told.append(exchange.sent_body_bytes))
        async with client.websocket("/echo") as ws:
            for _ in range(3):
                ws.send("ten bytes.")
                await ws.receive()
            assert told == []
            if is_lost:
                ws.leave()
            else:
                ws.close(1000)
                await ws.closed()
        assert told == [3 * 12 + (0 if is_lost else 4)]


async def test_text_and_bytes_come_back_as_they_are(app: App, version: str) -> None:
    app.websocket("/echo")(echo)
    async with TestClient(app) as client, client.websocket("/echo", version=version) as ws:
        for message in ("text", b"\x00bytes", "", b"", "ünïcode"):
            ws.send(message)
            assert await ws.receive() == message
        ws.close(1000, "done")
        assert await ws.closed() == (1000, "")


async def test_a_path_may_be_a_route_too(app: App) -> None:
    app.websocket("/echo")(echo)
    async with TestClient(app) as client:
        assert (await client.get("/echo")).text == '"pong"'


async def test_what_came_before_a_close_is_answered(app: App) -> None:
    app.websocket("/echo")(echo)
    async with TestClient(app) as client, client.websocket("/echo") as ws:
        peer = WebSocketEngine(1000, is_client=True)
        ws.send_raw(peer.encode("one") + peer.encode("two") + peer.encode_close())
        assert await ws.receive() == "one"
        assert await ws.receive() == "two"
        assert await ws.closed() == (1000, "")


@pytest.mark.parametrize("count", [1, 31, 32, 33, 100])
async def test_a_handler_ends_with_a_close_right_behind_what_it_has_yet_to_take(app: App, count: int) -> None:
    taken: list[str | bytes] = []
    ended = asyncio.Event()

    @app.websocket("/slow", grace_s=3600)
    async def slow(ws: WebSocket) -> None:
        async for message in ws:
            taken.append(message)
            await asyncio.sleep(0)
        ended.set()

    async with TestClient(app) as client, client.websocket("/slow") as ws, asyncio.timeout(5):
        peer = WebSocketEngine(1000, is_client=True)
        ws.send_raw(peer.encode("x") * count + peer.encode_close())
        assert await ws.closed() == (1000, "")
        await ended.wait()
        assert len(taken) == count


async def test_what_a_handler_sees_of_its_peer(app: App) -> None:
    seen: list[object] = []

    @app.websocket("/rooms/{room}/{rest*}", subprotocols=("chat.v2", "chat.v1"))
    async def room(ws: WebSocket) -> None:
        seen.extend((ws.parameters, ws.path, ws.query, ws.subprotocol, ws.metadata.get("cookie"), ws.closed))
        with pytest.raises(LookupError):
            current_call()
        seen.append(ws.request_id)

    headers = [("cookie", "a=b"), ("x-request-id", "mine")]
    offered = ("chat.v1", "chat.v2")
    async with (
        TestClient(app) as client,
        client.websocket("/rooms/a%20b/c/d?x=1", subprotocols=offered, headers=headers) as ws,
    ):
        assert ws.subprotocol == "chat.v2"
        assert await ws.closed() == (1000, "")
    parameters = {"room": "a b", "rest": "c/d"}
    assert seen == [parameters, "/rooms/a%20b/c/d", "x=1", "chat.v2", "a=b", None, "mine"]


@pytest.mark.parametrize("offered", [(), ("chat.v3",)])
async def test_who_speaks_none_of_the_subprotocols_is_refused(app: App, offered: tuple[str, ...]) -> None:
    app.websocket("/chat", subprotocols=["chat.v1", "chat.v2"])(echo)
    async with TestClient(app) as client:
        with pytest.raises(SocketRefused) as refused:
            async with client.websocket("/chat", subprotocols=offered):
                pass
        assert refused.value.answer.status == 400
        assert refused.value.answer.text == "sec-websocket-protocol must offer one of chat.v1, chat.v2\n"


async def test_the_end_of_a_handler_closes(app: App) -> None:
    @app.websocket("/hello")
    async def hello(ws: WebSocket) -> None:
        await ws.send("hello")

    async with TestClient(app) as client, client.websocket("/hello") as ws:
        assert await ws.receive() == "hello"
        assert await ws.closed() == (1000, "")


async def test_a_handler_closes_with_its_own_code(app: App) -> None:
    outcome: asyncio.Future[tuple[int, str] | None] = asyncio.get_running_loop().create_future()

    @app.websocket("/hello")
    async def hello(ws: WebSocket) -> None:
        ws.close(4321, "enough")
        with pytest.raises(SocketClosed, match="4321 enough"):
            await ws.receive()
        with pytest.raises(SocketClosed) as closed:
            await ws.send("too late")
        outcome.set_result((closed.value.code, closed.value.reason))

    async with TestClient(app) as client, client.websocket("/hello") as ws:
        assert await ws.closed() == (4321, "enough")
    assert await outcome == (4321, "enough")


async def test_a_handler_that_fails_says_nothing_but_that(app: App, caplog: pytest.LogCaptureFixture) -> None:
    @app.websocket("/broken")
    async def broken(ws: WebSocket) -> None:
        await ws.receive()
        raise RuntimeError("secret")

    async with TestClient(app) as client, client.websocket("/broken", headers=[("x-request-id", "r1")]) as ws:
        ws.send("go")
        assert await ws.closed() == (1011, "internal error")
    [record] = [r for r in caplog.records if r.levelno == logging.ERROR]
    assert record.getMessage() == "the WebSocket endpoint /broken failed (request r1)"
    assert "secret" in str(record.exc_info)


async def test_to_send_what_is_no_message_is_an_error_of_the_handler(
    app: App, caplog: pytest.LogCaptureFixture
) -> None:
    @app.websocket("/broken")
    async def broken(ws: WebSocket) -> None:
        await ws.send({"json": 1})  # type: ignore[arg-type]

    async with TestClient(app) as client, client.websocket("/broken") as ws:
        assert (await ws.closed())[0] == 1011
    assert "TypeError" in str(caplog.records[-1].exc_info)


class Watch:
    """Tells how a handler ended."""

    def __init__(self) -> None:
        self.ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def run(self, work: Awaitable[object]) -> None:
        try:
            await work
        except BaseException as error:
            self.ended.set_result(type(error).__name__)
            raise
        self.ended.set_result("returned")


async def test_a_peer_that_leaves_ends_the_iteration(app: App, caplog: pytest.LogCaptureFixture) -> None:
    watch = Watch()

    @app.websocket("/echo")
    async def handler(ws: WebSocket) -> None:
        await watch.run(echo(ws))
        assert ws.closed == (1006, "")

    async with TestClient(app) as client, client.websocket("/echo") as ws:
        ws.send("one")
        await ws.receive()
        ws.leave()
        assert await watch.ended == "returned"
    assert not caplog.records


async def test_a_peer_that_leaves_cancels_a_handler_that_waits_for_something_else(app: App) -> None:
    watch = Watch()

    @app.websocket("/wait", grace_s=0.001)
    async def handler(ws: WebSocket) -> None:
        await ws.send(await ws.receive())
        await watch.run(asyncio.Event().wait())

    async with TestClient(app) as client, client.websocket("/wait") as ws:
        ws.send("one")
        await ws.receive()
        ws.leave()
        assert await watch.ended == "CancelledError"
        assert not client.site.runtime.suspended


async def test_what_came_before_the_end_is_still_worked_off(app: App) -> None:
    """The peer says goodbye while the handler is busy with its first message."""
    go, done = asyncio.Event(), asyncio.Event()
    seen: list[str | bytes] = []

    @app.websocket("/jobs")
    async def handler(ws: WebSocket) -> None:
        async for message in ws:
            await go.wait()
            seen.append(message)
        done.set()

    async with TestClient(app) as client, client.websocket("/jobs") as ws:
        for number in range(3):
            ws.send(str(number))
        ws.close(1000)
        assert await ws.closed() == (1000, "")
        go.set()
        await done.wait()
    assert seen == ["0", "1", "2"]


async def test_a_peer_that_leaves_ends_a_handler_of_two_tasks(app: App, caplog: pytest.LogCaptureFixture) -> None:
    """One receives, the other sends what comes from elsewhere: neither is left running."""
    watch = Watch()

    @app.websocket("/both", grace_s=0.001)
    async def handler(ws: WebSocket) -> None:
        async def both() -> None:
            async with asyncio.TaskGroup() as group:
                group.create_task(echo(ws))
                group.create_task(asyncio.Event().wait())

        await watch.run(both())

    async with TestClient(app) as client, client.websocket("/both") as ws:
        ws.send("one")
        assert await ws.receive() == "one"
        ws.leave()
        assert await watch.ended == "CancelledError"
    assert not caplog.records


async def test_sending_on_after_the_peer_has_left_is_no_failure(app: App, caplog: pytest.LogCaptureFixture) -> None:
    gone = asyncio.Event()

    @app.websocket("/late")
    async def handler(ws: WebSocket) -> None:
        with pytest.raises(SocketClosed):
            await ws.receive()
        gone.set()
        await ws.send("is anybody there")

    async with TestClient(app) as client, client.websocket("/late") as ws:
        ws.leave()
        await gone.wait()
    assert not caplog.records


async def test_the_end_of_the_server_closes_and_lets_the_handler_end(app: App) -> None:
    watch = Watch()

    @app.websocket("/echo")
    async def handler(ws: WebSocket) -> None:
        await watch.run(echo(ws))

    async with TestClient(app) as client, client.websocket("/echo") as ws:
        ws.send("one")
        await ws.receive()
        client.site.go_away()
        assert await ws.closed() == (1001, "the server is going away")
        assert await watch.ended == "returned"


async def test_the_end_of_the_server_cancels_a_handler_that_does_not_end(app: App) -> None:
    watch = Watch()

    @app.websocket("/wait")
    async def handler(ws: WebSocket) -> None:
        await ws.send("hello")
        await watch.run(asyncio.Event().wait())

    async with TestClient(app) as client, client.websocket("/wait") as ws:
        await ws.receive()
        await client.site.runtime.stop()
        assert watch.ended.result() == "CancelledError"
        assert await ws.closed() == (1001, "the server is going away")


async def test_anext_with_a_default(app: App) -> None:
    """CPython asks for the awaitable anew at every step of it."""

    @app.websocket("/next")
    async def handler(ws: WebSocket) -> None:
        while (message := await anext(ws, None)) is not None:
            await ws.send(message)
        assert ws.closed == (1000, "")

    async with TestClient(app) as client, client.websocket("/next") as ws:
        for text in ("one", "two"):
            ws.send(text)
            assert await ws.receive() == text
        ws.close()
        assert await ws.closed() == (1000, "")


async def test_receiving_can_be_given_up_and_loses_nothing(app: App) -> None:
    @app.websocket("/patient")
    async def handler(ws: WebSocket) -> None:
        for _ in range(3):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(ws.receive(), 0.001)
        await ws.send("now")
        async for message in ws:
            await ws.send(message)

    async with TestClient(app) as client, client.websocket("/patient") as ws:
        assert await ws.receive() == "now"
        ws.send("one")
        assert await ws.receive() == "one"


async def test_two_tasks_do_not_receive_at_once(app: App) -> None:
    @app.websocket("/two")
    async def handler(ws: WebSocket) -> None:
        first = asyncio.ensure_future(ws.receive())
        await asyncio.sleep(0)
        with pytest.raises(RuntimeError, match="waiting"):
            await ws.receive()
        await ws.send("refused")
        await ws.send(await first)

    async with TestClient(app) as client, client.websocket("/two") as ws:
        assert await ws.receive() == "refused"
        ws.send("one")
        assert await ws.receive() == "one"


async def test_a_slow_handler_is_not_flooded(app: App, version: str) -> None:
    """What it has not asked for is bounded, and all of it comes in the end, in order."""
    go = asyncio.Event()

    @app.websocket("/slow", max_message_bytes=1000)
    async def handler(ws: WebSocket) -> None:
        await go.wait()
        async for message in ws:
            await ws.send(message[-6:])

    async with TestClient(app) as client, client.websocket("/slow", version=version) as ws:
        for number in range(2000):
            ws.send(f"{number:0>500}")
        [session] = list(client.site.runtime.sockets)
        assert 0 < len(session.mailbox) <= 200  # type: ignore[attr-defined]
        go.set()
        assert [await ws.receive() for _ in range(2000)] == [f"{number:0>6}" for number in range(2000)]


async def test_pings_are_answered_while_the_handler_is_busy(app: App) -> None:
    @app.websocket("/busy")
    async def handler(ws: WebSocket) -> None:
        await asyncio.Event().wait()

    async with TestClient(app) as client, client.websocket("/busy") as ws:
        ws.send("one")
        peer = WebSocketEngine(1000, is_client=True)
        ws.send_raw(peer.encode_ping(b"there?"))
        assert peer.receive_data(await ws.sink.received()) == [(10, b"there?")]


async def test_a_message_too_long_ends_it(app: App) -> None:
    app.websocket("/echo", max_message_bytes=10)(echo)
    async with TestClient(app) as client, client.websocket("/echo") as ws:
        ws.send("x" * 10)
        assert await ws.receive() == "x" * 10
        ws.send("x" * 11)
        assert (await ws.closed())[0] == 1009


async def test_messages_are_compressed_where_it_is_asked_for(app: App) -> None:
    app.websocket("/echo", deflate="no_context_takeover")(echo)
    async with TestClient(app) as client, client.websocket("/echo", deflate="no_context_takeover") as ws:
        assert ws.deflate is not None
        ws.send("a" * 500)
        assert await ws.receive() == "a" * 500


async def test_pages_of_other_origins_are_refused(app: App) -> None:
    app.websocket("/echo")(echo)
    async with TestClient(app) as client:
        with pytest.raises(SocketRefused) as refused:
            async with client.websocket("/echo", headers=[("origin", "https://evil.example")]):
                pass
        assert refused.value.answer.status == 403


async def test_the_bounds_of_all_websockets_hold(app: App) -> None:
    app = App(Ping(), websocket=WebSocketOptions(max_per_address=1))
    app.websocket("/echo")(echo)
    async with TestClient(app) as client, client.websocket("/echo"):
        with pytest.raises(SocketRefused) as refused:
            async with client.websocket("/echo"):
                pass
        assert refused.value.answer.status == 429


def test_what_is_declared_wrongly_says_what_to_write(app: App) -> None:
    app.websocket("/echo/{a}")(echo)
    with pytest.raises(SchemaError, match="such an endpoint already"):
        app.websocket("/echo/{b}")
    with pytest.raises(SchemaError, match="slash"):
        app.websocket("echo")
    with pytest.raises(ValueError, match="no token"):
        app.websocket("/a", subprotocols=["a b"])
    with pytest.raises(ValueError, match="max_message_bytes=0"):
        app.websocket("/a", max_message_bytes=0)
    with pytest.raises(ValueError, match="deflate='on' must be one of off"):
        app.websocket("/a", deflate="on")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="async def handler"):
        app.websocket("/a")(lambda ws: None)  # type: ignore[type-var, return-value]


def test_the_path_of_another_protocol_is_taken() -> None:
    app = App(Ping())
    app.websocket("/ws")(echo)
    with pytest.raises(ValueError, match="/ws is taken already"):
        TestClient(app)


async def test_half_a_ping_of_one_who_does_not_read_holds_it_up_no_more_than_a_whole_one() -> None:
    """Nothing had come, and yet it was read no further until it took what was queued."""
    app = App(Ping())
    taken: list[WebSocket] = []

    @app.websocket("/full")
    async def full(ws: WebSocket) -> None:
        taken.append(ws)
        async for _ in ws:
            pass

    async with TestClient(app) as client, client.websocket("/full") as ws:
        wire = taken[0]._session.ws
        ws.sink.paused = True
        while not wire.is_blocked:
            wire.send("x" * 1000)
        ping = WebSocketEngine(1000, is_client=True).encode_ping(b"p" * 100)
        ws.send_raw(ping)
        ws.send_raw(ping[:50])
        assert not wire.is_paused
        ws.sink.resume()


@pytest.mark.parametrize("version", ["1.1", "2"])
async def test_messages_that_are_never_whole_share_one_budget(version: str) -> None:
    app = App(Ping(), max_pending_bytes=1000)

    @app.websocket("/echo")
    async def handler(ws: WebSocket) -> None:
        await echo(ws)

    part = b"\x02\xfe\x01\x90" + bytes(4 + 400)
    async with TestClient(app) as client:
        pending = client.site.runtime.pending
        async with (
            client.websocket("/echo", version=version) as one,
            client.websocket("/echo", version=version) as other,
        ):
            one.sink.feed(part)
            other.sink.feed(part)
            async with client.websocket("/echo", version=version) as late:
                late.sink.feed(part)
                assert await late.closed() == (1013, "too many messages are unfinished")
            assert pending.held_bytes == 800
            one.sink.feed(b"\x80\x80\0\0\0\0")
            assert await one.receive() == bytes(400)
            assert pending.held_bytes == 400
        assert pending.held_bytes == 0
