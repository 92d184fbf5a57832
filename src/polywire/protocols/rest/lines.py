"""Newline-delimited JSON: one value a line."""

from __future__ import annotations

from polywire.errors import TOO_LARGE, ResourceExhausted, RpcError


class LineSplitter:
    """Lines out of a stream of bytes, without their ends; blank ones are left out. A `Splitter`.

    Lines end in LF or CRLF, the last one also where the body ends. One above `limit_bytes` is TOO_LARGE.
    """

    def __init__(self, limit_bytes: int) -> None:
        self.error: RpcError | None = None
        self._limit = limit_bytes
        self._rest = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        *lines, rest = data.split(b"\n")
        if lines and self._rest:
            lines[0] = bytes(self._rest) + lines[0]
            self._rest.clear()
        self._rest += rest
        found = self._checked(lines)
        if len(self._rest) > self._limit + 1:  # the last may be the CR of its end
            self._refuse()
        return found

    def end(self) -> list[bytes]:
        return [] if self.error is not None else self._checked([bytes(self._rest)])

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
