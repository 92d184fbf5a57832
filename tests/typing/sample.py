"""A service as a user writes it, under `mypy --strict` (`make check`): good typing passes, mistakes are refused.

Nothing here runs. An error that stops being one fails the check too: strict mode warns of ignores without use.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any, assert_type

from msgspec import Meta

from polywire import (
    ID,
    App,
    Call,
    Int32,
    Interceptor,
    Invoke,
    Message,
    NotFound,
    PermissionDenied,
    Service,
    Tracked,
    mutation,
    query,
)


class User(Message):
    id: Annotated[Int32, ID]
    name: Annotated[str, Meta(min_length=1)]
    age: Int32 | None = None


class UserService(Service, package="user"):
    def __init__(self, users: dict[int, User]) -> None:
        self.users = users

    @query("GET /v1/users/{id}")
    async def get_user(self, id: Int32) -> User:
        user = self.users.get(id)
        if user is None:
            raise NotFound(f"no user {id}", reason="USER_NOT_FOUND")
        return user

    @mutation("POST /v1/users", status=201, idempotent=True)
    async def create_user(self, user: User) -> User:
        return self.users.setdefault(user.id, user)

    @query
    def count(self) -> int:
        return len(self.users)

    @query("GET /v1/users/live")
    async def watch_users(self) -> AsyncIterator[User]:
        for user in self.users.values():
            yield user

    @query("GET /v1/users/changes", idle_s=60)
    async def follow_users(self) -> AsyncIterator[Tracked[User]]:
        for position, user in enumerate(self.users.values()):
            yield Tracked(str(position), user)

    @mutation("POST /v1/users/all")
    async def upload_users(self, users: AsyncIterator[User]) -> int:
        self.users.update({user.id: user async for user in users})
        return len(self.users)


async def refuse_strangers(call: Call, proceed: Invoke) -> Any:
    if call.metadata.get("authorization") is None:
        raise PermissionDenied("who are you?")
    return await proceed(call)


service = UserService({})
interceptor: Interceptor = refuse_strangers
app = App(service, interceptors=[interceptor])


@app.check("database", timeout_s=1.0)
async def database() -> None: ...


async def decorated_methods_keep_their_types() -> None:
    assert_type(await service.get_user(42), User)
    assert_type(service.count(), int)
    async for user in service.watch_users():
        assert_type(user.age, int | None)
    async for change in service.follow_users():
        assert_type(change, Tracked[User])
        assert_type(change.id, str)
        assert_type(change.value, User)


async def mistakes_are_seen() -> None:
    User(id="42", name="Alice")  # type: ignore[arg-type]
    User(id=42)  # type: ignore[call-arg]
    await service.get_user("42")  # type: ignore[arg-type]
    Tracked(7, User(id=42, name="Alice"))  # type: ignore[arg-type]
    query("GET /v1/users", idle_s="60")  # type: ignore[call-overload]
    App(UserService)  # type: ignore[arg-type]
    mutation("POST /v1/users", state=201)  # type: ignore[call-overload]
    query("GET /v1/users", idempotent=True)  # type: ignore[call-overload]
