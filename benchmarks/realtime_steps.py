"""What a WebSocket message and a delivery cost without sockets: `.venv/bin/python -m benchmarks.realtime_steps`.

In microseconds. Bytes go into the drivers, and what they write is counted and thrown away; the rest of what a message
costs is the kernel's and the event loop's. Best of several runs, by CPU time, in one process.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from functools import partial
from time import process_time
from typing import Any

import uvloop
from rich.console import Console
from rich.table import Table

from benchmarks.realtime import HELLO
from benchmarks.realtime_app import Headline, app, news
from polywire.protocols.site import Site
from polywire.runtime.call import UNKNOWN_PEER
from polywire.server.connection import Driver, Http1Driver
from polywire.server.http2 import Http2Driver
from polywire.server.hub import Hub
from polywire.server.settings import ServerSettings
from polywire.wire.http1 import Http1Connection
from polywire.wire.http2 import Http2Connection
from polywire.wire.limits import HttpLimits

READERS = 1000
STREAMS = 100
"""On each connection of HTTP/2."""
RUNS = 6
UPGRADE = (
    b"GET %s HTTP/1.1\r\nhost: a\r\nupgrade: websocket\r\nconnection: Upgrade\r\n"
    b"sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-version: 13\r\n\r\n"
)
EVENTS = b"GET /topics/news HTTP/1.1\r\nhost: a\r\naccept: text/event-stream\r\n\r\n"
FIELDS = {
    b":method": b"GET",
    b":scheme": b"http",
    b":authority": b"a",
    b":path": b"/topics/news",
    b"accept": b"text/event-stream",
}


class Sunk(asyncio.Transport):
    """Takes everything, and knows how much it was."""

    def __init__(self) -> None:
        super().__init__()
        self.written_bytes = 0

    def write(self, data: Any) -> None:
        self.written_bytes += len(data)

    def get_write_buffer_size(self) -> int:
        return 0

    def is_closing(self) -> bool:
        return False

    def can_write_eof(self) -> bool:
        return False

    def close(self) -> None: ...

    def abort(self) -> None: ...


def text_frame(text: str) -> bytes:
    """Masked with zeros."""
    data = text.encode()
    length = bytes((0x80 | len(data),)) if len(data) < 126 else b"\xfe" + len(data).to_bytes(2)
    return b"\x81" + length + bytes(4) + data


def h2_frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3) + bytes((kind, flags)) + stream.to_bytes(4) + payload


class Bench:
    def __init__(self, site: Site) -> None:
        self.loop = asyncio.get_running_loop()
        self.hub = Hub(site.on_request, ServerSettings(), self.loop)
        self._on_request = partial(site.on_request, UNKNOWN_PEER)

    async def in_callback(self, work: Callable[[], float]) -> float:
        """As a transport calls: no task is current then."""
        done: asyncio.Future[float] = self.loop.create_future()
        self.loop.call_soon(lambda: done.set_result(work()))
        return await done

    def http1(self, *chunks: bytes) -> Driver[Any]:
        driver = Http1Driver(self.hub, Sunk(), Http1Connection(self._on_request, HttpLimits(), self.hub.common))
        for chunk in chunks:
            driver.data_received(chunk)
        return driver

    def http2(self) -> Driver[Any]:
        driver = Http2Driver(self.hub, Sunk(), Http2Connection(self._on_request, HttpLimits(), self.hub.common))
        block = b"".join(b"\0" + bytes((len(n),)) + n + bytes((len(v),)) + v for n, v in FIELDS.items())
        wide = h2_frame(4, 0, 0, b"\0\4\x7f\xff\xff\xff") + h2_frame(8, 0, 0, b"\x7f\xff\0\0")
        heads = b"".join(h2_frame(1, 5, 1 + 2 * place, block) for place in range(STREAMS))
        driver.data_received(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + wide + heads)
        return driver

    async def echo(self, in_flight: int) -> float:
        data = text_frame("x" * 60) * in_flight
        count = 30_000 // in_flight
        driver = self.http1(UPGRADE % b"/echo")
        await asyncio.sleep(0.1)
        receive = driver.data_received

        def work() -> float:
            started = process_time()
            for _ in range(count):
                receive(data)
            return (process_time() - started) / (count * in_flight) * 1e6

        best = min([await self.in_callback(work) for _ in range(RUNS)])
        assert self._written([driver]) > RUNS * count * in_flight * 60, "not every message has been answered"
        driver.connection_lost(None)
        return best

    async def delivery(self, opened: Callable[[], Driver[Any]], connections: int, at_once: int) -> float:
        drivers: list[Driver[Any]] = []

        def open_all() -> float:
            drivers.extend(opened() for _ in range(connections))
            return 0.0

        await self.in_callback(open_all)
        await asyncio.sleep(0.3)
        best = float("inf")
        for _ in range(RUNS):
            before, started = self._written(drivers), process_time()
            for _ in range(at_once):
                await news.publish(Headline("#" * 32))
            for _ in range(READERS // 32):  # turns of the loop: each tells a hundred or writes for a millisecond
                await asyncio.sleep(0)
            best = min(best, (process_time() - started) / (at_once * READERS) * 1e6)
            assert self._written(drivers) - before > at_once * READERS * 100, "not everybody has been told"
        for driver in drivers:
            driver.connection_lost(None)
        await asyncio.sleep(0.1)
        return best

    def _written(self, drivers: list[Driver[Any]]) -> int:
        return sum(driver._transport.written_bytes for driver in drivers)  # type: ignore[attr-defined]


async def main() -> None:
    site = Site(app)
    await site.start()
    bench = Bench(site)
    table = Table("WebSocket, one message there and back", "µs")
    for in_flight in (1, 16):
        table.add_row(f"{in_flight} in flight", f"{await bench.echo(in_flight):.2f}")
    Console().print(table)
    hello = text_frame(json.dumps(HELLO))
    ways: dict[str, tuple[Callable[[], Driver[Any]], int]] = {
        "WebSocket": (lambda: bench.http1(UPGRADE % b"/ws", hello), READERS),
        "SSE, HTTP/1.1": (lambda: bench.http1(EVENTS), READERS),
        "SSE, HTTP/2, 100 streams a connection": (bench.http2, READERS // STREAMS),
    }
    table = Table("one delivery, to 1,000 readers", "µs", "of ten at once, µs")
    for name, (opened, connections) in ways.items():
        figures = [await bench.delivery(opened, connections, at_once) for at_once in (1, 10)]
        table.add_row(name, *(f"{figure:.2f}" for figure in figures))
    Console().print(table)
    await site.stop()


if __name__ == "__main__":
    uvloop.run(main())
