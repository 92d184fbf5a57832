"""`google.protobuf.Any` in proto JSON: the message itself, beside `@type` (https://protobuf.dev/programming-guides/json)."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from polywire.codec.results import WrongResult
from polywire.errors import InvalidInput, MalformedInput
from polywire.schema.reader import known_message
from polywire.schema.types import MessageType

ANY: Final = "google.protobuf.Any"
_DEEPEST: Final = 16
"""An Any in an Any in an Any: each is a text of its own."""
_decode = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_depth = 0


def any_to_json(packed: Any) -> bytes:
    """Raises WrongResult for a type that no service of this process has, and for bytes that are not of it."""
    from polywire.codec.methods import Format, message_codec

    table = _table(packed.type_url)
    if table is None:
        raise WrongResult(f"{ANY}: nothing here knows the type {packed.type_url[:100]!r}")
    try:
        value = message_codec(table, Format.PROTOBUF).decode(packed.value)
    except (MalformedInput, InvalidInput) as error:
        raise WrongResult(f"{ANY}: its value is no {table.full_name}: {error.message}") from None
    text = message_codec(table, Format.PROTO_JSON).encode(value)
    kind = b'{"@type":' + msgspec.json.encode(packed.type_url)
    return kind + (b"," if text != b"{}" else b"") + text[1:]


def any_from_json(cls: type[Any], text: bytes) -> Any:
    """Raises MalformedInput for what is no object with a `@type` that is known here, InvalidInput for a wrong value."""
    from polywire.codec.methods import Format, message_codec

    global _depth
    try:
        members = _decode(text)
    except msgspec.DecodeError:
        raise MalformedInput("an Any is an object") from None
    if not members:
        return cls()
    try:
        url = msgspec.json.decode(members.pop("@type"), type=str)
    except (KeyError, msgspec.DecodeError):
        raise MalformedInput("an Any has a @type, such as type.googleapis.com/user.User") from None
    table = _table(url)
    if table is None:
        raise MalformedInput(f"nothing here knows the @type {url[:100]!r}")
    if _depth >= _DEEPEST:
        raise MalformedInput(f"an Any is more than {_DEEPEST} deep in others")
    _depth += 1
    try:
        value = message_codec(table, Format.PROTO_JSON).decode(msgspec.json.encode(members))
    finally:
        _depth -= 1
    return cls(url, message_codec(table, Format.PROTOBUF).encode(value))


def _table(url: str) -> MessageType | None:
    return known_message(url.rpartition("/")[2])
