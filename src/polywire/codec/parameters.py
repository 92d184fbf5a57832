"""REST requests: a method's input from path values, query string and JSON body."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import unquote_plus

from polywire.codec._json_read import ABSENT, JsonReader
from polywire.codec._parameters import PathBinder, key_from_text, value_from_text
from polywire.codec._tables import FieldTable, MessageTable, message_table
from polywire.codec.json import Profile, json_reader
from polywire.errors import FieldViolation, InvalidInput, MalformedInput
from polywire.schema.types import Cardinality, Kind, Method, Route

Binder = Callable[[list[str], str, bytes], Any]
"""(path values, percent-decoded, in the order of the route; raw query string; body, b"" if none) -> the input."""

MAX_QUERY_FIELDS = 1000

_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})


def request_binder(method: Method, route: Route) -> Binder:
    """What makes a method's input of a request to one of its routes.

    POST, PUT and PATCH take the body's fields and the path's; the query is not looked at. Other verbs take path and
    query: keys are field names, dotted into messages (`filter.city`) and maps, repeated for lists; unknown keys are
    ignored. The binder raises `InvalidInput` with the fields, and `MalformedInput` for a broken body or query, or a
    body where none belongs.
    """
    path = PathBinder(method.input, route.parameters)
    reader = json_reader(method.input, Profile.PLAIN)
    if route.verb in _WITH_BODY:
        return _body_binder(path, reader, bool(route.parameters))
    return _query_binder(path, reader, message_table(method.input), route.verb)


def _body_binder(path: PathBinder, reader: JsonReader, with_path: bool) -> Binder:
    given, merge, decode = path.given, reader.bind, reader.decode

    def bind(values: list[str], query: str, body: bytes) -> Any:
        return merge(given(values), body)

    def bind_body(values: list[str], query: str, body: bytes) -> Any:
        return decode(body)

    return bind if with_path else bind_body


def _query_binder(path: PathBinder, reader: JsonReader, table: MessageTable, verb: str) -> Binder:
    bind_path, given, merge = path.bind, path.given, reader.bind

    def bind(values: list[str], query: str, body: bytes) -> Any:
        if body:
            raise MalformedInput(f"{verb} takes no body")
        if not query:
            return bind_path(values)
        return merge(_with_query(table, given(values), _tree(table, query)), b"")

    return bind


_Tree = dict[str, Any]
"""Field name to its texts; for messages to another tree; for maps from key to text."""


def _tree(table: MessageTable, query: str) -> _Tree:
    """The known keys of a query string, dotted names made into trees."""
    if query.count("&") >= MAX_QUERY_FIELDS:
        raise MalformedInput(f"query with more than {MAX_QUERY_FIELDS} fields")
    tree: _Tree = {}
    for pair in query.split("&"):
        key, _, text = pair.partition("=")
        try:
            _plant(table, tree, unquote_plus(key, errors="strict"), unquote_plus(text, errors="strict"))
        except UnicodeDecodeError:
            raise MalformedInput("the query is not UTF-8") from None
    return tree


def _plant(table: MessageTable, tree: _Tree, key: str, text: str) -> None:
    name, dot, rest = key.partition(".")
    field = table.field_by_name.get(name)
    if field is None:
        return
    if field.cardinality == Cardinality.MAP:
        if dot:
            tree.setdefault(name, {}).setdefault(rest, []).append(text)
    elif field.message is not None and field.cardinality == Cardinality.SINGLE:
        if dot:
            _plant(field.message, tree.setdefault(name, {}), rest, text)
    elif not dot:
        tree.setdefault(name, []).append(text)


def _with_query(table: MessageTable, slots: list[Any], tree: _Tree) -> list[Any]:
    """The slots of the path with those of the query."""
    for name, branch in tree.items():
        field = table.field_by_name[name]
        value = _value(field, branch)
        if slots[field.arg] is ABSENT:
            slots[field.arg] = value
        elif slots[field.arg] != value:
            raise _invalid(name, "differs from the value in the path")
    return slots


def _value(field: FieldTable, branch: Any) -> Any:
    if field.cardinality == Cardinality.MAP:
        return {_key(field, key): _one(field, f'{field.name}["{key}"]', texts) for key, texts in branch.items()}
    if field.cardinality == Cardinality.LIST:
        return [_one(field, f"{field.name}[{place}]", [text]) for place, text in enumerate(branch)]
    if field.kind == Kind.MESSAGE and field.message is not None:
        return _nested(field, field.message, branch)
    return _one(field, field.name, branch)


def _nested(field: FieldTable, table: MessageTable, branch: _Tree) -> Any:
    try:
        slots = _with_query(table, [ABSENT] * table.count, branch)
        return json_reader(table.type, Profile.PLAIN).bind(slots, b"")
    except InvalidInput as error:
        violation: FieldViolation = error.details[0]
        path = f"{field.name}.{violation.field}" if violation.field else field.name
        raise _invalid(path, violation.reason) from None


def _key(field: FieldTable, key: str) -> Any:
    try:
        return key_from_text(field, key)
    except ValueError as error:
        raise _invalid(f'{field.name}["{key}"]', f"key: {error}") from None


def _one(field: FieldTable, path: str, texts: list[str]) -> Any:
    if len(texts) > 1:
        raise _invalid(path, "given twice")
    try:
        return value_from_text(field, texts[0])
    except ValueError as error:
        raise _invalid(path, str(error)) from None


def _invalid(path: str, reason: str) -> InvalidInput:
    return InvalidInput(f"{path}: {reason}", (FieldViolation(path, reason),))
