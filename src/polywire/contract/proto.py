"""The tables as .proto text, with the docs as comments: compiled by protoc it gives the same descriptors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

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
from polywire.contract.rpc_options import allow_line, idempotency_level, route_line
from polywire.schema.names import lower_camel
from polywire.schema.types import Cardinality, EnumType, Field, Kind, MessageType, Method, ServiceType, UnionType

_INDENT = "  "


def proto_texts(services: Sequence[ServiceType]) -> dict[str, str]:
    """The text of each file by its name, `{"user.proto": "…"}`, each after those it imports.

    Raises SchemaError when packages import each other in a circle, or one full name means two types.
    """
    return {file.name: _text(file) for file in proto_files(services)}


def _text(file: ProtoFile) -> str:
    blocks = [['syntax = "proto3";']]
    if file.package:
        blocks.append([f"package {file.package};"])
    if file.imports:
        blocks.append([f'import "{name}";' for name in file.imports])
    blocks += [list(_service(service)) for service in file.services]
    blocks += [list(_declaration(table, file)) for table in file.types]
    return "\n\n".join("\n".join(block) for block in blocks) + "\n"


def _service(service: ServiceType) -> Iterator[str]:
    yield from _comment(service.doc)
    yield f"service {service.name} {{"
    for index, method in enumerate(service.methods):
        if index:
            yield ""
        yield from _indented(_method(method))
    yield "}"


def _method(method: Method) -> Iterator[str]:
    request = ("stream " if method.shape.client_streaming else "") + "." + method.input.full_name
    response = ("stream " if method.shape.server_streaming else "") + "." + method.output.full_name
    yield from _comment(method.doc)
    # Routes stand last, where they are looked for.
    more = [allow_line(method), *map(route_line, method.routes)]
    if method.doc and any(more):
        yield "//"
    yield from _comment("\n".join(more))
    level = idempotency_level(method)
    if level is None:
        yield f"rpc {method.name}({request}) returns ({response});"
    else:
        yield f"rpc {method.name}({request}) returns ({response}) {{"
        yield f"{_INDENT}option idempotency_level = {level};"
        yield "}"


def _declaration(table: NamedType, file: ProtoFile) -> Iterator[str]:
    yield from _comment(table.doc)
    name = table.full_name.rpartition(".")[2]
    if isinstance(table, EnumType):
        yield f"enum {name} {{"
        yield from _indented(_reserved(table))
        yield from _indented(f"{value} = {number};" for value, number in enum_values(table))
        yield "}"
        return
    lines = [line for inner in file.nested.get(table.full_name, ()) for line in (*_declaration(inner, file), "")]
    lines += _union(table) if isinstance(table, UnionType) else _message(table)
    if not lines:
        yield f"message {name} {{}}"
        return
    yield f"message {name} {{"
    yield from _indented(lines)
    yield "}"


def _message(table: MessageType) -> Iterator[str]:
    yield from _reserved(table)
    for field in table.fields:
        yield from _comment(field.doc)
        yield _field(field)


def _union(table: UnionType) -> Iterator[str]:
    yield from _reserved(table)
    yield f"oneof {oneof_name(table)} {{"
    yield from _indented(f".{member.message.full_name} {member.name} = {member.number};" for member in table.members)
    yield "}"


def _reserved(table: NamedType) -> Iterator[str]:
    if table.reserved:
        yield f"reserved {', '.join(map(str, table.reserved))};"
    if table.reserved_names:
        names = ", ".join(f'"{name}"' for name in table.reserved_names)
        yield f"reserved {names};"


def _field(field: Field) -> str:
    name = type_name(field)
    # Fully qualified: a relative name would be looked up from the innermost scope and could find another type.
    written = f".{name}" if name is not None else scalar_name(field.type)
    if field.cardinality is Cardinality.LIST:
        written = f"repeated {written}"
    elif field.cardinality is Cardinality.MAP:
        written = f"map<{SCALARS[field.map_key or Kind.STRING]}, {written}>"
    elif is_optional(field):
        written = f"optional {written}"
    option = "" if field.json_name == lower_camel(field.name) else f' [json_name = "{field.json_name}"]'
    return f"{written} {field.name} = {field.number}{option};"


def _comment(doc: str) -> Iterator[str]:
    for line in doc.strip().splitlines():
        yield f"// {line.rstrip()}".rstrip()


def _indented(lines: Iterator[str] | list[str]) -> Iterator[str]:
    for line in lines:
        yield _INDENT + line if line else ""
