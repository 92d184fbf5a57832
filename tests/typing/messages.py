"""Messages, unions and patches as a user writes them, under `mypy --strict`; see sample.py."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, assert_type

from polywire import Call, Int32, Message, Patch, Service, current_call, mutation, query


class User(Message, package="people"):
    id: Int32
    name: str
    tags: list[str] = []


class Shape(Message, union=True, frozen=True):
    pass


class Circle(Shape, frozen=True):
    radius: float


class UserService(Service, package="user", name="Users"):
    def __init__(self, store: dict[int, User]) -> None:
        self.store = store

    @mutation("PATCH /v1/users/{id}", deadline_s=1.0)
    async def update_user(self, id: Int32, patch: Patch[User]) -> User:
        assert_type(current_call(), Call)
        assert_type(patch.changes(), dict[str, Any])
        return patch.apply(self.store[id])

    @query("GET /v1/area", "GET /area", on_disconnect="finish")
    async def area(self) -> Shape:
        return Circle(1.0)

    @mutation
    async def chat(self, users: AsyncIterator[User]) -> AsyncIterator[User]:
        async for user in users:
            yield user


async def use(service: UserService, patch: Patch[User]) -> None:
    assert_type(User(1, "Alice", tags=["a"]).tags, list[str])
    assert_type(await service.update_user(1, patch), User)
    User(1, 2)  # type: ignore[arg-type]
    Circle(radius=1.0).radius = 2.0  # type: ignore[misc]
    patch.apply(Circle(1.0))  # type: ignore[arg-type]
    query("GET /x", on_disconnect="ignore")  # type: ignore[call-overload]
