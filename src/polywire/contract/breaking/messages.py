"""What has changed in messages and enums between two sets of .proto files."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from polywire.contract.breaking.changes import CODE, GRAPHQL, JSON, REST, WIRE, Change
from polywire.contract.breaking.types import ENUM, MESSAGE, type_breaks
from polywire.protofile import Enum, Field, FileSet, Message
from polywire.protofile.builtin import BUILTIN
from polywire.schema.names import lower_camel


class MessageComparison:
    """now: what the new contract calls a full name of the old one."""

    def __init__(self, old: FileSet, new: FileSet, now: Callable[[str], str]) -> None:
        self._old = old
        self._new = new
        self._now = now
        self._replaced: set[tuple[str, str]] = set()

    def message(self, old: Message) -> Iterator[Change]:
        new = self._new.messages.get(self._now(old.full_name))
        if new is None:
            yield _gone("message-removed", old)
        else:
            yield from self._fields(old, new)

    def replaced(self, before: str, after: str) -> Iterator[Change]:
        """What differs in a message that stands where another one stood, unless that one is there still."""
        old, new = self._old.messages.get(before), self._new.messages.get(after)
        if old is None or new is None or self._now(before) in self._new.messages or (before, after) in self._replaced:
            return
        self._replaced.add((before, after))
        yield from self._fields(old, new)

    def is_alike(self, before: str, after: str, seen: frozenset[tuple[str, str]] = frozenset()) -> bool:
        """Whether only the names of two messages (and of those within) differ."""
        if (before, after) in seen:
            return True
        old, new = self._old.messages.get(before), self._new.messages.get(after)
        if old is None or new is None or len(old.fields) != len(new.fields):
            return False
        seen |= {(before, after)}
        by_number = {field.number: field for field in new.fields}
        return all(
            (now := by_number.get(field.number)) is not None
            and (field.name, field.label, field.map_key, field.oneof) == (now.name, now.label, now.map_key, now.oneof)
            and self._same_type(field, now, seen)
            for field in old.fields
        )

    def added(self) -> Iterator[Change]:
        messages = {self._now(name) for name in self._old.messages}
        enums = {self._now(name) for name in self._old.enums}
        found: list[tuple[str, Message | Enum]] = [
            ("message", table) for name, table in self._new.messages.items() if name not in messages
        ]
        found += [("enum", table) for name, table in self._new.enums.items() if name not in enums]
        for what, table in found:
            if self._new.owner(table.full_name) not in BUILTIN:
                place = str(table.place)
                yield Change(f"{what}-added", place, table.full_name, f"the {what} is new", {}, place)

    # Fields

    def _fields(self, old: Message, new: Message) -> Iterator[Change]:
        by_name = {field.name: field for field in new.fields}
        by_number = {field.number: field for field in new.fields}
        old_names = {field.name for field in old.fields}
        kept: set[str] = set()
        for field in old.fields:
            subject = f"{old.full_name}.{field.name}"
            now = by_name.get(field.name)
            if now is None:
                heir = by_number.get(field.number)
                # A number whose field went to another one's name: removed, and the number given away.
                if heir is None or heir.name in old_names:
                    yield _field_removed(field, heir, subject, new)
                    continue
                now = heir
                yield _renamed(field, now, subject)
            elif now.number != field.number:
                problem = f"its number was {field.number} and is {now.number}"
                breaks = {WIRE: "each side passes over what the other sends, or takes it for another field"}
                yield Change("field-number-changed", str(field.place), subject, problem, breaks, str(now.place))
            kept.add(now.name)
            yield from self._field(field, now, subject)
        for field in new.fields:
            if field.name not in kept:
                place = str(field.place)
                yield Change("field-added", place, f"{new.full_name}.{field.name}", "the field is new", {}, place)
        yield from _oneofs_removed(old, new)
        yield from _unreserved(old, new)

    def _field(self, old: Field, new: Field, subject: str) -> Iterator[Change]:
        place, now = str(old.place), str(new.place)
        was, is_ = _json_name(old), _json_name(new)
        if was != is_ and old.name == new.name:
            problem = f"its name in JSON was {was} and is {is_}"
            yield Change(
                "field-json-name-changed", place, subject, problem, {JSON: f"nobody reads {was} any more"}, now
            )
        before, after = _shape(old), _shape(new)
        if before != after:
            problem = f"it was {before} and is {after}"
            yield Change("field-cardinality-changed", place, subject, problem, self._shape_breaks(old, new), now)
        elif old.map_key != new.map_key:
            problem = f"its keys were {old.map_key} and are {new.map_key}"
            breaks = type_breaks(str(old.map_key), str(new.map_key))
            # All keys are strings in JSON, and a map is a list of entries in GraphQL.
            breaks.pop(JSON, None)
            yield Change("field-type-changed", place, subject, problem, breaks, now)
        if not self._same_type(old, new, None):
            yield self._type_changed(old, new, subject)
        if before == after and (old.label == "optional") != (new.label == "optional"):
            yield _presence_changed(old, new, subject)
        if old.oneof != new.oneof:
            problem = f"it was in {_oneof(old)} and is in {_oneof(new)}"
            breaks = {CODE: "the generated code reaches it another way"}
            if new.oneof:
                breaks[WIRE] = f"setting it unsets the others of {new.oneof}, which clients may send together"
            yield Change("field-oneof-changed", place, subject, problem, breaks, now)

    def _type_changed(self, old: Field, new: Field, subject: str) -> Change:
        before, after = self._type_name(old, self._old), self._type_name(new, self._new)
        kinds = self._kind(old, self._old), self._kind(new, self._new)
        if kinds == (MESSAGE, MESSAGE):
            breaks = {CODE: "the generated field has another type", GRAPHQL: "fragments on the old type do not fit"}
            if not self.is_alike(before, after):
                breaks = {WIRE: "the fields of the two differ", JSON: "the fields of the two differ", **breaks}
        else:
            breaks = type_breaks(*kinds)
            if kinds == (ENUM, ENUM):
                breaks[JSON] = "the names of the values differ"
        problem = f"its type was {before} and is {after}"
        return Change("field-type-changed", str(old.place), subject, problem, breaks, str(new.place))

    def _same_type(self, old: Field, new: Field, seen: frozenset[tuple[str, str]] | None) -> bool:
        """seen: given where messages that are alike will do; None: the names must be the same."""
        before, after = self._type_name(old, self._old), self._type_name(new, self._new)
        if before not in self._old.messages and before not in self._old.enums:
            return before == after
        if self._now(before) == after:
            return True
        return seen is not None and self.is_alike(before, after, seen)

    def _type_name(self, field: Field, files: FileSet) -> str:
        return files.types.get(id(field), field.type)

    def _kind(self, field: Field, files: FileSet) -> str:
        name = files.types.get(id(field))
        return field.type if name is None else ENUM if name in files.enums else MESSAGE

    def _shape_breaks(self, old: Field, new: Field) -> dict[str, str]:
        breaks = {
            JSON: "a list, an object and one value are not each other",
            CODE: "the generated field has another type",
        }
        if old.map_key is not None or new.map_key is not None:
            breaks[WIRE] = "a map is a list of entries"
        elif self._kind(old, self._old) not in ("string", "bytes", MESSAGE):
            # Numbers in lists are packed into one value of bytes; readers of one value pass over that.
            breaks[WIRE] = "numbers in a list are packed, and a reader of one passes over them"
        elif new.label != "repeated":
            breaks[WIRE] = "of several, only the last is read"
        return {**breaks, GRAPHQL: "the type of its field is another"}

    # Enums

    def enum(self, old: Enum) -> Iterator[Change]:
        new = self._new.enums.get(self._now(old.full_name))
        if new is None:
            yield _gone("enum-removed", old)
            return
        by_name = {value.name: value for value in new.values}
        by_number = {value.number: value for value in new.values}
        old_names = {value.name for value in old.values}
        kept: set[str] = set()
        for value in old.values:
            place, subject = str(value.place), f"{old.full_name}.{value.name}"
            now = by_name.get(value.name)
            if now is None:
                heir = by_number.get(value.number)
                if heir is None or heir.name in old_names:
                    taken = f"; its number is that of {heir.name} now" if heir else ""
                    breaks = {
                        JSON: f"{value.name} is refused",
                        CODE: "its constant is no longer generated",
                        GRAPHQL: "documents that name it are refused",
                    }
                    if heir is not None or not _is_reserved(value.number, new):
                        taken = taken or ", and its number is not reserved"
                        breaks = {WIRE: f"{value.number} can come to mean something else", **breaks}
                    problem = f"the value is gone{taken}"
                    yield Change("enum-value-removed", place, subject, problem, breaks, str(new.place))
                    continue
                kept.add(heir.name)
                breaks = {
                    JSON: "values go by their names",
                    CODE: "its constant is another",
                    GRAPHQL: "so do they there",
                }
                problem = f"it is called {heir.name} now"
                yield Change("enum-value-renamed", place, subject, problem, breaks, str(heir.place))
                continue
            kept.add(now.name)
            if now.number != value.number:
                problem = f"its number was {value.number} and is {now.number}"
                breaks = {WIRE: "it is read as another value, or as none"}
                yield Change("enum-value-number-changed", place, subject, problem, breaks, str(now.place))
        for value in new.values:
            if value.name not in kept:
                place = str(value.place)
                yield Change("enum-value-added", place, f"{new.full_name}.{value.name}", "the value is new", {}, place)
        yield from _unreserved(old, new)


def _gone(rule: str, old: Message | Enum) -> Change:
    what = rule.partition("-")[0]
    breaks = {CODE: "it is no longer generated", GRAPHQL: "fragments and variables of the type are refused"}
    return Change(rule, str(old.place), old.full_name, f"the {what} is gone", breaks)


def _field_removed(field: Field, heir: Field | None, subject: str, new: Message) -> Change:
    breaks = {
        JSON: "what clients send in it is dropped, and who reads it finds nothing",
        CODE: "it is no longer generated",
        GRAPHQL: "documents that name it are refused",
    }
    problem = f"the field with number {field.number} is gone"
    if heir is not None:
        problem += f", and {heir.name} has its number"
        breaks = {WIRE: f"what clients send in it is taken for {heir.name}", **breaks}
    elif not _is_reserved(field.number, new):
        problem += ", and the number is not reserved"
        breaks = {WIRE: f"{field.number} can come to mean something else", **breaks}
    return Change("field-removed", str(field.place), subject, problem, breaks, str(new.place))


def _renamed(old: Field, new: Field, subject: str) -> Change:
    breaks = {
        JSON: f"nobody reads {_json_name(old)} any more",
        CODE: "the generated field has another name",
        REST: "so has the parameter or the member of the body",
        GRAPHQL: "documents that name it are refused",
    }
    return Change("field-renamed", str(old.place), subject, f"it is called {new.name} now", breaks, str(new.place))


def _presence_changed(old: Field, new: Field, subject: str) -> Change:
    if old.label == "optional":
        problem = "absent and zero were told apart and are no more"
        breaks = {JSON: "zero comes where null came", CODE: "the test for its presence is no longer generated"}
    else:
        problem = "absent and zero are told apart now"
        breaks = {JSON: "null may come where zero came", CODE: "the generated field can be absent"}
    breaks[GRAPHQL] = "the type of its field is another"
    return Change("field-presence-changed", str(old.place), subject, problem, breaks, str(new.place))


def _oneofs_removed(old: Message, new: Message) -> Iterator[Change]:
    names = {oneof.name for oneof in new.oneofs}
    for oneof in old.oneofs:
        if oneof.name not in names:
            breaks = {CODE: "what tells which one is set is no longer generated"}
            subject = f"{old.full_name}.{oneof.name}"
            yield Change("oneof-removed", str(oneof.place), subject, "the oneof is gone", breaks, str(new.place))


def _unreserved(old: Message | Enum, new: Message | Enum) -> Iterator[Change]:
    place, now = str(old.place), str(new.place)
    for start, end in old.reserved:
        if not any(first <= start and end <= last for first, last in new.reserved):
            numbers = str(start) if start == end else f"{start} to {end}"
            breaks = {WIRE: "what once had it can be taken for something new"}
            yield Change("reservation-removed", place, old.full_name, f"{numbers} is no longer reserved", breaks, now)
    for name in old.reserved_names:
        if name not in new.reserved_names:
            breaks = {JSON: "what once was called so can be taken for something new"}
            yield Change("reservation-removed", place, old.full_name, f"{name} is no longer reserved", breaks, now)


def _is_reserved(number: int, table: Message | Enum) -> bool:
    return any(start <= number <= end for start, end in table.reserved)


def _json_name(field: Field) -> str:
    return field.json_name or lower_camel(field.name)


def _shape(field: Field) -> str:
    if field.map_key is not None:
        return "a map"
    return "a list" if field.label == "repeated" else "one value"


def _oneof(field: Field) -> str:
    return f"the oneof {field.oneof}" if field.oneof else "no oneof"
