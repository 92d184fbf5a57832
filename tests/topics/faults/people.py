"""Who takes part: subscribers that come back, publishers that try again, and the server that is killed."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, aclosing
from pathlib import Path
from random import Random
from typing import Any

import polywire

from .app import text_of
from .pipes import Http1, http1
from .sockets import graphql, in_protobuf, json_socket, json_socket_http2, msgpack_socket
from .streams import Feed, Seen, connect, grpc, grpc_web, polling, polywire_client, reconnecting, sse, sse_http2, trpc

Subscribe = Callable[[int, Feed, str | None], AsyncIterator[Seen]]
PROTOCOLS: dict[str, Subscribe] = {
    "WebSocket, JSON": json_socket,
    "WebSocket, JSON, HTTP/2": json_socket_http2,
    "WebSocket, MessagePack": msgpack_socket,
    "WebSocket, protobuf": in_protobuf,
    "graphql-transport-ws": graphql,
    "SSE": sse,
    "SSE, HTTP/2": sse_http2,
    "tRPC over SSE": trpc,
    "gRPC": grpc,
    "gRPC, polywire's client": polywire_client,
    "polywire's client, WebSocket": reconnecting("websocket"),
    "polywire's client, HTTP": reconnecting("http"),
    "gRPC-Web": grpc_web,
    "Connect": connect,
    "long polling": polling,
}
COMES_BACK_BY_ITSELF = frozenset(name for name in PROTOCOLS if name.startswith("polywire's client"))
"""It sees no cut, and cannot forget where it was."""
FEEDS = [*(Feed("ticks", lane) for lane in "abcd"), Feed("crowds", "a")]
CUT = (ConnectionError, EOFError)
"""What the end of a connection looks like, before its time."""
_ROOT = Path(__file__).parents[3]
_LATE_S = 5.0


class Subscriber:
    """Comes back with the last position it has seen, whenever it is cut off.

    forgets: it comes back without one, when it has missed something: that must be found out.
    """

    def __init__(self, protocol: str, feed: Feed, port: int, random: Random, *, forgets: bool = False) -> None:
        self.protocol = protocol
        self.feed = feed
        self.forgets = forgets
        self.position: str | None = None
        self.numbers: list[int] = []
        self.faults: list[str] = []
        self.connects = 0
        self.greeted = asyncio.Event()
        self._port = port
        self._random = random

    async def run(self, published: Callable[[], int]) -> None:
        """Until it is cancelled. published: how many messages its feed has had."""
        while True:
            try:
                self.connects += 1
                async with aclosing(PROTOCOLS[self.protocol](self._port, self.feed, self.position)) as events:  # type: ignore[type-var]
                    async for seen in events:
                        self._take(seen)
            except CUT:
                pass
            if self.forgets and self.position is not None:
                self.position = None
                missed = published() + 2
                while published() < missed:  # noqa: ASYNC110 -- of many publishers, each with its own pace
                    await asyncio.sleep(0.01)
            await asyncio.sleep(self._random.uniform(0, 0.2))

    def _take(self, seen: Seen) -> None:
        self.position = seen.position
        if seen.gap is not None:
            self.faults.append(f"a gap: {seen.gap}")
        if seen.number is not None:
            self.numbers.append(seen.number)
            if seen.text != text_of(seen.number):
                self.faults.append(f"{seen.number} has another text")
        self.greeted.set()


class Publisher:
    """Publishes 0, 1, 2, … to one feed, each until it is accepted, by an id of its own."""

    def __init__(self, feed: Feed, port: int, rate: float) -> None:
        self.feed = feed
        self.count = 0
        self.retries = 0
        self.faults: list[str] = []
        self._port = port
        self._pause_s = 1 / rate
        self._first: int | None = None
        self._pipe: Http1 | None = None
        self._stack = AsyncExitStack()

    async def run(self, stop: asyncio.Event) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()
        while not stop.is_set():
            await self._accepted()
            due = max(due + self._pause_s, loop.time() - 1)
            await asyncio.sleep(due - loop.time())
        await self._close()

    async def _accepted(self) -> None:
        """Publish the next one, until it is known to be accepted: over one connection as long as it lasts."""
        while True:
            try:
                async with asyncio.timeout(_LATE_S):
                    if self._pipe is None:
                        self._pipe = await self._stack.enter_async_context(http1(self._port))
                    return await self._publish(self._pipe)
            except (*CUT, TimeoutError):
                self.retries += 1
                await self._close()
                await asyncio.sleep(0.02)

    async def _close(self) -> None:
        self._pipe = None
        await self._stack.aclose()

    async def _publish(self, pipe: Http1) -> None:
        number = self.count
        message = {"data": {"number": number, "text": text_of(number)}, "dedupe_id": f"number-{number}"}
        json_type = [("content-type", "application/json")]
        answered = await pipe.ask("POST", self.feed.path, json_type, json.dumps(message).encode())
        position = json.loads(await pipe.whole(answered))["position"]
        offset = int(position.rpartition(":")[2])
        if self._first is None:
            self._first = offset
        if offset != self._first + number:
            self.faults.append(f"{number} is at {position}, not at {self._first + number}")
        self.count += 1


class ServerProcess:
    """`polywire serve` of the app, to be killed and started again at the same port. database: None: in memory."""

    def __init__(self, port: int, database: str | None) -> None:
        self.port = port
        self.log = tempfile.TemporaryFile()  # noqa: SIM115 -- closed by `end`
        self._database = database
        self._process: Process | None = None

    async def start(self) -> None:
        app = Path(__file__).with_name("app.py")
        arguments = ["serve", f"{app}:app", "--port", str(self.port), "--no-access-log"]
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "polywire.cli", *arguments),
            stdout=self.log,
            stderr=self.log,
            cwd=_ROOT,
            env={**os.environ, "FAULTS_DB": self._database or "", "PYTHONPATH": _path()},
        )
        async with asyncio.timeout(20):
            while not await self._is_ready():
                if self._process.returncode is not None:
                    raise RuntimeError(f"the server has ended: {self.output()}")
                await asyncio.sleep(0.02)

    async def _is_ready(self) -> bool:
        try:
            async with http1(self.port) as pipe:
                await pipe.ask("GET", "/ready", [])
        except CUT:
            return False
        return True

    async def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        await self._process.wait()

    def output(self) -> str:
        self.log.seek(0)
        return self.log.read().decode(errors="replace")

    async def end(self) -> None:
        await self.kill()
        self.log.close()


def _path() -> str:
    """Where this polywire is, and the tests."""
    package: Any = polywire.__file__
    return os.pathsep.join([str(Path(package).parents[1]), str(_ROOT)])
