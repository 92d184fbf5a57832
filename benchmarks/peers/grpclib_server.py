"""grpclib (pure Python, on h2) with uvloop."""

from __future__ import annotations

import sys
from typing import Any

import uvloop
from grpclib.const import Cardinality, Handler
from grpclib.server import Server

from benchmarks.peers.schema import AGE, EMAIL, NAME, SERVICE, GetUserRequest, GetUsersRequest, User, UserList


class UserService:
    async def get_user(self, stream: Any) -> None:
        request = await stream.recv_message()
        await stream.send_message(User(id=request.id, name=NAME, email=EMAIL, age=AGE))

    async def get_users(self, stream: Any) -> None:
        request = await stream.recv_message()
        users = [User(id=i, name=NAME, email=EMAIL, age=AGE) for i in range(1, request.count + 1)]
        await stream.send_message(UserList(users=users))

    async def list_users(self, stream: Any) -> None:
        request = await stream.recv_message()
        for i in range(1, request.count + 1):
            await stream.send_message(User(id=i, name=NAME, email=EMAIL, age=AGE))

    async def chat(self, stream: Any) -> None:
        async for user in stream:
            await stream.send_message(user)

    def __mapping__(self) -> dict[str, Handler]:
        unary = Cardinality.UNARY_UNARY
        return {
            f"/{SERVICE}/GetUser": Handler(self.get_user, unary, GetUserRequest, User),
            f"/{SERVICE}/ListUsers": Handler(self.list_users, Cardinality.UNARY_STREAM, GetUsersRequest, User),
            f"/{SERVICE}/Chat": Handler(self.chat, Cardinality.STREAM_STREAM, User, User),
            f"/{SERVICE}/GetUsers": Handler(self.get_users, unary, GetUsersRequest, UserList),
        }


async def main(port: int) -> None:
    server = Server([UserService()])
    await server.start("127.0.0.1", port)
    await server.wait_closed()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
