"""The Python client beside grpcio.aio's, on the same server: `.venv/bin/python -m benchmarks.clients`.

The server is polywire's, in a process of its own; both clients run one after the other in this one, on uvloop, with the
same number of calls under way. Messages are decoded: by polywire into a Message, by grpcio with Google's protobuf.
"""

from __future__ import annotations

import asyncio
import multiprocessing
from collections.abc import AsyncIterator, Awaitable, Callable
from multiprocessing.connection import Connection
from time import perf_counter
from typing import Any

import grpc.aio  # type: ignore[import-untyped]
import uvloop
from google.protobuf import descriptor_pool, message_factory
from rich.console import Console
from rich.table import Table

import polywire
from polywire import App, Int32, Message, Service, mutation, query
from polywire.contract.descriptors import file_descriptors
from polywire.protocols.site import Site
from polywire.server.serve import Server
from polywire.server.settings import ServerSettings

SECONDS = 2.0
AT_ONCE = 32
ITEMS = 20_000


class User(Message):
    id: Int32
    name: str = ""
    email: str = ""


class Users(Service, package="bench"):
    @query
    async def get_user(self, id: Int32) -> User:
        return User(id, "Ada", "ada@example.org")

    @query
    async def list_users(self, count: Int32) -> AsyncIterator[User]:
        for id in range(count):
            yield User(id, "Ada", "ada@example.org")

    @mutation
    async def chat(self, users: AsyncIterator[User]) -> AsyncIterator[User]:
        async for user in users:
            yield user


def serve(told: Connection) -> None:
    async def main() -> None:
        server = Server(Site(App(Users())), ServerSettings(port=0))
        await server.start()
        told.send(server.port)
        await asyncio.Event().wait()

    uvloop.run(main())


async def calls_per_s(call: Callable[[], Awaitable[Any]]) -> float:
    """AT_ONCE callers, each with one call after the other."""
    done = 0
    end = perf_counter() + SECONDS

    async def caller() -> None:
        nonlocal done
        while perf_counter() < end:
            await call()
            done += 1

    started = perf_counter()
    await asyncio.gather(*(caller() for _ in range(AT_ONCE)))
    return done / (perf_counter() - started)


async def items_per_s(items: Any) -> float:
    started = perf_counter()
    count = 0
    async for _ in items:
        count += 1
    assert count == ITEMS
    return count / (perf_counter() - started)


async def give(item: Any) -> AsyncIterator[Any]:
    for _ in range(ITEMS):
        yield item


async def polywires(port: int) -> list[float]:
    async with polywire.connect(f"http://127.0.0.1:{port}") as channel:
        users = channel.client(Users)
        await users.get_user(1)
        return [
            await calls_per_s(lambda: users.get_user(1)),
            await items_per_s(users.list_users(ITEMS)),
            await items_per_s(users.chat(give(User(1, "Ada", "ada@example.org")))),
        ]


async def grpcios(port: int) -> list[float]:
    pool = descriptor_pool.DescriptorPool()
    for file in file_descriptors([Users.__polywire__]):
        pool.Add(file)
    methods = pool.FindServiceByName("bench.Users").methods_by_name
    classes = {name: message_factory.GetMessageClass(method.input_type) for name, method in methods.items()}
    user = message_factory.GetMessageClass(methods["GetUser"].output_type)

    def encode(message: Any) -> bytes:
        data: bytes = message.SerializeToString()
        return data

    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        get = channel.unary_unary("/bench.Users/GetUser", encode, user.FromString)
        await get(classes["GetUser"](id=1))
        listed = channel.unary_stream("/bench.Users/ListUsers", encode, user.FromString)
        chat = channel.stream_stream("/bench.Users/Chat", encode, user.FromString)
        return [
            await calls_per_s(lambda: get(classes["GetUser"](id=1))),
            await items_per_s(listed(classes["ListUsers"](count=ITEMS))),
            await items_per_s(chat(give(user(id=1, name="Ada", email="ada@example.org")))),
        ]


def main() -> None:
    here, there = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=serve, args=(there,), daemon=True)
    process.start()
    try:
        port = here.recv()
        ours = uvloop.run(polywires(port))
        theirs = uvloop.run(grpcios(port))
    finally:
        process.terminate()
        process.join()
    table = Table("per second", "polywire", "grpcio.aio", "ratio")
    kinds = (f"unary calls, {AT_ONCE} at once", "messages of a server stream", "messages there and back")
    for kind, own, other in zip(kinds, ours, theirs, strict=True):
        table.add_row(kind, f"{own:,.0f}", f"{other:,.0f}", f"{own / other:.1f}")
    Console().print(table)


if __name__ == "__main__":
    main()
