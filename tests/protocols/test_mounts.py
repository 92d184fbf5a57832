"""ASGI applications beside the services: requests, streams, WebSockets, start and end, and what they do wrong."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from polywire import App, Service, query
from polywire.schema.errors import SchemaError
from polywire.testing import TestClient
from polywire.testing.websocket import SocketRefused

from .ticks import until


class Ping(Service, package="mounts"):
    @query("GET /ping")
    async def ping(self) -> str:
        return "pong"


class Mounted:
    """An application that does what the last segment of its path says, and remembers what it was told."""

    def __init__(self) -> None:
        self.told: list[Any] = []
        self.scopes: list[dict[str, Any]] = []
        self.go_on = asyncio.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await self.lifespan(scope, receive, send)
            return
        self.scopes.append(scope)
        await getattr(self, scope["path"].rpartition("/")[2] or "root")(receive, send)

    async def lifespan(self, scope: Any, receive: Any, send: Any) -> None:
        for what in ("startup", "shutdown"):
            assert await receive() == {"type": f"lifespan.{what}"}
            self.told.append(what)
            scope["state"]["database"] = "open"
            await send({"type": f"lifespan.{what}.complete"})

    async def answer(self, send: Any, body: bytes, status: int = 200, *headers: tuple[bytes, bytes]) -> None:
        await send({"type": "http.response.start", "status": status, "headers": [*headers]})
        await send({"type": "http.response.body", "body": body})

    async def root(self, receive: Any, send: Any) -> None:
        fields = [(b"Content-Type", b"text/plain"), (b"content-length", b"5"), (b"connection", b"close")]
        await self.answer(send, b"hello", 201, *fields, (b"set-cookie", b"a=1"), (b"set-cookie", b"b=2"))

    async def echo(self, receive: Any, send: Any) -> None:
        body, more = b"", True
        while more:
            event = await receive()
            assert event["type"] == "http.request"
            body += event["body"]
            more = event["more_body"]
        await self.answer(send, body)

    async def stream(self, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for number in range(3):
            await send({"type": "http.response.body", "body": b"%d" % number, "more_body": True})
        await self.go_on.wait()
        await send({"type": "http.response.body", "body": b"end"})

    async def waits(self, receive: Any, send: Any) -> None:
        await receive()
        self.told.append("waits")
        self.told.append(await receive())
        try:
            await send({"type": "http.response.start", "status": 200})
        except OSError as error:
            self.told.append(type(error).__name__)

    async def raises(self, receive: Any, send: Any) -> None:
        raise ValueError("a secret")

    async def breaks_off(self, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": b"some", "more_body": True})
        raise ValueError("a secret")

    async def says_nothing(self, receive: Any, send: Any) -> None:
        pass

    async def never_ends(self, receive: Any, send: Any) -> None:
        self.told.append("begun")
        try:
            await asyncio.Event().wait()
        finally:
            self.told.append("cancelled")

    async def socket(self, receive: Any, send: Any) -> None:
        assert await receive() == {"type": "websocket.connect"}
        await send({"type": "websocket.accept", "subprotocol": "b", "headers": [(b"x-seat", b"7")]})
        while (event := await receive())["type"] == "websocket.receive":
            if event.get("text") == "bye":
                await send({"type": "websocket.close", "code": 4000, "reason": "as asked"})
            else:
                await send({"type": "websocket.send", **{k: event[k] for k in ("text", "bytes") if k in event}})
        self.told.append(event)

    async def closed_door(self, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.close"})

    async def told_why(self, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.http.response.start", "status": 401, "headers": [(b"x-why", b"no token")]})
        await send({"type": "websocket.http.response.body", "body": b"go away"})


@pytest.fixture
async def mounted() -> Mounted:
    return Mounted()


@pytest.fixture
async def client(mounted: Mounted) -> AsyncIterator[TestClient]:
    app = App(Ping())
    app.mount("/legacy", mounted)
    async with TestClient(app) as client:
        yield client


async def test_an_answer_and_the_scope(client: TestClient, mounted: Mounted) -> None:
    answer = await client.get("/legacy/?a=%20b", headers=[("x-name", "ü".encode().decode("latin-1"))])
    assert (answer.status, answer.text) == (201, "hello")
    assert answer.headers.get_all("set-cookie") == ["a=1", "b=2"]
    assert "connection" not in answer.headers
    (scope,) = mounted.scopes
    assert (scope["path"], scope["raw_path"], scope["root_path"]) == ("/legacy/", b"/legacy/", "/legacy")
    assert (scope["query_string"], scope["method"], scope["type"]) == (b"a=%20b", "GET", "http")
    assert (b"x-name", "ü".encode()) in scope["headers"]
    assert scope["state"] == {"database": "open"}


@pytest.mark.parametrize("version", ["1.1", "2"])
async def test_bodies_come_as_they_are_sent(client: TestClient, version: str) -> None:
    sink = client.open("POST", "/legacy/echo", version=version, more=True)
    for part in (b"one", b"two"):
        sink.feed(part)
        await asyncio.sleep(0)
    sink.feed(b"", end=True)
    assert (await sink.answer()).body == b"onetwo"
    assert (await client.post("/legacy/echo", body=b"at once")).body == b"at once"


async def test_what_is_mounted_goes_before_content_types(client: TestClient) -> None:
    for content_type in ("application/json", "application/grpc", "application/proto"):
        answer = await client.post("/legacy/echo", body=b"{}", headers=[("content-type", content_type)])
        assert answer.body == b"{}"


async def test_other_paths_are_ours(client: TestClient) -> None:
    assert (await client.get("/ping")).json() == "pong"
    assert (await client.get("/legacyroot")).status == 404


async def test_a_stream(client: TestClient, mounted: Mounted) -> None:
    sink = client.open("GET", "/legacy/stream")
    got = b""
    while got != b"012":
        got += await sink.received()
    mounted.go_on.set()
    assert (await sink.answer()).body.endswith(b"end")


async def test_head_has_no_body(client: TestClient) -> None:
    answer = await client.request("HEAD", "/legacy/")
    assert (answer.status, answer.body, answer.headers["content-length"]) == (201, b"", "5")


async def test_a_peer_that_leaves_is_told_of(client: TestClient, mounted: Mounted) -> None:
    sink = client.open("GET", "/legacy/waits")
    await until(lambda: mounted.told[-1:] == ["waits"])
    sink.leave()
    await until(lambda: len(mounted.told) == 4)
    assert mounted.told[-2:] == [{"type": "http.disconnect"}, "Gone"]


@pytest.mark.parametrize("path", ["raises", "says_nothing"])
async def test_failures_say_nothing(client: TestClient, path: str, caplog: pytest.LogCaptureFixture) -> None:
    answer = await client.get(f"/legacy/{path}")
    assert answer.status == 500
    assert "secret" not in answer.text
    assert ("a secret" in caplog.text) is (path == "raises")


async def test_a_failure_in_the_middle_breaks_off(client: TestClient) -> None:
    sink = client.open("GET", "/legacy/breaks_off")
    await until(lambda: sink.closed)
    assert sink.reset_code is not None


async def test_sockets(client: TestClient, mounted: Mounted) -> None:
    async with client.websocket("/legacy/socket", subprotocols=["a", "b"]) as ws:
        assert ws.subprotocol == "b"
        for message in ("text", b"bytes", ""):
            ws.send(message)
            assert await ws.receive() == message
        ws.send("bye")
        assert await ws.closed() == (4000, "as asked")
    await until(lambda: mounted.told[-1:] == [{"type": "websocket.disconnect", "code": 4000, "reason": "as asked"}])
    (scope,) = mounted.scopes
    assert (scope["type"], scope["scheme"], scope["subprotocols"]) == ("websocket", "ws", ["a", "b"])


async def test_a_thousand_messages_wait_to_be_asked_for(client: TestClient) -> None:
    async with client.websocket("/legacy/socket", version="2") as ws:
        for number in range(1000):
            ws.send(str(number))
        assert [await ws.receive() for _ in range(1000)] == [str(number) for number in range(1000)]


async def test_a_socket_that_is_left(client: TestClient, mounted: Mounted) -> None:
    async with client.websocket("/legacy/socket") as ws:
        ws.leave()
    await until(lambda: mounted.told[-1:] == [{"type": "websocket.disconnect", "code": 1006, "reason": ""}])


@pytest.mark.parametrize(("path", "status"), [("closed_door", 403), ("told_why", 401)])
async def test_sockets_may_be_refused(client: TestClient, path: str, status: int) -> None:
    with pytest.raises(SocketRefused) as caught:
        async with client.websocket(f"/legacy/{path}"):
            pass
    assert caught.value.answer.status == status


async def test_pages_of_other_origins_may_not_write(client: TestClient, mounted: Mounted) -> None:
    for fields in ([("origin", "https://evil.example")], [("sec-fetch-site", "cross-site")]):
        assert (await client.post("/legacy/echo", headers=fields)).status == 403
    assert mounted.scopes == []


async def test_it_starts_and_ends_with_the_app() -> None:
    mounted = Mounted()
    app = App(Ping())
    app.mount("/legacy/", mounted)
    async with TestClient(app) as client:
        assert mounted.told == ["startup"]
        client.open("GET", "/legacy/never_ends")
        await until(lambda: "begun" in mounted.told)
    assert mounted.told == ["startup", "begun", "cancelled", "shutdown"]


async def test_one_that_cannot_start_stops_the_start() -> None:
    async def broken(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "no database"})

    app = App(Ping())
    app.mount("/legacy", broken)
    with pytest.raises(RuntimeError, match="no database"):
        async with TestClient(app):
            pass


async def test_one_without_a_lifespan() -> None:
    async def simple(scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "http"
        await send({"type": "http.response.start", "status": 204})
        await send({"type": "http.response.body"})

    app = App(Ping())
    app.mount("/legacy", simple)
    async with TestClient(app) as client:
        assert (await client.get("/legacy")).status == 204


@pytest.mark.parametrize("path", ["", "/", "legacy", "/a/{b}"])
def test_paths_that_are_none(path: str) -> None:
    with pytest.raises(SchemaError):
        App(Ping()).mount(path, Mounted())


def test_one_path_is_mounted_once() -> None:
    app = App(Ping())
    app.mount("/a", Mounted())
    with pytest.raises(SchemaError, match="is mounted there"):
        app.mount("/a/", Mounted())
    with pytest.raises(TypeError, match="no ASGI application"):
        app.mount("/b", "x")  # type: ignore[arg-type]
