"""What a .proto says of a method beyond its messages: its effects, its REST routes, what the lint leaves out.

Routes are comments there, `// HTTP: GET /v1/users/{id}`: as options they would need files of Google's that protoc does
not bring along, in every project that compiles the contract. Where a file has `google.api.http` they are read of that.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from polywire.schema.docs import LINT
from polywire.schema.types import Method, MethodKind, Route

if TYPE_CHECKING:
    from polywire.protofile import Method as ProtoMethod

NO_SIDE_EFFECTS: Final = "NO_SIDE_EFFECTS"
"""`google.protobuf.MethodOptions.IdempotencyLevel`: clients of Connect use GET for such a method."""

_HTTP: Final = "(google.api.http)"
_LINE = re.compile(r"HTTP: ([A-Z]+) (/\S*)")
_VERBS: Final = ("get", "put", "post", "delete", "patch")


def idempotency_level(method: Method) -> str | None:
    if method.kind is MethodKind.QUERY:
        return NO_SIDE_EFFECTS
    return "IDEMPOTENT" if method.idempotent else None


def route_line(route: Route) -> str:
    return f"HTTP: {route.verb} {route.template}"


def allowed_rules(doc: str) -> frozenset[str]:
    """The rules of the lint that docs silence, by `lint: allow unbounded-list, verb-in-path`."""
    return frozenset(rule.strip() for found in LINT.findall(doc) for rule in found.split(","))


def allow_line(method: Method) -> str:
    """What all of a method's docs silence, where the first paragraph, which is its comment, does not say it; or ""."""
    rules = allowed_rules(method.function.__doc__ or "") - allowed_rules(method.doc)
    return f"lint: allow {', '.join(sorted(rules))}" if rules else ""


def is_query(method: ProtoMethod) -> bool:
    """By its option, or because all of its routes are GETs: `contract import` makes a query of it."""
    return method.option("idempotency_level") == NO_SIDE_EFFECTS or {verb for verb, _ in routes_of(method)} == {"GET"}


def routes_of(method: ProtoMethod) -> list[tuple[str, str]]:
    """(verb, path template) in the file's order; the rest of a path is `{name*}`, as in a service."""
    rule: dict[str, Any] = {}
    for option in method.options:
        if option.name == _HTTP and isinstance(option.value, dict):
            rule |= option.value
        elif option.name.startswith(f"{_HTTP}."):
            rule[option.name.removeprefix(f"{_HTTP}.")] = option.value
    found = list(_of_rule(rule))
    return found + routes_in_comment(method)


def routes_in_comment(method: ProtoMethod) -> list[tuple[str, str]]:
    return [(match[1], match[2]) for match in map(_LINE.fullmatch, _split(method)[1]) if match]


def doc_without_routes(method: ProtoMethod) -> str:
    """The comment for people."""
    return "\n".join(_split(method)[0]).strip()


def _split(method: ProtoMethod) -> tuple[list[str], list[str]]:
    """The comment's lines: what it says, and the routes at its end."""
    lines = [line.strip() for line in method.doc.splitlines()]
    end = len(lines)
    while end and _LINE.fullmatch(lines[end - 1]):
        end -= 1
    return lines[:end], lines[end:]


def _of_rule(rule: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for verb in _VERBS:
        if isinstance(path := rule.get(verb), str):
            yield verb.upper(), path.replace("=**}", "*}")
    custom = rule.get("custom")
    if isinstance(custom, dict) and isinstance(custom.get("kind"), str) and isinstance(custom.get("path"), str):
        yield custom["kind"], custom["path"]
    further = rule.get("additional_bindings", [])
    for other in further if isinstance(further, list) else [further]:
        if isinstance(other, dict):
            yield from _of_rule(other)
