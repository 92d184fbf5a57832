"""Connections: opened when needed, shared, lost, drained, refused, replaced."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
import uvloop

import polywire
from polywire import (
    Cancelled,
    DeadlineExceeded,
    ResourceExhausted,
    Unavailable,
)
from polywire.client import ChannelSettings
from polywire.client.pool import Pool
from polywire.server.settings import HTTP1, TLS
from polywire.wire.limits import HttpLimits
from tests.client.foreign import ForeignLab, serving
from tests.client.servers import Script, requests, running, scripted, until
from tests.conftest import Certificate
from tests.live.server import Live, serve
from tests.live.service import Blob, Item, Lab
from tests.wire.http2_client_peer import head_frame, trailers_frame
from tests.wire.http2_peer import ACK, DATA, GOAWAY, HEADERS, PING, REFUSED_STREAM, RST_STREAM, SETTINGS, frame, frames

QUICK = ChannelSettings(backoff_s=0.01, max_backoff_s=0.02)


def pool_of(channel: polywire.Channel) -> Pool:
    pool = channel._pool
    assert pool is not None
    return pool


def answer(stream: int, name: bytes = b"a") -> bytes:
    message = b"\x0a" + bytes([len(name)]) + name
    body = frame(DATA, 0, stream, b"\0" + len(message).to_bytes(4) + message)
    return (
        head_frame(stream, ("content-type", "application/grpc")) + body + trailers_frame(stream, ("grpc-status", "0"))
    )


async def test_one_connection_for_all_and_only_when_needed(live: Live) -> None:
    async with polywire.connect(f"http://{live.authority}") as channel:
        lab = channel.client(Lab)
        await asyncio.sleep(0)
        assert live.open_connections == 0
        await asyncio.gather(*(lab.later(1) for _ in range(100)))
        assert live.open_connections == 1
        assert await channel.client(Lab).get_item("a") == Item("a")
        assert live.open_connections == 1


async def test_more_connections_where_the_streams_are_taken() -> None:
    with serve(limits=HttpLimits(max_concurrent_streams=2)) as live:
        settings = ChannelSettings(max_connections=3)
        async with polywire.connect(f"http://{live.authority}", settings=settings) as channel:
            lab = channel.client(Lab)
            hanging = [asyncio.ensure_future(lab.hangs()) for _ in range(6)]
            await until(lambda: live.lab.running == 6)
            assert live.open_connections == 3
            with polywire.call_options(timeout_s=0.1), pytest.raises(DeadlineExceeded):
                await lab.get_item("waits")
            one = asyncio.ensure_future(lab.get_item("waits"))
            hanging[0].cancel()
            assert await one == Item("waits")
            for call in hanging:
                call.cancel()
            await asyncio.wait(hanging)


async def test_what_waits_is_bounded_and_served_in_order() -> None:
    with serve(limits=HttpLimits(max_concurrent_streams=1)) as live:
        settings = ChannelSettings(max_waiting_calls=3)
        async with polywire.connect(f"http://{live.authority}", settings=settings) as channel:
            lab = channel.client(Lab)
            hanging = asyncio.ensure_future(lab.hangs())
            await until(lambda: live.lab.running == 1)
            done: list[int] = []

            async def one(number: int) -> None:
                await lab.text(number)
                done.append(number)

            waiting = [asyncio.ensure_future(one(number)) for number in range(3)]
            await asyncio.sleep(0)
            with pytest.raises(ResourceExhausted, match="wait for a connection"):
                await lab.get_item("a")
            hanging.cancel()
            await asyncio.gather(*waiting)
            assert done == [0, 1, 2]


async def test_a_caller_that_leaves_the_queue_gives_its_turn_away() -> None:
    with serve(limits=HttpLimits(max_concurrent_streams=1)) as live:
        async with polywire.connect(f"http://{live.authority}") as channel:
            lab = channel.client(Lab)
            hanging = asyncio.ensure_future(lab.hangs())
            await until(lambda: live.lab.running == 1)
            first, second = (asyncio.ensure_future(lab.get_item(name)) for name in "ab")
            await asyncio.sleep(0)
            hanging.cancel()
            pool = pool_of(channel)
            # One turn of the loop at a time: the first one must leave after it was called up, and before it knows.
            while len(pool._waiting) == 2:  # noqa: ASYNC110
                await asyncio.sleep(0)
            assert len(pool._waiting) == 1
            first.cancel()
            assert await asyncio.wait_for(second, 5) == Item("b")


async def test_nobody_listens(unused_tcp_port: int) -> None:
    async with polywire.connect(f"http://127.0.0.1:{unused_tcp_port}", settings=QUICK) as channel:
        lab = channel.client(Lab)
        for _ in range(3):
            with pytest.raises(Unavailable) as caught:
                await lab.get_item("a")
            assert caught.value.message == str(caught.value) == "the service cannot be reached"
            assert isinstance(caught.value.__cause__, OSError)
            (note,) = caught.value.__notes__
            assert note.startswith(f"cannot connect to http://127.0.0.1:{unused_tcp_port}: ")
        with polywire.call_options(wait_for_ready=True, timeout_s=0.2), pytest.raises(DeadlineExceeded):
            await lab.get_item("a")


async def test_waiting_for_a_server_that_comes_later(unused_tcp_port: int) -> None:
    url = f"http://127.0.0.1:{unused_tcp_port}"
    async with polywire.connect(url, wait_for_ready=True, timeout_s=10, settings=QUICK) as channel:
        task = asyncio.ensure_future(channel.client(Lab).get_item("a"))
        await until(lambda: pool_of(channel)._failures >= 2)
        async with running(Lab(), port=unused_tcp_port):
            assert await task == Item("a")


async def test_attempts_are_spaced_out(unused_tcp_port: int) -> None:
    settings = ChannelSettings(backoff_s=100.0, max_backoff_s=100.0)
    async with polywire.connect(f"http://127.0.0.1:{unused_tcp_port}", settings=settings) as channel:
        lab = channel.client(Lab)
        for _ in range(5):
            with pytest.raises(Unavailable):
                await lab.get_item("a")
        assert pool_of(channel)._failures == 1
        assert 79 < pool_of(channel)._retry_at - asyncio.get_running_loop().time() < 121


async def test_a_server_that_is_back_is_called_again(unused_tcp_port: int) -> None:
    async with polywire.connect(f"http://127.0.0.1:{unused_tcp_port}", settings=QUICK) as channel:
        lab = channel.client(Lab)
        for _ in range(2):
            async with running(Lab(), port=unused_tcp_port):
                assert await lab.get_item("a") == Item("a")
            await until(lambda: not pool_of(channel)._all)


async def test_draining_fails_no_call() -> None:
    """Rolling restarts: one call after the other while the server tells its connections to go."""
    async with running(Lab()) as first, polywire.connect(first) as channel:
        lab = channel.client(Lab)
        for _ in range(5):
            slow = asyncio.ensure_future(lab.later(3))
            await lab.text(1)
            (connection,) = pool_of(channel)._open
            connection.engine.receive_data(frame(GOAWAY, 0, 0, b"\x7f\xff\xff\xff" + bytes(4)))
            assert await lab.get_item("a") == Item("a")
            assert (await slow).text == "xxx"
            await until(lambda: len(pool_of(channel)._all) == 1)


async def test_our_own_server_drains_without_losing_a_call() -> None:
    with serve() as live:
        async with polywire.connect(f"http://{live.authority}") as channel:
            lab = channel.client(Lab)
            calls = [asyncio.ensure_future(lab.later(size)) for size in range(100)]
            await until(lambda: live.open_calls)
            live.drain()
            assert [len((await call).text) for call in calls] == list(range(100))
            await until(lambda: not pool_of(channel)._all)


async def test_refused_calls_are_sent_again_once() -> None:
    seen: list[int] = []

    def refuse_first(script: Script, data: bytes) -> None:
        script.transport.write(SETTINGS)
        for stream in requests(data):
            seen.append(stream)
            refusal = frame(RST_STREAM, 0, stream, REFUSED_STREAM.to_bytes(4))
            script.transport.write(refusal if len(seen) % 2 else answer(stream))

    async with scripted(refuse_first) as (url, _), polywire.connect(url) as channel:
        lab = channel.client(Lab)
        assert await lab.create_item(Item("a")) == Item("a")
        assert seen == [1, 3]
        assert [one async for one in lab.stream(1)] == [Blob("a")]
        assert seen == [1, 3, 5, 7]


async def test_a_refused_stream_of_requests_is_sent_again_whole() -> None:
    bodies: dict[int, bytes] = {}

    def refuse_first(script: Script, data: bytes) -> None:
        script.transport.write(SETTINGS)
        for kind, flags, stream, payload in frames(data.removeprefix(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")):
            if kind == HEADERS:
                bodies[stream] = b""
            elif kind == DATA:
                bodies[stream] += payload
                if stream == 1 and len(bodies[1]) >= 14:
                    script.transport.write(frame(RST_STREAM, 0, 1, REFUSED_STREAM.to_bytes(4)))
                elif stream == 3 and flags & 1:
                    script.transport.write(answer(3))
                elif stream == 3:
                    more.set()

    more = asyncio.Event()

    async def items() -> AsyncIterator[Blob]:
        yield Blob("a")
        yield Blob("b")
        await more.wait()
        yield Blob("c")

    async with scripted(refuse_first) as (url, _), polywire.connect(url) as channel:
        assert [one async for one in channel.client(Lab).echo(items())] == [Blob("a")]
    assert [bodies[3][i * 8 + 7 : i * 8 + 8] for i in range(3)] == [b"a", b"b", b"c"]


async def test_refused_for_good() -> None:
    def refuse(script: Script, data: bytes) -> None:
        script.transport.write(SETTINGS)
        for stream in requests(data):
            script.transport.write(frame(RST_STREAM, 0, stream, REFUSED_STREAM.to_bytes(4)))

    async with scripted(refuse) as (url, scripts), polywire.connect(url) as channel:
        lab = channel.client(Lab)
        with pytest.raises(Unavailable, match="took no more calls"):
            await lab.get_item("a")
        with pytest.raises(Unavailable, match="took no more calls"):
            await anext(lab.stream(1))
        assert sum(len(requests(script.received)) for script in scripts) == 4


async def test_what_goaway_leaves_out_goes_over_another_connection() -> None:
    def go_away(script: Script, data: bytes) -> None:
        if script is scripts[0]:
            script.transport.write(SETTINGS)
            if requests(data):
                script.transport.write(frame(GOAWAY, 0, 0, bytes(8)))
            return
        script.transport.write(SETTINGS + b"".join(answer(stream) for stream in requests(data)))

    async with scripted(go_away) as (url, scripts), polywire.connect(url) as channel:
        assert await channel.client(Lab).create_item(Item("a")) == Item("a")
        assert len(scripts) == 2


async def test_a_connection_that_is_lost_is_not_tried_again() -> None:
    """A handler may have run."""

    def drop(script: Script, data: bytes) -> None:
        script.transport.write(SETTINGS)
        if requests(data):
            script.transport.close()

    async with scripted(drop) as (url, scripts), polywire.connect(url) as channel:
        lab = channel.client(Lab)
        with pytest.raises(Unavailable, match="connection was lost"):
            await lab.create_item(Item("a"))
        with pytest.raises(Unavailable, match="connection was lost"):
            await anext(lab.stream(1))
        assert len(scripts) == 2


async def test_a_server_that_goes_at_once() -> None:
    """GOAWAY in the same packet as SETTINGS: the connection is of no use, and the next one may be."""

    def go(script: Script, data: bytes) -> None:
        script.transport.write(SETTINGS + (frame(GOAWAY, 0, 0, bytes(8)) if len(scripts) == 1 else b""))
        script.transport.write(b"".join(answer(stream) for stream in requests(data)))

    async with scripted(go) as (url, scripts), polywire.connect(url, settings=QUICK) as channel:
        lab = channel.client(Lab, timeout_s=5.0)
        with pytest.raises(Unavailable, match="takes no calls"):
            await lab.get_item("a")
        with polywire.call_options(wait_for_ready=True):
            assert await lab.get_item("a") == Item("a")


async def test_a_host_that_cannot_be() -> None:
    async with polywire.connect(f"http://{'a' * 100}.example:80") as channel:
        with pytest.raises(Unavailable, match="the service cannot be reached"):
            await channel.client(Lab).get_item("a")


def test_on_uvloop(live: Live) -> None:
    async def main() -> None:
        async with polywire.connect(f"http://{live.authority}") as channel:
            lab = channel.client(Lab)
            items = await asyncio.gather(*(lab.get_item(str(number)) for number in range(1, 200)))
            assert [item.name for item in items] == [str(number) for number in range(1, 200)]
            assert len([one async for one in lab.stream(1000, 1000)]) == 1000
            async for _ in lab.stream(2**31 - 1):
                break

    uvloop.run(main())


async def test_a_dead_server_is_noticed() -> None:
    def silent(script: Script, data: bytes) -> None:
        script.transport.write(SETTINGS if b"PRI" in data else b"")

    settings = ChannelSettings(keepalive_s=0.05, keepalive_timeout_s=0.05)
    async with scripted(silent) as (url, scripts), polywire.connect(url, settings=settings) as channel:
        with pytest.raises(Unavailable, match="connection was lost"):
            await channel.client(Lab).get_item("a")
        assert frame(PING, 0, 0, bytes(8)) in scripts[0].received


async def test_a_server_that_answers_pings_is_left_alone() -> None:
    pings = 0

    def pong(script: Script, data: bytes) -> None:
        nonlocal pings
        if b"PRI" in data:
            script.transport.write(SETTINGS)
        if frame(PING, 0, 0, bytes(8)) in data:
            pings += 1
            script.transport.write(frame(PING, ACK, 0, bytes(8)))
            if pings == 5:
                script.transport.write(answer(1))

    settings = ChannelSettings(keepalive_s=0.02, keepalive_timeout_s=5)
    async with scripted(pong) as (url, _), polywire.connect(url, settings=settings) as channel:
        assert await channel.client(Lab).get_item("a") == Item("a")
        assert pings == 5


async def test_a_deadline_in_silence_puts_the_connection_to_the_test() -> None:
    def silent(script: Script, data: bytes) -> None:
        script.transport.write(SETTINGS if b"PRI" in data else b"")

    settings = ChannelSettings(keepalive_timeout_s=0.05)
    async with scripted(silent) as (url, _), polywire.connect(url, settings=settings) as channel:
        with polywire.call_options(timeout_s=0.05), pytest.raises(DeadlineExceeded):
            await channel.client(Lab).get_item("a")
        await until(lambda: not pool_of(channel)._all)


async def test_a_server_that_never_says_settings() -> None:
    settings = ChannelSettings(connect_timeout_s=0.1)
    async with scripted(lambda script, data: None) as (url, _), polywire.connect(url, settings=settings) as channel:
        with pytest.raises(Unavailable, match="it took too long"):
            await channel.client(Lab).get_item("a")


async def test_closing_while_connecting() -> None:
    async with scripted(lambda script, data: None) as (url, scripts):
        async with polywire.connect(url, wait_for_ready=True) as channel:
            lab = channel.client(Lab)
            calls = [asyncio.ensure_future(lab.get_item("a")), asyncio.ensure_future(anext(lab.stream(1)))]
            await until(lambda: scripts and scripts[0].received)
        for call in calls:
            with pytest.raises(Cancelled, match="channel is closed"):
                await call
        assert asyncio.all_tasks() == {asyncio.current_task()}


@pytest.mark.parametrize("loop_factory", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_small_writes_are_not_delayed(live: Live, loop_factory: Any) -> None:
    """TCP_NODELAY: a request must not wait for the acknowledgement of the one before (RFC 896)."""

    async def main() -> None:
        async with polywire.connect(f"http://{live.authority}") as channel:
            await channel.client(Lab).get_item("a")
            (connection,) = pool_of(channel)._all
            opened = connection._transport.get_extra_info("socket")  # type: ignore[union-attr]
            assert opened.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(main())


async def test_a_server_of_something_else() -> None:
    def http1(script: Script, data: bytes) -> None:
        script.transport.write(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n")

    async with scripted(http1) as (url, _), polywire.connect(url) as channel:
        with pytest.raises(Unavailable, match="the service cannot be reached"):
            await channel.client(Lab).get_item("a")


def mutual(localhost: Certificate) -> grpc.ServerCredentials:
    key, cert = Path(localhost.key).read_bytes(), Path(localhost.cert).read_bytes()
    return grpc.ssl_server_credentials([(key, cert)], root_certificates=cert, require_client_auth=True)


async def test_tls(localhost: Certificate) -> None:
    lab = ForeignLab()
    async with serving(lab, credentials=mutual(localhost)):
        url = f"https://localhost:{lab.port}"
        own = {"ca_file": localhost.cert, "cert_file": localhost.cert, "key_file": localhost.key}
        async with polywire.connect(url, **own) as channel:
            assert await channel.client(Lab).get_item("a") == Item("a")
        async with polywire.connect(url, ca_file=localhost.cert, settings=QUICK) as channel:
            with pytest.raises(Unavailable):
                await channel.client(Lab).get_item("a")


async def test_tls_of_our_own(localhost: Certificate) -> None:
    with serve(tls_cert=localhost.cert, tls_key=localhost.key) as live:
        url = f"https://localhost:{live.port}"
        async with polywire.connect(url, tls=ssl.create_default_context(cafile=localhost.cert)) as channel:
            lab = channel.client(Lab)
            assert await lab.get_item("a") == Item("a")
            assert len((await lab.text(1_000_000)).text) == 1_000_000
        async with polywire.connect(url) as channel:
            with pytest.raises(Unavailable, match="certificate is not trusted"):
                await channel.client(Lab).get_item("a")


async def test_tls_without_http2(localhost: Certificate) -> None:
    with serve(tls_cert=localhost.cert, tls_key=localhost.key, protocols=frozenset({HTTP1, TLS})) as live:
        async with polywire.connect(f"https://localhost:{live.port}", ca_file=localhost.cert) as channel:
            with pytest.raises(Unavailable, match="the service cannot be reached"):
                await channel.client(Lab).get_item("a")


async def test_a_unix_socket(tmp_path: Path) -> None:
    lab = ForeignLab()
    path = tmp_path / "grpc.sock"
    async with serving(lab):
        relay = await asyncio.start_unix_server(lambda r, w: relayed(r, w, lab.port), path)
        async with relay, polywire.connect(f"unix:{path}") as channel:
            assert await channel.client(Lab).get_item("a") == Item("a")


async def relayed(reader: Any, writer: Any, port: int) -> None:
    """Bytes there and back."""
    there_reader, there_writer = await asyncio.open_connection("127.0.0.1", port)

    async def carry(source: Any, target: Any) -> None:
        while data := await source.read(65536):
            target.write(data)
        target.close()

    await asyncio.gather(carry(reader, there_writer), carry(there_reader, writer))


@pytest.mark.parametrize(
    ("url", "options"),
    [
        ("localhost:8000", {}),
        ("ftp://localhost", {}),
        ("http://", {}),
        ("http://localhost/path", {}),
        ("http://user@localhost", {}),
        ("http://localhost", {"ca_file": "x"}),
        ("unix:", {}),
        ("https://localhost", {"tls": ssl.create_default_context(), "ca_file": "x"}),
        ("https://localhost", {"key_file": "x"}),
    ],
)
def test_targets_that_cannot_be(url: str, options: Any) -> None:
    with pytest.raises(ValueError, match=r"localhost|http|unix|tls|cert_file"):
        polywire.connect(url, **options)


async def test_a_channel_is_entered_once() -> None:
    channel = polywire.connect("http://127.0.0.1:1")
    with pytest.raises(RuntimeError, match="enter the channel"):
        channel.client(Lab)
    async with channel:
        pass
    with pytest.raises(RuntimeError, match="entered once"):
        async with channel:
            pass
