"""Newline-delimited JSON: one value a line."""

from __future__ import annotations

from typing import Final

from polywire.errors import TOO_LARGE, ResourceExhausted, RpcError

_MOST_LINES: Final = 256
"""Split off at a time: 256 KiB may hold 100,000."""
_MOST_BYTES: Final = 16 * 1024
"""Looked at at a time, as what lies behind the last line is copied."""


class LineSplitter:
    """Lines out of a stream of bytes, without their ends; blank ones are left out. A `Splitter`.

    Lines end in LF or CRLF, the last one also where the body ends. One above `limit_bytes` is TOO_LARGE.
    """

    def __init__(self, limit_bytes: int) -> None:
        self.error: RpcError | None = None
        self.waiting = 0
        self._limit = limit_bytes
        self._data = b""
        """Its last `waiting` bytes are not split yet."""
        self._rest = bytearray()
        """Of a line whose end has not come."""

    @property
    def is_clear(self) -> bool:
        return not (self.waiting or self._rest or self.error)

    @property
    def unfinished(self) -> int:
        return len(self._rest)

    def feed(self, data: bytes) -> list[bytes]:
        if self.error is not None:
            return []
        at = 0
        if self.waiting and data:
            data = self._data[-self.waiting :] + data
        elif self.waiting:
            data = self._data
            at = len(data) - self.waiting
        piece = data[at : at + _MOST_BYTES]
        *lines, rest = piece.split(b"\n", _MOST_LINES)
        at += len(piece)
        if len(lines) == _MOST_LINES:
            at -= len(rest)
            rest = b""
        self.waiting = len(data) - at
        self._data = data if self.waiting else b""
        if lines and self._rest:
            lines[0] = bytes(self._rest) + lines[0]
            self._rest.clear()
        self._rest += rest
        found = self._checked(lines)
        if len(self._rest) > self._limit + 1:  # the last may be the CR of its end
            self._refuse()
        return found

    def end(self) -> list[bytes]:
        last = bytes(self._rest)
        self._rest.clear()
        return [] if self.error is not None else self._checked([last])

    def _checked(self, lines: list[bytes]) -> list[bytes]:
        found = []
        for line in lines:
            if len(line) > self._limit and len(line.removesuffix(b"\r")) > self._limit:
                self._refuse()
                break
            stripped = line.strip(b" \t\r")
            if stripped:
                found.append(stripped)
        return found

    def _refuse(self) -> None:
        if self.error is None:
            self.error = ResourceExhausted(f"a line is larger than {self._limit} bytes", reason=TOO_LARGE)
        self.waiting = 0
        self._data = b""
        self._rest.clear()
