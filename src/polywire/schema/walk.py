"""All that some messages refer to, once each."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

from polywire.schema.errors import SchemaError
from polywire.schema.message import where
from polywire.schema.types import EnumType, MessageType, UnionType

Table: TypeAlias = MessageType | UnionType | EnumType


def reachable(roots: Iterable[MessageType]) -> dict[str, Table]:
    """Tables by full name: `roots` and what they refer to, depth first, in the order in which they are first met.

    Raises SchemaError when two different classes have one full name; both are named.
    """
    found: dict[str, Table] = {}
    pending: list[Table] = [*reversed([*roots])]
    while pending:
        table = pending.pop()
        other = found.setdefault(table.full_name, table)
        if other.cls is not table.cls:
            raise SchemaError(
                where(table.cls),
                f"{table.full_name} is {where(other.cls)} too",
                "rename one of them, or give one another package= (or the method another name=)",
            )
        if other is table:
            pending += [each for each in reversed(_following(table)) if found.get(each.full_name) is not each]
    return found


def _following(table: Table) -> list[Table]:
    if isinstance(table, EnumType):
        return []
    if isinstance(table, UnionType):
        return [member.message for member in table.members]
    types = [field.type for field in table.fields]
    return [found for type_ in types for found in (type_.message, type_.union, type_.enum) if found is not None]
