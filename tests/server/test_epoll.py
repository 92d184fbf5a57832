"""The server's own transport: what asyncio says a transport does, over real sockets."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from polywire.server._epoll import EPOLL, Poller, SocketTransport

pytestmark = pytest.mark.skipif(not EPOLL, reason="there is no epoll")


class Notes(asyncio.Protocol):
    """Writes down what it is told."""

    def __init__(self) -> None:
        self.received = b""
        self.told: list[Any] = []
        self.news = asyncio.Event()
        self.stays_open = True
        self.on_data: Callable[[bytes], None] | None = None

    def _note(self, what: Any) -> None:
        self.told.append(what)
        self.news.set()

    def data_received(self, data: bytes) -> None:
        self.received += data
        self.news.set()
        if self.on_data is not None:
            self.on_data(data)

    def eof_received(self) -> bool:
        self._note("eof")
        return self.stays_open

    def pause_writing(self) -> None:
        self._note("pause")

    def resume_writing(self) -> None:
        self._note("resume")

    def connection_lost(self, exc: Exception | None) -> None:
        self._note(("lost", type(exc)))

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(5):
            while not condition():
                self.news.clear()
                await self.news.wait()


class Pair:
    """A transport and its peer, a plain socket."""

    def __init__(self, poller: Poller) -> None:
        listening = socket.create_server(("127.0.0.1", 0))
        self.peer = socket.create_connection(listening.getsockname())
        accepted, _ = listening.accept()
        listening.close()
        accepted.setblocking(False)
        self.peer.settimeout(5)
        self.notes = Notes()
        self.fd = accepted.fileno()
        self.transport = SocketTransport(poller, accepted.detach(), self.notes)

    async def receive(self, count: int) -> bytes:
        """So many bytes at the peer."""
        data = b""
        while len(data) < count:
            part = await asyncio.to_thread(self.peer.recv, count - len(data))
            if not part:
                break
            data += part
        return data

    def reset(self) -> None:
        self.peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.peer.close()


@asynccontextmanager
async def pairs() -> AsyncIterator[Callable[[], Pair]]:
    poller = Poller(asyncio.get_running_loop())
    made: list[Pair] = []

    def make() -> Pair:
        made.append(Pair(poller))
        return made[-1]

    try:
        yield make
    finally:
        poller.close()
        for pair in made:
            pair.peer.close()


@asynccontextmanager
async def a_pair() -> AsyncIterator[Pair]:
    async with pairs() as make:
        yield make()


async def test_bytes_go_both_ways() -> None:
    async with a_pair() as pair:
        pair.peer.sendall(b"one")
        await pair.notes.until(lambda: pair.notes.received == b"one")
        pair.transport.write(b"two")
        assert await pair.receive(3) == b"two"
        pair.transport.write(b"")
        assert pair.transport.get_write_buffer_size() == 0


async def test_more_than_the_peer_takes_is_kept_in_order_and_told() -> None:
    async with a_pair() as pair:
        parts = [bytes([n % 256]) * 70_000 for n in range(300)]
        for part in parts:
            pair.transport.write(part)
        assert pair.notes.told == ["pause"]
        assert pair.transport.get_write_buffer_size() > 65_536
        assert await pair.receive(sum(map(len, parts))) == b"".join(parts)
        await pair.notes.until(lambda: pair.notes.told == ["pause", "resume"])
        assert pair.transport.get_write_buffer_size() == 0


async def test_close_sends_what_is_kept() -> None:
    async with a_pair() as pair:
        pair.transport.write(b"x" * 20_000_000)
        pair.transport.close()
        pair.transport.write(b"never")
        assert pair.transport.is_closing()
        assert len(await pair.receive(20_000_000)) == 20_000_000
        await pair.notes.until(lambda: pair.notes.told == ["pause", ("lost", type(None))])


async def test_abort_does_not() -> None:
    async with a_pair() as pair:
        pair.transport.write(b"x" * 20_000_000)
        pair.transport.abort()
        assert pair.transport.get_write_buffer_size() == 0
        assert ("lost", type(None)) not in pair.notes.told, "told in a later turn"
        await pair.notes.until(lambda: ("lost", type(None)) in pair.notes.told)
        with pytest.raises(OSError, match="Bad file descriptor"):
            socket.socket(fileno=pair.fd)


async def test_the_end_of_one_side_is_not_the_end() -> None:
    async with a_pair() as pair:
        pair.peer.shutdown(socket.SHUT_WR)
        await pair.notes.until(lambda: pair.notes.told == ["eof"])
        pair.transport.write(b"still")
        assert await pair.receive(5) == b"still"
        pair.transport.write_eof()
        pair.transport.write_eof()
        assert await pair.receive(1) == b""
        with pytest.raises(RuntimeError):
            pair.transport.write(b"late")
        assert pair.notes.told == ["eof"]


async def test_a_protocol_may_want_both_sides_closed() -> None:
    async with a_pair() as pair:
        pair.notes.stays_open = False
        pair.peer.shutdown(socket.SHUT_WR)
        await pair.notes.until(lambda: pair.notes.told == ["eof", ("lost", type(None))])
        assert await pair.receive(1) == b""


async def test_write_eof_waits_for_what_is_kept() -> None:
    async with a_pair() as pair:
        pair.transport.write(b"x" * 20_000_000)
        pair.transport.write_eof()
        assert len(await pair.receive(20_000_001)) == 20_000_000


async def test_nothing_is_read_while_reading_is_paused() -> None:
    async with pairs() as make:
        pair, other = make(), make()
        pair.transport.pause_reading()
        pair.transport.pause_reading()
        pair.peer.sendall(b"waits")
        other.peer.sendall(b"comes")
        await other.notes.until(lambda: other.notes.received == b"comes")
        assert pair.notes.received == b""
        pair.transport.resume_reading()
        await pair.notes.until(lambda: pair.notes.received == b"waits")


@pytest.mark.parametrize("paused", [False, True])
async def test_a_reset_is_noticed_even_where_nothing_is_read(paused: bool) -> None:
    async with a_pair() as pair:
        if paused:
            pair.transport.pause_reading()
        pair.reset()
        await pair.notes.until(lambda: pair.notes.told == [("lost", ConnectionResetError)])
        pair.transport.write(b"to nobody")


async def test_what_came_before_the_end_of_both_sides_waits_to_be_read() -> None:
    async with a_pair() as pair:
        pair.transport.pause_reading()
        pair.transport.write_eof()
        pair.peer.sendall(b"last words")
        pair.peer.shutdown(socket.SHUT_WR)
        assert await pair.receive(1) == b""
        for _ in range(10):
            await asyncio.sleep(0)
        assert pair.notes.told == []
        pair.transport.resume_reading()
        await pair.notes.until(lambda: pair.notes.told == ["eof"])
        assert pair.notes.received == b"last words"


async def test_a_write_to_who_is_gone_ends_it_later() -> None:
    async with a_pair() as pair:
        pair.transport.pause_reading()
        pair.reset()
        pair.transport.write(b"one")
        pair.transport.write(b"two")
        await pair.notes.until(lambda: len(pair.notes.told) == 1)
        [(what, kind)] = pair.notes.told
        assert what == "lost"
        assert issubclass(kind, ConnectionError)


async def test_a_protocol_that_fails_costs_its_own_connection_only() -> None:
    failures: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: failures.append(context))

    def fail(_: bytes) -> None:
        raise ValueError("broken")

    async with pairs() as make:
        pair, other = make(), make()
        pair.notes.on_data = fail
        pair.peer.sendall(b"a")
        other.peer.sendall(b"b")
        await pair.notes.until(lambda: ("lost", ValueError) in pair.notes.told)
        await other.notes.until(lambda: other.notes.received == b"b")
    assert [str(one["exception"]) for one in failures] == ["broken"]


async def test_many_that_close_each_other_within_one_turn() -> None:
    async with pairs() as make:
        some = [make() for _ in range(100)]

        def end_all(_: bytes) -> None:
            for one in some:
                one.transport.abort()

        for one in some:
            one.notes.on_data = end_all
            one.peer.sendall(b"now")
        for one in some:
            await one.notes.until(lambda one=one: one.notes.told == [("lost", type(None))])  # type: ignore[misc]
        assert sum(1 for one in some if one.notes.received) == 1


async def test_what_is_open_when_the_poller_closes_is_closed() -> None:
    async with a_pair() as pair:
        pass
    with pytest.raises(OSError, match="Bad file descriptor"):
        socket.socket(fileno=pair.fd)
