"""What the site does where no call answers for what happens."""

from __future__ import annotations

import pytest

from polywire import App, Service, WebSocket, query
from polywire.http.exchange import Exchange
from polywire.protocols.site import Site
from polywire.runtime.call import UNKNOWN_PEER
from polywire.testing import TestClient
from polywire.testing.memory import MemorySink
from polywire.wire.headers import HeaderBlock


class Ping(Service, package="site"):
    @query("GET /ping")
    async def ping(self) -> str:
        return "pong"


def breaks(exchange: Exchange) -> None:
    raise ValueError("secret")


def breaks_midway(exchange: Exchange) -> None:
    exchange.start(200, HeaderBlock())
    exchange.write(b"half")
    raise ValueError("secret")


async def test_an_endpoint_that_breaks_is_internal(caplog: pytest.LogCaptureFixture) -> None:
    async with TestClient(App(Ping())) as client:
        client.site.add_endpoint("GET", "/breaks", breaks)
        answer = await client.get("/breaks", headers=[("x-request-id", "id-1")])
        assert (answer.status, answer.json()["error"]["message"]) == (500, "internal error")
        assert b"secret" not in answer.body
        assert "GET '/breaks' failed (request id-1)" in caplog.text
        assert "secret" in caplog.text


async def test_one_that_breaks_midway_is_broken_off(caplog: pytest.LogCaptureFixture) -> None:
    async with TestClient(App(Ping())) as client:
        client.site.add_endpoint("GET", "/breaks", breaks_midway)
        with pytest.raises(ConnectionResetError, match="code 2"):
            await client.get("/breaks")
        assert "secret" in caplog.text


async def test_a_tunnel_that_nobody_offers_is_declined_as_its_http_version_wants() -> None:
    async with TestClient(App(Ping())) as client:
        for method, expected in (("CONNECT", 501), ("GET", 200)):
            sink = MemorySink(method, "/ping", version="2" if method == "CONNECT" else "1.1")
            sink.tunnel = "websocket"
            client.site.on_request(UNKNOWN_PEER, sink)
            assert (await sink.answer()).status == expected


@pytest.mark.parametrize(
    ("method", "path", "message"),
    [
        ("GET", "/pong", "there is nothing at this path"),
        ("GET", "/ws", "only WebSockets are answered at this path"),
        ("GET", "/echo/%zz", "only WebSockets are answered at this path"),
        ("POST", "/site.Ping/Pong", "site.Ping has no method 'Pong'"),
        ("POST", "/rpc/site.Ping/Pong", "site.Ping has no method 'Pong'"),
        ("POST", "/rpc/site.Ping/" + "x" * 1000, f"site.Ping has no method '{'x' * 100}'"),
        ("POST", "/site.Pong/Ping", "there is nothing at this path"),
        ("GET", "/site.Ping", "there is nothing at this path"),
    ],
)
async def test_who_is_close_is_told_what_is_there(method: str, path: str, message: str) -> None:
    app = App(Ping())

    @app.websocket("/echo/{room}")
    async def echo(ws: WebSocket) -> None: ...

    async with TestClient(app) as client:
        answer = await client.request(method, path, json={} if method == "POST" else None)
        error = answer.json()["error"]
        assert (answer.status, error["reason"], error["message"]) == (404, "NO_ROUTE", message)


async def test_what_an_engine_refuses_is_counted_and_told() -> None:
    seen: list[tuple[str, str, int, int]] = []
    site = Site(App(Ping()), [lambda one: seen.append((one.method, one.path, one.status, one.sent_body_bytes))])
    site.on_refused(UNKNOWN_PEER, MemorySink("GET", "/a?secret"), 431, 120)
    site.on_refused(UNKNOWN_PEER, MemorySink("", ""), 400, 0)
    assert seen == [("GET", "/a", 431, 120), ("", "", 400, 0)]
    text = site.metrics.render()
    assert b'status="431"} 1\n' in text
    assert b'status="400"} 1\n' in text
