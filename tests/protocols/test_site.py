"""What the site does where no call answers for what happens."""

from __future__ import annotations

import pytest

from polywire import App, Service, query
from polywire.http.exchange import Exchange
from polywire.testing import TestClient
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
