"""Values out of a fuzzer's bytes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


class Source:
    """Reads values from the front of `data`; past its end all are zero, first or empty."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def left(self) -> int:
        """How many bytes are left."""
        return max(0, len(self._data) - self._at)

    def byte(self) -> int:
        at = self._at
        self._at += 1
        return self._data[at] if at < len(self._data) else 0

    def number(self, size_bytes: int) -> int:
        return int.from_bytes(self.take(size_bytes))

    def one_of(self, choices: Sequence[T]) -> T:
        return choices[self.byte() % len(choices)]

    def take(self, size_bytes: int) -> bytes:
        """Fewer at the end of the data."""
        found = self._data[self._at : self._at + size_bytes]
        self._at += size_bytes
        return found

    def short(self) -> bytes:
        """As many as the next byte says."""
        return self.take(self.byte())

    def text(self) -> str:
        """All that is left, as header fields are read: Latin-1."""
        return self.rest().decode("latin-1")

    def rest(self) -> bytes:
        return self.take(self.left)


def pieces(data: bytes, sizes: Sequence[int]) -> list[bytes]:
    """`data` cut into pieces of these sizes, taken in turn; each is at least 1."""
    found = []
    at = turn = 0
    while at < len(data):
        size = sizes[turn % len(sizes)]
        found.append(data[at : at + size])
        at += size
        turn += 1
    return found
