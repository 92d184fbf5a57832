"""Protobuf numbers of fields, enum values and oneof members: by declaration, by hand, or as a contract has them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from polywire.schema.errors import SchemaError

MAX_FIELD_NUMBER = 2**29 - 1
MAX_ENUM_NUMBER = 2**31 - 1
_PROTOBUF_OWN = range(19_000, 20_000)


@dataclass(frozen=True, slots=True)
class ContractLock:
    """The numbers that a committed contract gave, by full name of message, enum or union.

    numbers: full name -> field (enum value, oneof member) name, as declared in Python -> number.
    reserved: full name -> numbers of what was removed; they are never given again.
    reserved_names: full name -> names of what was removed; nothing else may be called so.
    """

    numbers: Mapping[str, Mapping[str, int]]
    reserved: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    reserved_names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def assign(
    full_name: str,
    names: Iterable[str],
    explicit: Mapping[str, int],
    lock: ContractLock | None,
    where: str,
    *,
    is_enum: bool = False,
) -> tuple[dict[str, int], tuple[int, ...]]:
    """Gives each name its number; also returns the numbers that stay reserved, ascending.

    Without a contract the declared order counts from 1, passing over numbers fixed by hand. With one its numbers
    hold, what it lacks takes the next number never used, and what it has beyond `names` becomes reserved.

    Raises SchemaError where a number given by hand is out of range, given twice, reserved, or not the contract's.
    """
    names = list(names)
    locked = dict(lock.numbers.get(full_name, {})) if lock else {}
    reserved = set(lock.reserved.get(full_name, ())) if lock else set()
    reserved.update(number for name, number in locked.items() if name not in names)
    numbers: dict[str, int] = {}
    for name in names:
        number = explicit.get(name, locked.get(name))
        if number is None:
            continue
        _check(name, number, locked.get(name, number), reserved, where, is_enum)
        for other, taken in numbers.items():
            if taken == number:
                raise SchemaError(where, f"{other!r} and {name!r} both have number {number}", "give one another number")
        numbers[name] = number
    used = reserved.union(numbers.values())
    following = max(used, default=0) + 1 if locked or reserved else 1
    for name in names:
        if name in numbers:
            continue
        while following in used or (not is_enum and following in _PROTOBUF_OWN):
            following += 1
        numbers[name] = following
        following += 1
    return {name: numbers[name] for name in names}, tuple(sorted(reserved))


def retired_names(full_name: str, names: Iterable[str], lock: ContractLock | None, where: str) -> tuple[str, ...]:
    """The names that stay reserved, sorted: those the contract reserves, and those that it has beyond `names`.

    Raises SchemaError where one of `names` is reserved: a JSON client of then would read it as what it was.
    """
    if lock is None:
        return ()
    names = set(names)
    reserved = set(lock.reserved_names.get(full_name, ()))
    for name in sorted(reserved & names):
        raise SchemaError(
            where,
            f"the name {name!r} belonged to something removed, and the contract reserves it",
            "take another name; or, if it is the same again, bring back its line in the contract as it was",
        )
    return tuple(sorted(reserved | (lock.numbers.get(full_name, {}).keys() - names)))


def _check(name: str, number: int, locked: int, reserved: set[int], where: str, is_enum: bool) -> None:
    if number != locked:
        raise SchemaError(
            where,
            f"{name!r} has number {number} here and {locked} in the contract",
            f"keep {locked}: clients in the field use it",
        )
    if number in reserved:
        raise SchemaError(
            where, f"{name!r} has number {number}, which belonged to something removed", "take a number never used"
        )
    limit = MAX_ENUM_NUMBER if is_enum else MAX_FIELD_NUMBER
    if not 1 <= number <= limit or (not is_enum and number in _PROTOBUF_OWN):
        raise SchemaError(
            where,
            f"{name!r} cannot have number {number}",
            f"take one from 1 to {limit}" + ("" if is_enum else ", but none of protobuf's own 19000 to 19999"),
        )
