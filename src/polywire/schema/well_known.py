"""Messages that every service may need."""

from __future__ import annotations

from polywire.schema.message import Message
from polywire.schema.reader import message_type


class Empty(Message, package="google.protobuf"):
    """Nothing at all."""


Empty.__polywire_origin__ = "google.protobuf.Empty"

EMPTY = message_type(Empty)
"""The table of `google.protobuf.Empty`: what a method that returns None answers."""
