"""The tables sorted into .proto files: one file a package, in an order that imports allow.

Both forms of a contract in protobuf, descriptors and text, are written from these.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from polywire.contract.reach import NamedType, children, named_types
from polywire.schema.errors import SchemaError
from polywire.schema.types import (
    Cardinality,
    Encoding,
    EnumType,
    Field,
    Kind,
    MessageType,
    ServiceType,
    Type,
    UnionType,
)

WELL_KNOWN = {
    "google.protobuf.Timestamp": "google/protobuf/timestamp.proto",
    "google.protobuf.Duration": "google/protobuf/duration.proto",
    "google.protobuf.Empty": "google/protobuf/empty.proto",
}
"""Messages that protobuf brings along, and the files they are in."""

_STANDARD_FILES = {
    "grpc.health.v1": "grpc/health/v1/health.proto",
    "grpc.reflection.v1": "grpc/reflection/v1/reflection.proto",
    "grpc.reflection.v1alpha": "grpc/reflection/v1alpha/reflection.proto",
}
"""Where everybody else finds these packages: a client that knows one must not meet it twice."""

_KIND_TYPES = {Kind.TIMESTAMP: "google.protobuf.Timestamp", Kind.DURATION: "google.protobuf.Duration"}

SCALARS = {
    Kind.BOOL: "bool",
    Kind.INT32: "int32",
    Kind.INT64: "int64",
    Kind.UINT32: "uint32",
    Kind.UINT64: "uint64",
    Kind.FLOAT: "float",
    Kind.DOUBLE: "double",
    Kind.STRING: "string",
    Kind.BYTES: "bytes",
    Kind.DECIMAL: "string",
    Kind.UUID: "string",
    Kind.DATE: "string",
}
"""The protobuf type of each kind that is none of the named ones."""

_ENCODED = {
    (Kind.INT32, Encoding.ZIGZAG): "sint32",
    (Kind.INT64, Encoding.ZIGZAG): "sint64",
    (Kind.UINT32, Encoding.FIXED): "fixed32",
    (Kind.UINT64, Encoding.FIXED): "fixed64",
    (Kind.INT32, Encoding.FIXED): "sfixed32",
    (Kind.INT64, Encoding.FIXED): "sfixed64",
}


def scalar_name(type_: Type) -> str:
    """The protobuf type of a value that is no message, union or enum."""
    return _ENCODED.get((type_.kind, type_.encoding)) or SCALARS[type_.kind]


@dataclass
class ProtoFile:
    """One .proto file: its package, what it imports and what it declares, in order."""

    name: str
    """`user.proto` for package `user`, `shop/v1.proto` for `shop.v1`."""
    package: str
    imports: list[str] = field(default_factory=list)
    services: list[ServiceType] = field(default_factory=list)
    types: list[NamedType] = field(default_factory=list)
    """At the top of the file."""
    nested: dict[str, list[NamedType]] = field(default_factory=dict)
    """By the full name of the message around them."""


def proto_files(services: Sequence[ServiceType]) -> list[ProtoFile]:
    """The files that describe these services, each after those it imports; well-known ones are only imported.

    Raises SchemaError when packages import each other in a circle, or one full name means two types.
    """
    tables = [table for table in named_types(services) if table.full_name not in WELL_KNOWN]
    messages = {table.full_name for table in tables if isinstance(table, MessageType)}
    packages = {table.full_name: _package(table, messages) for table in tables}
    files: dict[str, ProtoFile] = {}
    for package in [*(service.package for service in services), *packages.values()]:
        files.setdefault(package, ProtoFile(file_name(package), package))
    for service in services:
        files[service.package].services.append(service)
    for table in tables:
        file = files[packages[table.full_name]]
        outer = _outer(table)
        if outer in messages:
            file.nested.setdefault(outer, []).append(table)
        else:
            file.types.append(table)
    dependencies = {package: set[str]() for package in files}
    for package, mentioned in _mentions(services, tables, packages):
        if mentioned in WELL_KNOWN:
            dependencies[package].add(WELL_KNOWN[mentioned])
        elif packages[mentioned] != package:
            dependencies[package].add(files[packages[mentioned]].name)
    for package, file in files.items():
        file.imports = sorted(dependencies[package])
    return _sorted(list(files.values()))


def file_name(package: str) -> str:
    """`shop/v1.proto` for `shop.v1`; `default.proto` for no package."""
    return _STANDARD_FILES.get(package) or (package.replace(".", "/") or "default") + ".proto"


def type_name(field: Field) -> str | None:
    """The full name of the message or enum that a field holds, or None for a scalar."""
    type_ = field.type
    table = type_.message or type_.enum or type_.union
    return table.full_name if table is not None else _KIND_TYPES.get(type_.kind)


def is_optional(field: Field) -> bool:
    """Whether the field is written with the keyword `optional`: messages know absence without it."""
    scalar = field.type.kind in SCALARS or field.type.kind is Kind.ENUM
    return field.explicit_presence and field.cardinality is Cardinality.SINGLE and scalar


def enum_values(table: EnumType) -> list[tuple[str, int]]:
    """Names and numbers, zero first as proto3 demands: the enum's own where it has one, else `X_UNSPECIFIED`."""
    values = [(value.proto_name, value.number) for value in table.values]
    zero = [value for value in values if value[1] == 0] or [(_unspecified(table), 0)]
    return zero + [value for value in values if value[1] != 0]


def oneof_name(union: UnionType) -> str:
    """The name of a union's oneof, `kind` unless a member has taken it."""
    taken = {member.name for member in union.members}
    name = "kind"
    while name in taken:
        name += "_"
    return name


def _unspecified(table: EnumType) -> str:
    first = table.values[0]
    return first.proto_name.removesuffix(first.name) + "UNSPECIFIED"


def _outer(table: NamedType) -> str:
    return table.full_name.rpartition(".")[0]


def _package(table: NamedType, messages: set[str]) -> str:
    outer = _outer(table)
    while outer in messages:
        outer = outer.rpartition(".")[0]
    return outer


def _mentions(
    services: Sequence[ServiceType], tables: list[NamedType], packages: dict[str, str]
) -> list[tuple[str, str]]:
    """(package, full name that it mentions)."""
    result = [
        (service.package, message.full_name)
        for service in services
        for method in service.methods
        for message in (method.input, method.output)
    ]
    for table in tables:
        package = packages[table.full_name]
        result += [(package, child.full_name) for child in children(table)]
        if isinstance(table, MessageType):
            result += [(package, name) for field in table.fields if (name := _KIND_TYPES.get(field.type.kind))]
    return result


def _sorted(files: list[ProtoFile]) -> list[ProtoFile]:
    """Each file after its imports."""
    by_name = {file.name: file for file in files}
    done: dict[str, ProtoFile] = {}

    def visit(file: ProtoFile, path: tuple[str, ...]) -> None:
        if file.name in path:
            circle = " -> ".join([*path[path.index(file.name) :], file.name])
            raise SchemaError(
                circle,
                "these packages import each other, which protobuf forbids",
                "move a message into one of the others",
            )
        if file.name in done:
            return
        for name in file.imports:
            if name in by_name:
                visit(by_name[name], (*path, file.name))
        done[file.name] = file

    for file in files:
        visit(file, ())
    return list(done.values())
