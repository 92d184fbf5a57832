"""A TCP proxy that cuts what goes through it: in the middle of what is sent, by FIN or RST, or after a silence."""

from __future__ import annotations

import asyncio
import socket
import struct
from asyncio import StreamReader, StreamWriter
from collections import Counter
from random import Random
from typing import Any

_RESET = struct.pack("ii", 1, 0)
_PATIENCE_S = 0.5
"""For something to be cut in the middle of; then the connection is cut as it is."""
_SILENCE_S = 0.5


class Proxy:
    """port: of the server. cut_s: how long a connection lasts on average; each differs."""

    def __init__(self, port: int, cut_s: float, random: Random) -> None:
        self.cuts: Counter[str] = Counter()
        """How often each way."""
        self.cutting = False
        self.open: set[_Pair] = set()
        self.cut_s = cut_s
        self.random = random
        self._to = port
        self._server: Any = None

    @property
    def port(self) -> int:
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, backlog=1024)

    async def stop(self) -> None:
        self._server.close()
        for pair in list(self.open):
            pair.reset()

    def begin(self) -> None:
        """Cut from now on, also what is open already."""
        self.cutting = True
        for pair in self.open:
            pair.arm()

    async def _serve(self, reader: StreamReader, writer: StreamWriter) -> None:
        try:
            up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self._to)
        except OSError:
            self.cuts["refused"] += 1
            _reset(writer)
            return
        pair = _Pair(self, writer, up_writer)
        self.open.add(pair)
        if self.cutting:
            pair.arm()
        try:
            await asyncio.gather(pair.pump(reader, up_writer), pair.pump(up_reader, writer))
        finally:
            self.open.discard(pair)
            pair.end()


class _Pair:
    """One connection: both halves of it."""

    def __init__(self, proxy: Proxy, down: StreamWriter, up: StreamWriter) -> None:
        self._proxy = proxy
        self._writers = (down, up)
        self._due = False
        self._how = proxy.random.choice(("in the middle, FIN", "in the middle, RST", "RST", "silence"))
        self._timers: list[asyncio.TimerHandle] = []

    def arm(self) -> None:
        loop = asyncio.get_running_loop()
        life_s = self._proxy.random.uniform(0, 2 * self._proxy.cut_s)
        self._timers.append(loop.call_later(life_s, self._ripe))

    def _ripe(self) -> None:
        if not self._proxy.cutting:
            return
        self._due = True
        if self._how == "RST":
            self._cut()
        else:
            patience_s = _PATIENCE_S + (_SILENCE_S if self._how == "silence" else 0)
            self._timers.append(asyncio.get_running_loop().call_later(patience_s, self._cut))

    async def pump(self, reader: StreamReader, writer: StreamWriter) -> None:
        """All that comes from one side to the other, until it is cut."""
        try:
            while (data := await reader.read(65536)) and not writer.is_closing():
                if self._due:
                    if self._how == "silence":
                        continue
                    writer.write(data[: self._proxy.random.randrange(len(data))])
                    self._cut()
                    return
                writer.write(data)
                await writer.drain()
        except ConnectionError:
            pass
        for each in self._writers:
            each.close()

    def _cut(self) -> None:
        self._proxy.cuts[self._how] += 1
        if self._how.endswith("FIN"):
            for writer in self._writers:
                writer.close()
        else:
            self.reset()
        self.end()

    def reset(self) -> None:
        for writer in self._writers:
            _reset(writer)

    def end(self) -> None:
        for timer in self._timers:
            timer.cancel()


def _reset(writer: StreamWriter) -> None:
    opened = writer.get_extra_info("socket")
    if opened is not None and not writer.is_closing():
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    writer.transport.abort()
