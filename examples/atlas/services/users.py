"""People and their accounts, in a database."""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated

from msgspec import Meta

from atlas.store import EmailTaken, UserRow, UserStore
from polywire import ID, AlreadyExists, Doc, Int32, Message, NotFound, Service, mutation, query

UserId = Annotated[Int32, ID]
# PostgreSQL keeps no text with U+0000 in it.
Name = Annotated[str, Meta(min_length=1, max_length=100, pattern=r"^[^\x00]*$")]
Role = Annotated[str, Meta(max_length=40, pattern=r"^[^\x00]*$")]
# `$` alone would let a line break follow.
Email = Annotated[str, Meta(max_length=254, pattern=r"^[^@\s\x00]+@([A-Za-z0-9-]+\.)+[A-Za-z0-9-]{2,}$(?!\n)")]
PageToken = Annotated[str, Meta(pattern="^[0-9]{0,9}$")]
Age = Annotated[Int32, Meta(ge=0, le=150)]


class User(Message):
    id: UserId
    name: str
    email: str
    age: Int32 | None
    roles: list[str]


class UserPage(Message):
    users: list[User]
    total: Annotated[Int32, Doc("How many there are on all pages.")]
    next_offset: Annotated[Int32 | None, Doc("Where the next page begins; null on the last one.")]


class UserService(Service, package="user"):
    """Looks after users."""

    def __init__(self, store: UserStore) -> None:
        self.store = store

    @query("GET /v1/users/{id}", "GET /users/{id}")
    def get_user(self, id: UserId) -> User:
        """One user, by id."""
        return found(id, self.store.get(id))

    @mutation("POST /v1/users", "POST /users", status=201)
    def create_user(self, name: Name, email: Email, age: Age | None = None) -> User:
        """Opens an account. An e-mail address can have only one."""
        try:
            return user(self.store.create(name, email, age))
        except EmailTaken:
            raise taken(email) from None

    @mutation("PATCH /v1/users/{id}", "PATCH /users/{id}")
    def update_user(
        self, id: UserId, name: Name | None = None, email: Email | None = None, age: Age | None = None
    ) -> User:
        """Changes what is given and leaves the rest as it is."""
        changes = {"name": name, "email": email, "age": age}
        try:
            return found(id, self.store.update(id, {key: value for key, value in changes.items() if value is not None}))
        except EmailTaken:
            raise taken(email) from None

    @mutation("DELETE /v1/users/{id}", "DELETE /users/{id}")
    def delete_user(self, id: UserId) -> None:
        """Closes an account."""
        if not self.store.delete(id):
            raise not_found(id)

    @query("GET /v1/users", "GET /users")
    def find_users(
        self,
        role: Role | None = None,
        offset: Annotated[Int32, Meta(ge=0)] = 0,
        limit: Annotated[Int32, Meta(ge=1, le=100)] = 20,
    ) -> UserPage:
        """One page of users in the order of their ids, of one role if it is given."""
        rows, total = self.store.page(role, offset, limit)
        following = offset + len(rows)
        return UserPage([user(row) for row in rows], total, following if following < total else None)

    @query
    async def list_users(
        self, page_size: Annotated[Int32, Meta(ge=0, le=1000)] = 0, page_token: PageToken = ""
    ) -> AsyncIterator[User]:
        """Every user, as a stream. `page_size` caps it, `page_token` is the id to go on after."""
        after, left = int(page_token or 0), page_size or None
        while rows := await asyncio.to_thread(self.store.after, after, min(left or 100, 100)):
            for row in rows:
                yield user(row)
            after = rows[-1].id
            if left is not None and (left := left - len(rows)) == 0:
                return


def user(row: UserRow) -> User:
    return User(row.id, row.name, row.email, row.age, row.roles)


def found(id: int, row: UserRow | None) -> User:
    if row is None:
        raise not_found(id)
    return user(row)


def not_found(id: int) -> NotFound:
    return NotFound(f"no user {id}", reason="USER_NOT_FOUND")


def taken(email: str | None) -> AlreadyExists:
    return AlreadyExists(f"{email} has an account already", reason="EMAIL_TAKEN")
