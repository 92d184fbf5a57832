"""Properties: how the bytes were cut never matters, and hostile bytes have only the documented outcomes."""

from __future__ import annotations

import itertools
import time

from hypothesis import given, settings
from hypothesis import strategies as st

from polywire.wire.http1 import Http1Request
from polywire.wire.limits import HttpLimits
from polywire.wire.tunnel import Tunnel

from .http1_peer import EMPTY, Peer, echo, statuses

TOKEN = st.text("!#$%&'*+-.^_`|~0129azAZ", min_size=1, max_size=12)
VALUE = st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"), max_size=20).map(
    str.strip
)
RESERVED = {"host", "connection", "content-length", "transfer-encoding", "expect", "upgrade"}
CUTS = st.lists(st.integers(0, 2000), max_size=12)


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    method = draw(st.sampled_from(["GET", "POST", "PUT", "HEAD", "X-Y"]))
    target = draw(st.text("/?&=%az09~.", max_size=20))
    lines = [f"{method} /{target} HTTP/1.1", draw(st.sampled_from(["Host: a", "hOst:\tb:80 "]))]
    for name, value in draw(st.lists(st.tuples(TOKEN, VALUE), max_size=4)):
        if name.lower() not in RESERVED:
            lines.append(name + ":" + draw(st.sampled_from(["", " ", " \t"])) + value)
    body = draw(st.binary(max_size=60))
    framing = draw(st.sampled_from(["none", "length", "chunked"]))
    if framing == "length":
        lines.append(f"Content-Length: {len(body)}")
    if framing == "chunked":
        lines.append("Transfer-Encoding: chunked")
        chunks = [body[i : i + 7] for i in range(0, len(body), 7)]
        trailer = draw(st.sampled_from([b"", b"X-Sum: 1\r\n", b"A: \r\nHost: x\r\n"]))
        body = b"".join([b"%x;q\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks]) + b"0\r\n" + trailer + b"\r\n"
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + (body if framing != "none" else b"")


def cut(data: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted({place % (len(data) + 1) for place in places}), len(data)]
    return [data[a:b] for a, b in itertools.pairwise(edges)]


@settings(max_examples=150, deadline=None)
@given(st.lists(requests(), min_size=1, max_size=5), CUTS)
def test_any_split_of_a_pipeline_gives_the_same_calls_and_answers(stream: list[bytes], places: list[int]) -> None:
    limits = HttpLimits(max_requests_per_batch=2, max_buffered_body_bytes=16)
    whole, split = Peer(), Peer(limits=limits)
    whole.send(b"".join(stream))
    for part in cut(b"".join(stream), places):
        split.send(part)
        split.settle()
    assert len(whole.requests) == len(stream)
    assert all(sink.ended for sink in whole.requests)
    assert split.describe() == whole.describe()
    outs = []
    for peer in (whole, split):
        for sink in reversed(peer.requests):
            echo(sink)
        outs.append(peer.settle())
        assert not peer.engine.want_close
        assert peer.engine.open_requests == 0
    assert outs[0] == outs[1]
    assert statuses(outs[0]) == [200] * len(stream)


@settings(max_examples=150, deadline=None)
@given(st.lists(requests(), min_size=1, max_size=8), CUTS, st.lists(st.booleans(), min_size=1, max_size=12))
def test_a_peer_that_reads_now_and_then_gets_every_answer_in_order(
    stream: list[bytes], places: list[int], reads: list[bool]
) -> None:
    whole = Peer(echo)
    expected = whole.send(b"".join(stream)) + whole.settle()
    limits = HttpLimits(high_water_bytes=100, low_water_bytes=0, max_requests_per_batch=2, max_buffered_body_bytes=16)
    peer = Peer(echo, limits)
    paused, out = False, b""
    for part, reading in zip(cut(b"".join(stream), places), itertools.cycle(reads), strict=False):
        if reading is paused:
            (peer.engine.resume_writing if paused else peer.engine.pause_writing)()
            paused = not paused
        begun = len(peer.requests)
        out += peer.send(part) + peer.settle()
        if paused:
            assert len(peer.requests) == begun
    if paused:
        peer.engine.resume_writing()
    out += peer.settle()
    assert out == expected
    assert [(sink.method, sink.target) for sink in peer.requests] == [
        (sink.method, sink.target) for sink in whole.requests
    ]
    assert (peer.engine.open_requests, peer.engine.want_read) == (0, True)


PIECES = [
    b"GET / HTTP/1.1\r\n",
    b"POST /a HTTP/1.1\r\n",
    b"HEAD * HTTP/1.0\r\n",
    b"Host: a\r\n",
    b"Content-Length: 3\r\n",
    b"Connection: close\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Transfer-Encoding: x\r\n",
    b"Expect: 100-continue\r\n",
    b"Connection: upgrade\r\nUpgrade: websocket\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
    b"A: b\r\n",
    b" c\r\n",
    b"\r\n",
    b"\r",
    b"\n",
    b"\x00",
    b"3\r\nabc\r\n",
    b"0\r\n",
    b"ffffffffffffffff\r\n",
    b":",
    b" ",
    b"abc",
    b"X" * 50,
]
HOSTILE = st.one_of(st.binary(max_size=200), st.lists(st.sampled_from(PIECES), max_size=14).map(b"".join))
ALLOWED = {200, 400, 408, 414, 417, 431, 501, 505}
SMALL = HttpLimits(
    max_target_bytes=40, max_header_bytes=60, max_headers=4, max_buffered_body_bytes=8, max_concurrent_streams=3
)


@settings(max_examples=400, deadline=None)
@given(
    HOSTILE,
    CUTS,
    st.sampled_from(["at once", "late", "stream", "never", "tunnel"]),
    st.sampled_from(["eof", "timeout", "lost", "shutdown"]),
)
def test_hostile_bytes_have_only_documented_outcomes(data: bytes, places: list[int], mode: str, end: str) -> None:
    tunnels: list[Http1Request | Tunnel] = []

    def answer(sink: Http1Request) -> None:
        if mode == "at once":
            echo(sink)
        elif mode == "stream" or (mode == "tunnel" and sink.tunnel is None):
            sink.send_head(200, EMPTY)
        elif mode == "tunnel":
            tunnels.append(sink.send_head(101, EMPTY))

    peer = Peer(answer, SMALL)
    out = b""
    for part in cut(data, places):
        out += peer.send(part) + peer.settle()
        assert len(peer.requests) - sum(sink.closed for sink in peer.requests) <= SMALL.max_concurrent_streams
        assert all(sink.buffered_in_bytes <= SMALL.max_buffered_body_bytes for sink in peer.requests)
    {
        "eof": peer.engine.receive_eof,
        "timeout": peer.engine.timeout,
        "lost": peer.engine.connection_lost,
        "shutdown": peer.engine.shutdown,
    }[end]()
    for sink in list(peer.requests):
        if mode == "late":
            echo(sink)
        elif mode in ("stream", "tunnel"):
            sink.send_end()
        elif mode == "never":
            sink.reset(8)
    for tunnel in tunnels:
        tunnel.send_end()
    out += peer.settle()
    assert all(sink.closed for sink in (*peer.requests, *tunnels)) or peer.engine.open_requests
    assert set(statuses(out)) <= ALLOWED | {100, 101}
    final = [status for status in statuses(out) if status not in (100, 101)]
    assert 101 not in statuses(out)[:-1], "nothing of HTTP follows it"
    assert len(final) <= len(peer.requests) + 1, "never more answers than requests, and one error"
    assert all(status == 200 for status in final[:-1])
    assert all(receiver.told.count("gone") <= 1 for receiver in peer.receivers)
    if final and final[-1] != 200:
        assert peer.engine.want_close
    peer.engine.connection_lost()
    assert (peer.engine.open_requests, peer.engine.data_to_send(), peer.engine.want_close) == (0, b"", True)


@settings(max_examples=400, deadline=None)
@given(HOSTILE, CUTS)
def test_any_split_of_hostile_bytes_gives_the_same_answers(data: bytes, places: list[int]) -> None:
    outcomes = []
    for parts in ([data], cut(data, places), cut(data, list(range(len(data))))):
        peer = Peer(limits=HttpLimits(max_target_bytes=40, max_header_bytes=60, max_headers=4))
        out = b"".join([peer.send(part) for part in parts])
        for sink in peer.requests:
            echo(sink)
        out += peer.settle()
        final = [status for status in statuses(out) if status != 100]
        outcomes.append((final, peer.engine.want_close, peer.engine.last_activity_marker))
    assert outcomes[0] == outcomes[1] == outcomes[2]


def seconds_for_one_line(length: int) -> float:
    best = 1e9
    for _ in range(3):
        peer = Peer(limits=HttpLimits(max_header_bytes=1 << 20))
        peer.send(b"GET / HTTP/1.1\r\nA: ")
        start = time.perf_counter()
        for _ in range(length):
            peer.engine.receive_data(b"x")
        best = min(best, time.perf_counter() - start)
    return best


def test_a_line_in_single_bytes_is_scanned_and_copied_once() -> None:
    """Eight times the bytes take about eight times the time; scanning or copying anew would take 64 times."""
    assert seconds_for_one_line(160_000) < 25 * seconds_for_one_line(20_000)
