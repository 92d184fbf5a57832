"""FileDescriptorProtos from the tables: what reflection hands out, equal to what protoc makes of the text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from polywire.contract.files import (
    SCALARS,
    ProtoFile,
    enum_values,
    is_optional,
    oneof_name,
    proto_files,
    scalar_name,
    type_name,
)
from polywire.contract.reach import NamedType
from polywire.contract.rpc_options import idempotency_level
from polywire.schema.names import lower_camel, upper_camel
from polywire.schema.types import Cardinality, EnumType, Field, Kind, MessageType, ServiceType, UnionType

if TYPE_CHECKING:
    from google.protobuf.descriptor_pb2 import (
        DescriptorProto,
        EnumDescriptorProto,
        FieldDescriptorProto,
        FileDescriptorProto,
        ServiceDescriptorProto,
    )

# `descriptor.proto`'s FieldDescriptorProto.Type and .Label; importing them would import all of google.protobuf.
_TYPE_NUMBERS: dict[str, Any] = {
    "double": 1,
    "float": 2,
    "int64": 3,
    "uint64": 4,
    "int32": 5,
    "bool": 8,
    "string": 9,
    "message": 11,
    "bytes": 12,
    "uint32": 13,
    "enum": 14,
    "fixed64": 6,
    "fixed32": 7,
    "sfixed32": 15,
    "sfixed64": 16,
    "sint32": 17,
    "sint64": 18,
}
_LEVELS: dict[str, Any] = {"NO_SIDE_EFFECTS": 1, "IDEMPOTENT": 2}
_OPTIONAL: Any = 1
_REPEATED: Any = 3


def file_descriptors(services: Sequence[ServiceType]) -> list[FileDescriptorProto]:
    """One FileDescriptorProto a package, each after those it imports; well-known files are imported, not included.

    Raises SchemaError when packages import each other in a circle, or one full name means two types.
    """
    return [_file(file) for file in proto_files(services)]


def _file(file: ProtoFile) -> FileDescriptorProto:
    from google.protobuf.descriptor_pb2 import FileDescriptorProto

    proto = FileDescriptorProto(name=file.name, package=file.package or None, syntax="proto3", dependency=file.imports)
    for table in file.types:
        _declare(table, file, proto)
    for service in file.services:
        _service(service, proto.service.add())
    return proto


def _declare(table: NamedType, file: ProtoFile, scope: FileDescriptorProto | DescriptorProto) -> None:
    if isinstance(table, EnumType):
        _enum(table, scope.enum_type.add())
        return
    messages = scope.nested_type if hasattr(scope, "nested_type") else scope.message_type
    proto = messages.add(name=table.full_name.rpartition(".")[2])
    for inner in file.nested.get(table.full_name, ()):
        _declare(inner, file, proto)
    if isinstance(table, UnionType):
        _union(table, proto)
    else:
        _message(table, proto)


def _message(table: MessageType, proto: DescriptorProto) -> None:
    names = {field.name for field in table.fields}
    for field in table.fields:
        target = proto.field.add()
        _field(field, target)
        if field.cardinality is Cardinality.MAP:
            _map_entry(field, target, proto, table.full_name)
        elif is_optional(field):
            target.proto3_optional = True
            target.oneof_index = len(proto.oneof_decl)
            proto.oneof_decl.add(name=_synthetic_oneof(field.name, names))
    _reserve(table, proto)


def _reserve(table: MessageType | UnionType, proto: DescriptorProto) -> None:
    for number in table.reserved:
        proto.reserved_range.add(start=number, end=number + 1)
    proto.reserved_name.extend(table.reserved_names)


def _field(field: Field, proto: FieldDescriptorProto) -> None:
    proto.name = field.name
    proto.number = field.number
    proto.json_name = field.json_name
    proto.label = _OPTIONAL if field.cardinality is Cardinality.SINGLE else _REPEATED
    _set_type(field, proto)


def _set_type(field: Field, proto: FieldDescriptorProto) -> None:
    name = type_name(field)
    if name is None:
        proto.type = _TYPE_NUMBERS[scalar_name(field.type)]
    else:
        proto.type = _TYPE_NUMBERS["enum" if field.type.kind is Kind.ENUM else "message"]
        proto.type_name = "." + name


def _map_entry(field: Field, target: FieldDescriptorProto, parent: DescriptorProto, full_name: str) -> None:
    """A map is a repeated message of key and value, made by protoc under a set name."""
    entry = parent.nested_type.add(name=upper_camel(field.name) + "Entry")
    entry.options.map_entry = True
    key = entry.field.add(name="key", number=1, label=_OPTIONAL, json_name="key")
    key.type = _TYPE_NUMBERS[SCALARS[field.map_key or Kind.STRING]]
    value = entry.field.add(name="value", number=2, label=_OPTIONAL, json_name="value")
    _set_type(field, value)
    target.type = _TYPE_NUMBERS["message"]
    target.type_name = f".{full_name}.{entry.name}"


def _synthetic_oneof(field_name: str, taken: set[str]) -> str:
    """protoc's own rule: an underscore in front, and as many X as it takes to be unique."""
    name = "_" + field_name
    while name in taken:
        name = "X" + name
    return name


def _union(table: UnionType, proto: DescriptorProto) -> None:
    _reserve(table, proto)
    proto.oneof_decl.add(name=oneof_name(table))
    for member in table.members:
        proto.field.add(
            name=member.name,
            number=member.number,
            label=_OPTIONAL,
            type=_TYPE_NUMBERS["message"],
            type_name="." + member.message.full_name,
            json_name=lower_camel(member.name),
            oneof_index=0,
        )


def _enum(table: EnumType, proto: EnumDescriptorProto) -> None:
    proto.name = table.full_name.rpartition(".")[2]
    for name, number in enum_values(table):
        proto.value.add(name=name, number=number)
    for number in table.reserved:
        proto.reserved_range.add(start=number, end=number)  # inclusive, unlike a message's
    proto.reserved_name.extend(table.reserved_names)


def _service(service: ServiceType, proto: ServiceDescriptorProto) -> None:
    proto.name = service.name
    for method in service.methods:
        target = proto.method.add(
            name=method.name,
            input_type="." + method.input.full_name,
            output_type="." + method.output.full_name,
        )
        # Set only where true, as protoc does: an explicit false is another descriptor.
        if method.shape.client_streaming:
            target.client_streaming = True
        if method.shape.server_streaming:
            target.server_streaming = True
        level = idempotency_level(method)
        if level is not None:
            target.options.idempotency_level = _LEVELS[level]
