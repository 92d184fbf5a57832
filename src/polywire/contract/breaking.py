"""What breaks between two sets of .proto files: every change that somebody in the field would notice."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from polywire.protofile import Enum, Field, FileSet, Message, Method, Place, Service
from polywire.protofile.resolve import all_messages

WIRE, JSON, CODE, REST, GRAPHQL = "wire", "JSON", "code", "REST", "GraphQL"
"""Whom a change breaks: bytes of protobuf, JSON, code that was generated or written against the contract, routes, and
GraphQL documents."""
_VARINTS: Final = {"int32": 32, "int64": 64, "uint32": 32, "uint64": 64, "bool": 1}
_JSON_TEXT: Final = frozenset({"int64", "uint64", "sint64", "fixed64", "sfixed64", "string", "bytes"})


@dataclass(frozen=True, slots=True)
class Change:
    """One change that breaks something."""

    rule: str
    place: str
    """`user.proto:12:3`, where the old contract says it."""
    subject: str
    """What has changed: `user.GetUserRequest.id`."""
    problem: str
    breaks: tuple[str, ...]
    now: str = ""
    """Where the new contract says it; "" where it does not."""


def breaking_changes(old: FileSet, new: FileSet) -> list[Change]:
    """Every breaking change from `old` to `new`, in the order of the old text."""
    return list(_Comparison(old, new).changes())


class _Comparison:
    def __init__(self, old: FileSet, new: FileSet) -> None:
        self._old = old
        self._new = new
        self._services = {service.full_name: service for file in new.files.values() for service in file.services}

    def changes(self) -> Iterator[Change]:
        for name in self._old.wanted:
            file = self._old.files[name]
            for service in file.services:
                yield from self._service(service)
            for message in all_messages(file.messages):
                yield from self._message(message)
            for enum in [*file.enums, *(enum for message in all_messages(file.messages) for enum in message.enums)]:
                yield from self._enum(enum)

    def _service(self, old: Service) -> Iterator[Change]:
        new = self._services.get(old.full_name)
        if new is None:
            yield _gone("service-removed", old.place, old.full_name, "the service", (WIRE, CODE, REST, GRAPHQL))
            return
        methods = {method.name: method for method in new.methods}
        for method in old.methods:
            subject = f"{old.full_name}/{method.name}"
            now = methods.get(method.name)
            if now is None:
                yield _gone("method-removed", method.place, subject, "the method", (WIRE, CODE, REST, GRAPHQL))
            else:
                yield from self._method(method, now, subject)

    def _method(self, old: Method, new: Method, subject: str) -> Iterator[Change]:
        was, now = self._old.ends[id(old)], self._new.ends[id(new)]
        for what, before, after in (("request", was[0], now[0]), ("response", was[1], now[1])):
            if before != after:
                yield Change(
                    f"method-{what}-changed",
                    str(old.place),
                    subject,
                    f"its {what} was {before} and is {after}",
                    (CODE,) if self._is_alike(before, after) else (WIRE, JSON, CODE),
                    str(new.place),
                )
        for what, before_streams, after_streams in (
            ("request", old.client_streaming, new.client_streaming),
            ("response", old.server_streaming, new.server_streaming),
        ):
            if before_streams != after_streams:
                yield Change(
                    "method-streaming-changed",
                    str(old.place),
                    subject,
                    f"its {what} was {_stream(before_streams)} and is {_stream(after_streams)}",
                    (WIRE, CODE, REST, GRAPHQL),
                    str(new.place),
                )

    def _is_alike(self, before: str, after: str) -> bool:
        """Whether two messages have the same fields, so that only their names differ."""
        old, new = self._old.messages.get(before), self._new.messages.get(after)
        if old is None or new is None:
            return False
        return [(f.name, f.number, f.type, f.label) for f in old.fields] == [
            (f.name, f.number, f.type, f.label) for f in new.fields
        ]

    def _message(self, old: Message) -> Iterator[Change]:
        new = self._new.messages.get(old.full_name)
        if new is None:
            yield _gone("message-removed", old.place, old.full_name, "the message", (CODE, GRAPHQL))
            return
        by_number = {field.number: field for field in new.fields}
        by_name = {field.name: field for field in new.fields}
        for field in old.fields:
            subject = f"{old.full_name}.{field.name}"
            now = by_number.get(field.number)
            moved = by_name.get(field.name)
            if now is None and moved is not None:
                yield Change(
                    "field-number-changed",
                    str(field.place),
                    subject,
                    f"its number was {field.number} and is {moved.number}",
                    (WIRE,),
                    str(moved.place),
                )
                yield from self._field(field, moved, subject)
            elif now is None:
                yield self._removed(field, subject, new)
            else:
                yield from self._field(field, now, subject)
        yield from _unreserved(old, new)

    def _removed(self, field: Field, subject: str, new: Message) -> Change:
        reserved = any(start <= field.number <= end for start, end in new.reserved)
        breaks: tuple[str, ...] = (JSON, CODE, GRAPHQL) if reserved else (WIRE, JSON, CODE, GRAPHQL)
        problem = f"the field with number {field.number} is gone"
        return Change(
            "field-removed",
            str(field.place),
            subject,
            problem if reserved else f"{problem}, and the number is not reserved: it could come to mean something else",
            breaks,
            str(new.place),
        )

    def _field(self, old: Field, new: Field, subject: str) -> Iterator[Change]:
        place, now = str(old.place), str(new.place)
        if old.name != new.name:
            yield Change(
                "field-renamed", place, subject, f"it is called {new.name} now", (JSON, CODE, REST, GRAPHQL), now
            )
        elif (old.json_name or "") != (new.json_name or ""):
            yield Change("field-json-name-changed", place, subject, "its name in JSON is another", (JSON,), now)
        before, after = _shape(old), _shape(new)
        if before != after:
            # Protobuf takes one value for a list of one and the other way round; nobody else does.
            wire = (WIRE,) if "map" in (before.split()[0], after.split()[0]) or _is_packed(old, new) else ()
            yield Change(
                "field-cardinality-changed",
                place,
                subject,
                f"it was {before} and is {after}",
                (*wire, JSON, CODE, GRAPHQL),
                now,
            )
        if old.map_key != new.map_key and old.map_key and new.map_key:
            yield Change(
                "field-type-changed",
                place,
                subject,
                f"its keys were {old.map_key} and are {new.map_key}",
                (WIRE, JSON, CODE),
                now,
            )
        yield from self._type(old, new, subject)
        if (old.label == "optional") != (new.label == "optional") and before == after:
            yield Change(
                "field-presence-changed",
                place,
                subject,
                "absent and zero were told apart and are no more"
                if old.label == "optional"
                else "absent and zero are told apart now",
                (JSON, CODE, GRAPHQL),
                now,
            )
        if old.oneof != new.oneof:
            yield Change(
                "field-oneof-changed",
                place,
                subject,
                f"it was in {_oneof(old)} and is in {_oneof(new)}",
                (WIRE, CODE),
                now,
            )

    def _type(self, old: Field, new: Field, subject: str) -> Iterator[Change]:
        before = self._old.types.get(id(old), old.type)
        after = self._new.types.get(id(new), new.type)
        if before == after:
            return
        breaks: tuple[str, ...]
        if before in _VARINTS and after in _VARINTS:
            narrower = _VARINTS[after] < _VARINTS[before] or before.startswith("u") != after.startswith("u")
            json = (JSON,) if (before in _JSON_TEXT) != (after in _JSON_TEXT) else ()
            breaks = (*((WIRE,) if narrower else ()), *json, CODE, GRAPHQL)
            problem = f"its type was {before} and is {after}" + (": larger values are cut" if narrower else "")
        else:
            breaks, problem = (WIRE, JSON, CODE, GRAPHQL), f"its type was {before} and is {after}"
        yield Change("field-type-changed", str(old.place), subject, problem, breaks, str(new.place))

    def _enum(self, old: Enum) -> Iterator[Change]:
        new = self._new.enums.get(old.full_name)
        if new is None:
            yield _gone("enum-removed", old.place, old.full_name, "the enum", (CODE, GRAPHQL))
            return
        by_number = {value.number: value for value in new.values}
        by_name = {value.name: value for value in new.values}
        for value in old.values:
            subject = f"{old.full_name}.{value.name}"
            now, moved = by_number.get(value.number), by_name.get(value.name)
            if moved is not None and moved.number != value.number:
                yield Change(
                    "enum-value-number-changed",
                    str(value.place),
                    subject,
                    f"its number was {value.number} and is {moved.number}",
                    (WIRE,),
                    str(moved.place),
                )
            elif now is None:
                reserved = any(start <= value.number <= end for start, end in new.reserved)
                yield Change(
                    "enum-value-removed",
                    str(value.place),
                    subject,
                    "the value is gone" + ("" if reserved else ", and its number is not reserved"),
                    (JSON, CODE, GRAPHQL) if reserved else (WIRE, JSON, CODE, GRAPHQL),
                    str(new.place),
                )
            elif moved is None:
                yield Change(
                    "enum-value-renamed",
                    str(value.place),
                    subject,
                    f"it is called {now.name} now",
                    (JSON, CODE, GRAPHQL),
                    str(now.place),
                )
        yield from _unreserved(old, new)


def _gone(rule: str, place: Place, subject: str, what: str, breaks: tuple[str, ...]) -> Change:
    return Change(rule, str(place), subject, f"{what} is gone", breaks)


def _unreserved(old: Message | Enum, new: Message | Enum) -> Iterator[Change]:
    for start, end in old.reserved:
        if not any(first <= start and end <= last for first, last in new.reserved):
            numbers = str(start) if start == end else f"{start} to {end}"
            yield Change(
                "reservation-removed",
                str(old.place),
                old.full_name,
                f"{numbers} was reserved and is no more: what once had it could be taken for something new",
                (WIRE,),
                str(new.place),
            )


def _shape(field: Field) -> str:
    if field.map_key is not None:
        return "map of values"
    return "a list" if field.label == "repeated" else "one value"


def _is_packed(old: Field, new: Field) -> bool:
    return "repeated" in (old.label, new.label) and old.type not in ("string", "bytes") and old.type in _VARINTS


def _oneof(field: Field) -> str:
    return f"the oneof {field.oneof}" if field.oneof else "no oneof"


def _stream(streams: bool) -> str:
    return "a stream" if streams else "one message"
