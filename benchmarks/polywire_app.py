"""`user.UserService` without a database: what `make bench` measures, and a small service to play with.

polywire serve benchmarks/polywire_app.py:app
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from time import perf_counter_ns
from typing import TYPE_CHECKING, Annotated, Any

from msgspec import Meta

from polywire import App, Int32, Message, Service, Unauthenticated, mutation, query, resolve

if TYPE_CHECKING:
    from polywire import Call, Invoke


class User(Message):
    id: Int32
    name: str
    email: str
    age: Int32 | None = None


class UserList(Message):
    users: list[User]


class UserService(Service, package="user"):
    @query("GET /v1/users/{id}", graphql="user")
    async def get_user(self, id: Annotated[Int32, Meta(ge=1)]) -> User:
        return User(id=id, name="Alice", email="alice@example.com", age=30)

    @query("GET /v1/users")
    async def get_users(self, count: Annotated[Int32, Meta(ge=1, le=1000)]) -> UserList:
        return UserList(
            users=[User(id=i, name="Alice", email="alice@example.com", age=30) for i in range(1, count + 1)]
        )

    @query("GET /v1/users/stream")
    async def list_users(self, count: Annotated[Int32, Meta(ge=1, le=1_000_000)]) -> AsyncIterator[User]:
        for i in range(1, count + 1):
            yield User(id=i, name="Alice", email="alice@example.com", age=30)

    @mutation
    async def chat(self, users: AsyncIterator[User]) -> AsyncIterator[User]:
        async for user in users:
            yield user


class Order(Message):
    id: Int32
    total: float
    status: str


ORDERS = [Order(id, 9.5, "PAID") for id in range(1, 11)]


class OrderService(Service, package="orders"):
    @resolve(User)
    async def orders(self, user: User, last: Annotated[Int32, Meta(ge=1, le=100)]) -> list[Order]:
        return ORDERS[-last:]

    @query("GET /v1/users/{user_id}/orders")
    async def list_orders(self, user_id: Int32, last: Annotated[Int32, Meta(ge=1, le=100)] = 10) -> list[Order]:
        return ORDERS[-last:]


class Timing:
    """Counts the calls and the time that they take: what a metrics or logging interceptor does."""

    def __init__(self) -> None:
        self.calls = 0
        self.total_ns = 0

    async def __call__(self, call: Call, proceed: Invoke) -> Any:
        started = perf_counter_ns()
        try:
            return await proceed(call)
        finally:
            self.calls += 1
            self.total_ns += perf_counter_ns() - started


async def authenticate(call: Call, proceed: Invoke) -> Any:
    """Refuses a revoked token; callers without one are let in."""
    if call.metadata.get("authorization") == "Bearer revoked":
        raise Unauthenticated("this token was revoked", reason="TOKEN_REVOKED")
    return await proceed(call)


app = App(UserService(), OrderService(), name="users", interceptors=[Timing(), authenticate])
