"""sse-starlette on Starlette and uvicorn: a queue for each reader of /news, filled as /publish asks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from sse_starlette import EventSourceResponse
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from benchmarks.peers.pace import message, paced

queues: set[asyncio.Queue[str]] = set()


async def news(request: Request) -> EventSourceResponse:
    async def events() -> AsyncIterator[dict[str, str]]:
        queue: asyncio.Queue[str] = asyncio.Queue()
        queues.add(queue)
        try:
            while True:
                yield {"data": await queue.get()}
        finally:
            queues.discard(queue)

    return EventSourceResponse(events())


async def publish(ws: WebSocket) -> None:
    await ws.accept()
    number = 0
    while True:
        order = await ws.receive_text()
        async for _ in paced(order):
            number += 1
            text = message(number)
            for queue in queues:
                queue.put_nowait(text)


app = Starlette(routes=[Route("/news", news), WebSocketRoute("/publish", publish)])
