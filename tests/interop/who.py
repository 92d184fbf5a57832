"""A server that tells its callers who they are."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

import uvloop

from polywire import App, Message, Service, current_call, query
from polywire.server.serve import Server
from polywire.server.settings import ServerSettings

METHOD = "/who.Who/Am"


class Caller(Message):
    address: str
    via: str = ""
    version: str = ""
    name: str = ""
    uris: list[str] = []


class Who(Service, package="who"):
    @query("GET /who")
    async def am(self) -> Caller:
        return _caller()

    @query("GET /ticks")
    async def ticks(self) -> AsyncIterator[Caller]:
        """One at once, and no other until the caller leaves."""
        yield _caller()
        await asyncio.Event().wait()


def _caller() -> Caller:
    peer = current_call().peer
    identity = peer.identity
    return Caller(
        address=peer.address,
        via="" if peer.via is None else peer.via.address,
        version=peer.tls_version or "",
        name="" if identity is None else identity.common_name or "",
        uris=[] if identity is None else list(identity.uris),
    )


@contextmanager
def serve_who(**settings: Any) -> Iterator[Server]:
    """The server, in a thread of its own."""
    server = Server(App(Who()), ServerSettings(**{"port": 0, "tick_s": 0.02, "linger_s": 0.3, **settings}))
    ready, stop = threading.Event(), asyncio.Event()
    loops: list[asyncio.AbstractEventLoop] = []

    async def main() -> None:
        await server.start()
        loops.append(asyncio.get_running_loop())
        ready.set()
        await stop.wait()
        await server.abort()

    thread = threading.Thread(target=lambda: uvloop.run(main()), name="who")
    thread.start()
    try:
        assert ready.wait(10), "the server does not start"
        yield server
    finally:
        if loops:
            loops[0].call_soon_threadsafe(stop.set)
        thread.join(10)
    assert not thread.is_alive(), "the server does not stop"
