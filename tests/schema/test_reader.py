"""What an annotation becomes in the tables, and what msgspec then holds values to."""

import datetime
import decimal
import enum
import uuid
from typing import Annotated, Any

import msgspec
import pytest

from polywire.schema import (
    ID,
    Cardinality,
    Constraints,
    Doc,
    Field,
    FieldNumber,
    Float32,
    Int32,
    Int64,
    Kind,
    Message,
    SchemaError,
    UInt32,
    UInt64,
    message_type,
    union_type,
)
from polywire.schema.message import MessageMeta


class Colour(enum.Enum):
    RED = "red"
    GREEN = "green"


class Inner(Message):
    text: str


class Shape(Message, union=True):
    """Something drawn."""


class Circle(Shape):
    radius: float


class Group(Shape):
    parts: list[Shape]


def one(annotation: Any, *default: Any) -> Field:
    """The table of a field with this annotation."""
    namespace: dict[str, Any] = {"__module__": __name__, "__annotations__": {"field": annotation}}
    if default:
        namespace["field"] = default[0]
    (field,) = message_type(MessageMeta("Sample", (Message,), namespace)).fields
    return field


@pytest.mark.parametrize(
    ("annotation", "kind"),
    [
        (bool, Kind.BOOL),
        (int, Kind.INT64),
        (Int32, Kind.INT32),
        (Int64, Kind.INT64),
        (UInt32, Kind.UINT32),
        (UInt64, Kind.UINT64),
        (float, Kind.DOUBLE),
        (Float32, Kind.FLOAT),
        (str, Kind.STRING),
        (bytes, Kind.BYTES),
        (Colour, Kind.ENUM),
        (Inner, Kind.MESSAGE),
        (Shape, Kind.UNION),
        (datetime.datetime, Kind.TIMESTAMP),
        (datetime.timedelta, Kind.DURATION),
        (datetime.date, Kind.DATE),
        (decimal.Decimal, Kind.DECIMAL),
        (uuid.UUID, Kind.UUID),
    ],
)
def test_kinds(annotation: Any, kind: Kind) -> None:
    plain, many = one(annotation), one(list[annotation])
    mapped = one(dict[str, annotation])
    optional = one(annotation | None)
    assert [f.type.kind for f in (plain, many, mapped, optional)] == [kind] * 4
    assert [f.cardinality for f in (plain, many, mapped)] == [Cardinality.SINGLE, Cardinality.LIST, Cardinality.MAP]
    assert (plain.nullable, optional.nullable) == (False, True)
    assert mapped.map_key is Kind.STRING
    assert plain.type.constraints is None


@pytest.mark.parametrize(
    ("key", "kind"),
    [(str, Kind.STRING), (int, Kind.INT64), (Int32, Kind.INT32), (UInt64, Kind.UINT64), (bool, Kind.BOOL)],
)
def test_map_keys(key: Any, kind: Kind) -> None:
    assert one(dict[key, int]).map_key is kind


@pytest.mark.parametrize(
    ("annotation", "default", "required", "explicit", "nullable"),
    [
        (int, (), True, False, False),
        (int, (0,), False, False, False),
        (int, (5,), False, True, False),
        (int | None, (), True, True, True),
        (int | None, (None,), False, True, True),
        (int | None, (0,), False, True, True),
        (float, (0.0,), False, False, False),
        (float, (-0.0,), False, True, False),
        (float, (1,), False, True, False),
        (str, ("",), False, False, False),
        (str, ("x",), False, True, False),
        (bytes, (b"",), False, False, False),
        (bool, (False,), False, False, False),
        (bool, (True,), False, True, False),
        (Colour, (), True, False, False),
        (Colour, (Colour.RED,), False, True, False),
        (Inner, (), True, True, False),
        (Inner | None, (None,), False, True, True),
        (Shape, (), True, True, False),
        (datetime.datetime, (), True, True, False),
        (uuid.UUID, (), True, False, False),
        (decimal.Decimal, (decimal.Decimal(0),), False, True, False),
        (list[int], (), True, False, False),
        (list[int], ([],), False, False, False),
        (dict[str, int], ({},), False, False, False),
        (int | msgspec.UnsetType, (msgspec.UNSET,), False, True, False),
        (list[int] | msgspec.UnsetType, (msgspec.UNSET,), False, True, False),
    ],
)
def test_presence(annotation: Any, default: tuple[Any, ...], required: bool, explicit: bool, nullable: bool) -> None:
    field = one(annotation, *default)
    assert (field.required, field.explicit_presence, field.nullable) == (required, explicit, nullable)
    if default:
        assert field.make_default() == default[0]


def test_a_default_factory_is_called_for_each_default() -> None:
    class Made(Message):
        id: uuid.UUID = msgspec.field(default_factory=uuid.uuid4)
        tags: list[str] = msgspec.field(default_factory=list)

    made, tags = message_type(Made).fields
    assert made.make_default() != made.make_default()
    assert made.explicit_presence
    assert tags.make_default() is not tags.make_default()
    assert not tags.explicit_presence


def test_constraints_are_of_the_value_or_of_the_list() -> None:
    meta = msgspec.Meta
    assert one(Annotated[int, meta(ge=1, lt=9)]).type.constraints == Constraints(ge=1, lt=9)
    assert one(Annotated[Int32, meta(gt=0)]).type.constraints == Constraints(gt=0)
    assert one(Annotated[Int32 | None, meta(ge=0)]).type.constraints == Constraints(ge=0)
    assert one(Annotated[int, meta(ge=0), meta(gt=4, le=9)]).type.constraints == Constraints(gt=4, le=9)
    assert one(Annotated[str, meta(pattern="^a", max_length=3)]).type.constraints == Constraints(
        pattern="^a", max_length=3
    )
    field = one(Annotated[list[Annotated[str, meta(min_length=1)]], meta(max_length=2)])
    assert field.constraints == Constraints(max_length=2)
    assert field.type.constraints == Constraints(min_length=1)


def test_markers() -> None:
    assert one(Annotated[Int32, ID]).is_id
    assert one(list[Annotated[str, ID]]).is_id
    assert not one(Int32).is_id
    assert one(Annotated[int, FieldNumber(7)]).number == 7
    assert one(Annotated[str, Doc("As printed.")]).doc == "As printed."
    assert one(Annotated[str, msgspec.Meta(description="As said.")]).doc == "As said."


def test_names_and_docs() -> None:
    class Letter(Message, package="post.office"):
        """A letter.

        It has a stamp.
        """

        sender_name: str
        line_2: str = ""

    table = message_type(Letter, "ignored")
    assert (table.name, table.full_name, table.doc) == ("Letter", "post.office.Letter", "A letter.")
    assert [(f.name, f.json_name, f.number) for f in table.fields] == [
        ("sender_name", "senderName", 1),
        ("line_2", "line2", 2),
    ]
    assert message_type(Letter) is table


def test_the_package_is_that_of_the_first_use_and_reaches_what_is_referred_to() -> None:
    class Leaf(Message):
        pass

    class Branch(Message, package="wood"):
        leaf: Leaf

    class Tree(Message):
        branch: Branch
        bare: list[Leaf]

    assert message_type(Tree, "garden").full_name == "garden.Tree"
    assert message_type(Branch).full_name == "wood.Branch"
    assert message_type(Leaf).full_name == "wood.Leaf"


def test_inherited_fields_come_first() -> None:
    class Base(Message):
        id: Annotated[Int32, msgspec.Meta(ge=1)]

    class Derived(Base):
        name: str

    message_type(Base)
    derived = message_type(Derived)
    assert [f.name for f in derived.fields] == ["id", "name"]
    assert derived.fields[0].type.kind is Kind.INT32
    assert derived.fields[0].type.constraints == Constraints(ge=1), "not the bounds that Int32 brings"


def test_a_derived_message_may_be_read_before_its_base() -> None:
    class Base(Message):
        id: Int32
        shape: Shape

    class Derived(Base):
        id: Int64

    assert [f.type.kind for f in message_type(Derived).fields] == [Kind.INT64, Kind.UNION]
    assert [f.type.kind for f in message_type(Base).fields] == [Kind.INT32, Kind.UNION]


def test_unions() -> None:
    table = union_type(Shape)
    assert (table.full_name, table.doc) == ("Shape", "Something drawn.")
    assert [(m.name, m.tag, m.number, m.message.cls) for m in table.members] == [
        ("circle", "Circle", 1, Circle),
        ("group", "Group", 2, Group),
    ]
    assert message_type(Group).fields[0].type.union is table


def test_a_union_that_was_read_is_sealed() -> None:
    class Event(Message, union=True):
        pass

    class Started(Event):
        pass

    union_type(Event)
    with pytest.raises(SchemaError, match="sealed"):

        class Late(Event):
            pass


def test_enums() -> None:
    class Numbered(enum.IntEnum):
        """Priorities."""

        LOW = 10
        HIGH = 20

    class WithZero(enum.Enum):
        NONE = 0
        SOME = 1

    table = one(Numbered).type.enum
    assert table is not None
    assert (table.full_name, table.doc) == ("Numbered", "Priorities.")
    assert [(v.proto_name, v.number, v.value) for v in table.values] == [
        ("NUMBERED_LOW", 10, Numbered.LOW),
        ("NUMBERED_HIGH", 20, Numbered.HIGH),
    ]
    zero = one(WithZero).type.enum
    assert zero is not None
    assert [(v.proto_name, v.number) for v in zero.values] == [("WITH_ZERO_NONE", 1), ("WITH_ZERO_SOME", 2)]
    assert one(Numbered).type.enum is table


class Strict(Message):
    narrow: Annotated[Int32, msgspec.Meta(ge=-5)] = 0
    wide: int = 0
    natural: UInt32 = 0
    small: Float32 = 0.0
    when: datetime.datetime | None = None
    shape: Shape | None = None
    counts: dict[Int32, int] = {}
    some: int | None = None


message_type(Strict)


@pytest.mark.parametrize(
    "text",
    [
        '{"narrow": -6}',
        '{"narrow": 2147483648}',
        '{"narrow": "1"}',
        '{"narrow": 1.5}',
        '{"narrow": null}',
        '{"wide": 9223372036854775808}',
        '{"wide": -9223372036854775809}',
        '{"natural": -1}',
        '{"natural": 4294967296}',
        '{"small": 1e39}',
        '{"when": "2024-01-01T00:00:00"}',
        '{"shape": {"type": "Square"}}',
        '{"shape": {"radius": 1}}',
        '{"counts": {"2147483648": 1}}',
    ],
)
def test_msgspec_refuses_what_the_tables_exclude(text: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(text, type=Strict)


def test_msgspec_takes_what_the_tables_allow() -> None:
    text = (
        '{"narrow": -5, "wide": 9223372036854775807, "natural": 4294967295, "small": 3e38, "unknown": [],'
        ' "when": "2024-01-01T00:00:00Z", "counts": {"-1": 2},'
        ' "shape": {"type": "Group", "parts": [{"type": "Circle", "radius": 1}]}}'
    )
    value = msgspec.json.decode(text, type=Strict)
    assert value == Strict(
        -5,
        2**63 - 1,
        2**32 - 1,
        3e38,
        datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC),
        Group([Circle(1.0)]),
        {-1: 2},
    )
    assert msgspec.json.decode(msgspec.json.encode(value), type=Strict) == value


def test_nothing_is_kept_of_a_reading_that_failed() -> None:
    class Good(Message):
        text: str

    class Bad(Message):
        good: Good
        bad: Any

    with pytest.raises(SchemaError):
        message_type(Bad, "wrong")
    assert message_type(Good, "right").full_name == "right.Good"
