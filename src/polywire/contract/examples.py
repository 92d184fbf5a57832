"""Example values that satisfy the tables, so that a reader sees a request and can send it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from polywire.contract.json_schema import plain_enum, plain_value
from polywire.schema.types import Cardinality, Constraints, Field, Kind, Type

_NO_CONSTRAINTS = Constraints()
_DEPTH = 6
"""Messages may contain themselves; deeper than this an example says nothing more."""

_TEXTS: dict[str, str] = {
    "name": "Alice",
    "user": "Alice",
    "email": "alice@example.com",
    "city": "London",
    "city_code": "LON",
    "currency": "EUR",
    "language": "en",
    "role": "member",
    "roles": "member",
    "url": "https://example.com/",
}
"""By field name; any other text field is shown as `text`."""

_NUMBERS: dict[str, int] = {"age": 30, "offset": 0, "limit": 20, "page_size": 20, "timestamp": 1_767_225_600}
"""By field name; any other integer is 42."""

_FIXED: dict[Kind, Any] = {
    Kind.BOOL: True,
    Kind.BYTES: "aGVsbG8=",
    Kind.TIMESTAMP: "2026-01-31T12:00:00Z",
    Kind.DURATION: "PT30S",
    Kind.DECIMAL: "9.99",
    Kind.UUID: "0b9d0a8e-6f4f-4c53-9d0e-0c8f8a6f0a42",
    Kind.DATE: "2026-01-31",
}

_PLAIN_DEFAULTS = frozenset(Kind) - {Kind.ENUM, Kind.MESSAGE, Kind.UNION, Kind.DURATION}
"""Kinds whose default reads the same in both JSON profiles."""

_FLOATS = (Kind.FLOAT, Kind.DOUBLE)


class NoExampleError(Exception):
    """No value can be made up for this type, because of its pattern or its depth."""


class Examples:
    """Makes example values, in plain JSON or in the proto profile (which grpcurl reads).

    proto: unions as `{"circle": {…}}` instead of `{"type": "Circle", …}`, enums by their protobuf name.
    """

    def __init__(self, *, proto: bool = False) -> None:
        self._proto = proto

    def of_fields(self, fields: Iterable[Field], depth: int = 0) -> dict[str, Any]:
        """An example object; a field that nothing can be made up for is left out.

        Raises NoExampleError when that field is required.
        """
        result: dict[str, Any] = {}
        for field in fields:
            if field.cardinality is Cardinality.MAP and not field.required:
                continue  # A made-up key says nothing.
            try:
                result[field.name] = self.of_field(field, depth)
            except NoExampleError:
                if field.required:
                    raise
        return result

    def of_field(self, field: Field, depth: int = 0) -> Any:
        """Raises NoExampleError."""
        if not field.required and field.type.kind in _PLAIN_DEFAULTS:
            default = plain_value(field.make_default())
            if default not in (None, "", 0, [], {}):
                return default
        constraints = field.constraints or _NO_CONSTRAINTS
        if field.cardinality is Cardinality.SINGLE:
            return self.of_type(field.type, field.name, depth, field.constraints)
        if field.cardinality is Cardinality.LIST:
            count = min(3, max(1, constraints.min_length or 0))
            return [self.of_type(field.type, field.name, depth) for _ in range(count)]
        key = {Kind.STRING: "key", Kind.BOOL: "true"}.get(field.map_key or Kind.STRING, "1")
        return {key: self.of_type(field.type, field.name, depth)}

    def of_type(self, type_: Type, name: str, depth: int = 0, constraints: Constraints | None = None) -> Any:
        """Raises NoExampleError."""
        if depth > _DEPTH:
            raise NoExampleError(name)
        constraints = constraints or type_.constraints or _NO_CONSTRAINTS
        if type_.message is not None:
            return self.of_fields(type_.message.fields, depth + 1)
        if type_.union is not None:
            member = type_.union.members[0]
            value = self.of_fields(member.message.fields, depth + 1)
            return {member.name: value} if self._proto else {"type": member.tag, **value}
        if type_.enum is not None:
            first = type_.enum.values[0]
            return first.proto_name if self._proto else plain_enum(first.value)
        if type_.kind is Kind.STRING:
            return _text(name, constraints)
        if type_.kind is Kind.DURATION and self._proto:
            return "30s"
        if type_.kind in _FIXED:
            return _FIXED[type_.kind]
        return _number(type_.kind, name, constraints)


def _text(name: str, constraints: Constraints) -> str:
    text = _TEXTS.get(name, "text")
    if constraints.min_length is not None:
        text = text.ljust(constraints.min_length, "x")
    if constraints.max_length is not None:
        text = text[: constraints.max_length]
    if constraints.pattern is not None and not re.search(constraints.pattern, text):
        raise NoExampleError(name)
    return text


def _number(kind: Kind, name: str, constraints: Constraints) -> float:
    wanted: float = 21.5 if kind in _FLOATS else _NUMBERS.get(name, 42)
    step = constraints.multiple_of or (0.5 if kind in _FLOATS else 1)
    if constraints.multiple_of is not None:
        wanted = step
    low = constraints.ge if constraints.ge is not None else constraints.gt
    high = constraints.le if constraints.le is not None else constraints.lt
    if high is not None and (wanted > high or wanted == constraints.lt):
        wanted = high if constraints.le is not None else high - step
    if low is not None and (wanted < low or wanted == constraints.gt):
        wanted = low if constraints.ge is not None else low + step
    return wanted if kind in _FLOATS else int(wanted)
