"""The GraphQL schema of services: what each table becomes, and which names cannot stand side by side."""

from __future__ import annotations

import enum
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any
from uuid import UUID

import pytest
from graphql import (
    GraphQLInputObjectType,
    GraphQLObjectType,
    GraphQLSchema,
    assert_valid_schema,
    build_schema,
    print_schema,
)

from polywire import (
    ID,
    App,
    Doc,
    Float32,
    Int32,
    Message,
    Patch,
    SchemaError,
    Service,
    Tracked,
    UInt32,
    UInt64,
    mutation,
    query,
    resolve,
)
from polywire.contract.sdl import sdl_text
from polywire.protocols.graphql.schema import GraphqlSchema
from polywire.runtime.metrics import Metrics
from polywire.runtime.runtime import Runtime

HOSTILE = 'Ends a """block""" with \\""" and a backslash \\'


class Size(enum.Enum):
    """How large."""

    SMALL = 1
    LARGE = 2


class Shape(Message, union=True):
    """One of two."""


class BigCircle(Shape):
    radius: float


class Square(Shape):
    side: float


class Nothing(Message):
    pass


class Everything(Message):
    """Every kind of field."""

    id: Annotated[Int32, ID]
    wide: int
    u32: UInt32
    u64: UInt64
    narrow: Float32
    text: Annotated[str, Doc(HOSTILE)]
    maybe: str | None
    raw: bytes
    size: Size
    sizes: list[Size]
    shape: Shape
    other: Square | None
    at: datetime
    lasts: timedelta
    price: Decimal
    key: UUID
    day: date
    counts: dict[str, int]
    nothing: Nothing
    two_words: bool


class Options(Message):
    first: Int32 = 20
    wide: int = 5
    who: Annotated[int, ID] = 7
    text: str = 'a "quoted" é'
    size: Size = Size.LARGE
    ratio: float = 0.5
    on: bool = True
    maybe: Int32 | None = 3
    none: str | None = None
    tags: list[str] = []
    shape: Shape | None = None
    since: datetime = datetime(2026, 1, 1, tzinfo=UTC)
    inner: Annotated[list[Options], Doc("More of them.")] = []


class Things(Service, package="things"):
    @query(graphql="everything")
    async def get_everything(self, id: Annotated[Int32, ID], options: Options | None = None) -> Everything:
        """All there is."""
        raise NotImplementedError

    @query
    async def search(self, options: Options) -> list[Everything]:
        raise NotImplementedError

    @query
    async def count(self, of: Annotated[str, Doc("What to count.")] = "all", at_least: Int32 = 0) -> int:
        raise NotImplementedError

    @mutation
    async def change(self, patch: Patch[Square]) -> None:
        raise NotImplementedError

    @query
    async def watch(self) -> AsyncIterator[Tracked[Everything]]:
        raise NotImplementedError
        yield

    @mutation
    async def upload(self, things: AsyncIterator[Square]) -> Nothing:
        raise NotImplementedError

    @resolve(Square)
    async def area(self, squares: list[Square], digits: Int32 | None = None) -> list[float]:
        raise NotImplementedError


def schema() -> GraphQLSchema:
    return build_schema(sdl_text([Things.__polywire__]))


def types_of(name: str) -> dict[str, str]:
    type_ = schema().type_map[name]
    assert isinstance(type_, GraphQLObjectType | GraphQLInputObjectType)
    return {name: str(field.type) for name, field in type_.fields.items()}


def test_each_field_has_its_type() -> None:
    assert types_of("Everything") == {
        "id": "ID!",
        "wide": "Int64!",
        "u32": "UInt32!",
        "u64": "UInt64!",
        "narrow": "Float!",
        "text": "String!",
        "maybe": "String",
        "raw": "Bytes!",
        "size": "Size!",
        "sizes": "[Size!]!",
        "shape": "Shape!",
        "other": "Square",
        "at": "DateTime!",
        "lasts": "Duration!",
        "price": "Decimal!",
        "key": "UUID!",
        "day": "Date!",
        "counts": "JSON!",
        "nothing": "Nothing!",
        "twoWords": "Boolean!",
    }
    assert types_of("Square") == {"side": "Float!", "area": "Float!"}
    assert types_of("Nothing") == {"_empty": "Boolean"}


def test_root_fields_are_those_of_the_methods_that_graphql_can_ask() -> None:
    assert types_of("Query") == {"everything": "Everything", "search": "[Everything!]", "count": "Int64"}
    assert types_of("Mutation") == {"change": "Boolean"}
    assert types_of("Subscription") == {"watch": "Everything!"}


def test_what_is_taken_has_its_defaults() -> None:
    text = sdl_text([Things.__polywire__])
    for line in (
        "first: Int! = 20",
        'wide: Int64! = "5"',
        'who: ID! = "7"',
        'text: String! = "a \\"quoted\\" é"',
        "size: Size! = LARGE",
        "ratio: Float! = 0.5",
        "on: Boolean! = true",
        "maybe: Int = 3",
        "none: String",
        "tags: [String!]",
        "shape: ShapeInput",
        "since: DateTime",
        "inner: [OptionsInput!]",
        "search(options: OptionsInput!): [Everything!]",
        "change(patch: SquarePatchInput!): Boolean",
    ):
        assert f"  {line}\n" in text
    assert types_of("ShapeInput") == {"bigCircle": "BigCircleInput", "square": "SquareInput"}
    assert "input ShapeInput @oneOf {" in text


def test_docs_are_descriptions_whatever_is_in_them() -> None:
    types = schema().type_map
    everything: Any = types["Everything"]
    assert everything.description == "Every kind of field."
    assert everything.fields["text"].description == HOSTILE
    root: Any = types["Query"]
    assert root.fields["everything"].description == "All there is."
    assert root.fields["count"].args["of"].description == "What to count."
    assert types["Size"].description == "How large."


def test_it_is_the_schema_that_is_served() -> None:
    served = GraphqlSchema(Runtime(App(Things()), Metrics())).core
    assert_valid_schema(served)
    assert print_schema(served) == print_schema(schema())


def test_without_queries_there_is_a_query_all_the_same() -> None:
    class Only(Service):
        @mutation
        async def act(self) -> None: ...

    assert "_empty: Boolean" in sdl_text([Only.__polywire__])
    assert_valid_schema(build_schema(sdl_text([Only.__polywire__])))


class Twin(Message):
    x: Int32


def services_that_clash() -> dict[str, tuple[list[type[Service]], str]]:
    class One(Service, package="one"):
        @query
        async def find(self) -> Twin:
            raise NotImplementedError

    class Two(Service, package="two"):
        @query
        async def find(self) -> Twin:
            raise NotImplementedError

    class SameType(Service, package="three"):
        class Twin(Message, package="three"):
            y: Int32

        @query
        async def other(self) -> Twin:
            raise NotImplementedError

    class First(Service, package="first"):
        @query
        async def twin(self) -> Twin:
            raise NotImplementedError

        @resolve(Twin)
        async def more(self, twin: Twin) -> str:
            raise NotImplementedError

    class Second(Service, package="second"):
        @query
        async def unrelated(self) -> None: ...

        @resolve(Twin)
        async def more(self, twin: Twin) -> str:
            raise NotImplementedError

    class Shadows(Service, package="shadows"):
        @query
        async def unrelated(self) -> None: ...

        @resolve(Twin)
        async def x(self, twin: Twin) -> str:
            raise NotImplementedError

    class Small(enum.Enum):
        true = 1

    class Lower(Service, package="lower"):
        @query
        async def small(self) -> Small:
            raise NotImplementedError

    class Own(Service, package="own"):
        class Date(Message):
            day: Int32

        @query
        async def date(self) -> Date:
            raise NotImplementedError

    return {
        "root field": ([One, Two], 'Two/Find: one.One/Find is the field Query.find in GraphQL too; .*graphql="..."'),
        "type": ([One, SameType], "the type Twin in GraphQL, which .*Twin is; rename one"),
        "resolved twice": ([First, Second], "second.Second/More: Twin has a field more already, by first.First/More"),
        "a field of the message": ([First, Shadows], "shadows.Shadows/X: Twin has a field x already, by .*Twin"),
        "enum value": ([Lower], "true: GraphQL has no enum value of this name"),
        "scalar": ([Own], "the type Date in GraphQL, which GraphQL or polywire is"),
    }


@pytest.mark.parametrize("case", services_that_clash())
def test_two_things_of_one_name_are_both_named(case: str) -> None:
    services, expected = services_that_clash()[case]
    with pytest.raises(SchemaError, match=expected):
        sdl_text([service.__polywire__ for service in services])
