"""Reads an enum: its values' names and numbers in protobuf."""

from __future__ import annotations

import enum

from polywire.schema.docs import doc_of
from polywire.schema.errors import SchemaError
from polywire.schema.names import check_field_name, check_type_name, upper_snake
from polywire.schema.numbers import MAX_ENUM_NUMBER, ContractLock, assign, retired_names
from polywire.schema.types import EnumType, EnumValue


def read_enum(cls: type[enum.Enum], package: str, lock: ContractLock | None) -> EnumType:
    """The table of an enum. 0 is the generated `X_UNSPECIFIED`; integer values above 0 are their own numbers.

    Raises SchemaError for flags, for values other than strings or integers, and for names that clash.
    """
    where = f"{cls.__module__}.{cls.__qualname__}"
    check_type_name(cls.__name__, where)
    members = list(cls)
    if issubclass(cls, enum.Flag):
        raise SchemaError(where, "a Flag is a set of values", "declare an Enum and use list[...] of it")
    if not members:
        raise SchemaError(where, "an enum without values", "give it one")
    texts = all(isinstance(member.value, str) for member in members)
    if not texts and not all(type(member.value) is int for member in members):
        raise SchemaError(where, "the values must be all strings or all integers", f'write {members[0].name} = "..."')
    for member in members:
        check_field_name(member.name, f"{where}.{member.name}")
        if member.name.upper() == "UNSPECIFIED":
            raise SchemaError(
                f"{where}.{member.name}", "polywire itself generates UNSPECIFIED, number 0", "leave it out"
            )
    explicit: dict[str, int] = {}
    if not texts and all(0 < member.value <= MAX_ENUM_NUMBER for member in members):
        explicit = {member.name: member.value for member in members}
    full_name = f"{package}.{cls.__name__}" if package else cls.__name__
    names = [member.name for member in members]
    lock = _as_declared(lock, full_name, names)
    numbers, reserved = assign(full_name, names, explicit, lock, where, is_enum=True)
    prefix = upper_snake(cls.__name__)
    values = []
    seen: dict[str, str] = {}
    for member in members:
        proto_name = f"{prefix}_{member.name.upper()}"
        if proto_name in seen:
            raise SchemaError(where, f"{seen[proto_name]!r} and {member.name!r} are both {proto_name} in protobuf", "")
        seen[proto_name] = member.name
        values.append(EnumValue(member.name, proto_name, numbers[member.name], member))
    retired = tuple(f"{prefix}_{name.upper()}" for name in retired_names(full_name, names, lock, where))
    return EnumType(cls.__name__, full_name, cls, tuple(values), doc_of(cls), reserved, retired)


def _as_declared(lock: ContractLock | None, full_name: str, names: list[str]) -> ContractLock | None:
    """A .proto file has all names in capitals: `Active` is `ACTIVE` there."""
    if lock is None:
        return None
    declared = {name.upper(): name for name in names}
    numbers = {declared.get(name.upper(), name): number for name, number in lock.numbers.get(full_name, {}).items()}
    retired = tuple(declared.get(name.upper(), name) for name in lock.reserved_names.get(full_name, ()))
    return ContractLock({full_name: numbers}, {full_name: lock.reserved.get(full_name, ())}, {full_name: retired})
