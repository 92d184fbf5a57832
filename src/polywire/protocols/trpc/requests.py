"""What an HTTP request asks for: procedures, their inputs, and how the answer is to be."""

from __future__ import annotations

from typing import Final
from urllib.parse import unquote, unquote_plus

import msgspec

from polywire.errors import InvalidArgument, MalformedInput

_MOST_FIELDS: Final = 50
_KNOWN: Final = frozenset({"batch", "input", "connectionParams", "lastEventId", "Last-Event-Id"})
_decode_inputs = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


class _Resumed(msgspec.Struct):
    lastEventId: str | int | None = None  # noqa: N815 -- tRPC's name


_decode_resumed = msgspec.json.Decoder(_Resumed).decode


def query_fields(query: str) -> dict[str, str]:
    """The fields of a query string that tRPC knows, decoded. Raises MalformedInput."""
    if query.startswith("input=") and "&" not in query:
        return {"input": _decoded(query[6:])}
    if query.count("&") >= _MOST_FIELDS:
        raise MalformedInput(f"the query has more than {_MOST_FIELDS} fields")
    fields: dict[str, str] = {}
    for pair in query.split("&"):
        name, _, text = pair.partition("=")
        if name in _KNOWN:
            fields[name] = _decoded(text)
    return fields


def _decoded(text: str) -> str:
    try:
        return unquote_plus(text, errors="strict") if "+" in text else unquote(text, errors="strict")
    except UnicodeDecodeError:
        raise MalformedInput("the query is not UTF-8") from None


def batch_inputs(text: str | bytes | None, count: int) -> list[bytes]:
    """The input of each call of a batch, b"" where it is undefined. Raises InvalidArgument for no such object."""
    if not text:
        return [b""] * count
    try:
        given = _decode_inputs(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        raise InvalidArgument('the input of a batch is an object, such as {"0": ..., "1": ...}') from None
    return [bytes(given.get(str(place), b"")) for place in range(count)]


def last_event_id(given: bytes) -> str | None:
    """What the link puts into a subscription's input when it comes back."""
    if b"lastEventId" not in given:
        return None
    try:
        told = _decode_resumed(given).lastEventId
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None
    return None if told is None else str(told)
