"""The protobuf codec held to upb, Google's runtime, over random schemas, values and bytes."""

from __future__ import annotations

import math
from typing import Any

from google.protobuf.message import DecodeError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from polywire.codec._protobuf import ProtobufCodec
from polywire.errors import InvalidInput, MalformedInput
from tests.codec.schemas import Schema, build, from_upb, message_specs, schemas, to_upb, values

QUICK = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck), database=None)


@QUICK
@given(schemas(), st.data())
def test_encodes_what_upb_reads(schema: Schema, data: st.DataObject) -> None:
    value = data.draw(values(schema.message))
    encoded = ProtobufCodec(schema.message).encode(value)
    assert from_upb(schema.message, schema.upb.FromString(encoded)) == value
    if not schema.has_maps:  # the order of a map's entries is free
        assert encoded == to_upb(schema.message, value, schema.upb()).SerializeToString(deterministic=True)


@QUICK
@given(schemas(), st.data())
def test_decodes_what_upb_writes(schema: Schema, data: st.DataObject) -> None:
    value = data.draw(values(schema.message))
    encoded = to_upb(schema.message, value, schema.upb()).SerializeToString()
    assert ProtobufCodec(schema.message).decode(encoded) == value


@QUICK
@given(schemas(), st.data())
def test_two_encodings_in_a_row_are_merged(schema: Schema, data: st.DataObject) -> None:
    first, second = data.draw(values(schema.message)), data.draw(values(schema.message))
    codec = ProtobufCodec(schema.message)
    assert_same(schema, codec.encode(first) + codec.encode(second))


@settings(QUICK, max_examples=400)
@given(schemas(), st.data())
def test_accepts_and_refuses_as_upb_does(schema: Schema, data: st.DataObject) -> None:
    encoded = ProtobufCodec(schema.message).encode(data.draw(values(schema.message)))
    assert_same(schema, data.draw(damaged(encoded)))


@settings(QUICK, max_examples=400)
@given(message_specs(), st.binary(max_size=40))
def test_garbage_is_judged_as_upb_does(spec: Any, garbage: bytes) -> None:
    assert_same(build(spec), garbage)


@st.composite
def damaged(draw: st.DrawFn, encoded: bytes) -> bytes:
    """Bytes changed, cut, put in or repeated."""
    broken = bytearray(encoded)
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(broken)))
        match draw(st.sampled_from(["change", "cut", "insert", "repeat", "end"])):
            case "change" if at < len(broken):
                broken[at] = draw(st.integers(0, 255))
            case "cut":
                del broken[at : at + draw(st.integers(1, 3))]
            case "insert":
                broken[at:at] = draw(st.binary(max_size=6))
            case "repeat":
                broken += broken[at:]
            case _:
                del broken[at:]
    return bytes(broken)


def assert_same(schema: Schema, encoded: bytes) -> None:
    """Both refuse, or both read the same. What only our schema refuses (InvalidInput) upb may take."""
    try:
        theirs = schema.upb.FromString(encoded)
    except DecodeError:
        theirs = None
    judged: Any = None
    try:
        ours = ProtobufCodec(schema.message).decode(encoded)
    except (MalformedInput, InvalidInput) as error:
        judged = type(error)
        if "field number 0" in error.message:
            return  # upb lets some of them through, the specification none
    # What comes first decides: bytes may be both, a refused value and broken behind it.
    assert judged is not (None if theirs is None else MalformedInput), encoded
    if judged is None:
        assert same(from_upb(schema.message, theirs), ours)


def same(one: Any, other: Any) -> bool:
    """Equal, NaN to NaN."""
    if isinstance(one, float) and isinstance(other, float):
        return one == other or (math.isnan(one) and math.isnan(other))
    if isinstance(one, list):
        return len(one) == len(other) and all(same(a, b) for a, b in zip(one, other, strict=True))
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if hasattr(one, "__struct_fields__"):
        return type(one) is type(other) and all(same(getattr(one, n), getattr(other, n)) for n in one.__struct_fields__)
    return bool(one == other)
