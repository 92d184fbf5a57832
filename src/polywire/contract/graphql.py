"""The services as a GraphQL schema: its names and types by table, which the SDL and the execution are made of.

Integers wider than 32 bits, dates and the like are scalars; a map is one too. A message that is taken is `XInput`. Root
fields are nullable, as each can fail by itself; all else is as declared. Client and bidirectional streams are left out.
"""

from __future__ import annotations

import enum
import inspect
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from polywire.schema.errors import SchemaError
from polywire.schema.message import where
from polywire.schema.names import lower_camel
from polywire.schema.types import (
    Cardinality,
    EnumType,
    Field,
    Kind,
    MessageType,
    Method,
    MethodKind,
    ResultForm,
    ServiceType,
    Shape,
    UnionType,
)

SCALARS = {
    Kind.BOOL: "Boolean",
    Kind.INT32: "Int",
    Kind.INT64: "Int64",
    Kind.UINT32: "UInt32",
    Kind.UINT64: "UInt64",
    Kind.FLOAT: "Float",
    Kind.DOUBLE: "Float",
    Kind.STRING: "String",
    Kind.BYTES: "Bytes",
    Kind.TIMESTAMP: "DateTime",
    Kind.DURATION: "Duration",
    Kind.DECIMAL: "Decimal",
    Kind.UUID: "UUID",
    Kind.DATE: "Date",
}
CUSTOM = {
    "Int64": "A signed integer of 64 bits, as a string.",
    "UInt32": "An integer from 0 to 2**32-1.",
    "UInt64": "An integer from 0 to 2**64-1, as a string.",
    "Bytes": "Bytes in base64.",
    "DateTime": "A point in time in UTC, ISO 8601.",
    "Duration": "A duration, ISO 8601.",
    "Decimal": "A decimal number as a string.",
    "UUID": "A UUID.",
    "Date": "A day, ISO 8601.",
    "JSON": "An object with keys of its own, as plain JSON.",
}
"""Scalars beyond GraphQL's own, and what they are."""
MAP = "JSON"
EMPTY_FIELD = "_empty"
"""Stands in a type that would have no field, which GraphQL forbids."""


@dataclass(frozen=True, slots=True, eq=False)
class Argument:
    name: str
    type: str
    """As GraphQL writes it: `[ID!]!`."""
    field: Field | None
    """Of the input message; None where the argument is the whole of it."""
    default: str | None = None
    """As GraphQL writes it."""
    doc: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class MethodField:
    """A field that a method answers for: of Query, Mutation or Subscription, or of a message that it resolves."""

    name: str
    method: Method
    type: str
    arguments: tuple[Argument, ...]

    @property
    def value(self) -> Field | None:
        """The field of the wrapper that its bare result is; None: a message, or nothing."""
        return self.method.output.fields[0] if self.method.result_form is ResultForm.WRAPPED else None


@dataclass(slots=True, eq=False)
class ObjectType:
    message: MessageType
    fields: dict[str, Field]
    resolved: dict[str, MethodField] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class GraphqlModel:
    """Everything in the schema, by name."""

    roots: dict[str, dict[str, MethodField]] = field(
        default_factory=lambda: {"Query": {}, "Mutation": {}, "Subscription": {}}
    )
    objects: dict[str, ObjectType] = field(default_factory=dict)
    inputs: dict[str, MessageType] = field(default_factory=dict)
    enums: dict[str, EnumType] = field(default_factory=dict)
    unions: dict[str, UnionType] = field(default_factory=dict)
    input_unions: dict[str, UnionType] = field(default_factory=dict)
    scalars: set[str] = field(default_factory=set)


def graphql_model(services: Sequence[ServiceType]) -> GraphqlModel:
    """Reads the tables. Raises SchemaError where two things would have one name, or a field is resolved twice."""
    return _Builder(services).model


class _Builder:
    def __init__(self, services: Sequence[ServiceType]) -> None:
        self.model = GraphqlModel()
        self._names: dict[str, Any] = dict.fromkeys((*self.model.roots, *CUSTOM))
        for service in services:
            for method in service.methods:
                if not method.shape.client_streaming:
                    self._root(method)
        resolvers = [resolver for service in services for resolver in service.resolvers]
        while resolvers:
            # What one resolves may be what another adds a field to.
            known = [one for one in resolvers if self._owner(one) is not None]
            if not known:
                break
            for one in known:
                self._resolved(one)
            resolvers = [one for one in resolvers if one not in known]

    def _root(self, method: Method) -> None:
        if method.shape is Shape.SERVER_STREAM:
            root = "Subscription"
        else:
            root = "Query" if method.kind is MethodKind.QUERY else "Mutation"
        fields = self.model.roots[root]
        other = fields.get(method.graphql_name)
        if other is not None:
            raise SchemaError(
                method.full_name,
                f"{other.method.full_name} is the field {root}.{method.graphql_name} in GraphQL too",
                f'give one of them a name of its own there, @{method.kind.value}(..., graphql="...")',
            )
        fields[method.graphql_name] = self._method_field(method, is_root=root != "Subscription")

    def _owner(self, resolver: Method) -> ObjectType | None:
        """The object that a resolver adds a field to; None where no method gives it."""
        assert resolver.resolves is not None
        owner = self.model.objects.get(resolver.resolves.name)
        return owner if owner is not None and owner.message is resolver.resolves else None

    def _resolved(self, method: Method) -> None:
        owner = self._owner(method)
        assert owner is not None
        taken = owner.resolved.get(method.graphql_name)
        if method.graphql_name in owner.fields or taken is not None:
            by = taken.method.full_name if taken is not None else where(owner.message.cls)
            raise SchemaError(
                method.full_name,
                f"{owner.message.name} has a field {method.graphql_name} already, by {by}",
                'give it another name, @resolve(..., graphql="...")',
            )
        owner.resolved[method.graphql_name] = self._method_field(method, is_root=False)

    def _method_field(self, method: Method, *, is_root: bool) -> MethodField:
        if method.result_form is ResultForm.EMPTY:
            type_ = "Boolean"
        elif method.result_form is ResultForm.MESSAGE:
            type_ = self._object(method.output) + "!"
        else:
            self._output(method.output.fields[0])
            type_ = output_type(method.output.fields[0])
        if is_root:
            type_ = type_.removesuffix("!")
        return MethodField(method.graphql_name, method, type_, tuple(self._arguments(method)))

    def _arguments(self, method: Method) -> Iterator[Argument]:
        if method.arguments is None:
            if method.input.fields:
                name = list(inspect.signature(method.function).parameters)[-1]
                yield Argument(lower_camel(name), self._input_object(method.input) + "!", None)
            return
        for one in method.input.fields:
            self._input(one)
        yield from input_arguments(method.input)

    # What a field refers to comes into the model.

    def _output(self, one: Field) -> None:
        self._enter(one, self._object, self._union)

    def _input(self, one: Field) -> None:
        self._enter(one, self._input_object, self._input_union)

    def _enter(self, one: Field, message: Callable[[MessageType], str], union: Callable[[UnionType], str]) -> None:
        type_ = one.type
        if one.cardinality is Cardinality.MAP:
            self.model.scalars.add(MAP)
        elif type_.message is not None:
            message(type_.message)
        elif type_.union is not None:
            union(type_.union)
        elif type_.enum is not None:
            self._enum(type_.enum)
        elif not one.is_id and SCALARS[type_.kind] in CUSTOM:
            self.model.scalars.add(SCALARS[type_.kind])

    def _enum(self, table: EnumType) -> None:
        for value in table.values:
            if value.name in ("true", "false", "null"):
                raise SchemaError(
                    f"{where(table.cls)}.{value.name}", "GraphQL has no enum value of this name", "write it in capitals"
                )
        self.model.enums[self._claim(table.name, table)] = table

    def _object(self, message: MessageType) -> str:
        name = self._claim(message.name, message)
        if name not in self.model.objects:
            self.model.objects[name] = ObjectType(message, {one.json_name: one for one in message.fields})
            for one in message.fields:
                self._output(one)
        return name

    def _union(self, union: UnionType) -> str:
        name = self._claim(union.name, union)
        if name not in self.model.unions:
            self.model.unions[name] = union
            for member in union.members:
                self._object(member.message)
        return name

    def _input_object(self, message: MessageType) -> str:
        name = self._claim(f"{message.name}Input", (message, "input"))
        if name not in self.model.inputs:
            self.model.inputs[name] = message
            for one in message.fields:
                self._input(one)
        return name

    def _input_union(self, union: UnionType) -> str:
        name = self._claim(f"{union.name}Input", (union, "input"))
        if name not in self.model.input_unions:
            self.model.input_unions[name] = union
            for member in union.members:
                self._input_object(member.message)
        return name

    def _claim(self, name: str, owner: Any) -> str:
        other = self._names.setdefault(name, owner)
        if other is not owner and other != owner:
            raise SchemaError(
                _place(owner),
                f"it would be the type {name} in GraphQL, which {_place(other) if other else 'GraphQL or polywire'} is",
                "rename one of them, or serve no GraphQL: App(graphql=GraphqlOptions(path=None))",
            )
        return name


def output_type(one: Field) -> str:
    """The type of a field of what is given, as GraphQL writes it."""
    return _wrapped(named_type(one, ""), one, one.nullable or one.may_be_unset)


def input_arguments(message: MessageType) -> Iterator[Argument]:
    """The fields of what is taken."""
    for one in message.fields:
        default = default_text(one)
        nullable = one.nullable or (not one.required and default is None)
        yield Argument(one.json_name, _wrapped(named_type(one, "Input"), one, nullable), one, default, one.doc)


def named_type(one: Field, suffix: str) -> str:
    """The name of a field's type, or of its elements'. suffix: of messages and unions, `Input` where they are taken."""
    if one.cardinality is Cardinality.MAP:
        return MAP
    if one.is_id:
        return "ID"
    table = one.type.message or one.type.union
    if table is not None:
        return table.name + suffix
    return one.type.enum.name if one.type.enum is not None else SCALARS[one.type.kind]


def _place(owner: Any) -> str:
    table = owner[0] if isinstance(owner, tuple) else owner
    return where(table.cls)


def _wrapped(name: str, one: Field, nullable: bool) -> str:
    if one.cardinality is Cardinality.LIST:
        name = f"[{name}!]"
    return name if nullable else f"{name}!"


def default_text(one: Field) -> str | None:
    """A default that GraphQL can write; None for none, and for null, which is none as well."""
    value = one.default
    if one.required or value is None or one.cardinality is not Cardinality.SINGLE or one.default_factory is not None:
        return None
    if isinstance(value, enum.Enum):
        return value.name
    if isinstance(value, bool | int | float | str):
        if one.is_id or SCALARS.get(one.type.kind) in ("Int64", "UInt64"):
            return json.dumps(str(value))
        return json.dumps(value, ensure_ascii=False)
    return None
