"""Scalar types narrower than Python's, and the markers that go into `Annotated`.

A plain `int` is a 64-bit signed integer and a plain `float` a double.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Final, TypeAlias

from msgspec import Meta

from polywire.schema.types import Encoding, Kind

INT_BOUNDS: Final = {
    Kind.INT32: (-(2**31), 2**31 - 1),
    Kind.INT64: (-(2**63), 2**63 - 1),
    Kind.UINT32: (0, 2**32 - 1),
    Kind.UINT64: (0, 2**64 - 1),
}
"""The least and the greatest value of each integer kind."""

FLOAT32_MAX: Final = 3.4028234663852886e38
"""The greatest finite IEEE 754 binary32 value."""


@dataclass(frozen=True, slots=True)
class Width:
    """Marks an `int` or `float` as one of the narrower kinds."""

    kind: Kind


@dataclass(frozen=True, slots=True)
class Wire:
    """Marks an integer that protobuf writes in another way than as a plain varint."""

    encoding: Encoding


Int32: TypeAlias = Annotated[int, Meta(ge=-(2**31), le=2**31 - 1), Width(Kind.INT32)]
Int64: TypeAlias = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1), Width(Kind.INT64)]
UInt32: TypeAlias = Annotated[int, Meta(ge=0, le=2**32 - 1), Width(Kind.UINT32)]
UInt64: TypeAlias = Annotated[int, Meta(ge=0), Width(Kind.UINT64)]
"""Up to 2**64 - 1; msgspec cannot express that bound, so the codecs hold it."""
Float32: TypeAlias = Annotated[float, Meta(ge=-FLOAT32_MAX, le=FLOAT32_MAX), Width(Kind.FLOAT)]


SInt32: TypeAlias = Annotated[Int32, Wire(Encoding.ZIGZAG)]
SInt64: TypeAlias = Annotated[Int64, Wire(Encoding.ZIGZAG)]
Fixed32: TypeAlias = Annotated[UInt32, Wire(Encoding.FIXED)]
Fixed64: TypeAlias = Annotated[UInt64, Wire(Encoding.FIXED)]
SFixed32: TypeAlias = Annotated[Int32, Wire(Encoding.FIXED)]
SFixed64: TypeAlias = Annotated[Int64, Wire(Encoding.FIXED)]
"""The same numbers as protobuf's other integer types write them: for contracts that have them already."""


@dataclass(frozen=True, slots=True)
class IdMarker:
    """The type of `ID`."""


ID: Final = IdMarker()
"""Marks a field as an id, `Annotated[Int32, ID]`: `ID` in GraphQL, `42` or `"42"` in plain JSON."""


@dataclass(frozen=True, slots=True)
class FieldNumber:
    """Fixes a field's protobuf number, `Annotated[str, FieldNumber(7)]`."""

    number: int


@dataclass(frozen=True, slots=True)
class Doc:
    """Describes a field in every contract, `Annotated[str, Doc("As printed on the passport.")]`."""

    documentation: str
