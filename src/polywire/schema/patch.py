"""`Patch[User]`: any of a message's fields, with unset, None and a value told apart."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

import msgspec

from polywire.schema.errors import SchemaError
from polywire.schema.message import Message, MessageMeta, PatchedField, where

T = TypeVar("T", bound=Message)


class Patch(Message, Generic[T]):
    """What to change in a `T`: `Patch[User]` is a generated message `UserPatch`, the body of a REST PATCH.

    It has the fields of `T`, each `msgspec.UNSET` where the caller did not send it. null is taken only by fields
    that are `| None` in `T`. A list or map that is there replaces the whole of it; protobuf cannot send an empty one.
    """

    __polywire_abstract__ = True

    def __class_getitem__(cls, target: Any) -> Any:
        if isinstance(target, TypeVar):
            return super().__class_getitem__(target)  # type: ignore[misc]
        if isinstance(target, MessageMeta) and target.__polywire_union_members__ is not None:
            raise SchemaError(f"Patch[{where(target)}]", "a union is replaced as a whole", "take the union itself")
        if cls is not Patch or not isinstance(target, MessageMeta) or not target.__struct_fields__:
            raise SchemaError(f"Patch[{target!r}]", "only a Message with fields can be patched", "write Patch[User]")
        known = target.__dict__.get("__polywire_patch__")
        if known is None:
            known = target.__polywire_patch__ = _generate(target)
        return known

    def changes(self) -> dict[str, Any]:
        """The fields that were sent, by name."""
        values = {name: getattr(self, name) for name in self.__struct_fields__}
        return {name: value for name, value in values.items() if value is not msgspec.UNSET}

    def apply(self, target: T) -> T:
        """A copy of `target` with the changes made; `target` stays as it is."""
        return msgspec.structs.replace(target, **self.changes())


def _generate(target: MessageMeta) -> MessageMeta:
    fields = target.__struct_fields__
    for name in fields:
        if name in ("apply", "changes"):
            raise SchemaError(where(target, name), "Patch has a method of this name", "rename the field")
    name = f"{target.__name__}Patch"
    namespace: dict[str, Any] = {
        "__module__": target.__module__,
        "__qualname__": f"{target.__qualname__}Patch",
        "__doc__": f"What to change in a {target.__name__}.",
        "__annotations__": {field: PatchedField(target) for field in fields},
        **dict.fromkeys(fields, msgspec.UNSET),
    }
    cls = MessageMeta(name, (Patch,), namespace, kw_only=True, package=target.__polywire_package__)
    cls.__polywire_origin__ = f"Patch[{where(target)}]"
    cls.__polywire_scope__ = None
    return cls
