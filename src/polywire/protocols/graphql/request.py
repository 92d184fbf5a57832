"""What a caller asks for, out of a body, a query string or a message (GraphQL over HTTP §5)."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl

import msgspec

from polywire.errors import InvalidArgument, MalformedInput

BATCH = "BATCH"
_MOST_FIELDS = 100


class GraphqlRequest(msgspec.Struct, rename="camel"):
    """Members that are not listed here are ignored, as the specification asks."""

    query: str | None = None
    variables: dict[str, Any] | None = None
    operation_name: str | None = None
    extensions: dict[str, Any] | None = None
    document_id: str | None = None


_decode = msgspec.json.Decoder(GraphqlRequest).decode


def request_from_body(body: bytes) -> GraphqlRequest:
    """Raises MalformedInput for what is not JSON, InvalidArgument for what is no request, nor one that we take."""
    try:
        return _decode(body)
    except msgspec.ValidationError as error:
        if body.lstrip()[:1] == b"[":
            raise InvalidArgument("send one operation a request: batches are not taken", reason=BATCH) from None
        raise _misshapen(error) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise MalformedInput("the body is not JSON") from None


def request_from_message(payload: Any) -> GraphqlRequest:
    """Out of decoded JSON. Raises InvalidArgument."""
    try:
        return msgspec.convert(payload, GraphqlRequest)
    except (msgspec.ValidationError, RecursionError) as error:
        raise _misshapen(error) from None


def request_from_query(query: str) -> GraphqlRequest:
    """Raises MalformedInput for what cannot be read, InvalidArgument for what is no request."""
    try:
        pairs = parse_qsl(query, keep_blank_values=True, errors="strict", max_num_fields=_MOST_FIELDS)
    except ValueError:
        raise MalformedInput("the query string cannot be read") from None
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise InvalidArgument("a parameter comes twice in the query string")
    # "" is the same as none (§5.3).
    return GraphqlRequest(
        fields.get("query") or None,
        _object(fields, "variables"),
        fields.get("operationName") or None,
        _object(fields, "extensions"),
        fields.get("documentId") or None,
    )


def _object(fields: dict[str, str], name: str) -> dict[str, Any] | None:
    text = fields.get(name)
    if not text:
        return None
    try:
        value = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        raise MalformedInput(f"{name} is not JSON") from None
    if value is not None and not isinstance(value, dict):
        raise InvalidArgument(f"{name} must be an object")
    return value


def _misshapen(error: Exception) -> InvalidArgument:
    return InvalidArgument(f"the request is none of GraphQL: {error}")
