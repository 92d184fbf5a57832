"""What carries publications from whoever publishes to everybody who subscribes, and what it promises."""

from __future__ import annotations

import enum
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

from polywire.errors import InvalidArgument

_POSITION: Final = re.compile(r"([A-Za-z0-9_-]{1,64}):(0|[1-9][0-9]{0,17})", re.ASCII)


class Position(NamedTuple):
    """How far one has read of one topic. As text `epoch:offset`.

    offset: counts the topic's messages, the first one is 1; 0 is before the first.
    epoch: of which count. It changes when the broker has lost count (a broker in memory was restarted, say): offset 7
    of the new count is another message than offset 7 of the old one, so that a position of another epoch is a gap.
    """

    epoch: str
    offset: int

    def __str__(self) -> str:
        return f"{self.epoch}:{self.offset}"

    @classmethod
    def parse(cls, text: str) -> Position:
        """Raises InvalidArgument for text that is no position."""
        found = _POSITION.fullmatch(text)
        if found is None:
            raise InvalidArgument("the position is none that a message told; write epoch:offset", reason="BAD_POSITION")
        return cls(found[1], int(found[2]))


@dataclass(frozen=True, slots=True)
class History:
    """How much of a topic is kept for those who come back: whatever ends first.

    count: messages; 0: none. age_s: seconds; None: for ever. max_bytes: of all messages together.
    Raises ValueError for a limit out of range.
    """

    count: int = 0
    age_s: float | None = None
    max_bytes: int = 1 << 20

    def __post_init__(self) -> None:
        if self.count < 0 or self.max_bytes < 0:
            raise ValueError("history: count and max_bytes must be 0 or more")
        if self.age_s is not None and not 0 < self.age_s < math.inf:
            raise ValueError(f"history: age_s={self.age_s!r} must be above 0")


class What(enum.Enum):
    """What a publication tells."""

    MESSAGE = 0
    JOINED = 1
    LEFT = 2


class Publication:
    """One message of a topic, or who has joined or left it. One object for all subscribers; never changed."""

    __slots__ = ("at", "data", "id", "offset", "order", "topic", "what")

    def __init__(
        self, topic: str, position: Position, order: int, data: bytes, at: float, what: What = What.MESSAGE
    ) -> None:
        self.topic = topic
        self.offset = position.offset
        self.id = str(position)
        """Of whom has joined or left: the position of the message before."""
        self.order = order
        """Grows with each publication of a topic, as they are delivered."""
        self.data = data
        self.at = at
        """When it was published, in seconds since 1970."""
        self.what = what


class Lost(enum.Enum):
    """Why messages between what was asked for and what comes are missing."""

    HISTORY_GONE = 1
    """They are no longer kept."""
    EPOCH_CHANGED = 2
    """The position is one of another count: what was published after it is not known."""


Deliver = Callable[[Sequence[Publication]], None]
"""Called in the loop with what is new, in order, and never while `publish` or `subscribe` runs.

All subscribers of a topic get the same sequence objects, and may key on their identity. It must not raise and not
block; a subscriber that is slow queues for itself.
"""


class Subscription(Protocol):
    """A subscriber's place in a topic, from which delivery goes on."""

    @property
    def position(self) -> Position | None:
        """Where it began: what is in `backlog` comes after it. None: of a pattern."""

    @property
    def lost(self) -> Lost | None:
        """None: nothing is missing between what was asked for and the backlog."""

    @property
    def backlog(self) -> Sequence[Publication]:
        """Of the history, what comes before all that is delivered."""

    async def close(self) -> None:
        """End delivery: nothing is delivered once this has been called. May be called again."""


class Page(NamedTuple):
    """A part of a topic's history."""

    publications: Sequence[Publication]
    position: Position
    """To go on after."""
    lost: Lost | None


class Broker(Protocol):
    """Carries publications. Every one is held to these promises by one suite, tests/topics/suite.

    - *Order*: the messages of one topic have offsets 1, 2, 3 … in the order in which `publish` accepted them, and every
      subscriber gets them in that order. There is no order between topics.
    - *Once*: a subscription gets each message at most once. With history it gets every message after its position
      exactly once, or is told by `lost` that some are gone before it gets the rest: no hole without a word, no double.
    - *Accepted*: when `publish` returns, the message has its position, later subscribers find it in the history, and
      all who subscribe now will get it. If it raises, the message may or may not have been accepted; with a `dedupe_id`
      it can be published again safely.
    - *Deduplicated*: two publications of a topic with one `dedupe_id` within `dedupe_s` are one: the second gets the
      position of the first and nothing is sent.
    - *Presence* is told live and not kept in the history; a member that joined is in `members` until it leaves.
    - *Bounded*: history by its `History`, everything else by limits of the broker. A publisher that is faster than
      delivery waits in `publish`.
    What survives a crash or a restart is each broker's own, and stands in its docstring.
    """

    shared: bool
    """Processes that have a broker of this kind, set up alike, see each other's publications."""

    async def start(self) -> None:
        """Called in the loop before anything else."""

    async def stop(self) -> None:
        """Called at the end; what was accepted is safe, as far as the broker keeps anything."""

    async def publish(self, topic: str, data: bytes, history: History, *, dedupe_id: str | None = None) -> Position:
        """Accept a message. history: how much the topic keeps; the last one given holds.

        Raises ResourceExhausted where a limit of the broker is reached, Unavailable where it cannot be reached.
        """

    async def subscribe(self, topic: str, after: Position | None, deliver: Deliver, *, last: int = 0) -> Subscription:
        """History, then live. after: go on there; None: with the `last` messages of the history, then live."""

    async def subscribe_pattern(self, pattern: str, deliver: Deliver) -> Subscription:
        """Live only, from every topic of that pattern: segments between dots, of which `*` stands for any one.

        In order for each topic. It has no position to resume from.
        """

    async def history(self, topic: str, after: Position | None, limit: int) -> Page:
        """The oldest messages after a position, at most `limit`; None: from the oldest that is kept."""

    async def join(self, topic: str, session: str, data: bytes) -> None:
        """Make someone a member, and tell it (JOINED). session: unique to this membership."""

    async def leave(self, topic: str, session: str) -> None:
        """End a membership, and tell it (LEFT); without effect where there is none."""

    async def members(self, topic: str, limit: int) -> Sequence[bytes]:
        """The data of those who are members, the longest first; at most `limit`."""
