"""`msgspec.Meta` read into `Constraints`, and written back for msgspec with the bounds of the kind added."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import msgspec

from polywire.schema.errors import SchemaError
from polywire.schema.scalars import FLOAT32_MAX, INT_BOUNDS
from polywire.schema.types import Cardinality, Constraints, Kind

_BOUNDS: Final = ("ge", "gt", "le", "lt", "multiple_of")
_LENGTHS: Final = ("min_length", "max_length")
_NAMES: Final = (*_BOUNDS, *_LENGTHS, "pattern")
_NUMBERS: Final = frozenset({*INT_BOUNDS, Kind.FLOAT, Kind.DOUBLE})
_INT64_MAX: Final = 2**63 - 1


def read_constraints(metas: Iterable[msgspec.Meta], where: str) -> Constraints | None:
    """What the `Meta`s ask together, None if nothing. Raises SchemaError where no value can satisfy it."""
    found: dict[str, Any] = {}
    for meta in metas:
        for name in _NAMES:
            value = getattr(meta, name)
            if value is not None:
                if name in ("ge", "gt"):
                    found.pop("ge", None), found.pop("gt", None)
                elif name in ("le", "lt"):
                    found.pop("le", None), found.pop("lt", None)
                found[name] = value
    if not found:
        return None
    constraints = Constraints(**found)
    low, high = _first(constraints.ge, constraints.gt), _first(constraints.le, constraints.lt)
    if low is not None and high is not None:
        open_ended = constraints.gt is not None or constraints.lt is not None
        if low > high or (low == high and open_ended):
            raise SchemaError(where, f"no value is within the bounds {low} and {high}", "exchange or widen them")
    if (constraints.min_length or 0) > _first(constraints.max_length, float("inf")):
        raise SchemaError(where, "min_length is above max_length", "exchange or widen them")
    return constraints


def _first(*values: Any) -> Any:
    return next((value for value in values if value is not None), None)


def check_applies(constraints: Constraints | None, kind: Kind, cardinality: Cardinality, where: str) -> None:
    """Raises SchemaError for a constraint that means nothing for this kind of value."""
    if constraints is None:
        return
    if cardinality is not Cardinality.SINGLE:
        allowed: tuple[str, ...] = _LENGTHS
        hint = f"put it on the element: {cardinality.name.lower()}[Annotated[..., Meta(...)]]"
        if cardinality is Cardinality.MAP:
            hint = "put it on the value: dict[str, Annotated[..., Meta(...)]]"
    elif kind in _NUMBERS:
        allowed, hint = _BOUNDS, "leave it out"
    elif kind is Kind.STRING:
        allowed, hint = (*_LENGTHS, "pattern"), "leave it out"
    elif kind is Kind.BYTES:
        allowed, hint = _LENGTHS, "leave it out"
    else:
        allowed, hint = (), "check it in the method and raise InvalidArgument"
    for name in _NAMES:
        if getattr(constraints, name) is not None and name not in allowed:
            raise SchemaError(where, f"{name}= does not apply to this type", hint)
    bounds = INT_BOUNDS.get(kind)
    if bounds is None or cardinality is not Cardinality.SINGLE:
        return
    for name in _BOUNDS:
        value = getattr(constraints, name)
        if value is None:
            continue
        if not isinstance(value, int):
            raise SchemaError(where, f"{name}={value!r} is no integer", "give an integer bound")
        if value > _INT64_MAX:
            raise SchemaError(where, f"{name}={value} is above 2**63 - 1, which is not carried", "leave it out")
        if name != "multiple_of" and not bounds[0] <= value <= bounds[1]:
            raise SchemaError(
                where, f"{name}={value} is outside {kind.name.lower()} ({bounds[0]} to {bounds[1]})", "use a wider type"
            )


def native_meta(constraints: Constraints | None, kind: Kind | None = None) -> msgspec.Meta | None:
    """The one `Meta` that makes msgspec hold the constraints and the kind's own bounds; None if there are none.

    msgspec knows no bound above 2**63 - 1, so the upper end of UINT64 is left to the codecs.
    """
    wanted = {name: getattr(constraints, name) for name in _NAMES} if constraints else dict.fromkeys(_NAMES)
    if kind is Kind.TIMESTAMP:
        return msgspec.Meta(tz=True)
    low, high = (-FLOAT32_MAX, FLOAT32_MAX) if kind is Kind.FLOAT else INT_BOUNDS.get(kind, (None, None))  # type: ignore[arg-type]
    if low is not None and wanted["ge"] is None and wanted["gt"] is None:
        wanted["ge"] = low
    if high is not None and high <= FLOAT32_MAX and wanted["le"] is None and wanted["lt"] is None:
        wanted["le"] = None if kind is Kind.UINT64 else high
    given = {name: value for name, value in wanted.items() if value is not None}
    return msgspec.Meta(**given) if given else None
