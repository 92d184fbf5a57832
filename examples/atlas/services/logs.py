"""A text log, followed as it grows."""

import asyncio
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from msgspec import Meta

from atlas.locked import LOCK
from atlas.threads import in_thread
from polywire import Doc, Int64, Message, OutOfRange, Service, Tracked, current_call, query

READ_BYTES = 64 * 1024
"""At a time; also the longest line that is told in one piece."""


class LogLine(Message):
    text: str
    offset: Annotated[Int64, Doc("Where the next line begins, in bytes: go on from there.")]


@dataclass
class Reading:
    data: bytes
    size: int
    """Of the whole log."""
    inode: int


class Logs(Service, package="logs", lock=LOCK):
    """Tells what is in a log."""

    def __init__(self, path: Path, interval_s: float = 0.25) -> None:
        self.path = path
        self.interval_s = interval_s

    @query("GET /v1/logs/lines")
    async def tail(self, offset: Annotated[Int64, Meta(ge=0)] = 0) -> AsyncIterator[Tracked[LogLine]]:
        """Every whole line from `offset` on, and each new one when it is written, for as long as somebody listens.

        A browser that connects again goes on where it was. A log that is cut short or replaced is followed from its
        beginning.
        """
        resumed = current_call().resume_after or ""
        position = int(resumed) if resumed.isascii() and resumed.isdigit() and len(resumed) < 19 else offset
        inode: int | None = None
        while True:
            reading = await in_thread(self._read, position)
            if inode is None and reading.size < position:
                raise OutOfRange(f"the log has only {reading.size} bytes", reason="OFFSET_GONE")
            if reading.size < position or inode not in (None, reading.inode):
                position, inode = 0, reading.inode
                continue
            inode = reading.inode
            # After the last line break stands half a line: the rest is still to be written.
            *lines, half = reading.data.split(b"\n")
            if not lines and len(half) == READ_BYTES:
                position += len(half)
                yield Tracked(str(position), LogLine(half.decode(errors="replace"), position))
                continue
            for line in lines:
                position += len(line) + 1
                yield Tracked(str(position), LogLine(line.decode(errors="replace"), position))
            if not lines:
                await asyncio.sleep(self.interval_s)

    def _read(self, start: int) -> Reading:
        try:
            with self.path.open("rb") as log:
                found = os.fstat(log.fileno())
                log.seek(start)
                return Reading(log.read(READ_BYTES), found.st_size, found.st_ino)
        except FileNotFoundError:
            return Reading(b"", 0, 0)
