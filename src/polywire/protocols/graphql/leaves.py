"""Single values as GraphQL's scalars and enums, out; what was taken for arguments as plain JSON, in."""

from __future__ import annotations

import base64
import functools
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from math import isfinite
from typing import Any
from uuid import UUID

import msgspec

from polywire.codec import Format, message_codec
from polywire.codec.json import Profile, json_writer
from polywire.codec.results import WrongResult
from polywire.codec.text import iso_duration_to_text
from polywire.schema.names import lower_camel
from polywire.schema.scalars import INT_BOUNDS
from polywire.schema.types import Cardinality, EnumType, Field, Kind, MessageType, Type, UnionType

Convert = Callable[[Any], Any]


class WrongValue(Exception):
    """A value is not what its type says: a handler's mistake. The text names types, never the value."""


def _wrong(expected: str, value: Any) -> WrongValue:
    return WrongValue(f"expected {expected}, got {type(value).__name__}")


# Out.


def _exactly(kind: type) -> Convert:
    def convert(value: Any) -> Any:
        if type(value) is not kind:
            raise _wrong(kind.__name__, value)
        return value

    return convert


def _string(value: Any) -> str:
    if type(value) is not str:
        raise _wrong("str", value)
    try:
        value.encode()
    except UnicodeEncodeError:
        raise WrongValue("a string has a lone surrogate, which UTF-8 cannot carry") from None
    return value


def _integer(kind: Kind, as_text: bool) -> Convert:
    least, greatest = INT_BOUNDS[kind]

    def convert(value: Any) -> Any:
        if type(value) is not int or not least <= value <= greatest:
            raise _wrong(kind.name.lower(), value)
        return str(value) if as_text else value

    return convert


def _float(value: Any) -> float:
    if type(value) not in (float, int) or not isfinite(value):
        raise _wrong("a finite float", value)
    return float(value)


def _bytes(value: Any) -> str:
    return base64.b64encode(_exactly(bytes)(value)).decode()


def _timestamp(value: Any) -> str:
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise _wrong("an aware datetime", value)
    return value.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _duration(value: Any) -> str:
    if not isinstance(value, timedelta):
        raise _wrong("timedelta", value)
    return iso_duration_to_text(value)


def _decimal(value: Any) -> str:
    if type(value) is not Decimal or not value.is_finite():
        raise _wrong("a finite Decimal", value)
    return str(value)


def _uuid(value: Any) -> str:
    if not isinstance(value, UUID):
        raise _wrong("UUID", value)
    return str(value)


def _date(value: Any) -> str:
    if type(value) is not date:
        raise _wrong("date", value)
    return value.isoformat()


_OUT: dict[Kind, Convert] = {
    Kind.BOOL: _exactly(bool),
    Kind.INT32: _integer(Kind.INT32, False),
    Kind.INT64: _integer(Kind.INT64, True),
    Kind.UINT32: _integer(Kind.UINT32, False),
    Kind.UINT64: _integer(Kind.UINT64, True),
    Kind.FLOAT: _float,
    Kind.DOUBLE: _float,
    Kind.STRING: _string,
    Kind.BYTES: _bytes,
    Kind.TIMESTAMP: _timestamp,
    Kind.DURATION: _duration,
    Kind.DECIMAL: _decimal,
    Kind.UUID: _uuid,
    Kind.DATE: _date,
}


def _enum(table: EnumType) -> Convert:
    names = {value.value: value.name for value in table.values}

    def convert(value: Any) -> str:
        if not isinstance(value, table.cls):
            raise _wrong(table.name, value)
        return names[value]

    return convert


def _id(convert: Convert) -> Convert:
    return lambda value: str(convert(value))


def element_out(one: Field) -> Convert:
    """What makes one value of a scalar or enum field, or an element of its list, ready for JSON. Raises WrongValue."""
    if one.cardinality is Cardinality.MAP:
        return _map_out(one)
    if one.type.enum is not None:
        return _enum(one.type.enum)
    convert = _OUT[one.type.kind]
    return _id(convert) if one.is_id else convert


def _map_out(one: Field) -> Convert:
    element = _plain_out(one.type)

    def convert(value: Any) -> dict[str, Any]:
        if type(value) is not dict:
            raise _wrong("dict", value)
        return {_key_text(key): element(item) for key, item in value.items()}

    return convert


def _key_text(key: Any) -> str:
    return ("true" if key else "false") if type(key) is bool else str(key)


def _plain_out(type_: Type) -> Convert:
    """As plain JSON has it."""
    if type_.message is not None:
        return _message_out(type_.message)
    if type_.union is not None:
        return _union_out(type_.union)
    if type_.enum is not None:
        shown = {value.name: value.value.value for value in type_.enum.values}
        name_of = _enum(type_.enum)
        return lambda value: shown[name_of(value)]
    if type_.kind in (Kind.INT64, Kind.UINT64):
        return _integer(type_.kind, False)
    return _OUT[type_.kind]


def _message_out(message: MessageType) -> Convert:
    encode = message_codec(message, Format.PLAIN_JSON).encode

    def convert(value: Any) -> msgspec.Raw:
        try:
            return msgspec.Raw(encode(value))
        except WrongResult as error:
            raise WrongValue(str(error)) from None

    return convert


def _union_out(union: UnionType) -> Convert:
    members = {member.message.cls: (member.tag, _message_out(member.message)) for member in union.members}

    def convert(value: Any) -> msgspec.Raw:
        if type(value) not in members:
            raise _wrong(union.name, value)
        tag, encode = members[type(value)]
        return msgspec.Raw(_tagged(tag, bytes(encode(value))))

    return convert


def _tagged(tag: str, encoded: bytes) -> bytes:
    rest = encoded[1:] if encoded == b"{}" else b"," + encoded[1:]
    return b'{"type":' + msgspec.json.encode(tag) + rest


@functools.cache
def constraint_check(one: Field) -> Convert | None:
    """What gives a field's value back, or raises WrongValue where it breaks a constraint; None: it has none.

    The JSON writer knows how; what it writes is not needed. Kept for ever, as tables of fields are.
    """
    if one.constraints is None and one.type.constraints is None:
        return None
    alone = MessageType(one.name, one.name, msgspec.defstruct("Alone", [(one.name, Any)]), (one,))
    write = json_writer(alone, Profile.PLAIN).encode_bare

    def check(value: Any) -> Any:
        try:
            write(value)
        except WrongResult as error:
            raise WrongValue(str(error)) from None
        return value

    return check


# In.


def field_in(one: Field) -> Convert | None:
    """What makes a coerced argument plain JSON; None: it is that already."""
    if one.cardinality is Cardinality.MAP:
        return None
    convert = _type_in(one.type)
    if convert is None or one.cardinality is Cardinality.SINGLE:
        return convert
    return lambda values: [convert(value) for value in values]


def _type_in(type_: Type) -> Convert | None:
    if type_.message is not None:
        return message_in(type_.message)
    if type_.union is not None:
        return _union_in(type_.union)
    if type_.enum is not None:
        return {value.name: value.value.value for value in type_.enum.values}.__getitem__
    return None


def message_in(message: MessageType) -> Convert:
    """An input object as plain JSON: the names that were declared, and no null where none may be."""
    fields: dict[str, tuple[Field, Convert | None]] = {}

    def convert(given: Any) -> dict[str, Any]:
        if not fields:
            # At the first use: messages may refer to each other in cycles.
            fields.update((one.json_name, (one, field_in(one))) for one in message.fields)
        return plain_object(fields, given)

    return convert


def plain_object(fields: dict[str, tuple[Field, Convert | None]], given: dict[str, Any]) -> dict[str, Any]:
    plain: dict[str, Any] = {}
    for name, value in given.items():
        known = fields.get(name)
        if known is None:
            continue
        one, convert = known
        if value is None:
            if one.nullable or one.required or one.may_be_unset:
                # Of a Patch, null is no way to say that nothing is to change.
                plain[one.name] = None
        else:
            plain[one.name] = value if convert is None else convert(value)
    return plain


def _union_in(union: UnionType) -> Convert:
    members = {lower_camel(member.name): member for member in union.members}

    def convert(given: Any) -> dict[str, Any]:
        ((name, value),) = given.items()
        member = members[name]
        return {"type": member.tag, **message_in(member.message)(value)}

    return convert
