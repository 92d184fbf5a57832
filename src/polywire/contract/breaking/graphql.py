"""What has changed between two schemas of GraphQL, by graphql-core's own rules."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from polywire.contract.breaking.changes import GRAPHQL, Change

if TYPE_CHECKING:
    from graphql import GraphQLSchema

_COORDINATE = re.compile(r"\b([A-Za-z_]\w*)(?:\.([A-Za-z_]\w*))?(?:\(([A-Za-z_]\w*):\))?")
_WHY = {
    "REQUIRED": "documents of before do not give it",
    "REMOVED": "documents that name it are refused",
    "CHANGED": "documents of before do not fit, or their readers find what they do not expect",
}


class SdlError(Exception):
    """A schema cannot be read; `str` is `schema.graphql:3:1: what is wrong`."""


def sdl_changes(old: str, new: str, file: str) -> list[Change]:
    """Every difference between two texts. file: the name of the old one. Raises SdlError if that cannot be read."""
    from graphql.utilities import find_breaking_changes, find_dangerous_changes

    before, after = _schema(old, file), _schema(new, file)
    changes = [_change(before, one.type.name, one.description, True) for one in find_breaking_changes(before, after)]
    changes += [_change(before, one.type.name, one.description, False) for one in find_dangerous_changes(before, after)]
    return sorted(changes, key=lambda change: (not change.breaks, _line(change)))


def _schema(text: str, file: str) -> GraphQLSchema:
    from graphql import GraphQLError, GraphQLSyntaxError, Source, build_schema

    try:
        return build_schema(Source(text, file), assume_valid=True)
    except GraphQLSyntaxError as error:
        place = error.locations[0] if error.locations else None
        raise SdlError(f"{file}:{place.line if place else 1}:{place.column if place else 1}: {error.message}") from None
    except (GraphQLError, TypeError) as error:
        raise SdlError(f"{file}:1:1: {error}") from None


def _change(schema: GraphQLSchema, kind: str, description: str, breaks: bool) -> Change:
    subject, node = _found(schema, description)
    why = next((why for word, why in _WHY.items() if word in kind), _WHY["CHANGED"])
    place = f"{node.loc.source.name}:{_position(node)}" if node is not None else "schema.graphql:1:1"
    problem = (
        description[0].lower() + description[1:].removesuffix(".") if description.startswith(_LOWERED) else description
    )
    return Change(
        "graphql-" + kind.lower().replace("_", "-"),
        place,
        subject,
        problem.removesuffix("."),
        {GRAPHQL: why} if breaks else {},
    )


_LOWERED = ("Field", "Argument", "A required", "Enum value", "An optional", "A ", "An ")


def _found(schema: GraphQLSchema, description: str) -> tuple[str, Any]:
    """The part of the old schema that a description names, and where it stands; the part around it if it is new."""
    for match in _COORDINATE.finditer(description):
        table = schema.type_map.get(match[1])
        if table is None or table.ast_node is None:
            continue
        node: Any = table.ast_node
        inner = [*(getattr(node, "fields", None) or ()), *(getattr(node, "values", None) or ())]
        member = next((one for one in inner if one.name.value == match[2]), None)
        if member is not None:
            node = member
            arguments = getattr(member, "arguments", None) or ()
            node = next((one for one in arguments if one.name.value == match[3]), node)
        return match[0], node.name
    return "the schema", None


def _position(node: Any) -> str:
    start = node.loc.start_token
    return f"{start.line}:{start.column}"


def _line(change: Change) -> tuple[int, int]:
    _, line, column = change.place.rsplit(":", 2)
    return int(line), int(column)
