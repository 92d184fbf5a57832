"""Every declaration that is refused, and that the error says where, what, and what to write instead."""

import collections.abc
import datetime
import decimal
import enum
import typing
from collections.abc import Callable
from typing import Annotated, Any, Generic, Literal, TypeVar

import msgspec
import pytest
from msgspec import Meta

from polywire.schema import ID, FieldNumber, Int32, Message, Patch, SchemaError, UInt32, message_type, union_type
from polywire.schema.message import MessageMeta

T = TypeVar("T")


class Thing(Message):
    text: str


class Shape(Message, union=True):
    pass


class Circle(Shape):
    pass


class Box(Message, Generic[T]):
    value: T


class Alone(Message, union=True):
    pass


class Colour(enum.Enum):
    RED = "red"


class Flags(enum.Flag):
    A = 1


class NoValues(enum.Enum):
    pass


class Mixed(enum.Enum):
    A = 1
    B = "b"


class Unspecified(enum.Enum):
    UNSPECIFIED = 0


class CaseClash(enum.Enum):
    a = "a"
    A = "A"


NONE = object()


@pytest.mark.parametrize(
    ("annotation", "default", "text"),
    [
        (list, NONE, r"plain `list`.*write list\[str\]"),
        (dict, NONE, r"plain `dict`.*write dict\[str, int\]"),
        (typing.List, NONE, r"plain `list`|not carried"),  # noqa: UP006
        (list[list[int]], NONE, "list of lists or maps.*put the inner one in a Message"),
        (list[dict[str, int]], NONE, "list of lists or maps"),
        (dict[str, list[int]], NONE, "map of lists or maps"),
        (list[int | None], NONE, "element of a list cannot be None.*leave absent"),
        (dict[str, int | None], NONE, "element of a map cannot be None"),
        (list[int] | None, NONE, r"None from an empty one.*leave out `\| None`"),
        (dict[str, int] | None, None, "None from an empty one"),
        (Any, NONE, "says nothing that a client could rely on.*declare a Message"),
        (object, NONE, "says nothing"),
        (int | str, NONE, r"int \| str is an open union.*class Shape\(Message, union=True\)"),
        (Circle | Thing | None, NONE, "open union"),
        (None, NONE, "only be None"),
        (msgspec.UnsetType | None, NONE, "only be None"),
        (tuple[int, ...], NONE, r"not carried; write list\[...\]"),
        (set[int], NONE, r"not carried; write list\[...\]"),
        (frozenset, NONE, r"not carried; write list\[...\]"),
        (collections.abc.Sequence[int], NONE, r"not carried; write list\[...\]"),
        (collections.abc.Mapping[str, int], NONE, r"not carried; write dict\[str, ...\]"),
        (collections.abc.AsyncIterator[int], NONE, "a stream cannot be part of a message"),
        (Literal["a"], NONE, r"declare an enum\.Enum"),
        (bytearray, NONE, "write bytes"),
        (datetime.time, NONE, "timedelta since midnight"),
        (complex, NONE, "two floats"),
        (Callable, NONE, "not carried"),
        (msgspec.Raw, NONE, r"declare it as a message: `class Raw\(Message\)`"),
        (Message, NONE, "`Message` itself"),
        (T, NONE, "generic"),
        (Box[int], NONE, "generic"),
        (Patch, NONE, r"write Patch\[User\]"),
        (Alone, NONE, r"union without members.*class Circle\(Alone\)"),
        (dict[float, int], NONE, "float cannot be the key"),
        (dict[bytes, int], NONE, "bytes cannot be the key"),
        (dict[Colour, int], NONE, "Colour cannot be the key"),
        (dict[str | None, int], NONE, "cannot be the key"),
        (dict[Annotated[str, Meta(min_length=1)], int], NONE, "constraints on the key"),
        (Flags, NONE, "Flag.*declare an Enum and use list"),
        (NoValues, NONE, "enum without values"),
        (Mixed, NONE, "all strings or all integers"),
        (Unspecified, NONE, "itself generates UNSPECIFIED"),
        (CaseClash, NONE, "both CASE_CLASH_A"),
        (Annotated[float, ID], NONE, "an ID is an integer, a string or a UUID"),
        (list[Annotated[int, FieldNumber(3)]], NONE, "an element has no field number"),
        (Annotated[int, FieldNumber(0)], NONE, "cannot have number 0; take one from 1 to 536870911"),
        (Annotated[int, FieldNumber(19_500)], NONE, "protobuf's own 19000 to 19999"),
        (Annotated[int, FieldNumber(2**29)], NONE, "cannot have number"),
        (Annotated[str, Meta(ge=1)], NONE, "ge= does not apply"),
        (Annotated[int, Meta(pattern="a")], NONE, "pattern= does not apply"),
        (Annotated[decimal.Decimal, Meta(gt=0)], NONE, "gt= does not apply.*InvalidArgument"),
        (Annotated[Thing, Meta(min_length=1)], NONE, "min_length= does not apply"),
        (Annotated[list[int], Meta(ge=1)], NONE, r"ge= does not apply.*put it on the element"),
        (Annotated[dict[str, int], Meta(ge=1)], NONE, r"ge= does not apply.*put it on the value"),
        (Annotated[int, Meta(ge=5, lt=5)], NONE, "no value is within the bounds 5 and 5"),
        (Annotated[str, Meta(min_length=5, max_length=4)], NONE, "min_length is above max_length"),
        (Annotated[UInt32, Meta(ge=-1)], NONE, "outside uint32"),
        (Annotated[Int32, Meta(le=2**40)], NONE, "outside int32.*use a wider type"),
        (Annotated[int, Meta(ge=1.5)], NONE, "no integer"),
        (Annotated[int, Meta(le=2**64)], NONE, "above 2\\*\\*63 - 1"),
        (int, "5", "default '5' is not of the field's type"),
        (int, True, "default True is not"),
        (int, 1.0, "default 1.0 is not"),
        (bool, 0, "default 0 is not"),
        (str, b"", "default b'' is not"),
        (str, None, r"default None.*add `\| None`"),
        (Int32, 2**31, "breaks the field's own rule"),
        (Annotated[str, Meta(min_length=1)], "", "breaks the field's own rule"),
        (float, float("nan"), "not a number in JSON"),
        (float, float("inf"), "not a number in JSON"),
        (datetime.datetime, datetime.datetime(2024, 1, 1), "breaks the field's own rule"),
        (Colour, "red", "default 'red' is not"),
        (Circle, None, r"add `\| None`"),
        (list[int], {}, r"no list; write `= \[\]`"),
        (dict[str, int], [], r"no dict; write `= \{\}`"),
        (list[int], msgspec.field(default_factory=lambda: [1]), "absent list or map from an empty one"),
        (int | msgspec.UnsetType, NONE, "write `= msgspec.UNSET`"),
        (int | msgspec.UnsetType, 5, "go together"),
        (int, msgspec.UNSET, "go together"),
    ],
)
def test_a_field(annotation: Any, default: Any, text: str) -> None:
    namespace: dict[str, Any] = {
        "__module__": "shop",
        "__qualname__": "Sample",
        "__annotations__": {"field": annotation},
    }
    if default is not NONE:
        namespace["field"] = default
    with pytest.raises(SchemaError, match=text):
        message_type(MessageMeta("Sample", (Message,), namespace))


def test_the_error_has_the_place_first() -> None:
    class Basket(Message):
        fruits: set[str]

    with pytest.raises(SchemaError) as caught:
        message_type(Basket)
    assert caught.value.where == f"{__name__}.{Basket.__qualname__}.fruits"
    assert str(caught.value).startswith(caught.value.where + ": ")


@pytest.mark.parametrize(
    ("names", "text"),
    [
        (["user_id", "userId"], "both 'userId'"),
        (["_hidden"], "begin it with an ASCII letter"),
        (["größe"], "begin it with an ASCII letter"),
    ],
)
def test_field_names(names: list[str], text: str) -> None:
    namespace = {"__module__": "shop", "__annotations__": dict.fromkeys(names, int)}
    with pytest.raises(SchemaError, match=text):
        message_type(MessageMeta("Sample", (Message,), namespace))


def _make(name: str = "Sample", bases: tuple[type, ...] = (Message,), /, **keywords: Any) -> MessageMeta:
    fields = keywords.pop("fields", {})
    return MessageMeta(name, bases, {"__module__": "shop", "__annotations__": fields}, **keywords)


@pytest.mark.parametrize(
    ("define", "text"),
    [
        (lambda: _make("Query"), "GraphQL's own.*QueryValue"),
        (lambda: _make("Größe"), "cannot be said"),
        (lambda: _make(package="a..b"), 'package="shop.orders"'),
        (lambda: _make(package="1a"), "no protobuf package"),
        (lambda: _make(rename="camel"), "rename= is not for messages"),
        (lambda: _make(tag="x"), "tag= is not for messages"),
        (lambda: _make(tag_field="kind"), "tag_field= is not for messages"),
        (lambda: _make(array_like=True), "array_like= is not for messages"),
        (lambda: _make(forbid_unknown_fields=True), "unknown fields are ignored"),
        (lambda: _make(omit_defaults=True), "omit_defaults= is not for messages"),
        (lambda: _make(nonsense=True), "nonsense"),
        (lambda: _make("Sub", (Circle,)), "derive from Shape itself"),
        (lambda: _make("Sub", (Shape,), union=True), "a union cannot be in a union"),
        (lambda: _make("Sub", (Shape, Alone)), "a union cannot be in a union"),
        (lambda: _make("Sub", (Shape,), fields={"type": str}), 'shop.Sub.type: .*members of Shape.*"kind"'),
        (lambda: Patch[Shape], "a union is replaced as a whole"),
        (lambda: Patch[int], "only a Message with fields"),  # type: ignore[type-var]
        (lambda: Patch[_make(fields={"apply": int})], "rename the field"),
        (lambda: message_type(Shape), "a union is not a message"),
        (lambda: message_type(Message), "no subclass of Message"),
        (lambda: message_type(int), "no subclass of Message"),  # type: ignore[arg-type]
        (lambda: union_type(Thing), "not a union"),
    ],
)
def test_a_class(define: Callable[[], Any], text: str) -> None:
    with pytest.raises(SchemaError, match=text):
        define()


def test_renamed_fields() -> None:
    class Renamed(Message):
        a: int = msgspec.field(name="b")

    with pytest.raises(SchemaError, match="declare the name you want"):
        message_type(Renamed)


def test_two_classes_with_one_name() -> None:
    class Item(Message):
        pass

    first = Item

    class Item(Message):  # type: ignore[no-redef]
        pass

    class Both(Message):
        a: first  # type: ignore[valid-type]
        b: Item

    with pytest.raises(SchemaError, match=r"is called Item too.*package="):
        message_type(Both)
