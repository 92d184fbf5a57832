"""What goes out beside a REST answer: early hints before it, trailers after it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from polywire import App, Service, current_call, query
from polywire.testing import TestClient


class Hinting(Service, package="hinting"):
    @query("GET /page")
    async def page(self) -> str:
        call = current_call()
        call.early_hints("</style.css>; rel=preload; as=style", "</app.js>; rel=preload; as=script")
        await asyncio.sleep(0)
        call.early_hints("</late.js>; rel=preload; as=script")
        call.trailers.add("x-checksum", "abc")
        return "page"

    @query("GET /broken")
    async def broken(self) -> str:
        current_call().early_hints("</style.css>\r\nx-injected: 1")
        return "page"

    @query("GET /pages")
    async def pages(self) -> AsyncIterator[str]:
        current_call().trailers.add("x-count", "1")
        yield "page"
        current_call().early_hints("</too-late>")


async def test_early_hints_come_before_the_answer() -> None:
    async with TestClient(App(Hinting())) as client:
        answer = await client.get("/page")
        assert [(status, fields.get_all("link")) for status, fields in answer.informed] == [
            (103, ["</style.css>; rel=preload; as=style", "</app.js>; rel=preload; as=script"]),
            (103, ["</late.js>; rel=preload; as=script"]),
        ]
        assert (answer.status, answer.json()) == (200, "page")
        assert await client.grpc("hinting.Hinting/Page", {}) == "page", "without effect elsewhere"
        broken = await client.get("/broken")
        assert (broken.status, broken.informed) == (500, [])
        late = await client.get("/pages")
        assert (late.status, late.informed) == (200, [])


async def test_trailers_follow_the_answer() -> None:
    async with TestClient(App(Hinting())) as client:
        assert (await client.get("/page")).trailers["x-checksum"] == "abc"
        assert (await client.get("/pages")).trailers["x-count"] == "1"
