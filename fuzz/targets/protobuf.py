"""The protobuf reader, held to upb: the same bytes are refused by both, or read alike."""

from __future__ import annotations

from google.protobuf.message import DecodeError

from fuzz.schemas import SCHEMAS
from fuzz.source import Source
from polywire.codec._protobuf import ProtobufCodec
from polywire.errors import InvalidInput, MalformedInput, RpcError
from tests.codec.schemas import Schema, from_upb
from tests.codec.tables import BOUNDED, EVERYTHING, NODE, USERS
from tests.codec.test_protobuf_oracle import same

CODECS = [ProtobufCodec(schema.message) for schema in SCHEMAS]
OTHERS = [ProtobufCodec(message) for message in (EVERYTHING, BOUNDED, NODE, USERS)]


def fuzz_one(data: bytes) -> None:
    source = Source(data)
    choice = source.byte() % (len(CODECS) + len(OTHERS))
    wire = source.rest()
    if choice < len(CODECS):
        judged_as_upb_does(CODECS[choice], SCHEMAS[choice], wire)
    else:
        comes_back(OTHERS[choice - len(CODECS)], wire)


def judged_as_upb_does(codec: ProtobufCodec, schema: Schema, wire: bytes) -> None:
    try:
        theirs = schema.upb.FromString(wire)
    except DecodeError:
        theirs = None
    error: RpcError | None = None
    ours = None
    try:
        ours = codec.decode(wire)
    except (MalformedInput, InvalidInput) as caught:
        error = caught
    if error is not None:
        # Documented: upb lets some fields of number 0 through. InvalidInput is what only our schema refuses, and what
        # is met first decides.
        assert theirs is None or isinstance(error, InvalidInput) or "field number 0" in error.message, error
        return
    assert theirs is not None, "read what upb refuses"
    assert same(from_upb(schema.message, theirs), ours)
    encoded = codec.encode(ours)
    assert same(codec.decode(encoded), ours)
    assert same(from_upb(schema.message, schema.upb.FromString(encoded)), ours)


def comes_back(codec: ProtobufCodec, wire: bytes) -> None:
    try:
        value = codec.decode(wire)
    except (MalformedInput, InvalidInput):
        return
    assert same(codec.decode(codec.encode(value)), value)
