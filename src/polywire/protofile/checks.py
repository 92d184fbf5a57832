"""What has to hold within one message or one enum."""

from __future__ import annotations

from bisect import bisect_right
from typing import Final

from polywire.protofile.declarations import Enum, Field, Message, Place, ProtoError
from polywire.protofile.names import json_name, short_value_name
from polywire.protofile.parser import PACKABLE, SCALARS

_PROTOBUF_OWN: Final = range(19_000, 20_000)
_JS_TYPES: Final = frozenset({"int64", "uint64", "sint64", "fixed64", "sfixed64"})


class _Reserved:
    """The reserved numbers and names of one message or enum."""

    def __init__(self, table: Message | Enum) -> None:
        self._names = set(table.reserved_names)
        if len(self._names) < len(table.reserved_names):
            twice = next(name for name in self._names if table.reserved_names.count(name) > 1)
            raise ProtoError(table.place, f"{table.name} reserves the name {twice} twice")
        ranges = sorted(table.reserved)
        self._starts = [start for start, _ in ranges]
        self._ends = [end for _, end in ranges]
        for start, end in zip(self._starts[1:], self._ends, strict=False):
            if start <= end:
                raise ProtoError(table.place, f"{table.name} reserves {start} twice")

    def check(self, name: str, number: int, place: Place) -> None:
        at = bisect_right(self._starts, number) - 1
        if at >= 0 and number <= self._ends[at]:
            raise ProtoError(place, f"{name} has the number {number}, which is reserved")
        if name in self._names:
            raise ProtoError(place, f"the name {name} is reserved")


def check_message(message: Message) -> None:
    """Numbers and JSON names are there once, and none that is reserved. Raises ProtoError."""
    reserved = _Reserved(message)
    numbers: dict[int, str] = {}
    json_names: dict[str, str] = {}
    for field in message.fields:
        check_number(field)
        other = numbers.setdefault(field.number, field.name)
        if other != field.name:
            raise ProtoError(field.place, f"{field.name} has the number {field.number} of {other}")
        reserved.check(field.name, field.number, field.place)
        name = field.json_name if field.json_name is not None else json_name(field.name)
        if name[:1] == "[" and name[-1:] == "]":
            raise ProtoError(field.place, f"{name!r:.60} is no name in JSON: brackets are for extensions")
        other = json_names.setdefault(name, field.name)
        if other != field.name:
            raise ProtoError(field.place, f"{field.name} and {other} are both {name!r:.60} in JSON")


def check_number(field: Field) -> None:
    if field.number in _PROTOBUF_OWN:
        raise ProtoError(field.place, "numbers 19000 to 19999 are protobuf's own")


def check_enum(enum: Enum) -> None:
    """The first value is 0, numbers are there once or as aliases, and none that is reserved. Raises ProtoError."""
    if not enum.values:
        raise ProtoError(enum.place, f"the enum {enum.name} has no value")
    if enum.values[0].number != 0:
        raise ProtoError(enum.values[0].place, f"the first value of {enum.name} must be 0 in proto3")
    reserved = _Reserved(enum)
    numbers: dict[int, str] = {}
    names: dict[str, tuple[str, int]] = {}
    for value in enum.values:
        other = numbers.setdefault(value.number, value.name)
        if other != value.name and not enum.allow_alias:
            raise ProtoError(
                value.place, f"{value.name} has the number of {other}; say option allow_alias = true if it is meant"
            )
        other, number = names.setdefault(short_value_name(enum.name, value.name), (value.name, value.number))
        if number != value.number:
            raise ProtoError(value.place, f"{value.name} and {other} are the same without the prefix of {enum.name}")
        reserved.check(value.name, value.number, value.place)
    if enum.allow_alias and len(numbers) == len(enum.values):
        raise ProtoError(enum.place, f"{enum.name} allows aliases, and has none")


def check_field(field: Field, *, is_message: bool, is_enum: bool) -> None:
    """What its options ask of its type. Raises ProtoError."""
    is_scalar = field.type in SCALARS and field.map_key is None
    packable = field.label == "repeated" and (is_enum or (is_scalar and field.type in PACKABLE))
    if field.option("packed") is True and not packable:
        raise ProtoError(field.place, "only repeated numbers, bools and enums are packed")
    is_lazy = field.option("lazy") is True or field.option("unverified_lazy") is True
    if is_lazy and not (is_message and field.map_key is None):
        raise ProtoError(field.place, "only messages are lazy")
    if field.option("jstype") not in (None, "JS_NORMAL") and not (is_scalar and field.type in _JS_TYPES):
        raise ProtoError(field.place, "only 64-bit integers have a jstype")
