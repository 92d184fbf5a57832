"""Variables of the plain scalar types, coerced without graphql-core where they are as they should be."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import isfinite
from typing import Any

from graphql import NamedTypeNode, NonNullTypeNode, VariableDefinitionNode

Coerce = Callable[[dict[str, Any]], "dict[str, Any] | None"]


def _is_int(value: Any) -> bool:
    return type(value) is int and -(2**31) <= value < 2**31


def _is_str(value: Any) -> bool:
    return type(value) is str


def _is_bool(value: Any) -> bool:
    return type(value) is bool


def _is_float(value: Any) -> bool:
    return type(value) is float and isfinite(value)


_CHECKS: dict[str, Callable[[Any], bool]] = {
    "Int": _is_int,
    "String": _is_str,
    "Boolean": _is_bool,
    "Float": _is_float,
    "ID": _is_str,
}


def quick_coercion(definitions: Sequence[VariableDefinitionNode]) -> Coerce | None:
    """For an operation all of whose variables are scalars without defaults; None for any other.

    What it makes is what graphql-core would; None where it is not sure.
    """
    known: list[tuple[str, Callable[[Any], bool], bool]] = []
    for definition in definitions:
        type_ = definition.type
        required = isinstance(type_, NonNullTypeNode)
        named = type_.type if isinstance(type_, NonNullTypeNode) else type_
        if not isinstance(named, NamedTypeNode) or definition.default_value is not None:
            return None
        check = _CHECKS.get(named.name.value)
        if check is None:
            return None
        known.append((definition.variable.name.value, check, required))

    def coerce(given: dict[str, Any]) -> dict[str, Any] | None:
        coerced = {}
        for name, check, required in known:
            if name in given:
                value = given[name]
                if not check(value) and (required or value is not None):
                    return None
                coerced[name] = value
            elif required:
                return None
        return coerced

    return coerce
