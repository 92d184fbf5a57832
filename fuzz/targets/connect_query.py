"""Messages in URLs, as Connect's GETs bring them."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from urllib.parse import quote

from polywire.errors import MalformedInput
from polywire.protocols.connect.query import query_fields, query_message


def fuzz_one(data: bytes) -> None:
    try:
        message = query_message(query_fields(data.decode("latin-1")))
    except MalformedInput:
        return
    assert len(message) <= len(data)
    as_text, as_base64 = quote(message, safe=""), urlsafe_b64encode(message).decode().rstrip("=")
    assert query_message(query_fields(f"message={as_text}&x={as_text}")) == message
    assert query_message(query_fields(f"base64=1&message={as_base64}")) == message
