"""The streams and waiting calls of `costs.Costs` with grpcio's asyncio server, beside what grpcio_server serves."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from typing import Any

import grpc

from benchmarks.peers.grpcio_server import chat, get_user
from benchmarks.peers.schema import AGE, EMAIL, NAME, SERVICE, GetUserRequest, Moment, User

started: dict[int, int] = {}
stopped: dict[int, int] = {}


def _user(id: int) -> Any:
    return User(id=id, name=NAME, email=EMAIL, age=AGE)


async def wait(request: Any, context: Any) -> Any:
    started[request.id] = time.monotonic_ns()
    try:
        await asyncio.Event().wait()
    finally:
        stopped[request.id] = time.monotonic_ns()
    return _user(request.id)


async def flood(request: Any, context: Any) -> AsyncIterator[Any]:
    started[request.id] = time.monotonic_ns()
    try:
        while True:
            yield _user(request.id)
    finally:
        stopped[request.id] = time.monotonic_ns()


async def follow(request: Any, context: Any) -> AsyncIterator[Any]:
    yield _user(request.id)
    await asyncio.Event().wait()


async def look(request: Any, context: Any) -> Any:
    return Moment(started_ns=started.get(request.id, 0), stopped_ns=stopped.get(request.id, 0))


async def main(port: int) -> None:
    server = grpc.aio.server()
    read, write = GetUserRequest.FromString, User.SerializeToString
    costs = {
        "Wait": grpc.unary_unary_rpc_method_handler(wait, read, write),
        "Flood": grpc.unary_stream_rpc_method_handler(flood, read, write),
        "Follow": grpc.unary_stream_rpc_method_handler(follow, read, write),
        "Chat": grpc.stream_stream_rpc_method_handler(chat, User.FromString, write),
        "Look": grpc.unary_unary_rpc_method_handler(look, read, Moment.SerializeToString),
    }
    users = {"GetUser": grpc.unary_unary_rpc_method_handler(get_user, read, write)}
    services = {SERVICE: users, "costs.Costs": costs}
    server.add_generic_rpc_handlers(
        tuple(grpc.method_handlers_generic_handler(name, methods) for name, methods in services.items())
    )
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    await server.wait_for_termination()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
