"""A schema by hand, with one of everything, for the tests that look at single cases."""

from __future__ import annotations

import enum
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec

from polywire.schema.types import (
    Cardinality,
    Constraints,
    EnumType,
    EnumValue,
    Field,
    Kind,
    MessageType,
    Method,
    MethodKind,
    ResultForm,
    Shape,
    Type,
    UnionMember,
    UnionType,
)


def field(name: str, number: int, kind: Kind = Kind.STRING, **more: Any) -> Field:
    inner = {key: more.pop(key) for key in ("message", "enum", "union", "constraints") if key in more}
    head, *rest = name.split("_")
    camel = head + "".join(part.title() for part in rest)
    if "default" in more or "default_factory" in more:
        more.setdefault("required", False)
    if kind in (Kind.MESSAGE, Kind.UNION, Kind.TIMESTAMP, Kind.DURATION) and "cardinality" not in more:
        more["explicit_presence"] = True
    bounds = more.pop("bounds", None)
    return Field(name, camel, number, Type(kind, **inner), constraints=bounds, **more)


def optional(name: str, number: int, kind: Kind = Kind.STRING, **more: Any) -> Field:
    return field(name, number, kind, explicit_presence=True, nullable=True, default=None, **more)


def listed(name: str, number: int, kind: Kind = Kind.STRING, **more: Any) -> Field:
    return field(name, number, kind, cardinality=Cardinality.LIST, default_factory=list, **more)


class Status(enum.Enum):
    ACTIVE = "active"
    GONE = "gone"


STATUS = EnumType(
    "Status",
    "t.Status",
    Status,
    (EnumValue("ACTIVE", "STATUS_ACTIVE", 1, Status.ACTIVE), EnumValue("GONE", "STATUS_GONE", 2, Status.GONE)),
)


class Level(enum.IntEnum):
    LOW = 10
    HIGH = 20


LEVEL = EnumType(
    "Level",
    "t.Level",
    Level,
    (EnumValue("LOW", "LEVEL_LOW", 10, Level.LOW), EnumValue("HIGH", "LEVEL_HIGH", 20, Level.HIGH)),
)


class User(msgspec.Struct):
    id: int
    name: str
    email: str
    age: int | None = None
    active: bool = True


USER = MessageType(
    "User",
    "t.User",
    User,
    (
        field("id", 1, Kind.INT32),
        field("name", 2),
        field("email", 3),
        optional("age", 4, Kind.INT32),
        field("active", 5, Kind.BOOL, default=True, explicit_presence=True),
    ),
)


class Users(msgspec.Struct):
    users: list[User]


USERS = MessageType("Users", "t.Users", Users, (listed("users", 1, Kind.MESSAGE, message=USER),))


class Shape2D(msgspec.Struct, tag_field="type"):
    pass


class Circle(Shape2D, tag="Circle"):
    radius: float


class Square(Shape2D, tag="Square"):
    side: int


CIRCLE = MessageType("Circle", "t.Circle", Circle, (field("radius", 1, Kind.DOUBLE),))
SQUARE = MessageType("Square", "t.Square", Square, (field("side", 1, Kind.INT32),))
SHAPE = UnionType(
    "Shape",
    "t.Shape",
    Shape2D,
    (UnionMember("circle", "Circle", 1, CIRCLE), UnionMember("square", "Square", 2, SQUARE)),
)


class Everything(msgspec.Struct, kw_only=True):
    flag: bool = False
    small: int = 0
    big_number: int = 0
    unsigned: int = 0
    huge: int = 0
    ratio: float = 0.0
    text: str = ""
    data: bytes = b""
    status: Status | None = None
    level: Level | None = None
    user: User | None = None
    shape: Shape2D | None = None
    at: datetime | None = None
    took: timedelta | None = None
    price: Decimal | None = None
    key: UUID | None = None
    day: date | None = None
    numbers: list[int] = []
    users: list[User] = []
    scores: dict[str, int] = {}
    names: dict[int, str] = {}
    single: float = 0.0


EVERYTHING = MessageType(
    "Everything",
    "t.Everything",
    Everything,
    (
        field("flag", 1, Kind.BOOL, default=False),
        field("small", 2, Kind.INT32, default=0),
        field("big_number", 3, Kind.INT64, default=0),
        field("unsigned", 4, Kind.UINT32, default=0),
        field("huge", 5, Kind.UINT64, default=0),
        field("ratio", 6, Kind.DOUBLE, default=0.0),
        field("text", 7, default=""),
        field("data", 8, Kind.BYTES, default=b""),
        optional("status", 9, Kind.ENUM, enum=STATUS),
        optional("level", 10, Kind.ENUM, enum=LEVEL),
        optional("user", 11, Kind.MESSAGE, message=USER),
        optional("shape", 12, Kind.UNION, union=SHAPE),
        optional("at", 13, Kind.TIMESTAMP),
        optional("took", 14, Kind.DURATION),
        optional("price", 15, Kind.DECIMAL),
        optional("key", 16, Kind.UUID),
        optional("day", 17, Kind.DATE),
        listed("numbers", 18, Kind.INT32),
        listed("users", 19, Kind.MESSAGE, message=USER),
        field("scores", 20, Kind.INT32, cardinality=Cardinality.MAP, map_key=Kind.STRING, default_factory=dict),
        field("names", 21, Kind.STRING, cardinality=Cardinality.MAP, map_key=Kind.INT64, default_factory=dict),
        field("single", 22, Kind.FLOAT, default=0.0),
    ),
)


class Bounded(msgspec.Struct):
    age: int
    code: str
    tags: list[str]
    status: Status


BOUNDED = MessageType(
    "Bounded",
    "t.Bounded",
    Bounded,
    (
        field("age", 1, Kind.INT32, constraints=Constraints(ge=1, le=150)),
        field("code", 2, constraints=Constraints(pattern="^[A-Z]+$", max_length=4)),
        listed("tags", 3, constraints=Constraints(min_length=2), bounds=Constraints(max_length=2)),
        field("status", 4, Kind.ENUM, enum=STATUS),
    ),
)


class Floats(msgspec.Struct):
    double: float


FLOATS = MessageType("Floats", "t.Floats", Floats, (field("double", 1, Kind.DOUBLE),))


class Node(msgspec.Struct):
    next: Node | None = None


def _node() -> MessageType:
    message = MessageType("Node", "t.Node", Node, ())
    fields = (optional("next", 1, Kind.MESSAGE, message=message),)
    object.__setattr__(message, "fields", fields)  # a cycle, as the reader makes it
    return message


NODE = _node()


def nested(depth: int) -> Node:
    node = Node()
    for _ in range(depth):
        node = Node(node)
    return node


NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


def method(input_: MessageType, output: MessageType, form: ResultForm = ResultForm.MESSAGE) -> Method:
    return Method("Do", "do", "t.Service", MethodKind.QUERY, Shape.UNARY, input_, output, form, None)
