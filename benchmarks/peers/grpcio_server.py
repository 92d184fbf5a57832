"""grpcio's asyncio server, on asyncio's own loop: its documentation offers no uvloop."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from typing import Any

import grpc

from benchmarks.peers.schema import AGE, EMAIL, NAME, SERVICE, GetUserRequest, GetUsersRequest, User, UserList


async def get_user(request: Any, context: Any) -> Any:
    return User(id=request.id, name=NAME, email=EMAIL, age=AGE)


async def get_users(request: Any, context: Any) -> Any:
    return UserList(users=[User(id=i, name=NAME, email=EMAIL, age=AGE) for i in range(1, request.count + 1)])


async def list_users(request: Any, context: Any) -> AsyncIterator[Any]:
    for i in range(1, request.count + 1):
        yield User(id=i, name=NAME, email=EMAIL, age=AGE)


async def chat(users: AsyncIterator[Any], context: Any) -> AsyncIterator[Any]:
    async for user in users:
        yield user


async def main(port: int) -> None:
    server = grpc.aio.server()
    methods = {
        "GetUser": grpc.unary_unary_rpc_method_handler(get_user, GetUserRequest.FromString, User.SerializeToString),
        "ListUsers": grpc.unary_stream_rpc_method_handler(
            list_users, GetUsersRequest.FromString, User.SerializeToString
        ),
        "Chat": grpc.stream_stream_rpc_method_handler(chat, User.FromString, User.SerializeToString),
        "GetUsers": grpc.unary_unary_rpc_method_handler(
            get_users, GetUsersRequest.FromString, UserList.SerializeToString
        ),
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, methods),))
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    await server.wait_for_termination()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
