"""The JSON reader in both profiles, held to `json` for what is JSON and to `json_format` for what it means."""

from __future__ import annotations

import json
from typing import Any

from google.protobuf import json_format

from fuzz.schemas import SCHEMAS
from fuzz.source import Source
from polywire.codec.json import Profile, json_reader, json_writer
from polywire.errors import InvalidInput, MalformedInput, RpcError
from polywire.schema.types import MessageType
from tests.codec.schemas import Schema, from_upb
from tests.codec.tables import BOUNDED, EVERYTHING, NODE, USERS
from tests.codec.test_protobuf_oracle import same

PROFILES = [Profile.PLAIN, Profile.PROTO]
MESSAGES: list[tuple[MessageType, Schema | None]] = [
    *((message, None) for message in (EVERYTHING, BOUNDED, NODE, USERS)),
    *((schema.message, schema) for schema in SCHEMAS),
]


def fuzz_one(data: bytes) -> None:
    source = Source(data)
    profile = source.one_of(PROFILES)
    message, schema = source.one_of(MESSAGES)
    text = source.rest()
    error: RpcError | None = None
    value = None
    try:
        value = json_reader(message, profile).decode(text)
    except (MalformedInput, InvalidInput) as caught:
        error = caught
    judged_as_json_does(text, error)
    if error is None:
        written = json_writer(message, profile).encode(value)
        assert same(json_reader(message, profile).decode(written), value)
        json.loads(written, parse_constant=refuse)
        if schema is not None and profile is Profile.PROTO:
            means_what_json_format_says(schema, text, value)


def judged_as_json_does(text: bytes, error: RpcError | None) -> None:
    if not text.strip(b" \t\r\n"):
        return  # ours: an empty body is an empty object
    try:
        document = json.loads(text.decode(), parse_constant=refuse)
    except (ValueError, RecursionError):
        assert error is not None, "read what is no JSON"
        return
    if isinstance(error, MalformedInput):
        # The json module takes lone surrogates, which no UTF-8 carries, and any depth.
        assert "\\ud" in repr(document) or "nested deeper" in error.message, error


def means_what_json_format_says(schema: Schema, text: bytes, value: Any) -> None:
    try:
        theirs = json_format.Parse(text, schema.upb(), ignore_unknown_fields=True)
    except (json_format.ParseError, ValueError, RecursionError):
        return  # stricter in places: test_json.py has them
    assert same(from_upb(schema.message, theirs), value)


def refuse(constant: str) -> Any:
    raise ValueError(constant)
