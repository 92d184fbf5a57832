"""What the group "websocket" of `make bench` measures: an echo, and a topic told what a control socket asks for.

polywire serve benchmarks/realtime_app.py:app
"""

from __future__ import annotations

from time import monotonic_ns

from benchmarks.peers.pace import paced
from benchmarks.polywire_app import OrderService, Timing, UserService, authenticate
from polywire import App, Message
from polywire.protocols.raw_sockets import WebSocket
from polywire.topics import Topic


class Headline(Message):
    text: str


news = Topic("news", Headline)
app = App(UserService(), OrderService(), topics=[news], interceptors=[Timing(), authenticate])


@app.websocket("/echo")
async def echo(ws: WebSocket) -> None:
    async for message in ws:
        await ws.send(message)


@app.websocket("/deflate", deflate="no_context_takeover")
async def deflate(ws: WebSocket) -> None:
    async for message in ws:
        await ws.send(message)


@app.websocket("/publish")
async def publish(ws: WebSocket) -> None:
    """For each "COUNT PER_SECOND" as many messages, numbered and with the time: at once where that is 0."""
    number = 0
    async for order in ws:
        async for _ in paced(str(order)):
            number += 1
            await news.publish(Headline(f"#{number:010d}@{monotonic_ns():019d}#"))
