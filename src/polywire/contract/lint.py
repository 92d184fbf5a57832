"""What would be regretted later: paths, names and lists of a contract, by rules that can be silenced one by one.

A declaration says `lint: allow unbounded-list` in its docs (of a .proto: in its comment) where it knows better.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from polywire.contract.importer.routes import Routes
from polywire.contract.python_places import PythonPlaces
from polywire.contract.rpc_options import allowed_rules
from polywire.protofile import FileSet, Message
from polywire.schema.names import snake
from polywire.schema.types import Cardinality, Kind, MessageType, Method, MethodKind, ServiceType

RULES: Final = {
    "verb-in-path": "a path names things; what is done to them is the verb of HTTP",
    "deep-nesting": "a path has at most three collections within each other",
    "effect-in-get": "a GET, and every query, changes nothing",
    "unbounded-list": "a list has a limit that its caller can set",
    "enum-zero": "the first value of an enum is X_UNSPECIFIED",
    "name-style": "messages and methods are UpperCamelCase, fields lower_snake_case",
}
"""Each rule, and what it asks for."""
DEEPEST: Final = 3
LIMITS: Final = frozenset({"limit", "first", "last", "page_size", "max_results", "count", "top"})
_EFFECTS: Final = frozenset(
    {
        "add",
        "cancel",
        "change",
        "create",
        "delete",
        "edit",
        "insert",
        "make",
        "modify",
        "put",
        "remove",
        "save",
        "send",
        "set",
        "store",
        "update",
        "upsert",
        "write",
    }
)
_VERBS: Final = _EFFECTS | frozenset(
    {"do", "execute", "fetch", "find", "get", "list", "process", "read", "retrieve", "run", "search"}
)
_WORD = re.compile(r"[a-z]+|[A-Z][a-z]*")


@dataclass(frozen=True, slots=True)
class Finding:
    rule: str
    place: str
    """`users.py:12` or `user.proto:12:3`."""
    subject: str
    problem: str
    instead: str


def lint_services(services: Sequence[ServiceType]) -> list[Finding]:
    """What the rules find in services, in their order."""
    places = PythonPlaces(services)
    return [finding for service in services for method in service.methods for finding in _method(method, places)]


def _method(method: Method, places: PythonPlaces) -> Iterator[Finding]:
    place, subject = places.of(method.full_name), method.full_name
    # All of the docs: of the contract they are but the first paragraph.
    allowed = allowed_rules(f"{method.doc}\n{method.function.__doc__ or ''}")
    found = [_path(template, place, subject) for template in dict.fromkeys(route.template for route in method.routes)]
    if method.kind is MethodKind.QUERY and (word := _effect(method.name)):
        found.append([_effect_finding(word, place, subject)])
    if not method.shape.server_streaming and _is_list(method.output) and not _has_limit(method.input):
        found.append([_unbounded(place, subject)])
    for findings in found:
        yield from (finding for finding in findings if finding.rule not in allowed)


def lint_protos(files: FileSet) -> list[Finding]:
    """What the rules find in .proto files, in the order of their text."""
    return [finding for name in files.wanted for finding in _file(files, name)]


def _file(files: FileSet, name: str) -> Iterator[Finding]:
    file = files.files[name]
    for service in file.services:
        taken = Routes(files)
        for method in service.methods:
            place, subject = str(method.place), f"{service.full_name}/{method.name}"
            _, routes, _ = taken.of(method)
            found = [_path(route.partition(" ")[2], place, subject) for route in dict.fromkeys(routes)]
            is_get = any(route.startswith("GET ") for route in routes)
            if (is_get or method.option("idempotency_level") == "NO_SIDE_EFFECTS") and (word := _effect(method.name)):
                found.append([_effect_finding(word, place, subject)])
            input_, output = (files.messages[end] for end in files.ends[id(method)])
            if not method.server_streaming and _is_proto_list(output) and not LIMITS & {f.name for f in input_.fields}:
                found.append([_unbounded(place, subject)])
            if not re.fullmatch(r"[A-Z][A-Za-z0-9]*", method.name):
                found.append([_style(place, subject, "a method is UpperCamelCase", method.name)])
            allowed = allowed_rules(method.doc)
            for findings in found:
                yield from (finding for finding in findings if finding.rule not in allowed)
    for enum in [one for one in files.enums.values() if files.owner(one.full_name) == name]:
        first = enum.values[0]
        if not first.name.endswith("_UNSPECIFIED") and "enum-zero" not in allowed_rules(enum.doc):
            expected = f"{snake(enum.name).upper()}_UNSPECIFIED"
            yield Finding(
                "enum-zero", str(first.place), enum.full_name, f"its 0 is {first.name}", f"call the first {expected}"
            )
    for message in [one for one in files.messages.values() if files.owner(one.full_name) == name]:
        yield from _message(message)


def _message(message: Message) -> Iterator[Finding]:
    allowed = allowed_rules(message.doc)
    if "name-style" in allowed:
        return
    if not re.fullmatch(r"[A-Z][A-Za-z0-9]*", message.name):
        yield _style(str(message.place), message.full_name, "a message is UpperCamelCase", message.name)
    for field in message.fields:
        if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", field.name):
            subject = f"{message.full_name}.{field.name}"
            yield _style(str(field.place), subject, "a field is lower_snake_case", field.name)


def _path(template: str, place: str, subject: str) -> list[Finding]:
    findings = []
    segments = [segment for segment in template.split("/") if segment]
    for segment in segments:
        words = [] if segment.startswith("{") else _WORD.findall(segment)
        if words and words[0].lower() in _VERBS and (len(words) > 1 or words[0].lower() not in ("search", "store")):
            findings.append(
                Finding(
                    "verb-in-path",
                    place,
                    subject,
                    f"{segment!r} in {template} is something that is done",
                    "name the thing, and let GET, POST, PUT, PATCH or DELETE say what is done",
                )
            )
    depth = sum(1 for segment in segments if segment.startswith("{"))
    depth += bool(segments) and not segments[-1].startswith("{") and depth > 0
    if depth > DEEPEST:
        findings.append(
            Finding(
                "deep-nesting",
                place,
                subject,
                f"{template} is {depth} deep",
                f"let what has an id of its own stand by itself, /{segments[-1].strip('{}*')}/...",
            )
        )
    return findings


def _effect(name: str) -> str | None:
    first = _WORD.findall(name)[:1]
    return first[0] if first and first[0].lower() in _EFFECTS else None


def _effect_finding(word: str, place: str, subject: str) -> Finding:
    return Finding(
        "effect-in-get",
        place,
        subject,
        f"it is a query, and is called {word}...",
        "make it a mutation, or give it the name of what it answers",
    )


def _unbounded(place: str, subject: str) -> Finding:
    names = "`limit`, `first` or `page_size`"
    return Finding("unbounded-list", place, subject, "it answers a list of any length", f"take {names}, with a maximum")


def _style(place: str, subject: str, rule: str, name: str) -> Finding:
    return Finding("name-style", place, subject, f"{rule}, {name!r} is not", "rename it while nobody depends on it")


def _is_list(message: MessageType) -> bool:
    """A list by itself, or a page: one list of messages among little else."""
    lists = [one for one in message.fields if one.cardinality is Cardinality.LIST]
    if len(lists) != 1:
        return False
    return message.generated or (lists[0].type.kind is Kind.MESSAGE and len(message.fields) <= DEEPEST)


def _is_proto_list(message: Message) -> bool:
    lists = [one for one in message.fields if one.label == "repeated"]
    return len(lists) == 1 and len(message.fields) <= DEEPEST


def _has_limit(message: MessageType) -> bool:
    return bool(LIMITS & {one.name for one in message.fields})
