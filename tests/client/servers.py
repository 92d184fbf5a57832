"""polywire's server in the test's own loop, and servers that speak bytes as a test wants them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from polywire import App, Service
from polywire.protocols.site import Site
from polywire.server.serve import Server
from polywire.server.settings import ServerSettings
from tests.wire.http2_peer import HEADERS, frames


@asynccontextmanager
async def running(*services: Service, **settings: Any) -> AsyncIterator[str]:
    """A server for a while; its url."""
    server = Server(Site(App(*services)), ServerSettings(**{"port": 0, **settings}))
    await server.start()
    try:
        yield f"http://127.0.0.1:{server.port}"
    finally:
        await server.abort()


class Script(asyncio.Protocol):
    """One connection of a scripted server: `on_data(script, data)` for all that comes."""

    def __init__(self, on_data: Callable[[Script, bytes], None]) -> None:
        self._on_data = on_data
        self.transport: Any = None
        self.received = b""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.received += data
        self._on_data(self, data)


@asynccontextmanager
async def scripted(on_data: Callable[[Script, bytes], None]) -> AsyncIterator[tuple[str, list[Script]]]:
    """A server that answers as it is told; its url and its connections so far."""
    scripts: list[Script] = []

    def make() -> Script:
        scripts.append(Script(on_data))
        return scripts[-1]

    server = await asyncio.get_running_loop().create_server(make, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", scripts
    finally:
        server.close()
        for script in scripts:
            script.transport.abort()
        await asyncio.sleep(0)


async def until(condition: Callable[[], Any], within_s: float = 5.0) -> None:
    """Wait for what another task or thread does. Raises TimeoutError if it does not."""
    async with asyncio.timeout(within_s):
        while not condition():  # noqa: ASYNC110 -- of another thread, too
            await asyncio.sleep(0.002)


def requests(data: bytes) -> list[int]:
    """The streams that are opened in what a client sends."""
    data = data.removeprefix(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
    return [stream for kind, _, stream, _ in frames(data) if kind == HEADERS]
