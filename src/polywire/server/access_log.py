"""The access log: one line per finished exchange, JSON or text, written in one batch per loop turn."""

from __future__ import annotations

import asyncio
import os
import re
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from polywire.http.exchange import Exchange
    from polywire.runtime.call import Peer

_MAX_TEXT = 1024
"""Characters of one value that a client chose; the rest is cut."""
_SHORT_TEXT = 200
_TOGETHER = 4096
"""PIPE_BUF of Linux: what write(2) does not mix with what others write to the same pipe."""
_MAX_PENDING = 10_000
"""Lines held for one turn; more are dropped and counted, memory is not the place for a log."""

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\\\\]")
"""Also the backslash, so that an escape can be told from the same characters sent by a client."""


class Line(msgspec.Struct, omit_defaults=True):
    ts: str
    level: str
    method: str
    path: str
    status: int
    duration_ms: float
    bytes: int
    version: str
    peer: str
    request_id: str
    user_agent: str | None = None


class AccessLog:
    """Takes finished exchanges by `record` and writes them to a file descriptor.

    descriptor: of the open file, 1 or 2 as a rule; it is not closed here. text: lines for people instead of JSON.
    color: with ANSI colours, for a terminal.
    shared: other processes write to the same pipe or file, so that each write is of whole lines and of no more bytes
    than the kernel keeps together (PIPE_BUF). Nothing that happens in here reaches the exchange that is logged.
    """

    def __init__(
        self,
        descriptor: int,
        loop: asyncio.AbstractEventLoop,
        *,
        text: bool = False,
        color: bool = False,
        shared: bool = False,
        clock_ns: Callable[[], int] = time.monotonic_ns,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._descriptor = descriptor
        self._loop = loop
        self._encode = self._text if text else msgspec.json.Encoder().encode
        self._color = color
        self._shared = shared
        self._clock_ns = clock_ns
        self._wall = wall
        self._pending: list[tuple[Any, ...]] = []
        self._dropped = 0

    def record(self, exchange: Exchange) -> None:
        """Note a finished exchange; its line is written at the end of this loop turn."""
        pending = self._pending
        if len(pending) >= _MAX_PENDING:
            self._dropped += 1
            return
        if not pending:
            self._loop.call_soon(self.flush)
        pending.append(
            (
                self._wall(),
                exchange.method,
                exchange.path,
                exchange.status,
                self._clock_ns() - exchange.started_ns,
                exchange.sent_body_bytes,
                exchange.version,
                exchange.peer,
                exchange.request_id,
                exchange.headers.get("user-agent"),
            )
        )

    def flush(self) -> None:
        """Write what is noted. A line that cannot be made is replaced by one that says so; a lost log is only lost."""
        pending, self._pending = self._pending, []
        lines = []
        for noted in pending:
            try:
                line = self._encode(_line(*noted))
                lines.append(line if len(line) < _TOGETHER or not self._shared else self._encode(_shortened(*noted)))
            except Exception as error:
                lines.append(b'{"level":"error","message":"access log line lost: %s"}' % type(error).__name__.encode())
        if self._dropped:
            lines.append(b'{"level":"warning","message":"access log lines dropped: %d"}' % self._dropped)
            self._dropped = 0
        if self._shared:
            for part in _parts(lines):
                _write(self._descriptor, part)
        elif lines:
            lines.append(b"")
            _write(self._descriptor, b"\n".join(lines))

    def _text(self, line: Line) -> bytes:
        status = f"{line.status:3}"
        if self._color:
            status = f"\x1b[{_COLORS.get(line.status // 100, 31)}m{status}\x1b[0m"
        return (
            f"{line.ts[11:23]} {status} {_plain(line.method):7} {_plain(line.path):40} {line.duration_ms:9.3f} ms "
            f"{line.bytes:8} B  HTTP/{line.version:3} {line.peer} {line.request_id}"
        ).encode()


_COLORS = {1: 36, 2: 32, 3: 36, 4: 33}


def _line(
    at: float,
    method: str,
    path: str,
    status: int,
    duration_ns: int,
    sent_bytes: int,
    version: str,
    peer: Peer,
    request_id: str,
    user_agent: str | None,
) -> Line:
    return Line(
        ts=timestamp(at),
        level="info" if status < 500 else "error",
        method=_cut(method),
        path=_cut(path),
        status=status,
        duration_ms=round(duration_ns / 1e6, 3),
        bytes=sent_bytes,
        version=version,
        peer=_where(peer),
        request_id=request_id,
        user_agent=None if user_agent is None else _cut(user_agent),
    )


def _shortened(at: float, method: str, path: str, *others: Any) -> Line:
    """A line that is sure to be written in one piece: no character becomes more than 7 bytes."""
    line = _line(at, method[:_SHORT_TEXT], path[:_SHORT_TEXT] + "…", *others)
    line.user_agent = None
    return line


def _parts(lines: list[bytes]) -> Iterator[bytes]:
    """The lines, joined to pieces of up to `_TOGETHER` bytes."""
    part: list[bytes] = []
    size = 0
    for line in lines:
        if size + len(line) + 1 > _TOGETHER and part:
            yield b"\n".join([*part, b""])
            part, size = [], 0
        part.append(line)
        size += len(line) + 1
    if part:
        yield b"\n".join([*part, b""])


def _where(peer: Peer) -> str:
    if not peer.port:
        return _cut(peer.address)  # a Unix socket, or a client of whom a proxy says no more
    return f"[{peer.address}]:{peer.port}" if ":" in peer.address else f"{peer.address}:{peer.port}"


def timestamp(at: float) -> str:
    """RFC 3339 in UTC, with milliseconds."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _cut(value: str) -> str:
    if len(value) > _MAX_TEXT:
        value = value[:_MAX_TEXT] + "…"
    # JSON escapes C0; C1 and the rest would still move a terminal that shows the log.
    return _plain(value) if _CONTROL.search(value) else value


def _plain(value: str) -> str:
    """`value` with everything that could end a line or steer a terminal written as an escape."""
    return _CONTROL.sub(_escape, value)


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    return "\\\\" if code == 0x5C else f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def _write(descriptor: int, data: bytes) -> None:
    """All of it, or as much as the other end takes: a reader that is gone or full must not stop the server."""
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(descriptor, view) :]
        except InterruptedError:
            continue
        except OSError:
            return
