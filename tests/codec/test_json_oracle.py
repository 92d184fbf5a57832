"""Both JSON profiles held to others over random schemas: to google.protobuf.json_format and to the json module."""

from __future__ import annotations

import json
from typing import Any

import pytest
from google.protobuf import json_format
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from polywire.codec.json import Profile, json_reader, json_writer
from polywire.errors import InvalidInput, MalformedInput
from polywire.schema.types import MessageType
from tests.codec.schemas import Schema, from_upb, schemas, to_upb, values
from tests.codec.tables import FLOATS
from tests.codec.test_protobuf_oracle import damaged

QUICK = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck), database=None)


@QUICK
@given(schemas(), st.data())
def test_proto_profile_writes_what_json_format_reads(schema: Schema, data: st.DataObject) -> None:
    value = data.draw(values(schema.message))
    written = json_writer(schema.message, Profile.PROTO).encode(value)
    assert from_upb(schema.message, json_format.Parse(written, schema.upb())) == value


@QUICK
@given(schemas(), st.data(), st.booleans())
def test_proto_profile_reads_what_json_format_writes(schema: Schema, data: st.DataObject, snake: bool) -> None:
    value = data.draw(values(schema.message))
    message = to_upb(schema.message, value, schema.upb())
    written = json_format.MessageToJson(message, preserving_proto_field_name=snake)
    assert json_reader(schema.message, Profile.PROTO).decode(written.encode()) == value


@QUICK
@given(schemas(), st.data())
def test_proto_profile_writes_the_same_document_as_json_format(schema: Schema, data: st.DataObject) -> None:
    value = data.draw(values(schema.message))
    theirs = json_format.MessageToDict(to_upb(schema.message, value, schema.upb()))
    assert json.loads(json_writer(schema.message, Profile.PROTO).encode(value)) == theirs


@QUICK
@given(schemas(), st.data())
def test_plain_profile_reads_what_it_writes(schema: Schema, data: st.DataObject) -> None:
    value = data.draw(values(schema.message))
    written = json_writer(schema.message, Profile.PLAIN).encode(value)
    names = [field.name for field in schema.message.fields]
    assert list(json.loads(written)) == names  # valid JSON, every field, in the order of declaration
    assert json_reader(schema.message, Profile.PLAIN).decode(written) == value


@settings(QUICK, max_examples=500)
@given(schemas(), st.sampled_from(Profile), st.data())
def test_malformed_is_what_the_json_module_refuses(schema: Schema, profile: Profile, data: st.DataObject) -> None:
    written = json_writer(schema.message, profile).encode(data.draw(values(schema.message)))
    assert_judged(schema.message, profile, data.draw(damaged(written)))


NAMES = ['"the_field_0"', '"theField0"', '"x"', '"\\u00e9"', '"\\ud83d\\ude00"', '"\\x"', '"é"']
OTHERS = [
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    " ",
    "1",
    "-1.5e3",
    "0",
    "01",
    "1.",
    "1e999",
    "NaN",
    "null",
    "true",
    "nul",
    "\x00",
]
TOKENS = st.sampled_from([*NAMES, *OTHERS])


@settings(QUICK, max_examples=500)
@given(schemas(), st.sampled_from(Profile), st.lists(TOKENS, max_size=12))
def test_any_tokens_are_judged(schema: Schema, profile: Profile, tokens: list[str]) -> None:
    assert_judged(schema.message, profile, "".join(tokens).encode())


def assert_judged(message: MessageType, profile: Profile, text: bytes) -> None:
    """What is no JSON is refused; what is JSON is at most InvalidInput; nothing else is raised."""
    judged: Any = None
    try:
        json_reader(message, profile).decode(text)
    except (MalformedInput, InvalidInput) as error:
        judged = type(error)
    # What comes first decides: a document may be both, a refused value and broken behind it.
    assert judged is not (None if not is_json(text) else MalformedInput), text


def is_json(text: bytes) -> bool:
    if not text.strip(b" \t\r\n"):
        return True  # ours: an empty body is an empty object
    try:
        document = json.loads(text.decode(), parse_constant=refuse)
    except ValueError:
        return False
    assume("\\ud" not in repr(document))  # lone surrogates: the json module takes them, no UTF-8 carries them
    return True


def refuse(constant: str) -> Any:
    raise ValueError(constant)


@pytest.mark.parametrize("profile", Profile)
@given(st.floats(allow_nan=False, allow_infinity=False) | st.decimals(-1000, 1000, places=4).map(float))
@settings(QUICK, max_examples=500)
def test_floats_are_written_as_repr_writes_them(profile: Profile, number: float) -> None:
    written = json_writer(FLOATS, profile).encode_bare(number)

    assert written == repr(number).encode()
    assert json_reader(FLOATS, profile).decode_bare(written) == number
