"""One reading of messages into frozen tables, cached on the classes."""

from __future__ import annotations

import enum
import inspect
import sys
import threading
from typing import Any, Final
from weakref import WeakValueDictionary

import msgspec

from polywire.schema.annotations import nested_classes, resolve, scope_of
from polywire.schema.defaults import check_default, defaults_of, has_explicit_presence
from polywire.schema.docs import doc_of
from polywire.schema.enums import read_enum
from polywire.schema.errors import SchemaError
from polywire.schema.message import Message, MessageMeta, PatchedField, where
from polywire.schema.names import check_field_name, lower_camel, snake
from polywire.schema.numbers import ContractLock, assign, retired_names
from polywire.schema.types import EnumType, Field, MessageType, UnionMember, UnionType
from polywire.schema.values import Value, read_value

_TABLE: Final = "__polywire__"
_HINTS: Final = "__polywire_hints__"
"""The user's own annotations, resolved: `__annotations__` is rewritten for msgspec once a class is read."""

_lock = threading.RLock()
_known: WeakValueDictionary[str, type] = WeakValueDictionary()
"""The classes of messages by full name, the last one that was read of each."""


def known_message(full_name: str) -> MessageType | None:
    """The message of that name which some service of this process, or an error's details, refers to."""
    cls = _known.get(full_name)
    return None if cls is None else cls.__dict__[_TABLE]


def message_type(cls: type[Message], package: str = "", *, lock: ContractLock | None = None) -> MessageType:
    """The table of a message; the same object for every call with the same class.

    package: of `cls` and of what it refers to, unless a class names its own; the first reading decides.
    lock: the numbers of the committed contract; None: by declared order. Only the first reading heeds it.
    Reading also completes the class's annotations (strings resolved, bounds of the kinds added, union bases spelt
    out), so that msgspec holds values to what the tables say. Unions that are read are sealed.

    Raises SchemaError; nothing is kept of a reading that failed.
    """
    known: MessageType | None = cls.__dict__.get(_TABLE)
    if isinstance(known, MessageType):
        return known
    return _read(cls, package, lock, scope_of(sys._getframe(1))).message(cls)


def union_type(cls: type[Message], package: str = "", *, lock: ContractLock | None = None) -> UnionType:
    """The table of a union base; as `message_type`."""
    return _read(cls, package, lock, scope_of(sys._getframe(1))).union(cls)


def read_generated(cls: type[Message], package: str, lock: ContractLock | None, scope: dict[str, Any]) -> MessageType:
    """`message_type` for what a service generates and refers to; scope: local names where the service is defined."""
    return _read(cls, package, lock, scope).message(cls)


def _read(cls: Any, package: str, lock: ContractLock | None, scope: dict[str, Any] | None) -> Reading:
    if not isinstance(cls, MessageMeta) or cls is Message:
        raise SchemaError(repr(cls), "this is no subclass of Message", "declare `class Name(Message)`")
    with _lock:
        reading = Reading(package, lock, scope or {})
        if cls.__polywire_union_members__ is None:
            reading.message(cls)
        else:
            reading.union(cls)
        reading.keep()
    return reading


class Reading:
    """One walk over a class and all it refers to; the tables reach the classes only if all of it could be read."""

    def __init__(self, package: str, lock: ContractLock | None, scope: dict[str, Any]) -> None:
        self._package = package
        self._lock = lock
        self._scope = scope
        self._tables: dict[type, Any] = {}
        self._names: dict[str, type] = {}
        self._hints: dict[type, dict[str, Any]] = {}
        self._native: dict[MessageMeta, dict[str, Any]] = {}

    def message(self, cls: MessageMeta) -> MessageType:
        if cls.__polywire_union_members__ is not None:
            raise SchemaError(where(cls), "a union is not a message", "name one of its members here")
        table: MessageType | None = self._known(cls)
        if table is not None:
            return table
        if cls.__dict__.get("__polywire_abstract__"):
            raise SchemaError(where(cls), "it does not say of what", f"write {cls.__name__}[User], for example")
        outer = self._enter(cls)
        try:
            full_name = self._full_name(cls)
            table = MessageType(
                cls.__name__,
                full_name,
                cls,
                (),
                doc=doc_of(cls),
                generated=cls.__dict__.get("__polywire_origin__") is not None,
            )
            self._tables[cls] = table
            fields, reserved = self._fields(cls, full_name)
            retired = retired_names(full_name, cls.__struct_fields__, self._lock, where(cls))
        finally:
            self._package = outer
        # Messages refer to each other in cycles, so a table exists before its fields do.
        object.__setattr__(table, "fields", fields)
        object.__setattr__(table, "reserved", reserved)
        object.__setattr__(table, "reserved_names", retired)
        return table

    def union(self, cls: MessageMeta) -> UnionType:
        if cls.__polywire_union_members__ is None:
            raise SchemaError(where(cls), "it is not a union", f"declare `class {cls.__name__}(Message, union=True)`")
        table: UnionType | None = self._known(cls)
        if table is not None:
            return table
        classes = tuple(cls.__polywire_union_members__)
        if not classes:
            raise SchemaError(
                where(cls),
                "a union without members",
                f"derive them from it, before the service: `class Circle({cls.__name__})`",
            )
        outer = self._enter(cls)
        try:
            full_name = self._full_name(cls)
            table = UnionType(cls.__name__, full_name, cls, (), doc=doc_of(cls))
            self._tables[cls] = table
            names = {snake(member.__name__): member for member in classes}
            if len(names) < len(classes):
                raise SchemaError(where(cls), "two members have one name in protobuf", "rename one of the classes")
            numbers, reserved = assign(full_name, names, {}, self._lock, where(cls))
            retired = retired_names(full_name, names, self._lock, where(cls))
            members = tuple(
                UnionMember(name, member.__name__, numbers[name], self.message(member))
                for name, member in names.items()
            )
        finally:
            self._package = outer
        object.__setattr__(table, "members", members)
        object.__setattr__(table, "reserved", reserved)
        object.__setattr__(table, "reserved_names", retired)
        return table

    def enum(self, cls: type[enum.Enum]) -> EnumType:
        table: EnumType | None = self._known(cls)
        if table is None:
            table = self._tables[cls] = read_enum(cls, self._package, self._lock)
            self._claim(table.full_name, cls)
        return table

    def keep(self) -> None:
        """Puts the tables on the classes, and what msgspec needs to hold values to them."""
        for cls, table in self._tables.items():
            setattr(cls, _TABLE, table)
            if isinstance(table, MessageType):
                _known[table.full_name] = cls
        for cls, hints in self._hints.items():
            setattr(cls, _HINTS, {**cls.__dict__.get(_HINTS, {}), **hints})
        for message, native in self._native.items():
            message.__annotations__ = {**inspect.get_annotations(message), **native}
            message.__polywire_scope__ = None

    def _known(self, cls: type) -> Any:
        found = self._tables.get(cls)
        if found is None:
            found = cls.__dict__.get(_TABLE)
            if found is not None:
                self._claim(found.full_name, cls)
        return found

    def _enter(self, cls: MessageMeta) -> str:
        """Turns to the package of `cls`, which holds for what it refers to as well; returns the one before."""
        outer = self._package
        package: str | None = cls.__dict__["__polywire_package__"]
        if package is not None:
            self._package = package
        return outer

    def _full_name(self, cls: MessageMeta) -> str:
        full_name = f"{self._package}.{cls.__name__}" if self._package else cls.__name__
        self._claim(full_name, cls)
        return full_name

    def _claim(self, full_name: str, cls: type) -> None:
        other = self._names.setdefault(full_name, cls)
        if other is not cls:
            raise SchemaError(
                where(cls),
                f"{where(other)} is called {full_name} too",
                "rename one of them, or give one another package=",
            )

    def _fields(self, cls: MessageMeta, full_name: str) -> tuple[tuple[Field, ...], tuple[int, ...]]:
        names = cls.__struct_fields__
        if cls.__struct_encode_fields__ != names:
            raise SchemaError(where(cls), "field(name=...) is not for messages", "declare the name you want")
        values: dict[str, Value] = {}
        camel: dict[str, str] = {}
        for name in names:
            place = where(cls, name)
            check_field_name(name, place)
            json_name = lower_camel(name)
            if camel.setdefault(json_name, name) != name:
                raise SchemaError(
                    place, f"it and {camel[json_name]!r} are both {json_name!r} in proto JSON", "rename one of them"
                )
            values[name] = read_value(self._hint(cls, name, place), self, place)
        self._native[cls] = {name: value.native for name, value in values.items()}
        explicit = {name: value.number for name, value in values.items() if value.number is not None}
        numbers, reserved = assign(full_name, names, explicit, self._lock, where(cls))
        fields = []
        for (name, value), default in zip(values.items(), defaults_of(cls), strict=True):
            check_default(default, value, where(cls, name))
            fields.append(
                Field(
                    name,
                    lower_camel(name),
                    numbers[name],
                    value.type,
                    value.cardinality,
                    value.map_key,
                    explicit_presence=has_explicit_presence(default, value),
                    nullable=value.nullable,
                    required=default.required,
                    default=default.value,
                    default_factory=default.factory,
                    constraints=value.constraints,
                    is_id=value.is_id,
                    doc=value.doc,
                )
            )
        return tuple(fields), reserved

    def _hint(self, cls: MessageMeta, name: str, place: str) -> Any:
        for owner in cls.__mro__:
            for hints in (owner.__dict__.get(_HINTS, {}), self._hints.get(owner, {})):
                if name in hints:
                    return hints[name]
            own = inspect.get_annotations(owner)
            if name not in own:
                continue
            scope = owner.__dict__.get("__polywire_scope__")
            # Names of the function that defines the service help only what is itself defined in a function.
            local = {} if scope is None else {**self._scope, **scope}
            module = sys.modules.get(owner.__module__)
            if isinstance(own[name], PatchedField):
                hint = self._hint(own[name].target, name, place) | msgspec.UnsetType
            else:
                local |= nested_classes(vars(owner))
                hint = resolve(own[name], vars(module) if module else {}, local, place)
            self._hints.setdefault(owner, {})[name] = hint
            return hint
        raise AssertionError(f"{place} is a field without an annotation")
