"""`Message`: what users declare. A plain msgspec Struct whose class also knows its package and its union."""

from __future__ import annotations

import sys
from typing import Any, dataclass_transform

import msgspec

from polywire.schema.annotations import scope_of
from polywire.schema.errors import SchemaError
from polywire.schema.names import check_package, check_type_name

TAG_FIELD = "type"
"""Tells the members of a union apart in plain JSON."""

_NOT_OURS = {
    "rename": "names are the same in every protocol, so declare the name you want",
    "tag": 'the tag is the class name; declare the base with `union=True` and the field "type" appears',
    "tag_field": 'the tag field of a union is always "type"',
    "array_like": "messages are objects in JSON",
    "forbid_unknown_fields": "unknown fields are ignored, so that old servers understand new clients",
    "omit_defaults": "plain JSON writes defaults, so that clients need not know them",
}


@dataclass_transform(field_specifiers=(msgspec.field,))
class MessageMeta(msgspec.StructMeta):
    """Reads the class keywords `package=` and `union=`; all else is msgspec's."""

    def __new__(
        mcls,
        name: str,
        bases: tuple[type, ...],
        namespace: dict[str, Any],
        /,
        *,
        package: str | None = None,
        union: bool = False,
        **config: Any,
    ) -> MessageMeta:
        place = f"{namespace.get('__module__', '?')}.{namespace.get('__qualname__', name)}"
        for keyword in config.keys() & _NOT_OURS.keys():
            raise SchemaError(place, f"{keyword}= is not for messages", _NOT_OURS[keyword])
        base = _union_base(bases, place, union)
        if package is not None:
            check_package(package, place)
        check_type_name(name, place)
        if base is not None:
            config.update(tag_field=TAG_FIELD, tag=name)
        try:
            cls = super().__new__(mcls, name, bases, namespace, **config)
        except SchemaError:
            raise
        except (TypeError, ValueError) as error:
            if base is not None and "tag_field" in str(error):
                raise SchemaError(
                    f"{place}.{TAG_FIELD}", f"it is what tells the members of {base.__name__} apart", 'call it "kind"'
                ) from None
            # The cause would show frames of ours, and says no more than its text.
            raise SchemaError(place, str(error)) from None
        cls.__polywire_package__ = package
        cls.__polywire_union_members__ = [] if union else None
        cls.__polywire_scope__ = scope_of(sys._getframe(1))
        if base is not None:
            cls.__polywire_union__ = base
            members = base.__polywire_union_members__
            assert members is not None
            members.append(cls)
        return cls

    __polywire_package__: str | None = None
    __polywire_union_members__: list[MessageMeta] | None = None
    """Of a union base, in order of declaration; complete once the base has been read."""
    __polywire_union__: MessageMeta | None = None
    """Of a member: its base."""
    __polywire_scope__: dict[str, Any] | None = None
    """Local names where the class was defined, until its annotations are resolved."""
    __polywire_origin__: str | None = None
    """Of a generated class: what it was made for, a method's parameters or its result."""
    __polywire_patch__: MessageMeta | None = None
    """`Patch[...]` of this class, once asked for."""


class PatchedField:
    """Stands for the annotation of the same field of `target`, with `| UnsetType`, until the class is read."""

    __slots__ = ("target",)

    def __init__(self, target: MessageMeta) -> None:
        self.target = target


RESULT = ", result"
"""Ends the origin of a class that wraps a result; its one field has no name that the user gave."""


def where(cls: type, field: str = "") -> str:
    """How an error names a class or one of its fields."""
    origin: str | None = cls.__dict__.get("__polywire_origin__")
    if origin is not None:
        return origin if not field or origin.endswith(RESULT) else f"{origin}({field})"
    return f"{cls.__module__}.{cls.__qualname__}" + (f".{field}" if field else "")


def _union_base(bases: tuple[type, ...], place: str, union: bool) -> MessageMeta | None:
    found = None
    for base in bases:
        if not isinstance(base, MessageMeta):
            continue
        if base.__polywire_union__ is not None:
            raise SchemaError(
                place,
                f"{base.__name__} is a member of the union {base.__polywire_union__.__name__} and cannot be extended",
                f"derive from {base.__polywire_union__.__name__} itself",
            )
        if base.__polywire_union_members__ is None:
            continue
        if union or found is not None:
            raise SchemaError(place, "a union cannot be in a union", "declare one base and derive every member from it")
        if "__polywire__" in base.__dict__:
            raise SchemaError(
                place,
                f"the union {base.__name__} is sealed, a service already uses it",
                f"define every member right after {base.__name__}, in its module",
            )
        found = base
    return found


class Message(msgspec.Struct, metaclass=MessageMeta):
    """Base of everything that a service takes or gives.

        class User(Message):
            id: Int32
            name: str
            age: Int32 | None = None

    Instances are msgspec Structs: made by position or keyword, compared by value, encoded by `msgspec.json` as they
    are. Class keywords: `package` (the protobuf package; default: that of the service that first uses it), `union`
    (a sealed base; its direct subclasses are the members, told apart in JSON by a field "type" that holds the class
    name), and msgspec's `frozen`, `eq`, `order`, `kw_only`, `gc`, `weakref`, `dict`, `cache_hash`.

    Raises SchemaError, at the latest when a service that uses the class is defined.
    """
