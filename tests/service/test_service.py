"""What a service class becomes in the tables."""

from __future__ import annotations

import enum
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Annotated

import msgspec
import pytest

from polywire import App, ContractLock, Int32, Message, NotFound, SchemaError, Service, mutation, query
from polywire.schema import EMPTY, Kind, Method, MethodKind, ResultForm, Route, Shape


class UserStore:
    async def get(self, id: int) -> User | None:
        return User(id, "Alice", "alice@example.com") if id == 1 else None


class User(Message):
    id: Int32
    name: str
    email: str
    age: Int32 | None = None


class UploadSummary(Message):
    count: int


class UserService(Service, package="user"):
    """Users.

    All of them.
    """

    def __init__(self, store: UserStore) -> None:
        self.store = store

    @query("GET /v1/users/{id}")
    async def get_user(self, id: Int32) -> User:
        """One user."""
        user = await self.store.get(id)
        if user is None:
            raise NotFound(f"no user {id}", reason="USER_NOT_FOUND")
        return user

    @mutation("POST /v1/users", status=201, idempotent=True)
    async def create_user(self, name: str, email: str) -> User: ...  # type: ignore[empty-body]

    @query("GET /v1/users/live")
    async def watch_users(self) -> AsyncIterator[User]: ...  # type: ignore[empty-body]

    @mutation
    async def upload_users(self, users: AsyncIterator[User]) -> UploadSummary: ...  # type: ignore[empty-body]


def methods(service: type[Service]) -> dict[str, Method]:
    return {method.python_name: method for method in service.__polywire__.methods}


def test_the_sample_of_the_design() -> None:
    table = UserService.__polywire__
    assert (table.name, table.package, table.full_name, table.doc) == (
        "UserService",
        "user",
        "user.UserService",
        "Users.",
    )
    get, create, watch, upload = table.methods
    assert (get.full_name, get.path) == ("user.UserService/GetUser", "/user.UserService/GetUser")
    assert get.function is UserService.get_user
    assert (get.kind, get.shape, get.is_async, get.doc) == (MethodKind.QUERY, Shape.UNARY, True, "One user.")
    assert (get.input.full_name, get.input.generated, get.arguments) == ("user.GetUserRequest", True, ("id",))
    assert [(f.name, f.type.kind) for f in get.input.fields] == [("id", Kind.INT32)]
    assert (get.output.full_name, get.result_form) == ("user.User", ResultForm.MESSAGE)
    assert get.routes == (Route("GET", "/v1/users/{id}", ("id",)),)
    assert (create.kind, create.status, create.idempotent) == (MethodKind.MUTATION, 201, True)
    assert (watch.shape, watch.arguments, watch.input.fields) == (Shape.SERVER_STREAM, (), ())
    assert (upload.shape, upload.arguments, upload.stream_argument) == (Shape.CLIENT_STREAM, None, "users")
    assert upload.input is get.output
    assert upload.routes == ()


async def test_the_class_stays_ordinary() -> None:
    service = UserService(UserStore())
    assert (await service.get_user(1)).name == "Alice"
    with pytest.raises(NotFound):
        await service.get_user(id=2)
    assert App(service).services == ((UserService.__polywire__, service),)


class Colour(enum.Enum):
    RED = "red"


class Figure(Message, union=True):
    pass


class Dot(Figure):
    pass


class Everything(Service, package="all.things", name="Things"):
    @query
    def plain(self) -> int:
        return 1

    @query
    async def maybe(self) -> User | None:
        return None

    @query
    async def maybe_int(self) -> int | None:
        return None

    @query
    async def many(self) -> list[User]:
        return []

    @query
    async def table(self) -> Annotated[dict[str, int], msgspec.Meta(max_length=3)]:
        return {}

    @query
    async def colour(self) -> Colour:
        return Colour.RED

    @query
    async def figure(self, figure: Figure) -> Figure:
        return figure

    @mutation
    async def nothing(self, user: User) -> None: ...

    @mutation
    async def optional_user(self, user: User | None = None) -> None: ...

    @query
    async def numbers(self) -> AsyncIterator[int]:
        yield 1

    @mutation
    async def chat(self, messages: AsyncIterator[User]) -> AsyncGenerator[User, None]:
        async for message in messages:
            yield message

    @query(name="Renamed", deadline_s=0.5, on_disconnect="finish")
    async def many_arguments(
        self,
        first: int = 5,
        *,
        second: Annotated[str, msgspec.Meta(min_length=2)],
        third: list[str] = [],  # noqa: B006
    ) -> None: ...


@pytest.mark.parametrize(
    ("name", "form", "fields"),
    [
        ("plain", ResultForm.WRAPPED, [("value", Kind.INT64, True, False)]),
        ("maybe", ResultForm.WRAPPED, [("value", Kind.MESSAGE, False, True)]),
        ("maybe_int", ResultForm.WRAPPED, [("value", Kind.INT64, False, True)]),
        ("many", ResultForm.WRAPPED, [("values", Kind.MESSAGE, True, False)]),
        ("table", ResultForm.WRAPPED, [("values", Kind.INT64, True, False)]),
        ("colour", ResultForm.WRAPPED, [("value", Kind.ENUM, True, False)]),
        ("figure", ResultForm.WRAPPED, [("value", Kind.UNION, True, False)]),
        ("numbers", ResultForm.WRAPPED, [("value", Kind.INT64, True, False)]),
        ("nothing", ResultForm.EMPTY, []),
    ],
)
def test_results(name: str, form: ResultForm, fields: list[tuple[str, Kind, bool, bool]]) -> None:
    method = methods(Everything)[name]
    assert method.result_form is form
    assert [(f.name, f.type.kind, f.required, f.nullable) for f in method.output.fields] == fields
    if form is ResultForm.WRAPPED:
        assert method.output.full_name == f"all.things.{method.name}Response"
        assert method.output.generated
    else:
        assert method.output is EMPTY
        assert EMPTY.full_name == "google.protobuf.Empty"


def test_shapes_and_inputs() -> None:
    table = methods(Everything)
    assert Everything.__polywire__.full_name == "all.things.Things"
    assert not table["plain"].is_async
    assert table["numbers"].is_async
    assert (table["nothing"].arguments, table["nothing"].input.cls) == (None, User)
    assert table["optional_user"].arguments == ("user",)
    assert table["figure"].arguments == ("figure",)
    assert (table["chat"].shape, table["chat"].stream_argument) == (Shape.BIDI_STREAM, "messages")
    assert table["numbers"].shape is Shape.SERVER_STREAM


def test_options_and_parameters() -> None:
    method = methods(Everything)["many_arguments"]
    assert (method.name, method.input.name) == ("Renamed", "RenamedRequest")
    assert (method.deadline_s, method.finish_on_disconnect) == (0.5, True)
    assert method.arguments == ("first", "second", "third")
    first, second, third = method.input.fields
    assert (first.required, first.default, first.explicit_presence) == (False, 5, True)
    assert second.required
    assert second.type.constraints is not None
    assert second.type.constraints.min_length == 2
    assert third.make_default() == []
    request = msgspec.json.decode(b'{"second": "ab"}', type=method.input.cls)
    assert msgspec.structs.asdict(request) == {"first": 5, "second": "ab", "third": []}
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(b'{"second": "a"}', type=method.input.cls)


def test_a_subclass_offers_what_its_base_does() -> None:
    class More(UserService, package="more"):
        @query
        async def get_user(self, id: Int32) -> User:
            return User(id, "", "")

        @query
        async def count(self) -> int:
            return 0

    assert [m.full_name for m in More.__polywire__.methods] == [
        "more.More/GetUser",
        "more.More/CreateUser",
        "more.More/WatchUsers",
        "more.More/UploadUsers",
        "more.More/Count",
    ]
    assert methods(More)["get_user"].function is More.get_user
    with pytest.raises(SchemaError, match=r"get_user: it replaces a method that a base offers.*@query"):

        class Broken(UserService):
            async def get_user(self, id: Int32) -> User:
                return User(id, "", "")


def test_types_of_the_surrounding_function() -> None:
    class Local(Message):
        text: str

    class LocalService(Service):
        class Nested(Message):
            local: Local

        @query
        async def list(self, local: Local) -> list[Nested]:
            return []

    (method,) = LocalService.__polywire__.methods
    assert method.input.cls is Local
    assert method.output.fields[0].type.message is not None
    assert method.output.fields[0].type.message.cls is LocalService.Nested


def test_a_contract_covers_generated_requests() -> None:
    class Locked(Service, package="p", lock=ContractLock({"p.FindRequest": {"b": 1, "gone": 2}})):
        @query
        async def find(self, a: int, b: int) -> None: ...

    (method,) = Locked.__polywire__.methods
    assert {f.name: f.number for f in method.input.fields} == {"a": 3, "b": 1}
    assert method.input.reserved == (2,)
