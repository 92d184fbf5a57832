"""Topics: what is published once and goes to everybody who subscribes, over every protocol."""

from __future__ import annotations

from polywire.topics.broker import Broker, History, Position, Publication
from polywire.topics.events import Gap, GapReason, Member
from polywire.topics.memory import MemoryBroker
from polywire.topics.sqlite import SqliteBroker
from polywire.topics.topic import Topic

__all__ = [
    "Broker",
    "Gap",
    "GapReason",
    "History",
    "Member",
    "MemoryBroker",
    "Position",
    "Publication",
    "SqliteBroker",
    "Topic",
]
