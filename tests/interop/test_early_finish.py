"""grpcio's client streams against a server that ends them early, as often as it likes."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

import grpc
import pytest
import uvloop

from polywire import App, Message, Service, mutation
from polywire.errors import PermissionDenied
from polywire.server.serve import Server
from polywire.server.settings import ServerSettings


class Part(Message):
    data: bytes = b""


class Early(Service, package="early"):
    @mutation
    async def first(self, parts: AsyncIterator[Part]) -> Part:
        async for part in parts:
            return Part(data=part.data[:3])
        return Part()

    @mutation
    async def refuse(self, parts: AsyncIterator[Part]) -> Part:
        raise PermissionDenied("not today")


@contextmanager
def served() -> Iterator[str]:
    ports: list[int] = []
    started, stop = threading.Event(), asyncio.Event()
    loops: list[asyncio.AbstractEventLoop] = []

    async def main() -> None:
        loops.append(asyncio.get_running_loop())
        server = Server(App(Early()), ServerSettings(port=0, tick_s=0.02))
        await server.start()
        ports.append(server.port)
        started.set()
        await stop.wait()
        await server.drain()

    def run() -> None:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(main())

    thread = threading.Thread(target=run)
    thread.start()
    try:
        assert started.wait(5)
        yield f"127.0.0.1:{ports[0]}"
    finally:
        loops[0].call_soon_threadsafe(stop.set)
        thread.join(10)
    assert not thread.is_alive()


def encoded(size: int) -> bytes:
    """A `Part` of so many bytes, from 16,384 on."""
    return b"\x0a" + bytes([size & 127 | 128, size >> 7 & 127 | 128, size >> 14]) + b"x" * size


def test_a_client_stream_that_is_ended_early_gets_its_answer() -> None:
    with served() as authority, grpc.insecure_channel(authority) as channel:
        answer = channel.stream_unary("/early.Early/First")((encoded(20_000) for _ in range(5000)), timeout=10)
        assert answer == b"\x0a\x03xxx"


def test_refusing_hundreds_of_client_streams_a_second_keeps_the_connection() -> None:
    with served() as authority, grpc.insecure_channel(authority) as channel:
        refuse = channel.stream_unary("/early.Early/Refuse")
        for _ in range(500):
            with pytest.raises(grpc.RpcError) as caught:
                refuse((encoded(20_000) for _ in range(20)), timeout=10)
            assert (caught.value.code(), caught.value.details()) == (grpc.StatusCode.PERMISSION_DENIED, "not today")
