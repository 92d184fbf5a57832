"""Resolves annotations that are strings, also those of classes defined inside functions."""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Mapping
from typing import Any

from polywire.schema.errors import SchemaError


def scope_of(frame: types.FrameType | None) -> dict[str, Any] | None:
    """The local names visible at a class statement that `frame` is executing; None at module level.

    A copy: names bound later in the function are not in it. Class bodies are looked through, outwards.
    """
    found: dict[str, Any] = {}
    while frame is not None and frame.f_locals is not frame.f_globals and frame.f_code.co_name != "<module>":
        if frame.f_code.co_flags & inspect.CO_OPTIMIZED:
            return {**frame.f_locals, **found}
        found = {**nested_classes(frame.f_locals), **found}
        frame = frame.f_back
    return found or None


def nested_classes(namespace: Mapping[str, Any]) -> dict[str, Any]:
    """The classes in a class body; its other names (a field `date`, a method `list`) would hide what was meant."""
    return {name: value for name, value in namespace.items() if isinstance(value, type)}


def resolve(annotation: Any, globals_: Mapping[str, Any], locals_: Mapping[str, Any], where: str) -> Any:
    """What an annotation means, every string in it evaluated; `Annotated` is kept.

    Raises SchemaError when a name in it is not defined where the class is.
    """
    holder = types.SimpleNamespace(__annotations__={"it": annotation})
    try:
        return typing.get_type_hints(holder, dict(globals_), dict(locals_), include_extras=True)["it"]
    except NameError as error:
        raise SchemaError(
            where,
            f"the annotation {annotation!r} names {error.name!r}, which is not defined at run time",
            "import it outside `if TYPE_CHECKING`, and define it before the service; "
            "a class inside a function sees only what that function has defined by then",
        ) from None
    except Exception as error:
        raise SchemaError(where, f"the annotation {annotation!r} cannot be evaluated ({error})") from error
