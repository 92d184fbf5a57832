"""The metrics of all workers as one: the parent asks the others when one of them is scraped, and adds up.

    worker                  parent                          the other workers
      │ metrics.ask (its own) ─▶│ metrics.report? ───────────────▶│
      │                         │◀─────────── metrics.report (theirs)
      │◀────── metrics.sum      │ everything, and what is past

What a worker said last is kept: it stands in for one that does not answer in time, and of one that is gone its counters
stay. So a counter never goes down; what a crashed worker counted after it was last asked is lost.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field

import msgspec

from polywire.runtime.snapshot import Snapshot, decode, encode, merge
from polywire.server.channel import Channel, Message

ASK, REPORT, SUM = "metrics.ask", "metrics.report", "metrics.sum"
ANSWER_S = 0.5
"""How long the parent waits for the others' reports."""

logger = logging.getLogger("polywire.server")


@dataclass(slots=True)
class _Question:
    asker: int
    id: int
    until: float
    missing: set[int] = field(default_factory=set)


class Tally:
    """The parent's side. Workers are known by a key of the parent's choice; time is given in."""

    def __init__(self) -> None:
        self._channels: dict[int, Channel] = {}
        self._last: dict[int, Snapshot] = {}
        self._past = Snapshot()
        self._questions: dict[int, _Question] = {}
        self._next_id = 1

    def join(self, key: int, channel: Channel) -> None:
        """A worker has started: it is asked from now on."""
        self._channels[key] = channel

    def leave(self, key: int, now: float) -> None:
        """A worker is gone. What it counted becomes past."""
        self._channels.pop(key, None)
        self._past = merge((self._past, self._last.pop(key, Snapshot()).counters()))
        self._questions = {id: one for id, one in self._questions.items() if one.asker != key}
        for one in self._questions.values():
            one.missing.discard(key)
        self.tick(now)

    def receive(self, key: int, message: Message, now: float) -> None:
        """A message of the worker on one of our topics."""
        try:
            self._last[key] = decode(message.body)
        except msgspec.MsgspecError as error:
            logger.warning("a worker's metrics cannot be read: %s", error)
        if message.topic == ASK:
            self._ask(key, message.id, now)
        else:
            question = self._questions.get(message.id)
            if question is not None:
                question.missing.discard(key)
        self.tick(now)

    def _ask(self, asker: int, id: int, now: float) -> None:
        ours = self._next_id
        self._next_id += 1
        question = self._questions[ours] = _Question(asker, id, now + ANSWER_S)
        for key, channel in self._channels.items():
            if key != asker and channel.send(REPORT, id=ours):
                question.missing.add(key)

    def tick(self, now: float) -> None:
        """Answer what is complete or has waited long enough."""
        for ours, question in list(self._questions.items()):
            if not question.missing or now >= question.until:
                del self._questions[ours]
                self._channels[question.asker].send(SUM, encode(self.total()), question.id)

    def total(self) -> Snapshot:
        """What everybody said last, and the past."""
        return merge((*self._last.values(), self._past))

    @property
    def due(self) -> float | None:
        """When `tick` should be called next; None: nobody waits."""
        return min((question.until for question in self._questions.values()), default=None)
