"""A site of a few lines, and a server around it that must leave nothing behind."""

from __future__ import annotations

import asyncio
import gc
import os
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import uvloop

from polywire.runtime.call import Peer
from polywire.runtime.health import Health
from polywire.runtime.metrics import Metrics
from polywire.server.serve import Server
from polywire.server.settings import ServerSettings
from polywire.wire.headers import HeaderBlock

TEXT = HeaderBlock([("content-type", "text/plain")])


class EchoSite:
    """Answers with what it was asked; `/wait` only when `release` is called, `/never` not at all."""

    def __init__(self) -> None:
        self.health = Health()
        self.metrics = Metrics()
        self.drain_s = 5.0
        self.peers: list[Peer] = []
        self.waiting: list[Any] = []
        self.refused: list[tuple[str, str, int, bool]] = []
        self.gone = 0
        self.started = self.left = self.stopped = 0
        self.fail_start: Exception | None = None

    @property
    def open_calls(self) -> int:
        return len(self.waiting)

    async def start(self) -> None:
        self.started += 1
        if self.fail_start is not None:
            raise self.fail_start

    def go_away(self, within_s: float) -> None:
        self.left += 1

    async def stop(self) -> None:
        self.stopped += 1
        for sink in self.waiting:
            sink.respond(503, TEXT, b"shutting down")
        self.waiting.clear()

    def on_request(self, peer: Peer, sink: Any) -> None:
        self.peers.append(peer)
        if sink.target == "/wait":
            sink.receiver = Receiver(self, sink)
            self.waiting.append(sink)
        elif sink.target == "/big":
            sink.respond(200, TEXT, bytes(8 * 1024 * 1024))
        elif sink.has_body and not sink.ended:
            sink.receiver = Receiver(self, sink)
            sink.receiver.on_readable()
        else:
            answer(sink)

    def on_refused(self, peer: Peer, sink: Any, status: int, body_bytes: int) -> None:
        self.refused.append((sink.method, sink.target, status, body_bytes > 0))

    def release(self) -> None:
        waiting, self.waiting = self.waiting, []
        for sink in waiting:
            answer(sink)


class Receiver:
    def __init__(self, site: EchoSite, sink: Any) -> None:
        self.site = site
        self.sink = sink
        self.body = b""

    def on_readable(self) -> None:
        part = self.sink.take()
        self.sink.grant(len(part))
        self.body += part
        if self.sink.ended:
            answer(self.sink, self.body)

    def on_writable(self) -> None: ...

    def on_gone(self) -> None:
        self.site.gone += 1
        if self.sink in self.site.waiting:
            self.site.waiting.remove(self.sink)


def answer(sink: Any, body: bytes | None = None) -> None:
    if body is None:
        body = sink.take()
        sink.grant(len(body))
    sink.respond(200, TEXT, f"{sink.version} {sink.scheme} {sink.method} {sink.target} ".encode() + body)


class Client:
    """A TCP client that says and hears bytes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def answer(self) -> tuple[int, bytes]:
        """Status and body of the next answer, which must have a content-length."""
        async with asyncio.timeout(5):
            head = await self.reader.readuntil(b"\r\n\r\n")
            length = next(
                int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")
            )
            return int(head.split(b" ", 2)[1]), await self.reader.readexactly(length)

    async def rest(self) -> bytes:
        """Everything until the server closes. Raises ConnectionResetError for a reset."""
        async with asyncio.timeout(5):
            return await self.reader.read()

    async def close(self) -> None:
        self.writer.close()
        with suppress(OSError):
            await self.writer.wait_closed()


Serving = Callable[..., AbstractAsyncContextManager[Server]]


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Every test here runs on both loops."""
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


@pytest.fixture
def site() -> EchoSite:
    return EchoSite()


@pytest.fixture
def clients() -> list[Client]:
    """What `connect` has made, closed before `serving` counts."""
    return []


@pytest.fixture
def serving(site: EchoSite, clients: list[Client]) -> Serving:
    """`async with serving(idle_timeout_s=1) as server`: checks that no task and no descriptor is left at its end."""

    @asynccontextmanager
    async def serve(**settings: Any) -> AsyncIterator[Server]:
        server = Server(site, ServerSettings(port=0, **{"tick_s": 0.05, "drain_s": 5.0, **settings}))
        descriptors = open_descriptors()
        tasks = asyncio.all_tasks()
        await server.start()
        try:
            yield server
        finally:
            for client in clients:
                await client.close()
            await server.abort()
        assert asyncio.all_tasks() <= tasks
        assert server.open_connections == 0
        gc.collect()
        assert open_descriptors() <= descriptors

    return serve


def open_descriptors() -> set[str]:
    """What the open descriptors of this process are, sockets by their inode."""
    found = set()
    for name in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{name}")
        except FileNotFoundError:
            continue
        if target.startswith("socket:"):
            found.add(target)
    return found


@pytest.fixture
def connect(clients: list[Client]) -> Callable[..., Any]:
    """`await connect(server)`: a Client."""

    async def to(server: Server, **options: Any) -> Client:
        clients.append(Client(*await asyncio.open_connection("127.0.0.1", server.port, **options)))
        return clients[-1]

    return to


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A self-signed certificate for localhost and its key."""
    directory = tmp_path_factory.mktemp("tls")
    cert, key = directory / "cert.pem", directory / "key.pem"
    make_certificate(cert, key)
    return cert, key


def make_certificate(cert: Path, key: Path) -> None:
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1",
         "-subj", "/CN=localhost", "-keyout", str(key), "-out", str(cert)],
        check=True,
        capture_output=True,
    )  # fmt: skip
