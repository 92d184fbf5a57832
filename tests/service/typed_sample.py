"""Checked by mypy --strict in test_typing.py: what a user writes keeps its types."""

from collections.abc import AsyncIterator
from typing import Annotated, Any, assert_type

import msgspec

from polywire import (
    ID,
    App,
    Call,
    Int32,
    Interceptor,
    Invoke,
    Message,
    NotFound,
    Patch,
    Service,
    current_call,
    mutation,
    query,
)


class User(Message, package="people"):
    id: Annotated[Int32, ID]
    name: Annotated[str, msgspec.Meta(min_length=1)]
    age: Int32 | None = None
    tags: list[str] = []


class Shape(Message, union=True):
    pass


class Circle(Shape, frozen=True):
    radius: float


class UserService(Service, package="user", name="Users"):
    def __init__(self, store: dict[int, User]) -> None:
        self.store = store

    @query("GET /v1/users/{id}", "GET /users/{id}", deadline_s=1.0)
    async def get_user(self, id: Int32) -> User:
        assert_type(current_call(), Call)
        if id not in self.store:
            raise NotFound(f"no user {id}", reason="USER_NOT_FOUND")
        return self.store[id]

    @query
    def count(self) -> int:
        return len(self.store)

    @mutation("PATCH /v1/users/{id}", idempotent=True)
    async def update_user(self, id: Int32, patch: Patch[User]) -> User:
        return patch.apply(self.store[id])

    @mutation
    async def watch(self, users: AsyncIterator[User]) -> AsyncIterator[User]:
        async for user in users:
            yield user


async def log(call: Call, proceed: Invoke) -> Any:
    return await proceed(call)


interceptor: Interceptor = log
app = App(UserService({}), interceptors=[log])


@app.on_start
async def start() -> None: ...


@app.check("store", timeout_s=1.0)
def check() -> None: ...


async def use(service: UserService) -> None:
    user = User(1, "Alice", tags=["a"])
    assert_type(user.age, int | None)
    assert_type(await service.get_user(1), User)
    assert_type(service.count(), int)
    User(1)  # type: ignore[call-arg]
    User(1, 2)  # type: ignore[arg-type]
    await service.get_user("1")  # type: ignore[arg-type]
    Circle(radius=1.0).radius = 2.0  # type: ignore[misc]
    mutation("GET /x", idempotent="yes")  # type: ignore[call-overload]
    query("GET /x", idempotent=True)  # type: ignore[call-overload]
