"""A WebSocket without any protocol on it: every message comes back as it is."""

from polywire import WebSocket


async def echo(ws: WebSocket) -> None:
    async for message in ws:
        await ws.send(message)
