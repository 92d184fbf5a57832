"""What the Autobahn suite talks to: every message comes back as it is, compressed in either way."""

from __future__ import annotations

from polywire import App, Service, WebSocket, query

LONGEST = 16 * 1024 * 1024
"""That the suite sends."""


class Ready(Service, package="conformance"):
    @query("GET /ready")
    async def ready(self) -> bool:
        return True


app = App(Ready())


@app.websocket("/echo", max_message_bytes=LONGEST, deflate="no_context_takeover")
@app.websocket("/kept", max_message_bytes=LONGEST, deflate="context_takeover")
async def echo(ws: WebSocket) -> None:
    async for message in ws:
        await ws.send(message)
