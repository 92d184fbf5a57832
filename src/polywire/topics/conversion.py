"""Publications to the events of a topic: once for all subscribers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from polywire.runtime._outlet import SharedBatch
from polywire.schema.message import MessageMeta
from polywire.shared import Shared
from polywire.topics._delivery import LastBatch
from polywire.topics.broker import Lost, Position, Publication, What
from polywire.topics.events import GAP_OF, Gap, GapReason


class Conversion(LastBatch):
    """Makes events, those of a batch once."""

    def __init__(
        self,
        event: MessageMeta,
        decode: Callable[[bytes], Any],
        decode_member: Callable[[bytes], Any],
        *,
        resumable: bool,
    ) -> None:
        """resumable: the events have positions to resume from; those of a pattern have not."""
        self._event = event
        self._decode = decode
        self._decode_member = decode_member
        self._resumable = resumable

    def items(self, batch: Sequence[Publication]) -> list[tuple[Shared, str | None]]:
        return [(Shared(self.event(one)), one.id if self._resumable else None) for one in batch]

    def convert(self, batch: Sequence[Publication]) -> SharedBatch:
        return SharedBatch(self.items(batch))

    def event(self, one: Publication) -> Any:
        if one.what is What.MESSAGE:
            return self._event(one.id, one.topic, self._decode(one.data))
        member = self._decode_member(one.data)
        if one.what is What.JOINED:
            return self._event(one.id, one.topic, joined=member)
        return self._event(one.id, one.topic, left=member)

    def greeting(self, position: Position | None, after: str, lost: Lost | None) -> Shared:
        gap = None if lost is None else Gap(after, GAP_OF[lost])
        if position is None:
            # A pattern: what was missed of all its topics is not known.
            return Shared(self._event("", gap=Gap(after, GapReason.HISTORY_GONE) if after else None))
        return Shared(self._event(str(position), gap=gap))

    def gap(self, after: str, reason: GapReason) -> Shared:
        return Shared(self._event(after, gap=Gap(after, reason)))
