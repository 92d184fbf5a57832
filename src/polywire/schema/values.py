"""Reads one annotation: what kind of value, how many, whether None is one, and what it must satisfy."""

from __future__ import annotations

import collections
import collections.abc
import datetime
import decimal
import enum
import functools
import operator
import types
import typing
import uuid
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, Final, Protocol, Union

import msgspec

from polywire.schema.constraints import check_applies, native_meta, read_constraints
from polywire.schema.errors import SchemaError
from polywire.schema.message import Message, MessageMeta
from polywire.schema.scalars import Doc, FieldNumber, IdMarker, Width, Wire
from polywire.schema.types import Cardinality, Constraints, Encoding, EnumType, Kind, MessageType, Type, UnionType

_SCALARS: Final[dict[Any, Kind]] = {
    bool: Kind.BOOL,
    int: Kind.INT64,
    float: Kind.DOUBLE,
    str: Kind.STRING,
    bytes: Kind.BYTES,
    datetime.datetime: Kind.TIMESTAMP,
    datetime.timedelta: Kind.DURATION,
    datetime.date: Kind.DATE,
    decimal.Decimal: Kind.DECIMAL,
    uuid.UUID: Kind.UUID,
}

_MAP_KEYS: Final = frozenset({Kind.BOOL, Kind.INT32, Kind.INT64, Kind.UINT32, Kind.UINT64, Kind.STRING})
_ID_KINDS: Final = frozenset({Kind.INT32, Kind.INT64, Kind.UINT32, Kind.UINT64, Kind.STRING, Kind.UUID})

_LISTS: Final = frozenset(
    {
        tuple,
        set,
        frozenset,
        collections.deque,
        collections.abc.Sequence,
        collections.abc.MutableSequence,
        collections.abc.Collection,
        collections.abc.Iterable,
        collections.abc.Set,
        collections.abc.MutableSet,
    }
)
_MAPS: Final = frozenset(
    {collections.abc.Mapping, collections.abc.MutableMapping, collections.OrderedDict, collections.defaultdict}
)


class Tables(Protocol):
    """Where the tables of the classes that a value refers to come from."""

    def message(self, cls: MessageMeta) -> MessageType: ...

    def union(self, cls: MessageMeta) -> UnionType: ...

    def enum(self, cls: type[enum.Enum]) -> EnumType: ...


@dataclass(slots=True)
class Extras:
    """What stood in `Annotated` around one value."""

    metas: list[msgspec.Meta] = field(default_factory=list)
    others: list[Any] = field(default_factory=list)
    width: Kind | None = None
    encoding: Encoding = Encoding.VARINT
    is_id: bool = False
    number: int | None = None
    doc: str = ""

    def add(self, extra: Any) -> None:
        match extra:
            case msgspec.Meta():
                self.metas.append(extra)
                self.doc = extra.description or self.doc
                return
            case Width():
                self.width = extra.kind
                self.metas.pop()  # The bounds that `Int32` itself brings; the kind says them.
            case Wire():
                self.encoding = extra.encoding
            case IdMarker():
                self.is_id = True
            case FieldNumber():
                self.number = extra.number
            case Doc():
                self.doc = extra.documentation
        self.others.append(extra)


@dataclass(frozen=True, slots=True)
class Value:
    """One annotation, read."""

    type: Type
    native: Any
    """The annotation for msgspec: strings resolved, the bounds of the kind added, a union base spelt out."""
    cardinality: Cardinality = Cardinality.SINGLE
    map_key: Kind | None = None
    nullable: bool = False
    unset: bool = False
    """`T | UnsetType`: told apart from absent by the value `msgspec.UNSET`."""
    constraints: Constraints | None = None
    is_id: bool = False
    number: int | None = None
    doc: str = ""


def read_value(annotation: Any, tables: Tables, where: str) -> Value:
    """Reads a resolved annotation. Raises SchemaError for what polywire does not carry."""
    extras = Extras()
    annotation, nullable, unset = _arms(annotation, extras, where)
    origin = typing.get_origin(annotation)
    if annotation is list or origin is list:
        value = _read_list(annotation, extras, tables, where)
    elif annotation is dict or origin is dict:
        value = _read_map(annotation, extras, tables, where)
    else:
        type_, native = _read_single(annotation, extras, tables, where)
        value = Value(type_, native)
    if value.cardinality is not Cardinality.SINGLE and nullable:
        raise SchemaError(
            where,
            "protobuf cannot tell a list or map that is None from an empty one",
            "leave out `| None` and give it the default [] or {}",
        )
    if extras.is_id and value.type.kind not in _ID_KINDS:
        raise SchemaError(where, "an ID is an integer, a string or a UUID", "leave out the ID marker")
    native = value.native
    if nullable:
        native = native | None
    if unset:
        native = native | msgspec.UnsetType
    return replace(
        value,
        native=native,
        nullable=nullable,
        unset=unset,
        is_id=extras.is_id or value.is_id,
        number=extras.number,
        doc=extras.doc,
    )


def _arms(annotation: Any, extras: Extras, where: str) -> tuple[Any, bool, bool]:
    """Takes `Annotated`, aliases, `| None` and `| UnsetType` off; also says whether the latter two were there."""
    nullable = unset = False
    while True:
        annotation = strip(annotation, extras)
        if typing.get_origin(annotation) not in (Union, types.UnionType):
            if annotation in (None, type(None), msgspec.UnsetType):
                raise SchemaError(where, "a value that can only be None says nothing", "give it a type")
            return annotation, nullable, unset
        arms = typing.get_args(annotation)
        nullable = nullable or type(None) in arms
        unset = unset or msgspec.UnsetType in arms
        arms = tuple(arm for arm in arms if arm not in (type(None), msgspec.UnsetType))
        if len(arms) > 1:
            raise SchemaError(
                where,
                f"{_spell(arms)} is an open union, which protobuf and GraphQL cannot say",
                "declare a base `class Shape(Message, union=True)`, derive members from it, and write the base here",
            )
        if not arms:
            raise SchemaError(where, "a value that can only be None says nothing", "give it a type")
        annotation = arms[0]


def strip(annotation: Any, extras: Extras) -> Any:
    """Takes `Annotated`, `NewType` and `type` aliases off, and gathers what the first of them held."""
    while True:
        if typing.get_origin(annotation) is Annotated:
            for extra in annotation.__metadata__:
                extras.add(extra)
            annotation = annotation.__origin__
        elif isinstance(annotation, typing.NewType):
            annotation = annotation.__supertype__
        elif type(annotation).__name__ == "TypeAliasType":
            annotation = annotation.__value__
        else:
            return annotation


def _read_list(annotation: Any, extras: Extras, tables: Tables, where: str) -> Value:
    arguments = typing.get_args(annotation)
    if not arguments:
        raise SchemaError(where, "a plain `list` does not say what is in it", "write list[str], for example")
    element = _read_element(arguments[0], "list", tables, where)
    constraints = read_constraints(extras.metas, where)
    check_applies(constraints, Kind.MESSAGE, Cardinality.LIST, where)
    native = _annotated(types.GenericAlias(list, (element.native,)), native_meta(constraints), extras)
    return Value(element.type, native, Cardinality.LIST, constraints=constraints, is_id=element.is_id)


def _read_map(annotation: Any, extras: Extras, tables: Tables, where: str) -> Value:
    arguments = typing.get_args(annotation)
    if not arguments:
        raise SchemaError(where, "a plain `dict` does not say what is in it", "write dict[str, int], for example")
    key_extras = Extras()
    key, nullable, unset = _arms(arguments[0], key_extras, where)
    kind = key_extras.width or _SCALARS.get(key)
    if kind not in _MAP_KEYS or nullable or unset:
        raise SchemaError(
            where,
            f"{_spell((arguments[0],))} cannot be the key of a map",
            "use str, an integer or bool, or a list of a Message with a key and a value",
        )
    if key_extras.encoding is not Encoding.VARINT:
        raise SchemaError(where, "the key of a map is a plain integer", "use Int32, Int64, UInt32 or UInt64")
    if key_extras.metas:
        raise SchemaError(where, "constraints on the key of a map are not carried", "check the keys in the method")
    element = _read_element(arguments[1], "map", tables, where)
    constraints = read_constraints(extras.metas, where)
    check_applies(constraints, Kind.MESSAGE, Cardinality.MAP, where)
    native_key = _annotated(key, native_meta(None, kind), key_extras)
    native = _annotated(types.GenericAlias(dict, (native_key, element.native)), native_meta(constraints), extras)
    return Value(element.type, native, Cardinality.MAP, kind, constraints=constraints, is_id=element.is_id)


def _read_element(annotation: Any, of: str, tables: Tables, where: str) -> Value:
    element = read_value(annotation, tables, where)
    if element.cardinality is not Cardinality.SINGLE:
        raise SchemaError(
            where,
            f"a {of} of lists or maps does not exist in protobuf",
            "put the inner one in a Message: `class Row(Message): cells: list[int]`",
        )
    if element.nullable or element.unset:
        raise SchemaError(
            where,
            f"an element of a {of} cannot be None in protobuf",
            "leave absent elements out, or put the value in a Message with a field that may be None",
        )
    if element.number is not None:
        raise SchemaError(where, "an element has no field number", "put FieldNumber around the whole annotation")
    return element


def _read_single(annotation: Any, extras: Extras, tables: Tables, where: str) -> tuple[Type, Any]:
    kind = _SCALARS.get(annotation) if isinstance(annotation, collections.abc.Hashable) else None
    if extras.width is not None:
        if kind is not (Kind.DOUBLE if extras.width is Kind.FLOAT else Kind.INT64):
            raise SchemaError(where, f"{_spell((annotation,))} has no width", "use Int32 and the like as they are")
        kind = extras.width
    constraints = read_constraints(extras.metas, where)
    if kind is not None:
        check_applies(constraints, kind, Cardinality.SINGLE, where)
        native = _annotated(annotation, native_meta(constraints, kind), extras)
        return Type(kind, constraints=constraints, encoding=extras.encoding), native
    check_applies(constraints, Kind.MESSAGE, Cardinality.SINGLE, where)
    if isinstance(annotation, MessageMeta) and annotation is not Message:
        if annotation.__polywire_union_members__ is None:
            return Type(Kind.MESSAGE, message=tables.message(annotation)), _annotated(annotation, None, extras)
        union = tables.union(annotation)
        members = tuple(member.message.cls for member in union.members) or _members_so_far(annotation)
        return Type(Kind.UNION, union=union), _annotated(functools.reduce(operator.or_, members), None, extras)
    if isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        return Type(Kind.ENUM, enum=tables.enum(annotation)), _annotated(annotation, None, extras)
    raise _unsupported(annotation, where)


def _members_so_far(base: MessageMeta) -> tuple[MessageMeta, ...]:
    """The members of a union that is being read further up: a member refers to its own union."""
    return tuple(base.__polywire_union_members__ or ())


def _annotated(annotation: Any, meta: msgspec.Meta | None, extras: Extras) -> Any:
    metadata = (*(() if meta is None else (meta,)), *extras.others)
    return Annotated[(annotation, *metadata)] if metadata else annotation


def _spell(annotations: tuple[Any, ...]) -> str:
    return " | ".join(a.__name__ if isinstance(a, type) and not typing.get_args(a) else str(a) for a in annotations)


def _unsupported(annotation: Any, where: str) -> SchemaError:
    origin = typing.get_origin(annotation) or annotation
    spelt = f"`{_spell((annotation,))}`"
    if annotation in (Any, object):
        return SchemaError(where, f"{spelt} says nothing that a client could rely on", "declare a Message or a union")
    if isinstance(annotation, typing.TypeVar) or (isinstance(origin, MessageMeta) and origin is not annotation):
        return SchemaError(where, f"{spelt} is generic", "declare a Message for each type it is used with")
    if annotation is Message:
        return SchemaError(where, "`Message` itself has no fields", "name one of its subclasses, or a union base")
    if origin in _LISTS:
        return SchemaError(where, f"{spelt} is not carried", "write list[...] with one type of element")
    if origin in _MAPS:
        return SchemaError(where, f"{spelt} is not carried", "write dict[str, ...]")
    if origin is typing.Literal:
        return SchemaError(where, f"{spelt} is not carried", "declare an enum.Enum with these values")
    if origin in (bytearray, memoryview):
        return SchemaError(where, f"{spelt} is not carried", "write bytes")
    if origin is datetime.time:
        return SchemaError(
            where, f"{spelt} is not carried", "write a timedelta since midnight, or a str with a pattern"
        )
    if origin is complex:
        return SchemaError(where, f"{spelt} is not carried", "declare a Message with two floats")
    if origin in (collections.abc.AsyncIterator, collections.abc.AsyncIterable, collections.abc.AsyncGenerator):
        return SchemaError(where, f"{spelt}: a stream cannot be part of a message", "let it be the only parameter")
    if isinstance(origin, type):
        return SchemaError(
            where, f"{spelt} is not carried", f"declare it as a message: `class {origin.__name__}(Message)`"
        )
    return SchemaError(where, f"{spelt} is not carried", "declare a Message")
