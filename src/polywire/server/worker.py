"""A worker's side of `--workers`: its place under a parent, and what it says and hears on the channel."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from polywire.runtime.snapshot import decode, encode, render
from polywire.server import tally
from polywire.server.channel import Channel, ChannelError, Message

if TYPE_CHECKING:
    from polywire.runtime.metrics import Metrics

READY, DEAF, RETIRE, STOP, CUT = "ready", "deaf", "retire", "stop", "cut"
"""Topics: it serves; it accepts no more; end, another has come; end, as everybody does; do not wait any longer."""
_LAST_WORDS_S = 1.0
_SUM_S = 2.0
"""For the parent's answer, which itself waits `tally.ANSWER_S` at most."""


class Ready(msgspec.Struct, array_like=True):
    """What a worker says when it serves. banner: the start-up text. drain_s: how long its end may take."""

    banner: str
    drain_s: float


class Seat:
    """The place that a process has as a worker. Made in the parent just after the fork; used in the worker only.

    sockets: to accept from. They are the parent's too, and outlive this worker.
    """

    def __init__(self, channel: Channel, sockets: list[socket.socket]) -> None:
        self.sockets = sockets
        self.retiring = False
        """Another worker goes on accepting from our sockets: the service as a whole stays ready."""
        self._stopping = False
        self._channel = channel
        self._loop: asyncio.AbstractEventLoop | None = None
        self._writing = False
        self._metrics: Metrics | None = None
        self._asked: asyncio.Future[bytes] | None = None
        self._ask_id = 0
        self._end: Callable[[], None] = _nothing
        self._cut: Callable[[], None] = _nothing

    def attach(self, metrics: Metrics, end: Callable[[], None], cut: Callable[[], None]) -> None:
        """Listen to the parent, in the running loop, until `detach`.

        end: called when this worker is to drain, also where the parent is gone; `retiring` says which way. It may come
        twice. cut: called when it is not to wait any longer.
        """
        self._loop = asyncio.get_running_loop()
        self._metrics, self._end, self._cut = metrics, end, cut
        metrics.gather = self.gather
        self._loop.add_reader(self._channel.fileno(), self._on_readable)

    def detach(self) -> None:
        """Say the last counts, and nothing any more."""
        if self._loop is None or self._metrics is None:
            return
        loop, self._loop = self._loop, None
        if self._channel.fileno() >= 0:
            loop.remove_reader(self._channel.fileno())
            loop.remove_writer(self._channel.fileno())
            self._channel.send(tally.REPORT, encode(self._metrics.snapshot()))
            self._channel.close(_LAST_WORDS_S)

    def on_terminate(self) -> None:
        """SIGTERM: the parent's comes after its message, so that one alone was sent by somebody else."""
        self._on_readable()
        self.retiring = not self._stopping
        self._end()

    def ready(self, banner: str, drain_s: float) -> None:
        """Say that this worker accepts."""
        self._send(READY, msgspec.msgpack.encode(Ready(banner, drain_s)))

    def deaf(self) -> None:
        """Say that it accepts no more."""
        self._send(DEAF)

    async def gather(self) -> bytes | None:
        """The metrics of all workers as text; None where the parent does not answer. One question at a time."""
        asked = self._asked
        if asked is None:
            assert self._metrics is not None, "gather is the metrics' own once attached"
            asked = self._asked = asyncio.get_running_loop().create_future()
            self._ask_id += 1
            self._send(tally.ASK, encode(self._metrics.snapshot()), self._ask_id)
        try:
            async with asyncio.timeout(_SUM_S):
                body = await asyncio.shield(asked)
        except TimeoutError:
            if self._asked is asked:
                self._asked = None
            return None
        return render(decode(body))

    def _on_readable(self) -> None:
        if self._channel.fileno() < 0:
            return
        try:
            messages = self._channel.receive()
        except ChannelError:
            self._lost()
            return
        for message in messages:
            self._on_message(message)

    def _on_message(self, message: Message) -> None:
        if message.topic == tally.REPORT and self._metrics is not None:
            self._send(tally.REPORT, encode(self._metrics.snapshot()), message.id)
        elif message.topic == tally.SUM:
            if message.id == self._ask_id and self._asked is not None:
                if not self._asked.done():
                    self._asked.set_result(message.body)
                self._asked = None
        elif message.topic == RETIRE:
            self.retiring = True
            self._end()
        elif message.topic == STOP:
            self.retiring, self._stopping = False, True
            self._end()
        elif message.topic == CUT:
            self._cut()

    def _lost(self) -> None:
        """The parent is gone; without it nobody would replace this worker, or end it."""
        self._stopping = True
        if self._channel.fileno() >= 0 and self._loop is not None:
            self._loop.remove_reader(self._channel.fileno())
            self._loop.remove_writer(self._channel.fileno())
            self._channel.close()
        self._end()

    def _send(self, topic: str, body: bytes = b"", id: int = 0) -> None:
        self._channel.send(topic, body, id)
        if self._channel.wants_write and self._loop is not None and not self._writing:
            self._writing = True
            self._loop.add_writer(self._channel.fileno(), self._on_writable)

    def _on_writable(self) -> None:
        self._channel.flush()
        if not self._channel.wants_write and self._loop is not None:
            self._writing = False
            self._loop.remove_writer(self._channel.fileno())


def _nothing() -> None:
    """Before somebody is there to be told."""
