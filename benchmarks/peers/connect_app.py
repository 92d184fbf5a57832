"""connectrpc, served by pyvoy (Envoy with Python inside)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from connectrpc.method import IdempotencyLevel, MethodInfo, StreamType
from connectrpc.server import ConnectASGIApplication, Endpoint
from protobuf import Message
from protobuf._codegen import file_desc  # what its generated code calls

from benchmarks.peers.schema import AGE, EMAIL, FILE, NAME, SERVICE


class GetUserRequest(Message[Any]): ...


class GetUsersRequest(Message[Any]): ...


class User(Message[Any]): ...


class UserList(Message[Any]): ...


file_desc(FILE.SerializeToString(), [], {c.__name__: c for c in (GetUserRequest, GetUsersRequest, User, UserList)})


class UserService:
    async def get_user(self, request: Any, context: Any) -> Any:
        return User(id=request.id, name=NAME, email=EMAIL, age=AGE)

    async def get_users(self, request: Any, context: Any) -> Any:
        return UserList(users=[User(id=i, name=NAME, email=EMAIL, age=AGE) for i in range(1, request.count + 1)])


def unary(name: str, function: Any, request: type, answer: type) -> tuple[str, Endpoint[Any, Any]]:
    method = MethodInfo(
        name=name,
        service_name=SERVICE,
        input=request,
        output=answer,
        idempotency_level=IdempotencyLevel.NO_SIDE_EFFECTS,
        stream_type=StreamType.UNARY,
    )
    return f"/{SERVICE}/{name}", Endpoint.unary(method, function)


class UserServiceApplication(ConnectASGIApplication[UserService]):
    def __init__(self) -> None:
        super().__init__(service=UserService(), endpoints=self.endpoints)

    @staticmethod
    def endpoints(service: UserService) -> Mapping[str, Endpoint[Any, Any]]:
        return dict(
            (
                unary("GetUser", service.get_user, GetUserRequest, User),
                unary("GetUsers", service.get_users, GetUsersRequest, UserList),
            )
        )

    @property
    def path(self) -> str:
        return f"/{SERVICE}"


app = UserServiceApplication()
