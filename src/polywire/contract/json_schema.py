"""The tables as JSON Schema 2020-12, in the plain JSON profile: what REST reads and writes."""

from __future__ import annotations

import base64
import datetime
import decimal
import enum
import math
import uuid
from collections import Counter
from collections.abc import Iterable
from typing import Any

from polywire.contract.reach import NamedType, named
from polywire.schema.types import (
    Cardinality,
    Constraints,
    EnumType,
    Field,
    Kind,
    MessageType,
    Type,
    UnionType,
)

Schema = dict[str, Any]

REF_PREFIX = "#/components/schemas/"

_SCALARS: dict[Kind, Schema] = {
    Kind.BOOL: {"type": "boolean"},
    Kind.INT32: {"type": "integer", "format": "int32"},
    Kind.INT64: {"type": "integer", "format": "int64"},
    Kind.UINT32: {"type": "integer", "format": "uint32", "minimum": 0},
    Kind.UINT64: {"type": "integer", "format": "uint64", "minimum": 0},
    Kind.FLOAT: {"type": "number", "format": "float"},
    Kind.DOUBLE: {"type": "number", "format": "double"},
    Kind.STRING: {"type": "string"},
    Kind.BYTES: {"type": "string", "format": "byte", "contentEncoding": "base64"},
    Kind.TIMESTAMP: {"type": "string", "format": "date-time"},
    Kind.DURATION: {"type": "string", "format": "duration"},
    Kind.DECIMAL: {"type": "string", "format": "decimal"},
    Kind.UUID: {"type": "string", "format": "uuid"},
    Kind.DATE: {"type": "string", "format": "date"},
}

_KEY_PATTERNS: dict[Kind, str] = {
    Kind.BOOL: "^(true|false)$",
    Kind.INT32: "^-?[0-9]+$",
    Kind.INT64: "^-?[0-9]+$",
    Kind.UINT32: "^[0-9]+$",
    Kind.UINT64: "^[0-9]+$",
}
"""JSON object keys are strings; these are the ones a map with other keys takes."""


class Components:
    """Names for `components/schemas`: the short name where it is unique, else the full one."""

    def __init__(self, tables: Iterable[NamedType]) -> None:
        self._tables = list(tables)
        counts = Counter(name for table in self._tables for name in _short_names(table))
        self._names: dict[str, str] = {
            table.full_name: (table.name if all(counts[name] == 1 for name in _short_names(table)) else table.full_name)
            for table in self._tables
        }

    def ref(self, table: NamedType) -> Schema:
        return _ref(self._names[table.full_name])

    def schemas(self) -> dict[str, Schema]:
        """Every component, by name; a union brings one more for each member, with its tag."""
        result: dict[str, Schema] = {}
        for table in self._tables:
            name = self._names[table.full_name]
            if isinstance(table, MessageType):
                result[name] = self.object_of(table.fields, table.doc)
            elif isinstance(table, EnumType):
                result[name] = _described(_enum(table), table.doc)
            else:
                result[name] = self._union(table, name)
                for member in table.members:
                    tag: Schema = {
                        "type": "object",
                        "properties": {"type": {"type": "string", "const": member.tag}},
                        "required": ["type"],
                    }
                    result[f"{name}.{member.tag}"] = {"allOf": [tag, self.ref(member.message)]}
        return result

    def object_of(self, fields: Iterable[Field], doc: str = "") -> Schema:
        """An object with these fields; unknown ones are ignored, so nothing forbids them."""
        fields = tuple(fields)
        schema: Schema = {
            "type": "object",
            "properties": {field.name: self.of_field(field, documented=True) for field in fields},
        }
        required = [field.name for field in fields if field.required]
        if required:
            schema["required"] = required
        return _described(schema, doc)

    def of_field(self, field: Field, *, documented: bool = False) -> Schema:
        """A field's schema; `documented` adds its text and its default."""
        schema = self.of_type(field.type)
        if field.cardinality is Cardinality.LIST:
            schema = {"type": "array", "items": schema, **_bounds(field.constraints, "minItems", "maxItems")}
        elif field.cardinality is Cardinality.MAP:
            schema = {
                "type": "object",
                "additionalProperties": schema,
                **_bounds(field.constraints, "minProperties", "maxProperties"),
            }
            if field.map_key in _KEY_PATTERNS:
                schema["propertyNames"] = {"pattern": _KEY_PATTERNS[field.map_key]}
        elif field.constraints is not None:
            _constrain(schema, field.constraints, field.type.kind)
        if field.nullable:
            schema = _nullable(schema)
        if documented:
            schema = _described(schema, field.doc)
            if not field.required:
                default = plain_value(field.make_default())
                if default is not None:
                    schema["default"] = default
        return schema

    def of_type(self, type_: Type) -> Schema:
        table = named(type_)
        if table is not None:
            return self.ref(table)
        schema = dict(_SCALARS[type_.kind])
        if type_.constraints is not None:
            _constrain(schema, type_.constraints, type_.kind)
        return schema

    def _union(self, union: UnionType, name: str) -> Schema:
        schema: Schema = {
            "oneOf": [_ref(f"{name}.{member.tag}") for member in union.members],
            "discriminator": {
                "propertyName": "type",
                "mapping": {member.tag: _ref(f"{name}.{member.tag}")["$ref"] for member in union.members},
            },
        }
        return _described(schema, union.doc)


def plain_value(value: Any) -> Any:
    """A Python value as plain JSON has it, for defaults and examples; None where it has no such form."""
    match value:
        case None | bool() | int() | str() if not isinstance(value, enum.Enum):
            return value
        case enum.Enum():
            return plain_enum(value)
        case float():
            return value if math.isfinite(value) else None
        case bytes():
            return base64.b64encode(value).decode()
        case decimal.Decimal() | uuid.UUID():
            return str(value)
        case datetime.datetime() | datetime.date():
            return value.isoformat()
        case datetime.timedelta():
            return duration(value)
        case list() | tuple():
            return [plain_value(item) for item in value]
        case dict():
            return {str(plain_value(key)): plain_value(item) for key, item in value.items()}
    return None


def duration(value: datetime.timedelta) -> str:
    """ISO 8601 in days and seconds, `P1DT2.5S`; a minus in front where it is negative."""
    sign, value = ("-", -value) if value < datetime.timedelta() else ("", value)
    days = f"{value.days}D" if value.days else ""
    fraction = f".{value.microseconds:06d}".rstrip("0") if value.microseconds else ""
    seconds = f"T{value.seconds}{fraction}S" if value.seconds or fraction or not days else ""
    return f"{sign}P{days}{seconds}"


def plain_enum(member: enum.Enum) -> str | int:
    """What plain JSON writes for an enum's member: its value where that is text or an integer, else its name."""
    value = member.value
    return value if isinstance(value, str | int) and not isinstance(value, bool) else member.name


def _enum(table: EnumType) -> Schema:
    values = [plain_enum(value.value) for value in table.values]
    types = sorted({"string" if isinstance(value, str) else "integer" for value in values})
    return {"type": types[0] if len(types) == 1 else types, "enum": values}


def _short_names(table: NamedType) -> list[str]:
    if isinstance(table, UnionType):
        return [table.name, *(f"{table.name}.{member.tag}" for member in table.members)]
    return [table.name]


def _ref(name: str) -> Schema:
    return {"$ref": REF_PREFIX + name}


def _described(schema: Schema, doc: str) -> Schema:
    return {**schema, "description": doc} if doc else schema


def _nullable(schema: Schema) -> Schema:
    if isinstance(schema.get("type"), str):
        return {**schema, "type": [schema["type"], "null"]}
    return {"anyOf": [schema, {"type": "null"}]}


def _bounds(constraints: Constraints | None, least: str, most: str) -> Schema:
    if constraints is None:
        return {}
    bounds = {least: constraints.min_length, most: constraints.max_length}
    return {name: value for name, value in bounds.items() if value is not None}


def _constrain(schema: Schema, constraints: Constraints, kind: Kind) -> None:
    """Adds the keywords; lengths of bytes count bytes, which JSON Schema cannot say of base64, so they stay out."""
    keywords = {
        "minimum": constraints.ge,
        "exclusiveMinimum": constraints.gt,
        "maximum": constraints.le,
        "exclusiveMaximum": constraints.lt,
        "multipleOf": constraints.multiple_of,
        "pattern": constraints.pattern,
    }
    if kind is not Kind.BYTES:
        keywords |= {"minLength": constraints.min_length, "maxLength": constraints.max_length}
    schema.update({name: value for name, value in keywords.items() if value is not None})
