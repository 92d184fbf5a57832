"""Defaults of fields: found on the class, checked against the type, told apart from protobuf's zero values."""

from __future__ import annotations

import datetime
import decimal
import math
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from polywire.schema.errors import SchemaError
from polywire.schema.message import MessageMeta
from polywire.schema.types import Cardinality, Kind
from polywire.schema.values import Value


class _Probe(msgspec.Struct):
    value: list[int] = []


_FACTORY: Final = type(_Probe.__struct_defaults__[0])
"""msgspec's own marker of a default factory, which has no public name."""

_PYTHON: Final[dict[Kind, tuple[type, ...]]] = {
    Kind.BOOL: (bool,),
    Kind.INT32: (int,),
    Kind.INT64: (int,),
    Kind.UINT32: (int,),
    Kind.UINT64: (int,),
    Kind.FLOAT: (float, int),
    Kind.DOUBLE: (float, int),
    Kind.STRING: (str,),
    Kind.BYTES: (bytes,),
    Kind.TIMESTAMP: (datetime.datetime,),
    Kind.DURATION: (datetime.timedelta,),
    Kind.DECIMAL: (decimal.Decimal,),
    Kind.UUID: (uuid.UUID,),
    Kind.DATE: (datetime.date,),
}

_IMPLICIT: Final = frozenset(
    {
        Kind.BOOL,
        Kind.INT32,
        Kind.INT64,
        Kind.UINT32,
        Kind.UINT64,
        Kind.FLOAT,
        Kind.DOUBLE,
        Kind.STRING,
        Kind.BYTES,
    }
)
"""Kinds whose protobuf zero is a value in Python too."""


@dataclass(frozen=True, slots=True)
class Default:
    required: bool
    value: Any = None
    factory: Callable[[], Any] | None = None


def defaults_of(cls: MessageMeta) -> list[Default]:
    """One for each field, in order, unchecked. A factory is called once."""
    values: tuple[Any, ...] = cls.__struct_defaults__
    found = [Default(True)] * (len(cls.__struct_fields__) - len(values))
    for value in values:
        if value is msgspec.NODEFAULT:
            found.append(Default(True))
        elif isinstance(value, _FACTORY):
            factory = value.factory
            found.append(Default(False, factory(), factory))
        else:
            found.append(Default(False, value))
    return found


def check_default(default: Default, value: Value, where: str) -> None:
    """Raises SchemaError unless the default is a value of the field's type that every protocol can carry."""
    if default.required:
        if value.unset:
            raise SchemaError(where, "`| UnsetType` needs the default UNSET", "write `= msgspec.UNSET`")
        return
    given = default.value
    if value.unset or given is msgspec.UNSET:
        if not value.unset or given is not msgspec.UNSET:
            raise SchemaError(where, "UNSET and `| UnsetType` go together", "use both or neither")
        return
    if given is None:
        if not value.nullable:
            raise SchemaError(where, "the default None is not of the field's type", "add `| None` to the annotation")
        return
    if value.cardinality is not Cardinality.SINGLE:
        expected = list if value.cardinality is Cardinality.LIST else dict
        if type(given) is not expected:
            raise SchemaError(where, f"the default {given!r} is no {expected.__name__}", f"write `= {expected()!r}`")
        if given:
            raise SchemaError(
                where,
                "protobuf cannot tell an absent list or map from an empty one, so it can have no other default",
                f"write `= {expected()!r}` and fill it in the method",
            )
        return
    if not _is_of(given, value):
        raise SchemaError(where, f"the default {given!r} is not of the field's type", "change one of them")
    if isinstance(given, float | decimal.Decimal) and not math.isfinite(given):
        raise SchemaError(where, f"the default {given!r} is not a number in JSON", "use `| None` for no value")
    if value.type.kind in _PYTHON:
        try:
            msgspec.convert(given, value.native)
        except msgspec.ValidationError as error:
            raise SchemaError(where, f"the default {given!r} breaks the field's own rule ({error})", "") from None


def _is_of(given: Any, value: Value) -> bool:
    kind = value.type.kind
    if kind is Kind.MESSAGE:
        assert value.type.message is not None
        return type(given) is value.type.message.cls
    if kind is Kind.UNION:
        assert value.type.union is not None
        return type(given).__mro__[1] is value.type.union.cls
    if kind is Kind.ENUM:
        assert value.type.enum is not None
        return type(given) is value.type.enum.cls
    return type(given) in _PYTHON[kind]


def has_explicit_presence(default: Default, value: Value) -> bool:
    """Whether protobuf must tell absent from zero (decision 14 of the design)."""
    if value.cardinality is not Cardinality.SINGLE:
        return value.unset
    kind = value.type.kind
    if value.nullable or value.unset or kind in (Kind.MESSAGE, Kind.UNION, Kind.TIMESTAMP, Kind.DURATION):
        return True
    if default.required:
        return False
    return kind not in _IMPLICIT or default.factory is not None or not is_zero(default.value)


def is_zero(value: Any) -> bool:
    """Whether protobuf leaves the value out; -0.0 it does not."""
    return not value and not (isinstance(value, float) and math.copysign(1.0, value) < 0)
