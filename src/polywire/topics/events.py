"""What subscribers of every topic are sent."""

from __future__ import annotations

import enum
from datetime import datetime
from typing import Any

from polywire.schema.message import Message, MessageMeta
from polywire.topics.broker import Lost

PACKAGE = "topics"


class GapReason(enum.Enum):
    """Why messages are missing."""

    HISTORY_GONE = "HISTORY_GONE"
    """They are no longer kept."""
    EPOCH_CHANGED = "EPOCH_CHANGED"
    """The position is of another count, which the server has lost."""
    SLOW = "SLOW"
    """The caller took them too slowly, and the topic drops what such callers do not take."""


GAP_OF = {Lost.HISTORY_GONE: GapReason.HISTORY_GONE, Lost.EPOCH_CHANGED: GapReason.EPOCH_CHANGED}


class Gap(Message, package="polywire"):
    """Messages are missing here: what depends on them must be fetched anew."""

    # Not of the package of topics: that imports the packages of what is published, whose messages may tell gaps too.

    after: str
    """The position after which they are missing."""
    reason: GapReason


class Member(Message, package=PACKAGE):
    """One subscription that others see."""

    session: str
    """Unique: a user who is there twice has two."""
    user: str
    """Who it is; empty where callers are not authenticated."""
    since: datetime


class Published(Message, package=PACKAGE):
    """What has been published."""

    position: str


class Members(Message, package=PACKAGE):
    """Who subscribes now, the longest first."""

    members: list[Member]


def event_class(name: str, data: type[Message], module: str) -> MessageMeta:
    """The message `<name>Event` of a topic."""
    fields: dict[str, Any] = {
        "position": str,
        "topic": str,
        "data": data | None,
        "gap": Gap | None,
        "joined": Member | None,
        "left": Member | None,
    }
    doc = "One message of the topic, or what happened to it. Only a position: the greeting, from which one resumes."
    return MessageMeta(
        f"{name}Event",
        (Message,),
        {
            "__module__": module,
            "__qualname__": f"{name}Event",
            "__doc__": doc,
            "__annotations__": fields,
            "topic": "",
            "data": None,
            "gap": None,
            "joined": None,
            "left": None,
        },
        package=PACKAGE,
    )


def history_class(name: str, event: MessageMeta, module: str) -> MessageMeta:
    """The message `<name>History`."""
    fields: dict[str, Any] = {"events": list[event], "position": str, "gap": Gap | None}  # type: ignore[valid-type]
    return MessageMeta(
        f"{name}History",
        (Message,),
        {
            "__module__": module,
            "__qualname__": f"{name}History",
            "__doc__": "A part of the topic's history, the oldest first. position: to go on after.",
            "__annotations__": fields,
            "gap": None,
        },
        package=PACKAGE,
    )
