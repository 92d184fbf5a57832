"""A message in the query of a URL (Connect, Unary-Get-Request)."""

from __future__ import annotations

import binascii
from base64 import b64decode
from collections.abc import Mapping
from urllib.parse import unquote_to_bytes

from polywire.errors import MalformedInput

_FIELDS = frozenset({"connect", "encoding", "message", "base64", "compression"})
_MOST_FIELDS = 100


def query_fields(query: str) -> dict[str, str]:
    """Connect's own fields of a query, still percent-encoded; others are ignored.

    Raises MalformedInput for one that comes twice, and for more than 100 fields.
    """
    if query.count("&") >= _MOST_FIELDS:
        raise MalformedInput(f"the query has more than {_MOST_FIELDS} fields")
    fields: dict[str, str] = {}
    for pair in query.split("&"):
        name, _, text = pair.partition("=")
        if name in _FIELDS:
            if name in fields:
                raise MalformedInput(f"{name} is in the query twice")
            fields[name] = text
    return fields


def query_message(fields: Mapping[str, str]) -> bytes:
    """The message, which may be compressed. Raises MalformedInput where there is none, and for what is no base64."""
    text = fields.get("message")
    if text is None:
        raise MalformedInput("the query has no message")
    raw = unquote_to_bytes(text.replace("+", " ").encode("latin-1"))
    if fields.get("base64") != "1":
        return raw
    # Some clients send the other alphabet (RFC 4648 §4), some do not pad.
    raw = raw.replace(b"-", b"+").replace(b"_", b"/")
    try:
        return b64decode(raw + b"=" * (-len(raw) % 4), validate=True)
    except binascii.Error:
        raise MalformedInput("the message is not base64url") from None
