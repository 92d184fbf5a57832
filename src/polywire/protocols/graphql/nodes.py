"""What a query selects, by position: the tree that execution walks instead of the query's text."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import msgspec
from graphql import DocumentNode, FieldNode

from polywire.protocols.graphql.leaves import Convert
from polywire.protocols.graphql.selection import Arguments, Selected
from polywire.runtime.binding import Binding


@dataclass(frozen=True, slots=True)
class Inline:
    """A leaf's usual value in the source of a plan: its type, what holds of it besides, and how it is shown.

    `{}` stands for the value.
    """

    type: type
    holds: str = ""
    shown: str = "{}"


@dataclass(eq=False)
class Output:
    """What a value must be, and how it is shown."""

    is_list: bool
    nullable: bool
    """It becomes null where something beneath it goes wrong. Of the list, where it is one; elements never are."""
    takes_none: bool
    """None is a value of it. A field of the root is nullable whatever its method declares."""
    takes_unset: bool = False
    """`msgspec.UNSET` is one: shown as null."""
    leaf: Convert | None = None
    """Of a scalar or an enum."""
    inline: Inline | None = None
    """What leaves need no `leaf` for."""
    children: dict[type, Node] = field(default_factory=dict)
    """Of an object: by the class of the value."""
    check: Convert | None = None
    """Gives the value back where it keeps to the constraints that are declared; None: there are none."""

    @cached_property
    def resolving(self) -> list[tuple[type, Node]]:
        """The children beneath which calls are to be made."""
        return [(cls, child) for cls, child in self.children.items() if child.resolves]


@dataclass(slots=True, eq=False)
class Entry:
    """One key of an answer's object."""

    key: str
    node: FieldNode
    """The first of the fields that were merged: errors name its place."""


@dataclass(slots=True, eq=False)
class TypeName(Entry):
    name: str


@dataclass(slots=True, eq=False)
class Attribute(Entry):
    """A field of the message itself."""

    attribute: str
    output: Output


@dataclass(slots=True, eq=False)
class Resolved(Entry):
    """A field that a method answers for. slot: where its results are kept while a query runs."""

    slot: int
    binding: Binding
    output: Output
    make_input: Callable[[dict[str, Any]], Any]
    """From the variables. Raises what decoding raises."""
    arguments: Arguments
    selection: Selected | None
    batched: bool


@dataclass(slots=True, eq=False)
class Introspected(Entry):
    """`__schema` or `__type`: answered by graphql-core, of a document with nothing else in it."""

    slot: int
    document: DocumentNode
    answer: msgspec.Raw | None = None


@dataclass(eq=False)
class Node:
    """A set of fields on one type."""

    type_name: str
    entries: list[Entry] = field(default_factory=list)
    resolves: bool = False
    """Some field in it, or beneath it, takes a call."""

    @cached_property
    def resolved(self) -> list[Resolved]:
        return [entry for entry in self.entries if isinstance(entry, Resolved)]

    @cached_property
    def nested(self) -> list[Attribute]:
        """Attributes beneath which calls are to be made."""
        return [entry for entry in self.entries if isinstance(entry, Attribute) and entry.output.resolving]


def child_of(output: Output, value: Any) -> Node | None:
    """What is shown of an object; None where it is none of those that it may be."""
    child = output.children.get(type(value))
    if child is not None:
        return child
    return next((node for cls, node in output.children.items() if isinstance(value, cls)), None)
