"""Random schemas for the property tests: the same one as our tables and as a descriptor of Google's runtime (upb)."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec
from google.protobuf import descriptor_pb2, descriptor_pool, duration_pb2, message_factory, timestamp_pb2
from hypothesis import strategies as st

from polywire.schema.types import (
    Cardinality,
    EnumType,
    EnumValue,
    Field,
    Kind,
    MessageType,
    Type,
    UnionMember,
    UnionType,
)

PROTO = descriptor_pb2.FieldDescriptorProto
PROTO_TYPES = {
    Kind.BOOL: PROTO.TYPE_BOOL,
    Kind.INT32: PROTO.TYPE_INT32,
    Kind.INT64: PROTO.TYPE_INT64,
    Kind.UINT32: PROTO.TYPE_UINT32,
    Kind.UINT64: PROTO.TYPE_UINT64,
    Kind.FLOAT: PROTO.TYPE_FLOAT,
    Kind.DOUBLE: PROTO.TYPE_DOUBLE,
    Kind.STRING: PROTO.TYPE_STRING,
    Kind.BYTES: PROTO.TYPE_BYTES,
    Kind.ENUM: PROTO.TYPE_ENUM,
    Kind.MESSAGE: PROTO.TYPE_MESSAGE,
    Kind.UNION: PROTO.TYPE_MESSAGE,
    Kind.TIMESTAMP: PROTO.TYPE_MESSAGE,
    Kind.DURATION: PROTO.TYPE_MESSAGE,
    Kind.DECIMAL: PROTO.TYPE_STRING,
    Kind.UUID: PROTO.TYPE_STRING,
    Kind.DATE: PROTO.TYPE_STRING,
}
ZEROS = {Kind.BOOL: False, Kind.FLOAT: 0.0, Kind.DOUBLE: 0.0, Kind.STRING: "", Kind.BYTES: b""}
MAP_KEYS = [Kind.BOOL, Kind.INT32, Kind.INT64, Kind.UINT32, Kind.UINT64, Kind.STRING]
SUBMESSAGES = (Kind.MESSAGE, Kind.UNION, Kind.TIMESTAMP, Kind.DURATION)


class Color(enum.Enum):
    RED = "red"
    GREEN = "green"
    DARK_BLUE = "dark-blue"


COLOR = EnumType(
    "Color",
    "t.Color",
    Color,
    (
        EnumValue("RED", "COLOR_RED", 1, Color.RED),
        EnumValue("GREEN", "COLOR_GREEN", 200, Color.GREEN),
        EnumValue("DARK_BLUE", "COLOR_DARK_BLUE", -3, Color.DARK_BLUE),
    ),
)


@dataclass(frozen=True)
class Schema:
    message: MessageType
    upb: type[Any]
    """The class of Google's runtime."""
    has_maps: bool


@dataclass(frozen=True)
class Spec:
    """A field to be made."""

    kind: Kind
    cardinality: Cardinality
    map_key: Kind | None
    optional: bool
    number: int
    nested: MessageSpec | None


@dataclass(frozen=True)
class MessageSpec:
    fields: tuple[Spec, ...]


def message_specs(depth: int = 2) -> st.SearchStrategy[MessageSpec]:
    numbers = st.one_of(st.integers(1, 40), st.sampled_from([16, 2047, 2048, 18999, 2**29 - 1]))
    kinds = [kind for kind in Kind if depth > 0 or kind not in (Kind.MESSAGE, Kind.UNION)]
    shapes = st.sampled_from([Cardinality.SINGLE, Cardinality.SINGLE, Cardinality.LIST, Cardinality.MAP])

    @st.composite
    def make(draw: st.DrawFn) -> MessageSpec:
        fields = []
        for number in draw(st.lists(numbers, unique=True, max_size=6 if depth else 3)):
            kind, cardinality = draw(st.sampled_from(kinds)), draw(shapes)
            key = draw(st.sampled_from(MAP_KEYS)) if cardinality is Cardinality.MAP else None
            inner = draw(message_specs(depth - 1)) if kind in (Kind.MESSAGE, Kind.UNION) else None
            optional = cardinality is Cardinality.SINGLE and draw(st.booleans())
            fields.append(Spec(kind, cardinality, key, optional, number, inner))
        return MessageSpec(tuple(fields))

    return make()


def schemas() -> st.SearchStrategy[Schema]:
    return message_specs().map(build)


def build(spec: MessageSpec) -> Schema:
    file = descriptor_pb2.FileDescriptorProto(name="t.proto", package="t", syntax="proto3")
    file.dependency.extend(["google/protobuf/timestamp.proto", "google/protobuf/duration.proto"])
    color = file.enum_type.add(name="Color")
    color.value.add(name="COLOR_UNSPECIFIED", number=0)
    for value in COLOR.values:
        color.value.add(name=value.proto_name, number=value.number)
    builder = _Builder(file)
    message = builder.message(spec)
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(timestamp_pb2.DESCRIPTOR.serialized_pb)
    pool.AddSerializedFile(duration_pb2.DESCRIPTOR.serialized_pb)
    pool.AddSerializedFile(file.SerializeToString())
    upb = message_factory.GetMessageClass(pool.FindMessageTypeByName(message.full_name))
    return Schema(message, upb, builder.has_maps)


class _Builder:
    def __init__(self, file: descriptor_pb2.FileDescriptorProto) -> None:
        self.file = file
        self.count = 0
        self.has_maps = False

    def message(self, spec: MessageSpec) -> MessageType:
        self.count += 1
        name = f"M{self.count}"
        proto = self.file.message_type.add(name=name)
        fields = [self.field(proto, one, place) for place, one in enumerate(spec.fields)]
        annotations = [(field.name, Any, msgspec.field(default=None)) for field in fields]
        cls = msgspec.defstruct(name, annotations, tag_field="type", tag=name)
        return MessageType(name, f"t.{name}", cls, tuple(fields))

    def field(self, proto: descriptor_pb2.DescriptorProto, spec: Spec, place: int) -> Field:
        name, json_name = f"the_field_{place}", f"theField{place}"
        type_, type_name = self.type(spec)
        added = proto.field.add(name=name, number=spec.number, type=PROTO_TYPES[spec.kind], type_name=type_name)
        added.label = PROTO.LABEL_REPEATED if spec.cardinality is not Cardinality.SINGLE else PROTO.LABEL_OPTIONAL
        if spec.cardinality is Cardinality.MAP:
            self.has_maps = True
            entry = proto.nested_type.add(name=f"TheField{place}Entry")
            entry.options.map_entry = True
            entry.field.add(name="key", number=1, type=PROTO_TYPES[spec.map_key], label=PROTO.LABEL_OPTIONAL)
            entry.field.add(
                name="value", number=2, type=PROTO_TYPES[spec.kind], type_name=type_name, label=PROTO.LABEL_OPTIONAL
            )
            added.type, added.type_name = PROTO.TYPE_MESSAGE, f".t.{proto.name}.{entry.name}"
        explicit = spec.cardinality is Cardinality.SINGLE and (spec.optional or spec.kind in SUBMESSAGES)
        if spec.optional and spec.kind not in SUBMESSAGES:
            added.proto3_optional = True
            added.oneof_index = len(proto.oneof_decl)
            proto.oneof_decl.add(name=f"_{name}")
        return Field(
            name,
            json_name,
            spec.number,
            type_,
            cardinality=spec.cardinality,
            map_key=spec.map_key,
            explicit_presence=explicit,
            nullable=spec.optional,
            required=not spec.optional,
        )

    def type(self, spec: Spec) -> tuple[Type, str | None]:
        match spec.kind:
            case Kind.ENUM:
                return Type(spec.kind, enum=COLOR), ".t.Color"
            case Kind.TIMESTAMP:
                return Type(spec.kind), ".google.protobuf.Timestamp"
            case Kind.DURATION:
                return Type(spec.kind), ".google.protobuf.Duration"
            case Kind.MESSAGE:
                message = self.message(spec.nested)
                return Type(spec.kind, message=message), f".{message.full_name}"
            case Kind.UNION:
                return self.union(spec.nested)
        return Type(spec.kind), None

    def union(self, spec: MessageSpec) -> tuple[Type, str]:
        self.count += 1
        name = f"U{self.count}"
        wrapper = self.file.message_type.add(name=name)
        wrapper.oneof_decl.add(name="kind")
        members = []
        for number, member in ((3, spec), (1, MessageSpec(spec.fields[:1]))):
            message = self.message(member)
            field = f"the_{message.name.lower()}"
            wrapper.field.add(
                name=field,
                number=number,
                type=PROTO.TYPE_MESSAGE,
                type_name=f".{message.full_name}",
                label=PROTO.LABEL_OPTIONAL,
                oneof_index=0,
            )
            members.append(UnionMember(field, message.name, number, message))
        union = UnionType(name, f"t.{name}", object, tuple(members))
        return Type(Kind.UNION, union=union), f".{union.full_name}"


# --- values ---

TIMES = st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31, 23, 59, 59), timezones=st.just(UTC))
DECIMALS = st.decimals(allow_nan=False, allow_infinity=False, places=3)
FLOAT_LIMIT = 3.4028232635611926e38
SCALARS: dict[Kind, st.SearchStrategy[Any]] = {
    Kind.BOOL: st.booleans(),
    Kind.INT32: st.integers(-(2**31), 2**31 - 1),
    Kind.INT64: st.integers(-(2**63), 2**63 - 1),
    Kind.UINT32: st.integers(0, 2**32 - 1),
    Kind.UINT64: st.integers(0, 2**64 - 1),
    # Not the very largest: json_format cannot read what it writes for it (test_json.py has it).
    Kind.FLOAT: st.floats(-FLOAT_LIMIT, FLOAT_LIMIT, width=32),
    Kind.DOUBLE: st.floats(allow_nan=False, allow_infinity=False),
    Kind.STRING: st.text(max_size=12) | st.text('ab"\\/\n\t\x00\x1fé€😀', max_size=40),
    Kind.BYTES: st.binary(max_size=12) | st.binary(min_size=120, max_size=140),
    Kind.ENUM: st.sampled_from(Color),
    Kind.TIMESTAMP: TIMES,
    Kind.DURATION: st.timedeltas(timedelta(days=-3_652_500), timedelta(days=3_652_500)),
    Kind.DECIMAL: DECIMALS,
    Kind.UUID: st.uuids(),
    Kind.DATE: st.dates(),
}


def values(message: MessageType) -> st.SearchStrategy[Any]:
    return st.tuples(*[_field_values(field) for field in message.fields]).map(lambda given: message.cls(*given))


def _field_values(field: Field) -> st.SearchStrategy[Any]:
    one = _single(field.type)
    if field.cardinality is Cardinality.LIST:
        return st.lists(one, max_size=4)
    if field.cardinality is Cardinality.MAP:
        assert field.map_key is not None
        return st.dictionaries(SCALARS[field.map_key], one, max_size=3)
    return st.none() | one if field.nullable else one


def _single(type_: Type) -> st.SearchStrategy[Any]:
    if type_.message is not None:
        return values(type_.message)
    if type_.union is not None:
        return st.one_of([values(member.message) for member in type_.union.members])
    return SCALARS[type_.kind]


# --- Google's messages to and from ours ---


def to_upb(message: MessageType, value: Any, target: Any) -> Any:
    target.SetInParent()
    for field in message.fields:
        given = getattr(value, field.name)
        if given is None:
            continue
        slot = getattr(target, field.name)
        if field.cardinality is Cardinality.LIST:
            for one in given:
                if field.type.kind in SUBMESSAGES:
                    _fill(field.type, one, slot.add())
                else:
                    slot.append(_plain(field.type, one))
        elif field.cardinality is Cardinality.MAP:
            for key, one in given.items():
                if field.type.kind in SUBMESSAGES:
                    _fill(field.type, one, slot[key])
                else:
                    slot[key] = _plain(field.type, one)
        elif field.type.kind in SUBMESSAGES:
            _fill(field.type, given, slot)
        else:
            setattr(target, field.name, _plain(field.type, given))
    return target


def _fill(type_: Type, value: Any, target: Any) -> None:
    target.SetInParent()
    if type_.message is not None:
        to_upb(type_.message, value, target)
    elif type_.union is not None:
        member = next(one for one in type_.union.members if one.message.cls is type(value))
        to_upb(member.message, value, getattr(target, member.name))
    elif type_.kind is Kind.TIMESTAMP:
        target.FromDatetime(value)
    else:
        target.FromTimedelta(value)


def _plain(type_: Type, value: Any) -> Any:
    if type_.kind is Kind.ENUM:
        return next(one.number for one in COLOR.values if one.value is value)
    return str(value) if type_.kind in (Kind.DECIMAL, Kind.UUID, Kind.DATE) else value


def from_upb(message: MessageType, source: Any) -> Any:
    """Our value of Google's message, which must be one that our decoder would take."""
    given = []
    for field in message.fields:
        slot = getattr(source, field.name)
        if field.cardinality is Cardinality.LIST:
            given.append([_value(field.type, one) for one in slot])
        elif field.cardinality is Cardinality.MAP:
            given.append({key: _value(field.type, slot[key]) for key in slot})
        elif field.explicit_presence and not source.HasField(field.name):
            given.append(None)
        elif field.nullable and slot in ("", 0) and field.type.kind in (Kind.ENUM, Kind.DECIMAL, Kind.UUID, Kind.DATE):
            given.append(None)  # unspecified, or the empty text: as good as absent
        elif field.nullable and field.type.union is not None and slot.WhichOneof("kind") is None:
            given.append(None)
        else:
            given.append(_value(field.type, slot))
    return message.cls(*given)


def _value(type_: Type, value: Any) -> Any:
    match type_.kind:
        case Kind.MESSAGE:
            return from_upb(type_.message, value)
        case Kind.UNION:
            name = value.WhichOneof("kind")
            member = next(one for one in type_.union.members if one.name == name)
            return from_upb(member.message, getattr(value, name))
        case Kind.ENUM:
            return next(one.value for one in COLOR.values if one.number == value)
        case Kind.TIMESTAMP:
            start = datetime(1970, 1, 1, tzinfo=UTC)
            return start + timedelta(seconds=value.seconds, microseconds=value.nanos // 1000)
        case Kind.DURATION:
            return timedelta(seconds=value.seconds, microseconds=int(value.nanos / 1000))
        case Kind.DECIMAL:
            return Decimal(value)
        case Kind.UUID:
            return UUID(value)
        case Kind.DATE:
            return date.fromisoformat(value)
    return value
