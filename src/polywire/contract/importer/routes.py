"""`google.api.http` (https://google.aip.dev/127), and our own comments, as routes: as far as REST here can say them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from polywire.contract.rpc_options import routes_in_comment
from polywire.protofile import FileSet, Message, Method

_VERBS = ("get", "post", "put", "patch", "delete")
_VARIABLE = re.compile(r"\{([^}=]+)(=[^}]*)?\}")


def routes_of(method: Method, files: FileSet) -> tuple[list[str], list[str]]:
    """The routes, and what could not be said."""
    rules = [*_rules(method.option("(google.api.http)")), *_commented(method)]
    routes: list[str] = []
    notes: list[str] = []
    for one in rules:
        route, problem = _route(one, method, files)
        if problem:
            notes.append(problem)
        elif route:
            routes.append(route)
    verbs = {route.partition(" ")[0] for route in routes}
    if "GET" in verbs and verbs != {"GET"}:
        notes += [
            f"{route} is left out: a method that answers GET changes nothing" for route in routes if route[:4] != "GET "
        ]
        routes = [route for route in routes if route.startswith("GET ")]
    return routes, notes


def _commented(method: Method) -> Iterator[dict[str, Any]]:
    """What `polywire contract write` has written, as rules."""
    for verb, path in routes_in_comment(method):
        yield {verb.lower(): path.replace("*}", "=**}")}


def _rules(rule: Any) -> Iterator[dict[str, Any]]:
    if not isinstance(rule, dict):
        return
    yield rule
    more = rule.get("additional_bindings", [])
    yield from more if isinstance(more, list) else [more]


def _route(rule: dict[str, Any], method: Method, files: FileSet) -> tuple[str, str]:
    verb = next((verb for verb in _VERBS if isinstance(rule.get(verb), str)), None)
    if verb is None:
        return "", "a route of another verb is left out"
    template = rule[verb]
    said = f"{verb.upper()} {template}"
    if method.client_streaming:
        return "", f"{said} is left out: its body would be the stream"
    message = files.messages[files.ends[id(method)][0]]
    variables = []
    for name, pattern in _VARIABLE.findall(template):
        if "." in name or pattern not in ("", "=*", "=**"):
            return "", f"{said} is left out: a variable is one field and fills a whole segment"
        variables.append(name)
    if ":" in template.rpartition("/")[2].partition("}")[2] or "*" in _VARIABLE.sub("", template):
        return "", f"{said} is left out: custom verbs and bare wildcards are not routes here"
    body = rule.get("body")
    if verb in ("post", "put", "patch") and body not in ("*", None):
        return "", f"{said} is left out: its body is the field {body!r}, and bodies are whole messages here"
    if verb in ("get", "delete") and (problem := _unsayable(message, variables, verb, files)):
        return "", f"{said} is left out: {problem}"
    template = _VARIABLE.sub(lambda match: f"{{{match[1]}{'*' if match[2] == '=**' else ''}}}", template)
    return f"{verb.upper()} {template}", ""


def _unsayable(message: Message, variables: list[str], verb: str, files: FileSet) -> str:
    for field in message.fields:
        if field.name in variables:
            continue
        if field.map_key is not None or isinstance(files.type_of(field), Message):
            return f"{field.name} is no scalar, and {verb.upper()} has only the query string"
    return ""
