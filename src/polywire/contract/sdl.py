"""The services as GraphQL SDL, with the docs as descriptions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from polywire.contract.graphql import (
    CUSTOM,
    EMPTY_FIELD,
    Argument,
    GraphqlModel,
    MethodField,
    graphql_model,
    input_arguments,
    output_type,
)
from polywire.schema.names import lower_camel
from polywire.schema.types import ServiceType


def sdl_text(services: Sequence[ServiceType]) -> str:
    """The schema that `/graphql` serves. Raises SchemaError where two things would have one name."""
    return sdl_of(graphql_model(services))


def sdl_of(model: GraphqlModel) -> str:
    blocks: list[list[str]] = []
    for root, fields in model.roots.items():
        if fields:
            blocks.append([f"type {root} {{", *_indented(_fields(fields.values())), "}"])
    if not model.roots["Query"]:
        # GraphQL demands a Query.
        blocks.insert(0, ["type Query {", f"  {EMPTY_FIELD}: Boolean", "}"])
    for name, owner in model.objects.items():
        lines = [
            line
            for json_name, field in owner.fields.items()
            for line in (*_description(field.doc), f"{json_name}: {output_type(field)}")
        ]
        lines += _fields(owner.resolved.values())
        body = lines or [f"{EMPTY_FIELD}: Boolean"]
        blocks.append([*_description(owner.message.doc), f"type {name} {{", *_indented(body), "}"])
    for name, union in model.unions.items():
        members = " | ".join(member.message.name for member in union.members)
        blocks.append([*_description(union.doc), f"union {name} = {members}"])
    for name, table in model.enums.items():
        values = [value.name for value in table.values]
        blocks.append([*_description(table.doc), f"enum {name} {{", *_indented(values), "}"])
    for name, message in model.inputs.items():
        body = list(_documented(input_arguments(message))) or [f"{EMPTY_FIELD}: Boolean"]
        blocks.append([*_description(message.doc), f"input {name} {{", *_indented(body), "}"])
    for name, union in model.input_unions.items():
        body = [f"{lower_camel(member.name)}: {member.message.name}Input" for member in union.members]
        blocks.append([*_description(union.doc), f"input {name} @oneOf {{", *_indented(body), "}"])
    for name in sorted(model.scalars):
        blocks.append([*_description(CUSTOM[name]), f"scalar {name}"])
    return "\n\n".join("\n".join(block) for block in blocks) + "\n"


def _fields(fields: Iterable[MethodField]) -> Iterator[str]:
    for one in fields:
        yield from _description(one.method.description)
        if any(argument.doc for argument in one.arguments):
            yield f"{one.name}("
            yield from _indented(_documented(one.arguments))
            yield f"): {one.type}"
        else:
            arguments = ", ".join(map(_argument, one.arguments))
            yield f"{one.name}{f'({arguments})' if arguments else ''}: {one.type}"


def _documented(arguments: Iterable[Argument]) -> Iterator[str]:
    for one in arguments:
        yield from _description(one.doc)
        yield _argument(one)


def _argument(one: Argument) -> str:
    return f"{one.name}: {one.type}" + (f" = {one.default}" if one.default is not None else "")


def _description(doc: str) -> Iterator[str]:
    text = doc.strip()
    if not text:
        return
    # A block string ends with the next three quotes that have no backslash in front.
    text = text.replace('"""', '\\"""')
    if "\n" in text or text.endswith(('"', "\\")):
        yield from ('"""', *(line.rstrip() for line in text.splitlines()), '"""')
    else:
        yield f'"""{text}"""'


def _indented(lines: Iterable[str]) -> Iterator[str]:
    for line in lines:
        yield f"  {line}" if line else ""
