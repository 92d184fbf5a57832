"""Streams over REST as a test reads them: lines of JSON and server-sent events, with errors as exceptions."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import msgspec

import polywire.errors as errors
from polywire.errors import Code, FieldViolation, RpcError
from polywire.testing.memory import MemorySink

_CLASSES = {cls.code: cls for cls in RpcError.__subclasses__() if cls.__module__ == errors.__name__}
_BY_REASON: dict[str | None, type[RpcError]] = {
    errors.INVALID: errors.InvalidInput,
    errors.MALFORMED: errors.MalformedInput,
}


@dataclass(frozen=True, slots=True)
class Event:
    """A server-sent event."""

    value: Any
    """Its data, parsed as JSON."""
    id: str | None = None
    """The item's position, to go on after it; None: it has none."""


async def read_lines(sink: MemorySink) -> AsyncGenerator[Any, None]:
    """The values of a stream of JSON lines. Raises the RpcError that the server answers with, or ends with."""
    async for line in _split(sink, b"\n"):
        value = msgspec.json.decode(line)
        if isinstance(value, dict) and value.keys() == {"error"}:
            raise read_error(value)
        yield value


async def read_events(sink: MemorySink) -> AsyncGenerator[Event, None]:
    """The events of a stream until its `end`, without comments. Raises as `read_lines`."""
    async for block in _split(sink, b"\n\n"):
        lines = [line for line in block.decode().split("\n") if not line.startswith(":")]
        fields = dict(line.split(": ", 1) for line in lines)
        if "data" not in fields:
            continue
        value = msgspec.json.decode(fields["data"])
        name = fields.get("event")
        if name == "failure":
            raise read_error(value)
        if name == "end":
            return
        yield Event(value, fields.get("id"))


def read_error(envelope: Any) -> RpcError:
    """The error that an envelope tells, of the class that fits."""
    told = envelope["error"]
    code, reason = Code[told["code"]], told.get("reason")
    details = [FieldViolation(**d) if d.keys() == {"field", "reason"} else d for d in told["details"]]
    cls = _BY_REASON.get(reason, RpcError)
    cls = cls if cls.code is code else _CLASSES[code]
    # Of the class alone: subclasses of these have constructors of their own.
    error = cls.__new__(cls)
    RpcError.__init__(error, told["message"], code=code, reason=reason, details=details)
    return error


async def _split(sink: MemorySink, end: bytes) -> AsyncIterator[bytes]:
    """The body in parts that end with `end`; the last where it ends. Raises the error that was answered instead."""
    buffer = b""
    while part := await sink.received():
        *parts, buffer = (buffer + part).split(end)
        for one in parts:
            yield one
    answer = await sink.answer()
    if answer.status >= 400:
        raise read_error(msgspec.json.decode(buffer))
    if buffer:
        yield buffer


@asynccontextmanager
async def feeding(
    sink: MemorySink, items: AsyncIterable[Any] | Iterable[Any] | None, encode: Callable[[Any], bytes]
) -> AsyncIterator[None]:
    """Let the items arrive while the answer is read; what making them raises is raised at the end. None: no items."""
    if items is None:
        yield
        return
    if not isinstance(items, AsyncIterable):
        sink.feed(b"".join([encode(item) for item in items]), end=True)
        yield
        return
    task = asyncio.create_task(_feed(sink, items, encode))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait({task})
        if not task.cancelled() and (failure := task.exception()) is not None:
            raise failure


async def _feed(sink: MemorySink, items: AsyncIterable[Any], encode: Callable[[Any], bytes]) -> None:
    try:
        async for item in items:
            if sink.closed:
                return
            sink.feed(encode(item))
            # Others get their turn, also where the items come without waiting.
            await asyncio.sleep(0)
        sink.feed(b"", end=True)
    except BaseException:
        sink.leave()
        raise
