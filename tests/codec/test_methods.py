from __future__ import annotations

from typing import Any

import msgspec
import pytest

from polywire.codec import Format, WrongResult, message_codec, method_codec
from polywire.errors import InvalidInput, MalformedInput
from polywire.schema.types import Cardinality, Kind, MessageType, ResultForm
from tests.codec.tables import USER, User, field, listed, method, optional


class Nothing(msgspec.Struct):
    pass


class Value(msgspec.Struct):
    value: int


class Values(msgspec.Struct):
    values: list[str]


class Maybe(msgspec.Struct):
    value: int | None = None


NOTHING = MessageType("Nothing", "t.Nothing", Nothing, ())
VALUE = MessageType("Value", "t.Value", Value, (field("value", 1, Kind.INT64),))
VALUES = MessageType("Values", "t.Values", Values, (listed("values", 1),))
MAYBE = MessageType("Maybe", "t.Maybe", Maybe, (optional("value", 1, Kind.INT64),))

ALICE = User(1, "Alice", "a@example.com", 30)

RESULTS = [
    (USER, ResultForm.MESSAGE, ALICE, b"\x08\x01\x12\x05Alice\x1a\x0da@example.com\x20\x1e\x28\x01", None, None),
    (NOTHING, ResultForm.EMPTY, None, b"", b"", b"{}"),
    (VALUE, ResultForm.WRAPPED, 300, b"\x08\xac\x02", b"300", b'{"value":"300"}'),
    (VALUE, ResultForm.WRAPPED, 0, b"", b"0", b"{}"),
    (VALUES, ResultForm.WRAPPED, ["a", ""], b"\x0a\x01a\x0a\x00", b'["a",""]', b'{"values":["a",""]}'),
    (MAYBE, ResultForm.WRAPPED, None, b"", b"null", b"{}"),
    (MAYBE, ResultForm.WRAPPED, 0, b"\x08\x00", b"0", b'{"value":"0"}'),
]


@pytest.mark.parametrize(("message", "form", "value", "binary", "plain", "proto"), RESULTS)
def test_results(message: MessageType, form: ResultForm, value: Any, binary: bytes, plain: bytes, proto: bytes) -> None:
    packed = msgspec.msgpack.encode(msgspec.json.decode(plain)) if plain else plain
    for format_, expected in zip(Format, (binary, plain, proto, packed), strict=True):
        codec = method_codec(method(USER, message, form), format_)
        encoded = codec.encode_result(value)
        assert expected is None or encoded == expected
        assert codec.decode_result(encoded) == value


@pytest.mark.parametrize("format_", Format)
def test_inputs(format_: Format) -> None:
    codec = method_codec(method(USER, NOTHING, ResultForm.EMPTY), format_)
    assert codec.decode_input(codec.encode_input(ALICE)) == ALICE
    assert message_codec(USER, format_).decode(message_codec(USER, format_).encode(ALICE)) == ALICE


@pytest.mark.parametrize("format_", Format)
@pytest.mark.parametrize(
    ("message", "form", "value", "text"),
    [
        (NOTHING, ResultForm.EMPTY, 1, "Nothing: expected None, got int"),
        (VALUE, ResultForm.WRAPPED, "1", "Value.value: expected int, got str"),
        (VALUE, ResultForm.WRAPPED, None, "Value.value: expected a value, got None"),
        (VALUES, ResultForm.WRAPPED, [1], "Values.values[0]: expected str, got int"),
        (USER, ResultForm.MESSAGE, None, "User: expected User, got NoneType"),
    ],
)
def test_wrong_results(format_: Format, message: MessageType, form: ResultForm, value: Any, text: str) -> None:
    with pytest.raises(WrongResult) as caught:
        method_codec(method(USER, message, form), format_).encode_result(value)
    assert str(caught.value) == text


@pytest.mark.parametrize("format_", Format)
def test_broken_results_of_a_peer(format_: Format) -> None:
    for message, form in ((NOTHING, ResultForm.EMPTY), (VALUE, ResultForm.WRAPPED)):
        with pytest.raises(MalformedInput):
            # No tag of protobuf, no JSON, no MessagePack.
            method_codec(method(USER, message, form), format_).decode_result(b"\x07\xc1")
    if format_ is not Format.PROTOBUF:
        codec = method_codec(method(USER, VALUE, ResultForm.WRAPPED), format_)
        with pytest.raises(InvalidInput):
            codec.decode_result(WRONG[format_])


WRONG = {
    Format.PLAIN_JSON: b'"x"',
    Format.PROTO_JSON: b'{"value":"x"}',
    Format.MESSAGE_PACK: msgspec.msgpack.encode("x"),
}


def test_codecs_are_made_once() -> None:
    one = method(USER, USER)
    assert method_codec(one, Format.PROTOBUF) is method_codec(one, Format.PROTOBUF)
    assert method_codec(one, Format.PROTOBUF) is not method_codec(one, Format.PLAIN_JSON)


def test_a_refusal_of_the_class_itself_is_invalid_input() -> None:
    class Even(msgspec.Struct):
        value: int

        def __post_init__(self) -> None:
            if self.value % 2:
                raise ValueError("must be even")

    even = MessageType("Even", "t.Even", Even, (field("value", 1, Kind.INT32),))
    for format_, good, bad in (
        (Format.PROTOBUF, b"\x08\x02", b"\x08\x01"),
        (Format.PLAIN_JSON, b'{"value":2}', b'{"value":1}'),
    ):
        assert message_codec(even, format_).decode(good) == Even(2)
        with pytest.raises(InvalidInput, match=r"^must be even$"):
            message_codec(even, format_).decode(bad)


def test_unset_is_not_sent() -> None:
    class UserPatch(msgspec.Struct, kw_only=True):
        name: str | msgspec.UnsetType = msgspec.UNSET
        tags: list[str] | msgspec.UnsetType = msgspec.UNSET

    unset = {"explicit_presence": True, "default": msgspec.UNSET}
    tags = field("tags", 2, cardinality=Cardinality.LIST, **unset)
    patch = MessageType("UserPatch", "t.UserPatch", UserPatch, (field("name", 1, **unset), tags))
    for format_ in Format:
        codec = message_codec(patch, format_)
        for value in (UserPatch(), UserPatch(name=""), UserPatch(tags=["a"])):
            assert codec.decode(codec.encode(value)) == value
    assert message_codec(patch, Format.PLAIN_JSON).encode(UserPatch(name="")) == b'{"name":""}'
