"""What a caller is told of a document that is refused."""

from __future__ import annotations

from typing import Any

from polywire.protocols.graphql.schema import GraphqlRefusal


def refusal_json(refusal: GraphqlRefusal) -> list[dict[str, Any]]:
    """The errors, each with `extensions.code` INVALID_ARGUMENT where it has no code of its own."""
    shown = []
    for error in refusal.errors:
        formatted: dict[str, Any] = dict(error.formatted)
        formatted["extensions"] = {"code": "INVALID_ARGUMENT", **formatted.get("extensions", {})}
        shown.append(formatted)
    return shown
