"""The HTTP/1.1 engine: four bytes say how it is driven, the rest is what the peer sends."""

from __future__ import annotations

from fuzz.source import Source, pieces
from polywire.wire.http1 import Http1Request
from polywire.wire.limits import HttpLimits
from polywire.wire.tunnel import Tunnel
from tests.wire.http1_peer import EMPTY, Peer, echo, statuses

SMALL = HttpLimits(
    max_target_bytes=40, max_header_bytes=120, max_headers=5, max_buffered_body_bytes=8, max_concurrent_streams=3
)
ROOMY = HttpLimits(max_target_bytes=60, max_header_bytes=200, max_headers=6)
KNOWN = {101, 200, 400, 408, 414, 417, 431, 501, 505}


def fuzz_one(data: bytes) -> None:
    source = Source(data)
    flags, end = source.byte(), source.byte() % 4
    sizes = [1 + source.byte(), 1 + source.byte()]
    wire = source.rest()
    hostile(wire, sizes, flags, end)
    same_however_cut(wire, sizes)


def hostile(wire: bytes, sizes: list[int], flags: int, end: int) -> None:
    """Any way of answering and any end leave the engine's books in order."""
    mode = flags % 4
    tunnels: list[Http1Request | Tunnel] = []

    def answer(sink: Http1Request) -> None:
        if flags & 32 and sink.tunnel is not None:
            tunnels.append(sink.send_head(101, EMPTY))
        elif mode == 0:
            echo(sink)
        elif mode == 1:
            sink.send_head(200, EMPTY)

    peer = Peer(answer, SMALL, collect=not flags & 4)
    engine = peer.engine
    out = b""
    for turn, part in enumerate(pieces(wire, sizes)):
        engine = peer.engine
        if flags & 8 and turn % 3 == 1:
            engine.pause_writing()
        if not flags & 16 or engine.want_read:
            out += peer.send(part)
        if flags & 8:
            engine.resume_writing()
        out += peer.settle()
        assert sum(not sink.closed for sink in peer.requests) <= SMALL.max_concurrent_streams
        assert all(sink.buffered_in_bytes <= SMALL.max_buffered_body_bytes for sink in peer.requests)
    engine = peer.engine
    [engine.receive_eof, engine.timeout, engine.connection_lost, engine.shutdown][end]()
    for tunnel in tunnels:
        tunnel.send_data(b"abc")
        tunnel.send_end()
    for sink in list(peer.requests):
        if mode == 1:
            sink.send_data(b"abc")
            sink.send_end()
        elif mode == 2:
            echo(sink)
        elif mode == 3:
            sink.reset(8)
    out += peer.settle()
    final = [status for status in statuses(out) if status != 100]
    assert set(final) <= KNOWN
    assert len(final) <= len(peer.requests) + 1, "more answers than requests and one error"
    assert all(status in (101, 200) for status in final[:-1]), "an answer after an error"
    if final and final[-1] not in (101, 200):
        assert peer.engine.want_close
    closed(peer)


def closed(peer: Peer) -> None:
    engine = peer.engine
    engine.connection_lost()
    assert (engine.open_requests, engine.data_to_send(), engine.want_close) == (0, b"", True)
    assert all(sink.closed for sink in peer.requests)
    assert all(receiver.told.count("gone") <= 1 for receiver in peer.receivers)
    engine.receive_data(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert engine.data_to_send() == b"", "output after the end"


def same_however_cut(wire: bytes, sizes: list[int]) -> None:
    """The same requests and the same answers whole, in pieces and byte by byte."""
    outcomes = []
    for parts in ([wire], pieces(wire, sizes), pieces(wire, [1])):
        peer = Peer(limits=ROOMY)
        out = b""
        for part in parts:
            out += peer.send(part) + peer.settle()
        complete = [
            told for told, sink in zip(peer.describe(), peer.requests, strict=True) if sink.ended and not sink.closed
        ]
        for sink in peer.requests:
            echo(sink)
        out += peer.settle()
        final = [status for status in statuses(out) if status != 100]
        outcomes.append((final, complete, peer.engine.want_close, peer.engine.last_activity_marker))
        closed(peer)
    if any(final[-1:] in ([414], [431]) for final, *_ in outcomes):
        # A line that is both too long and wrong is refused for what is seen first.
        assert all(final and final.pop() >= 400 for final, *_ in outcomes), outcomes
    assert outcomes[0] == outcomes[1] == outcomes[2], outcomes
