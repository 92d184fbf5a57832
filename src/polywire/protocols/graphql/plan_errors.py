"""What a caller is told of what went wrong (GraphQL §7.1.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from polywire.errors import Code, RpcError
from polywire.protocols.graphql.schema import GraphqlRefusal
from polywire.protocols.rest.errors import detail_json

if TYPE_CHECKING:
    from polywire.protocols.graphql.complete import Path
    from polywire.protocols.graphql.nodes import Entry


def refusal_json(refusal: GraphqlRefusal) -> list[dict[str, Any]]:
    """The errors, each with `extensions.code` INVALID_ARGUMENT where it has no code of its own."""
    shown = []
    for error in refusal.errors:
        formatted: dict[str, Any] = dict(error.formatted)
        formatted["extensions"] = {"code": "INVALID_ARGUMENT", **formatted.get("extensions", {})}
        shown.append(formatted)
    return shown


def problems_json(problem: RpcError | GraphqlRefusal, request_id: str) -> list[dict[str, Any]]:
    """Of a request that did not run, whoever refused it."""
    if isinstance(problem, GraphqlRefusal):
        return refusal_json(problem)
    return [error_json(problem, request_id)]


def error_json(error: RpcError, request_id: str, path: Path = (), entry: Entry | None = None) -> dict[str, Any]:
    """An error of a call (GraphQL §7.1.2): its code, reason and details in `extensions`."""
    extensions: dict[str, Any] = {"code": Code(error.code).name}
    if error.reason is not None:
        extensions["reason"] = error.reason
    if error.details:
        extensions["details"] = [detail_json(detail) for detail in error.details]
    extensions["requestId"] = request_id
    shown: dict[str, Any] = {"message": error.message or Code(error.code).name}
    if entry is not None and entry.node.loc is not None:
        start = entry.node.loc.start_token
        shown["locations"] = [{"line": start.line, "column": start.column}]
    if path:
        shown["path"] = list(path)
    shown["extensions"] = extensions
    return shown
