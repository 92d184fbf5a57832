"""The driver over real sockets: what a peer can do, and what comes of it."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import struct
from types import SimpleNamespace
from typing import Any

import h2.connection
import pytest

from polywire.runtime.health import State
from polywire.runtime.metrics import CONTENT_TYPE
from polywire.server.hub import Hub
from polywire.server.lingerer import Lingerer
from polywire.server.settings import ServerSettings

GET = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"


async def test_keeps_a_connection_and_answers_in_order(serving: Any, connect: Any) -> None:
    async with serving() as server:
        client = await connect(server)
        client.send(GET)
        assert await client.answer() == (200, b"1.1 http GET / ")
        client.send(b"GET /1 HTTP/1.1\r\nhost: a\r\n\r\nPOST /2 HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\nhi")
        assert await client.answer() == (200, b"1.1 http GET /1 ")
        assert await client.answer() == (200, b"1.1 http POST /2 hi")
        assert server.open_connections == 1


async def test_sends_date_and_server(serving: Any, connect: Any) -> None:
    async with serving() as server:
        client = await connect(server)
        client.send(GET)
        head = await client.reader.readuntil(b"\r\n\r\n")
        assert b"\r\ndate: " in head
        assert b" GMT\r\n" in head
        assert b"\r\nserver: polywire\r\n" in head


async def test_tells_the_peer(serving: Any, connect: Any, site: Any) -> None:
    async with serving() as server:
        client = await connect(server)
        client.send(GET)
        await client.answer()
        address, port = client.writer.get_extra_info("sockname")
        assert (site.peers[0].address, site.peers[0].port, site.peers[0].tls_version) == (address, port, None)


async def test_sends_an_answer_that_comes_later(serving: Any, connect: Any, site: Any) -> None:
    async with serving() as server:
        client = await connect(server)
        client.send(b"GET /wait HTTP/1.1\r\nhost: a\r\n\r\n")
        await until(lambda: site.waiting)
        site.release()
        assert await client.answer() == (200, b"1.1 http GET /wait ")


async def test_a_peer_that_has_half_closed_still_gets_its_answers(serving: Any, connect: Any, site: Any) -> None:
    async with serving() as server:
        client = await connect(server)
        client.send(b"GET /wait HTTP/1.1\r\nhost: a\r\n\r\n")
        client.writer.write_eof()
        await until(lambda: site.waiting)
        site.release()
        assert (await client.answer())[0] == 200
        assert await client.rest() == b""


async def test_a_half_closed_idle_connection_is_closed(serving: Any, connect: Any) -> None:
    async with serving() as server:
        client = await connect(server)
        client.send(GET)
        await client.answer()
        client.writer.write_eof()
        assert await client.rest() == b""
        await until(lambda: server.open_connections == 0)


async def test_a_peer_that_resets_is_gone_at_once(serving: Any, connect: Any, site: Any) -> None:
    async with serving(tick_s=60) as server:
        client = await connect(server)
        client.send(b"GET /wait HTTP/1.1\r\nhost: a\r\n\r\n")
        await until(lambda: site.waiting)
        opened = client.writer.get_extra_info("socket")
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.writer.transport.abort()
        await until(lambda: site.gone == 1)
        assert server.open_connections == 0


async def test_a_peer_that_closes_is_gone_after_a_while(serving: Any, connect: Any, site: Any) -> None:
    async with serving(half_close_s=0.1) as server:
        client = await connect(server)
        client.send(b"GET /wait HTTP/1.1\r\nhost: a\r\n\r\n")
        await until(lambda: site.waiting)
        client.writer.close()
        await until(lambda: site.gone == 1)
        assert server.open_connections == 0


async def test_an_error_answer_is_not_lost_to_a_reset(serving: Any) -> None:
    """The peer goes on sending after the error; closing with unread bytes would reset (RFC 9112 §9.6)."""
    async with serving(linger_s=3.0) as server:
        with socket.create_connection(("127.0.0.1", server.port)) as client:
            loop = asyncio.get_running_loop()
            client.setblocking(False)
            await loop.sock_sendall(client, b"GET / HTTP/1.1\r\nhost : a\r\n\r\n")
            for _ in range(20):
                await loop.sock_sendall(client, bytes(4096))
                await asyncio.sleep(0)
            received = b""
            while part := await asyncio.wait_for(loop.sock_recv(client, 65536), 3):
                received += part
            assert received.startswith(b"HTTP/1.1 400 ")


async def test_lingering_after_a_reset_that_nobody_has_read_ends_at_once() -> None:
    class Reset(asyncio.Transport):
        aborted = False

        def get_write_buffer_size(self) -> int:
            return 0

        def set_protocol(self, protocol: asyncio.BaseProtocol) -> None: ...

        def write_eof(self) -> None:
            raise OSError(errno.ENOTCONN, "Transport endpoint is not connected")

        def abort(self) -> None:
            self.aborted = True

    hub = Hub(lambda peer, sink: None, ServerSettings(), asyncio.get_running_loop())
    transport = Reset()
    Lingerer(hub, transport, "http1", resume=True)
    assert transport.aborted


async def test_a_peer_that_still_sends_is_heard_out_but_not_for_ever(serving: Any, connect: Any) -> None:
    async with serving(linger_s=0.05, body_timeout_s=1.0) as server:
        client = await connect(server)
        client.send(b"nonsense\r\n\r\n")
        assert (await client.rest()).startswith(b"HTTP/1.1 400 ")
        loop = asyncio.get_running_loop()
        began = loop.time()
        async with asyncio.timeout(10):
            while server.open_connections:
                client.send(b"x")
                await asyncio.sleep(0.01)  # a peer's pace
        assert loop.time() - began > 0.2


async def test_what_the_engine_refuses_is_told_to_the_site(serving: Any, connect: Any, site: Any) -> None:
    async with serving() as server:
        client = await connect(server)
        client.send(b"GET /a HTTP/1.1\r\nhost : a\r\n\r\n")
        assert (await client.answer())[0] == 400
        http2 = await connect(server)
        connection = h2.connection.H2Connection()
        connection.initiate_connection()
        head = [(":method", "GET"), (":scheme", "http"), (":authority", "a"), (":path", "/b"), ("x", "y" * 40_000)]
        connection.send_headers(1, head, end_stream=True)
        http2.send(connection.data_to_send())
        await until(lambda: len(site.refused) == 2)
        assert site.refused == [("GET", "/a", 400, True), ("GET", "/b", 431, False)]


async def test_lingering_is_bounded_in_bytes(serving: Any, connect: Any) -> None:
    async with serving(linger_s=60.0, linger_bytes=1000) as server:
        client = await connect(server)
        client.send(b"GET / HTTP/1.1\r\nhost : a\r\n\r\n")
        assert (await client.answer())[0] == 400
        client.send(bytes(5000))
        await until(lambda: server.open_connections == 0)


async def test_lingering_is_bounded_in_time(serving: Any, connect: Any) -> None:
    async with serving(linger_s=0.1) as server:
        client = await connect(server)
        client.send(b"nonsense\r\n\r\n")
        assert (await client.rest()).startswith(b"HTTP/1.1 400 ")
        await until(lambda: server.open_connections == 0)


async def test_closes_after_connection_close(serving: Any, connect: Any) -> None:
    async with serving() as server:
        client = await connect(server)
        client.send(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
        assert b"connection: close" in await client.rest()


TOO_SLOW = {
    "no byte at all": (b"", {"first_byte_timeout_s": 0.1}, b""),
    "half a preface": (b"PRI * HT", {"first_byte_timeout_s": 0.1}, b""),
    "half a request line": (b"GET /", {"head_timeout_s": 0.1}, b"HTTP/1.1 408 "),
    "half a head": (b"GET / HTTP/1.1\r\nhost: a\r\n", {"head_timeout_s": 0.1}, b"HTTP/1.1 408 "),
    "half a body": (
        b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\nhi",
        {"body_timeout_s": 0.1},
        b"HTTP/1.1 408 ",
    ),
}


@pytest.mark.parametrize("case", TOO_SLOW)
async def test_a_slow_peer_is_timed_out(serving: Any, connect: Any, case: str) -> None:
    sent, settings, expected = TOO_SLOW[case]
    async with serving(linger_s=0.1, **settings) as server:
        client = await connect(server)
        client.send(sent)
        received = await client.rest()
        assert received[: len(expected)] == expected
        assert bool(received) is bool(expected)
        await until(lambda: server.open_connections == 0)


async def test_a_head_that_drips_is_timed_out_all_the_same(serving: Any, connect: Any) -> None:
    async with serving(head_timeout_s=0.3) as server:
        client = await connect(server)
        client.send(b"GET / HTTP/1.1\r\nx: ")

        async def drip() -> None:
            while True:
                client.send(b"y")
                await asyncio.sleep(0.02)

        dripping = asyncio.create_task(drip())
        try:
            assert (await client.answer())[0] == 408
        finally:
            dripping.cancel()


async def test_a_body_that_drips_is_not_timed_out(serving: Any, connect: Any) -> None:
    async with serving(body_timeout_s=0.3) as server:
        client = await connect(server)
        client.send(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 30\r\n\r\n")
        for _ in range(30):
            client.send(b"y")
            await asyncio.sleep(0.02)
        assert await client.answer() == (200, b"1.1 http POST / " + b"y" * 30)


async def test_an_idle_connection_is_closed(serving: Any, connect: Any) -> None:
    async with serving(idle_timeout_s=0.15) as server:
        client = await connect(server)
        client.send(GET)
        await client.answer()
        assert await client.rest() == b""


async def test_an_open_request_is_not_idle(serving: Any, connect: Any, site: Any) -> None:
    async with serving(idle_timeout_s=0.1) as server:
        client = await connect(server)
        client.send(b"GET /wait HTTP/1.1\r\nhost: a\r\n\r\n")
        await until(lambda: site.waiting)
        await asyncio.sleep(0.3)
        site.release()
        assert (await client.answer())[0] == 200


async def test_a_peer_that_does_not_read_is_cut_off(serving: Any) -> None:
    async with serving(write_timeout_s=0.2) as server:
        with socket.socket() as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.connect(("127.0.0.1", server.port))
            client.sendall(b"GET /big HTTP/1.1\r\nhost: a\r\n\r\n")
            await until(lambda: server.open_connections == 1)
            await until(lambda: server.open_connections == 0)


async def test_so_is_one_that_has_ended_its_own_side(serving: Any) -> None:
    """Its answer waited in memory for as long as it liked, and it was counted no more."""
    async with serving(write_timeout_s=0.2) as server:
        with socket.socket() as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.connect(("127.0.0.1", server.port))
            client.sendall(b"GET /big HTTP/1.1\r\nhost: a\r\n\r\n")
            client.shutdown(socket.SHUT_WR)
            await until(lambda: server.open_connections == 1)
            await until(lambda: server.open_connections == 0)
            client.settimeout(5)
            size = 0
            with contextlib.suppress(ConnectionResetError):
                while part := client.recv(1 << 20):
                    size += len(part)
            assert size < 8 * 1024 * 1024


async def test_one_that_has_ended_its_side_gets_all_of_a_long_answer(serving: Any) -> None:
    async with serving() as server:
        with socket.create_connection(("127.0.0.1", server.port)) as client:
            client.sendall(b"GET /big HTTP/1.1\r\nhost: a\r\n\r\n")
            client.shutdown(socket.SHUT_WR)
            client.setblocking(False)
            size = 0
            while part := await asyncio.wait_for(asyncio.get_running_loop().sock_recv(client, 1 << 20), 5):
                size += len(part)
            assert size > 8 * 1024 * 1024
        await until(lambda: server.open_connections == 0)


async def test_a_peer_that_reads_slowly_is_not_cut_off(serving: Any) -> None:
    async with serving(write_timeout_s=1.0) as server:
        with socket.socket() as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
            client.connect(("127.0.0.1", server.port))
            client.setblocking(False)
            loop = asyncio.get_running_loop()
            await loop.sock_sendall(client, b"GET /big HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
            size = 0
            # Longer in all than the time-out, and never near it between two reads.
            while part := await loop.sock_recv(client, 128 * 1024):
                size += len(part)
                await asyncio.sleep(0.03)
            assert size > 8 * 1024 * 1024


async def test_connections_beyond_the_limit_are_closed_at_once(serving: Any, connect: Any) -> None:
    async with serving(max_connections=2) as server:
        first = [await connect(server) for _ in range(2)]
        await until(lambda: server.open_connections == 2)
        third = await connect(server)
        assert await third.rest() == b""
        for client in first:
            client.send(GET)
            assert (await client.answer())[0] == 200


async def test_counts_connections_for_the_metrics(serving: Any, connect: Any, site: Any) -> None:
    async with serving() as server:
        client = await connect(server)
        await connect(server)
        client.send(GET)
        await client.answer()
        await until(lambda: server.open_connections == 2)
        text = site.metrics.render()
        assert b'polywire_connections_open{protocol="http1"} 1\n' in text
        assert b'polywire_connections_open{protocol="new"} 1\n' in text
        assert CONTENT_TYPE.startswith("text/plain; version=0.0.4")


async def test_serves_until_it_drains(serving: Any, connect: Any, site: Any) -> None:
    async with serving() as server:
        assert site.health.state is State.SERVING
        idle, busy = await connect(server), await connect(server)
        idle.send(GET)
        await idle.answer()
        busy.send(b"GET /wait HTTP/1.1\r\nhost: a\r\n\r\n")
        await until(lambda: site.waiting)
        draining = asyncio.create_task(server.drain())
        assert await idle.rest() == b""
        assert site.health.state is State.DRAINING
        with pytest.raises(ConnectionRefusedError):
            await connect(server)
        site.release()
        assert b"connection: close" in await busy.rest()
        await asyncio.wait_for(draining, 3)
        assert site.stopped == 1


async def test_a_first_request_that_is_under_way_when_the_drain_begins_is_answered(serving: Any, connect: Any) -> None:
    async with serving() as server:
        client = await connect(server)
        await until(lambda: server.open_connections == 1)
        draining = asyncio.create_task(server.drain())
        await until(lambda: server.site.health.state is State.DRAINING)
        client.send(GET)
        status, body = await client.answer()
        assert (status, body) == (200, b"1.1 http GET / ")
        assert await client.rest() == b""
        await asyncio.wait_for(draining, 3)


async def test_an_idle_connection_may_bring_one_request_more(serving: Any, connect: Any) -> None:
    """The classical race: a client that sends on a kept-alive connection while the server begins to drain."""
    async with serving(drain_idle_s=5.0) as server:
        quick, slow = await connect(server), await connect(server)
        for client in (quick, slow):
            client.send(GET)
            assert (await client.answer())[0] == 200
        draining = asyncio.create_task(server.drain())
        await until(lambda: server.site.health.state is State.DRAINING)
        quick.send(GET + GET)
        answered = await quick.rest()
        assert answered.count(b"HTTP/1.1 200 ") == 1
        assert b"\r\nconnection: close\r\n" in answered
        for part in (b"\r\n", b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\n", b"o", b"k"):
            slow.send(part)
            await asyncio.sleep(0)
        assert (await slow.rest()).endswith(b" / ok")
        await asyncio.wait_for(draining, 3)


async def test_an_idle_connection_is_closed_when_its_time_is_over(serving: Any, connect: Any) -> None:
    async with serving(drain_idle_s=0.1) as server:
        client = await connect(server)
        client.send(GET)
        await client.answer()
        draining = asyncio.create_task(server.drain())
        assert await client.rest() == b""
        await asyncio.wait_for(draining, 3)


async def test_an_idle_connection_that_leaves_ends_the_drain(serving: Any, connect: Any) -> None:
    async with serving(drain_idle_s=60.0) as server:
        client = await connect(server)
        client.send(GET)
        await client.answer()
        draining = asyncio.create_task(server.drain())
        await until(lambda: server.site.health.state is State.DRAINING)
        await client.close()
        await asyncio.wait_for(draining, 3)


async def test_calls_that_outlast_the_drain_are_answered_unavailable(serving: Any, connect: Any, site: Any) -> None:
    async with serving() as server:
        client = await connect(server)
        client.send(b"GET /wait HTTP/1.1\r\nhost: a\r\n\r\n")
        await until(lambda: site.waiting)
        draining = asyncio.create_task(server.drain(0.1))
        assert (await client.rest()).startswith(b"HTTP/1.1 503 ")
        await draining


async def test_a_worker_that_is_replaced_tells_its_sockets_too(serving: Any, site: Any) -> None:
    async with serving() as server:
        await server.drain(seat=SimpleNamespace(retiring=True, deaf=lambda: None))
        assert site.left == 1
        assert site.health.state is State.SERVING, "another goes on accepting"


async def until(condition: Any) -> None:
    """Let the loop run until `condition()`; the server's own ticker moves it on."""
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 -- what is waited for is the kernel
            await asyncio.sleep(0.005)
