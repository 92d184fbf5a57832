"""JSON in two profiles, for one message type each.

*Plain* (REST, tRPC, WebSocket, SSE): names as declared, numbers as numbers, defaults written; an integer may come as
`42` or `"42"`, nothing else is coerced; enums by value, unions by their `type`, durations in ISO 8601.
*Proto* (Connect, gRPC+json): the proto3 mapping (https://protobuf.dev/programming-guides/json): lowerCamelCase out and
both names in, 64-bit integers as strings, enums by name, implicit zeros left out, null as good as absent.

Both ignore unknown fields, refuse a known one given twice, NaN and infinities, naive datetimes and numbers beyond
their kind's range, and write datetimes as UTC with Z. An empty body is an empty object.
"""

from __future__ import annotations

import enum
from functools import lru_cache

from polywire.codec._json_read import JsonReader
from polywire.codec._json_write import JsonWriter
from polywire.schema.types import MessageType


class Profile(enum.Enum):
    PLAIN = "plain"
    PROTO = "proto"


@lru_cache(maxsize=4096)
def json_reader(message: MessageType, profile: Profile) -> JsonReader:
    """The decoder of a message type; the same object for the same arguments."""
    return JsonReader(message, profile is Profile.PROTO)


@lru_cache(maxsize=4096)
def json_writer(message: MessageType, profile: Profile) -> JsonWriter:
    """The encoder of a message type; the same object for the same arguments."""
    return JsonWriter(message, profile is Profile.PROTO)
