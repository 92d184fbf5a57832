"""People and their accounts, in a database."""

import logging
import time
from collections.abc import AsyncIterator
from typing import Annotated

import msgspec
from msgspec import Meta

from atlas.locked import LOCK
from atlas.room import Room
from atlas.selected import is_selected
from atlas.store import EmailTaken, UserStore
from atlas.tables import UserRow
from atlas.threads import in_thread
from polywire import (
    ID,
    AlreadyExists,
    Doc,
    Int32,
    Message,
    NotFound,
    ResourceExhausted,
    Service,
    mutation,
    query,
)

logger = logging.getLogger("atlas.events")

MOST_UPLOADED = 10_000
MOST_PROBLEMS = 100

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


class CreateUserRequest(Message):
    name: Name
    email: Email
    age: Age | None = None


class UploadProblem(Message):
    index: Annotated[Int32, Doc("Of the user in the stream, from 0.")]
    email: str
    reason: str


class UploadSummary(Message):
    created: Int32
    skipped: Int32
    problems: Annotated[list[UploadProblem], Doc("Why the first 100 were skipped.")]


class ChatMessage(Message):
    user: Name
    text: Annotated[str, Meta(max_length=4000)]
    timestamp: Annotated[int, Doc("Unix time in seconds; the server's, whatever was sent.")] = 0


class UserPage(Message):
    users: list[User]
    total: Annotated[Int32, Doc("How many there are on all pages.")]
    next_offset: Annotated[Int32 | None, Doc("Where the next page begins; null on the last one.")]


class UserService(Service, package="user", lock=LOCK):
    """Looks after users."""

    def __init__(self, store: UserStore) -> None:
        self.store = store
        self.room: Room[ChatMessage] = Room()

    @query("GET /v1/users/{id}", "GET /users/{id}", graphql="user")
    def get_user(self, id: UserId) -> User:
        """One user, by id."""
        return found(id, self.store.get(id))

    @mutation("POST /v1/users", "POST /users", status=201)
    def create_user(self, input: CreateUserRequest) -> User:
        """Opens an account. An e-mail address can have only one."""
        try:
            row = self.store.create(input.name, input.email, input.age)
        except EmailTaken:
            raise taken(input.email) from None
        logger.info("user %d created", row.id)
        return user(row)

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
    def users(self, role: Role | None = None, limit: Annotated[Int32, Meta(ge=1, le=1000)] = 100) -> list[User]:
        """The first users in the order of their ids, of one role if it is given."""
        with_roles = is_selected("roles")
        return [user(row, with_roles) for row in self.store.having(role, limit, with_roles=with_roles)]

    @query("GET /v1/users/stream", "GET /users/stream")
    async def list_users(
        self, page_size: Annotated[Int32, Meta(ge=0, le=1000)] = 0, page_token: PageToken = ""
    ) -> AsyncIterator[User]:
        """Every user, as a stream. `page_size` caps it, `page_token` is the id to go on after."""
        after, left = int(page_token or 0), page_size or None
        while rows := await in_thread(self.store.after, after, min(left or 100, 100)):
            for row in rows:
                yield user(row)
            after = rows[-1].id
            if left is not None and (left := left - len(rows)) == 0:
                return

    @mutation("POST /v1/users/batch", "POST /users/batch")
    async def upload_users(self, users: AsyncIterator[CreateUserRequest]) -> UploadSummary:
        """Opens an account for each that comes, and tells at the end which had one already.

        What has been opened stays if the upload breaks off. It tells 100 problems at most: lint: allow unbounded-list.
        """
        created = skipped = 0
        problems: list[UploadProblem] = []
        async for request in users:
            if created + skipped == MOST_UPLOADED:
                raise ResourceExhausted(f"more than {MOST_UPLOADED} users in one upload", reason="TOO_MANY_USERS")
            try:
                await in_thread(self.store.create, request.name, request.email, request.age)
                created += 1
            except EmailTaken:
                if len(problems) < MOST_PROBLEMS:
                    problems.append(UploadProblem(created + skipped, request.email, "EMAIL_TAKEN"))
                skipped += 1
        return UploadSummary(created, skipped, problems)

    @mutation("POST /v1/users/chat", "POST /users/chat")
    async def chat(self, messages: AsyncIterator[ChatMessage]) -> AsyncIterator[ChatMessage]:
        """Tells everybody who is here what each says, the speaker too, in one order and from one's coming on.

        Ends once the caller has said its last and has heard what was said until then. Who reads too slowly to keep up
        is let go with SLOW_CONSUMER.
        """
        return self.room.visit(messages, stamped)


def stamped(message: ChatMessage) -> ChatMessage:
    return msgspec.structs.replace(message, timestamp=int(time.time()))


def user(row: UserRow, with_roles: bool = True) -> User:
    return User(row.id, row.name, row.email, row.age, row.roles if with_roles else [])


def found(id: int, row: UserRow | None) -> User:
    if row is None:
        raise not_found(id)
    return user(row)


def not_found(id: int) -> NotFound:
    return NotFound(f"no user {id}", reason="USER_NOT_FOUND")


def taken(email: str | None) -> AlreadyExists:
    return AlreadyExists(f"{email} has an account already", reason="EMAIL_TAKEN")
