"""Which named types a set of services uses, in a stable order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from polywire.schema.types import EnumType, MessageType, ServiceType, Type, UnionType
from polywire.schema.walk import reachable

NamedType = MessageType | EnumType | UnionType
"""A type with a name of its own in every contract."""


def named(type_: Type) -> NamedType | None:
    """The table behind a type, or None for a scalar."""
    return type_.message or type_.enum or type_.union


def children(table: NamedType) -> Iterator[NamedType]:
    """The named types that `table` mentions directly."""
    if isinstance(table, MessageType):
        for field in table.fields:
            child = named(field.type)
            if child is not None:
                yield child
    elif isinstance(table, UnionType):
        for member in table.members:
            yield member.message


def named_types(services: Iterable[ServiceType]) -> list[NamedType]:
    """Every named type under these services, each once, in the order a reader meets them.

    Raises SchemaError when two different types carry one full name: no contract could tell them apart.
    """
    methods = [method for service in services for method in service.methods]
    return list(reachable([end for method in methods for end in (method.input, method.output)]).values())
