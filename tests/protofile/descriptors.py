"""What was read as protobuf's descriptors, to compare it with protoc's.

The options that a service does not depend on are left out of both: those of other languages, and what custom ones say.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
    MethodOptions,
    ServiceDescriptorProto,
)

from polywire.protofile import Enum, Field, File, FileSet, Message, Service
from polywire.protofile.names import entry_name, json_name

_SCALARS = {
    name.removeprefix("TYPE_").lower(): number
    for name, number in FieldDescriptorProto.Type.items()
    if name not in ("TYPE_MESSAGE", "TYPE_ENUM", "TYPE_GROUP")
}
_LABELS = {"repeated": FieldDescriptorProto.LABEL_REPEATED}
KEPT = ("packed", "deprecated", "map_entry", "allow_alias", "idempotency_level")
_LEVELS = dict(MethodOptions.IdempotencyLevel.items())


def descriptor_of(file: File, files: FileSet) -> FileDescriptorProto:
    found = FileDescriptorProto(name=file.name, package=file.package or None, syntax="proto3")
    found.dependency.extend(one.name for one in file.imports)
    found.public_dependency.extend(index for index, one in enumerate(file.imports) if one.is_public)
    found.message_type.extend(_message(message, files) for message in file.messages)
    found.enum_type.extend(_enum(enum) for enum in file.enums)
    found.service.extend(_service(service, files) for service in file.services)
    found.extension.extend(_extension(extension.field, files) for extension in file.extensions)
    return found


def _message(message: Message, files: FileSet) -> DescriptorProto:
    found = DescriptorProto(name=message.name)
    oneofs = [oneof.name for oneof in message.oneofs]
    taken = {field.name for field in message.fields} | set(oneofs)
    for field in message.fields:
        one = found.field.add()
        one.CopyFrom(_field(field, files))
        if field.map_key is not None:
            entry = _entry(field, files)
            found.nested_type.append(entry)
            one.type = FieldDescriptorProto.TYPE_MESSAGE
            one.label = FieldDescriptorProto.LABEL_REPEATED
            one.type_name = f".{message.full_name}.{entry.name}"
        if field.oneof is not None:
            one.oneof_index = oneofs.index(field.oneof)
        elif field.label == "optional":
            name = f"_{field.name}"
            while name in taken:
                name = f"X{name}"
            taken.add(name)
            one.proto3_optional = True
            one.oneof_index = len(oneofs)
            oneofs.append(name)
    for name in oneofs:
        found.oneof_decl.add(name=name)
    found.nested_type.extend(_message(inner, files) for inner in message.messages)
    found.enum_type.extend(_enum(enum) for enum in message.enums)
    for start, end in message.reserved:
        found.reserved_range.add(start=start, end=end + 1)
    found.reserved_name.extend(message.reserved_names)
    found.extension.extend(_extension(extension.field, files) for extension in message.extensions)
    if _is(message.options, "deprecated"):
        found.options.deprecated = True
    return found


def _entry(field: Field, files: FileSet) -> DescriptorProto:
    found = DescriptorProto(name=entry_name(field.name))
    found.options.map_entry = True
    label = FieldDescriptorProto.LABEL_OPTIONAL
    assert field.map_key is not None
    found.field.add(name="key", json_name="key", number=1, label=label, type=_SCALARS[field.map_key])
    value = found.field.add(name="value", json_name="value", number=2, label=label)
    _set_type(value, field, files)
    return found


def _field(field: Field, files: FileSet) -> FieldDescriptorProto:
    found = FieldDescriptorProto(
        name=field.name,
        number=field.number,
        label=_LABELS.get(field.label, FieldDescriptorProto.LABEL_OPTIONAL),
        json_name=json_name(field.name) if field.json_name is None else field.json_name,
    )
    _set_type(found, field, files)
    if (packed := field.option("packed")) is not None:
        found.options.packed = packed
    if field.option("deprecated"):
        found.options.deprecated = True
    return found


def _extension(field: Field, files: FileSet) -> FieldDescriptorProto:
    found = _field(field, files)
    if field.label == "optional":
        found.proto3_optional = True
    return found


def _set_type(found: FieldDescriptorProto, field: Field, files: FileSet) -> None:
    type_ = files.type_of(field)
    if isinstance(type_, str):
        found.type = _SCALARS[type_]
        return
    found.type = FieldDescriptorProto.TYPE_ENUM if isinstance(type_, Enum) else FieldDescriptorProto.TYPE_MESSAGE
    found.type_name = f".{type_.full_name}"


def _enum(enum: Enum) -> EnumDescriptorProto:
    found = EnumDescriptorProto(name=enum.name)
    for value in enum.values:
        one = found.value.add(name=value.name, number=value.number)
        if _is(value.options, "deprecated"):
            one.options.deprecated = True
    if enum.allow_alias:
        found.options.allow_alias = True
    if _is(enum.options, "deprecated"):
        found.options.deprecated = True
    for start, end in enum.reserved:
        found.reserved_range.add(start=start, end=end)
    found.reserved_name.extend(enum.reserved_names)
    return found


def _service(service: Service, files: FileSet) -> ServiceDescriptorProto:
    found = ServiceDescriptorProto(name=service.name)
    if _is(service.options, "deprecated"):
        found.options.deprecated = True
    for method in service.methods:
        input_, output = files.ends[id(method)]
        one = found.method.add(name=method.name, input_type=f".{input_}", output_type=f".{output}")
        if method.client_streaming:
            one.client_streaming = True
        if method.server_streaming:
            one.server_streaming = True
        if method.option("deprecated") is True:
            one.options.deprecated = True
        if (level := method.option("idempotency_level")) is not None:
            one.options.idempotency_level = _LEVELS[level]
    return found


def _is(options: Sequence[Any], name: str) -> bool:
    return any(one.name == name and one.value is True for one in options)


def plain(found: FileDescriptorProto) -> FileDescriptorProto:
    """protoc's, as far as `descriptor_of` goes."""
    kept = FileDescriptorProto()
    kept.CopyFrom(found)
    for name in ("source_code_info", "options", "weak_dependency"):
        kept.ClearField(name)
    for message in _messages(kept.message_type):
        # The entries of maps first; protoc has them where their fields stand.
        message.nested_type.sort(key=lambda inner: not inner.options.map_entry)
        for one in (message, *message.field, *message.extension, *message.oneof_decl):
            _keep_options(one)
        _keep_enums(message.enum_type)
        _forget_extendees(message.extension)
    _keep_enums(kept.enum_type)
    _forget_extendees(kept.extension)
    for one in (*kept.extension, *kept.service, *(method for service in kept.service for method in service.method)):
        _keep_options(one)
    return kept


def _messages(messages: Sequence[DescriptorProto]) -> Iterator[DescriptorProto]:
    for message in messages:
        yield message
        yield from _messages(message.nested_type)


def _keep_enums(enums: Sequence[EnumDescriptorProto]) -> None:
    for enum in enums:
        for one in (enum, *enum.value):
            _keep_options(one)


def _forget_extendees(extensions: Sequence[FieldDescriptorProto]) -> None:
    for extension in extensions:
        extension.ClearField("extendee")


def _keep_options(found: Any) -> None:
    fields = found.options.DESCRIPTOR.fields_by_name
    kept = {name: getattr(found.options, name) for name in KEPT if name in fields and found.options.HasField(name)}
    found.ClearField("options")
    for name, value in kept.items():
        if value or name == "packed":
            setattr(found.options, name, value)
