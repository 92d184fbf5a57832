"""REST routes: `GET /v1/users/{id}` parsed, and checked against the method they belong to."""

from __future__ import annotations

import re
from typing import Final

from polywire.schema.errors import SchemaError
from polywire.schema.types import Cardinality, Kind, MessageType, MethodKind, Route

_VERBS: Final = {
    MethodKind.QUERY: ("GET",),
    MethodKind.MUTATION: ("POST", "PUT", "PATCH", "DELETE"),
}
_PARAMETER = re.compile(r"\{([A-Za-z][A-Za-z0-9_]*)(\*?)\}")
_LITERAL = re.compile(r"(?:[A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})+")
_NOT_IN_PATH: Final = frozenset({Kind.MESSAGE, Kind.UNION, Kind.BYTES})


def parse_route(text: str, kind: MethodKind, where: str) -> Route:
    """Reads `VERB /path/{parameter}`. Raises SchemaError, which says what to write."""
    verb, _, template = text.partition(" ")
    template = template.strip(" ")
    _check_verb(verb, text, kind, where)
    if not template.startswith("/"):
        raise SchemaError(where, f"the path of the route {text!r} does not start with a slash", f'"{verb} /{template}"')
    parameters: list[str] = []
    segments = template[1:].split("/") if template != "/" else []
    for position, segment in enumerate(segments):
        match = _PARAMETER.fullmatch(segment)
        if match is None:
            _check_literal(segment, text, position == len(segments) - 1, where)
            continue
        name, rest = match.groups()
        if rest and position != len(segments) - 1:
            raise SchemaError(where, f"{{{name}*}} takes the rest of the path in {text!r}", "move it to the end")
        if name in parameters:
            raise SchemaError(where, f"{{{name}}} is twice in {text!r}", "give the second its own parameter")
        parameters.append(name)
    return Route(verb, template, tuple(parameters))


def _check_verb(verb: str, text: str, kind: MethodKind, where: str) -> None:
    verbs = _VERBS[kind]
    if verb in verbs:
        return
    if verb in ("HEAD", "OPTIONS"):
        raise SchemaError(where, f"{verb} is answered by itself", "leave the route out")
    if verb in _VERBS[MethodKind.MUTATION]:
        raise SchemaError(
            where,
            f"the route {text!r} gives a query the verb {verb}, which caches and crawlers take for a change",
            "use GET, or @mutation if it changes something",
        )
    if verb == "GET":
        raise SchemaError(
            where,
            f"the route {text!r} lets a mutation be a GET, which caches, crawlers and links may repeat",
            "use POST, PUT, PATCH or DELETE, or @query if it changes nothing",
        )
    if verb.startswith("/"):
        raise SchemaError(where, f"the route {text!r} has no verb", f'write "{verbs[0]} {text}"')
    if verb.upper() in verbs:
        raise SchemaError(where, f"the verb of the route {text!r} is not in capitals", f"write {verb.upper()}")
    raise SchemaError(where, f"the route {text!r} has no known verb", f"begin it with {', '.join(verbs)}")


def _check_literal(segment: str, text: str, last: bool, where: str) -> None:
    if not segment:
        problem, instead = ("ends in a slash", "leave it off") if last else ("has two slashes together", "keep one")
    elif "{" in segment or "}" in segment:
        problem, instead = f"has a part {segment!r} that is half a parameter", "let {name} fill the whole of a segment"
    elif segment in (".", ".."):
        problem, instead = f"has the segment {segment!r}, which clients resolve away", "name the whole path"
    elif _LITERAL.fullmatch(segment) is None:
        problem = f"has a part {segment!r} with a character that a path cannot hold"
        instead = "percent-encode it; fields outside the template come from the query string by themselves"
    else:
        return
    raise SchemaError(where, f"the route {text!r} {problem}", instead)


def check_parameters(route: Route, input_: MessageType, streams_in: bool, where: str) -> None:
    """Raises SchemaError unless path and query string can carry what the method needs."""
    text = f"{route.verb} {route.template}"
    fields = {field.name: field for field in input_.fields}
    if streams_in and route.parameters:
        raise SchemaError(
            where,
            f"the route {text!r} needs more than the request body, which the stream takes",
            "use POST with a path of no parameters",
        )
    for name in route.parameters:
        if name not in fields:
            known = ", ".join(fields) or "none"
            raise SchemaError(where, f"{{{name}}} in {text!r} is no parameter (there are: {known})", "name one of them")
        field = fields[name]
        if field.cardinality is not Cardinality.SINGLE or field.type.kind in _NOT_IN_PATH:
            raise SchemaError(
                where, f"{{{name}}} in {text!r} is no scalar", "put an id into the path and the rest into the body"
            )
    if route.verb != "GET":
        return
    for field in input_.fields:
        if field.name in route.parameters:
            continue
        if field.cardinality is Cardinality.MAP or field.type.kind in (Kind.MESSAGE, Kind.UNION):
            raise SchemaError(
                where,
                f"{field.name!r} is no scalar, and a GET such as {text!r} has only the query string",
                "take scalars or lists of scalars, or leave the route out",
            )


def route_key(route: Route) -> tuple[str, str]:
    """Equal for two routes that would match the same requests."""
    return route.verb, _PARAMETER.sub(r"{\2}", route.template)
