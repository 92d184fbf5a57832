"""`google.api.http` (https://google.aip.dev/127), and our own comments, as routes: as far as REST here can say them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from polywire.contract.importer.names import field_names
from polywire.contract.rpc_options import is_query, routes_in_comment
from polywire.protofile import Field, FileSet, Message, Method
from polywire.schema.types import MethodKind

_HTTP: Final = "(google.api.http)"
_VERBS: Final = ("get", "post", "put", "patch", "delete")
_VARIABLE = re.compile(r"\{([^}=]+)(=[^}]*)?\}")
_PARAMETER = re.compile(r"\{([A-Za-z][A-Za-z0-9_]*)(\*?)\}")
_LITERAL = re.compile(r"(?!\.{1,2}$)(?:[A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})+")
_LONGEST: Final = 80


class Routes:
    """The routes of the methods of one service; none is given twice."""

    def __init__(self, files: FileSet) -> None:
        self._files = files
        self._taken: set[tuple[str, str]] = set()

    def of(self, method: Method) -> tuple[str, list[str], list[str]]:
        """`query` or `mutation`, its routes, and what could not be said."""
        said: list[tuple[str, str, str]] = []
        notes: list[str] = []
        for rule in [*_rules(method), *_commented(method)]:
            verb = next((verb for verb in _VERBS if isinstance(rule.get(verb), str)), None)
            if verb is None:
                notes.append("a route of another verb is left out")
                continue
            template, problem = self._template(verb, rule, method)
            route = f"{verb.upper()} {rule[verb]!s:.{_LONGEST}}"
            if problem:
                notes.append(f"{route} is left out: {problem}")
            else:
                said.append((verb, template, route))
        changes_nothing = is_query(method) or {verb for verb, _, _ in said} == {"get"}
        kind = MethodKind.QUERY if changes_nothing else MethodKind.MUTATION
        routes = []
        for verb, template, route in said:
            if (verb == "get") is not changes_nothing:
                notes.append(
                    f"{route} is left out: "
                    + ("the method changes nothing" if changes_nothing else "the method may change something")
                )
            elif problem := self._refused(verb, template):
                notes.append(f"{route} is left out: {problem}")
            else:
                routes.append(f"{verb.upper()} {template}")
        return kind.value, routes, notes

    def _template(self, verb: str, rule: dict[str, Any], method: Method) -> tuple[str, str]:
        """A path as we write it, or why there is none."""
        template = rule[verb]
        if method.client_streaming:
            return "", "its body would be the stream"
        message = self._files.messages[self._files.ends[id(method)][0]]
        fields = {field.name: field for field in message.fields}
        variables = []
        for name, pattern in _VARIABLE.findall(template):
            if "." in name or pattern not in ("", "=*", "=**"):
                return "", "a variable is one field and fills a whole segment"
            if name not in fields or not self._is_scalar(fields[name]):
                return "", f"{name!r:.60} is no field of one value"
            variables.append(name)
        if ":" in template.rpartition("/")[2].partition("}")[2] or "*" in _VARIABLE.sub("", template):
            return "", "custom verbs and bare wildcards are not routes here"
        body = rule.get("body")
        if verb in ("post", "put", "patch") and body not in ("*", None):
            return "", f"its body is the field {body!r:.60}, and bodies are whole messages here"
        if verb in ("get", "delete"):
            rest = [field for field in message.fields if field.name not in variables]
            other = next((field for field in rest if not self._in_query(field)), None)
            if other is not None:
                return "", f"{other.name} is no scalar, and {verb.upper()} has only the query string"
        names = field_names(message)
        return _VARIABLE.sub(lambda match: f"{{{names[match[1]]}{'*' if match[2] == '=**' else ''}}}", template), ""

    def _is_scalar(self, field: Field) -> bool:
        """Whether a segment of a path can hold it."""
        return field.map_key is None and field.label != "repeated" and self._in_query(field) and field.type != "bytes"

    def _in_query(self, field: Field) -> bool:
        return field.map_key is None and not isinstance(self._files.type_of(field), Message)

    def _refused(self, verb: str, template: str) -> str:
        """Why a service would not have it. So it is a path and nothing else that becomes code."""
        segments = template[1:].split("/") if template != "/" else []
        parameters = [match for match in map(_PARAMETER.fullmatch, segments) if match]
        if (
            not template.startswith("/")
            or not all(_PARAMETER.fullmatch(one) or _LITERAL.fullmatch(one) for one in segments)
            or any(match[2] for match in parameters if match[0] != segments[-1])
            or len({match[1] for match in parameters}) < len(parameters)
        ):
            return "it is no path of ours"
        key = verb, _PARAMETER.sub(r"{\2}", template)
        if key in self._taken:
            return "another method has it"
        self._taken.add(key)
        return ""


def _commented(method: Method) -> Iterator[dict[str, Any]]:
    """What `polywire contract write` has written, as rules."""
    for verb, path in routes_in_comment(method):
        yield {verb.lower(): path.replace("*}", "=**}")}


def _rules(method: Method) -> Iterator[dict[str, Any]]:
    """Whole, or field by field: `option (google.api.http).get = "/v1/users"`."""
    rule: dict[str, Any] = {}
    for option in method.options:
        if option.name == _HTTP and isinstance(option.value, dict):
            rule |= option.value
        elif option.name.startswith(f"{_HTTP}."):
            rule[option.name.removeprefix(f"{_HTTP}.")] = option.value
    if rule:
        yield rule
        more = rule.get("additional_bindings", [])
        yield from (one for one in (more if isinstance(more, list) else [more]) if isinstance(one, dict))
