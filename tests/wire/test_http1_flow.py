"""The pipeline, credit, back-pressure, 100 (Continue), and how connections end."""

from __future__ import annotations

import pytest

from polywire.wire.limits import HttpLimits

from .http1_peer import EMPTY, Peer, echo, statuses

HOST = b" HTTP/1.1\r\nHost: a\r\n"
UNFINISHED = b"POST /1" + HOST + b"Content-Length: 9\r\n\r\nabc"


def get(*targets: int) -> bytes:
    return b"".join([b"GET /%d" % target + HOST + b"\r\n" for target in targets])


def post(length: int, extra: bytes = b"") -> bytes:
    return b"POST /" + HOST + b"Content-Length: %d\r\n" % length + extra + b"\r\n"


# The pipeline.


def test_answers_go_out_in_the_order_of_requests() -> None:
    peer = Peer()
    assert peer.send(get(1, 2, 3)) == b""
    first, second, third = peer.requests
    assert peer.engine.open_requests == 3
    echo(third)
    assert third.closed
    second.send_head(200, EMPTY)
    second.send_data(b"x")
    assert peer.settle() == b""
    echo(first)
    out = peer.settle()
    assert out.endswith(b"GET /1HTTP/1.1 200 OK\r\nserver: t\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n")
    assert peer.engine.open_requests == 2
    second.send_end()
    out = peer.settle()
    assert out.startswith(b"0\r\n\r\nHTTP/1.1 200 OK")
    assert out.endswith(b"GET /3")
    assert peer.engine.open_requests == 0


def test_requests_of_one_read_are_answered_by_one_write() -> None:
    peer = Peer(echo)
    assert statuses(peer.send(get(*range(10)))) == [200] * 10
    assert peer.outputs == 0


def test_a_full_pipeline_stops_reading_until_an_answer() -> None:
    peer = Peer(limits=HttpLimits(max_concurrent_streams=2))
    peer.send(get(1, 2, 3, 4))
    assert [sink.target for sink in peer.requests] == ["/1", "/2"]
    assert not peer.engine.want_read
    echo(peer.requests[1])
    assert peer.settle() == b""
    assert not peer.engine.want_read
    echo(peer.requests[0])
    assert len(peer.requests) == 2, "a handler's answer must not call the next handler"
    assert statuses(peer.settle()) == [200, 200]
    assert [sink.target for sink in peer.requests] == ["/1", "/2", "/3", "/4"]
    for sink in peer.requests[2:]:
        echo(sink)
    assert statuses(peer.settle()) == [200, 200]
    assert peer.engine.want_read


def test_the_last_of_a_full_pipeline_still_gets_its_body() -> None:
    peer = Peer(limits=HttpLimits(max_concurrent_streams=2))
    peer.send(get(1) + post(3))
    assert peer.engine.want_read
    peer.send(b"abc" + get(2))
    assert peer.requests[1].ended
    assert not peer.engine.want_read


def test_a_batch_leaves_a_turn_to_others() -> None:
    peer = Peer(echo, HttpLimits(max_requests_per_batch=3))
    assert statuses(peer.send(get(*range(8)))) == [200] * 3
    assert not peer.engine.want_read
    assert peer.engine.open_requests == 1
    for expected in (3, 2):
        assert peer.outputs == 1
        peer.outputs = 0
        assert statuses(peer.engine.data_to_send()) == [200] * expected
    assert peer.outputs == 0
    assert peer.engine.want_read
    assert peer.engine.open_requests == 0
    assert [sink.target for sink in peer.requests] == [f"/{i}" for i in range(8)]


def test_a_long_pipeline_is_answered_whole_after_half_close() -> None:
    peer = Peer(echo, HttpLimits(max_requests_per_batch=3))
    out = peer.send(get(*range(8)))
    peer.engine.receive_eof()
    out += peer.settle()
    assert statuses(out) == [200] * 8
    assert peer.engine.want_close


def test_on_output_is_called_once_until_the_output_is_taken() -> None:
    peer = Peer()
    peer.send(get(1, 2))
    echo(peer.requests[0])
    echo(peer.requests[1])
    assert peer.outputs == 1
    assert statuses(peer.engine.data_to_send()) == [200, 200]
    assert peer.engine.data_to_send() == b""


# Credit and back-pressure.


def test_unread_body_stops_reading_until_granted() -> None:
    peer = Peer(limits=HttpLimits(max_buffered_body_bytes=4), collect=False)
    peer.send(post(10) + b"0123456")
    sink = peer.requests[0]
    assert (sink.buffered_in_bytes, peer.engine.want_read, peer.engine.awaiting_body) == (4, False, False)
    assert sink.take() == b"0123"
    assert peer.settle() == b""
    assert (sink.buffered_in_bytes, peer.engine.want_read) == (0, False), "take alone gives no credit"
    sink.grant(4)
    assert peer.receivers[0].told == []
    peer.settle()
    assert peer.receivers[0].told == ["readable"]
    assert (sink.take(), peer.engine.want_read) == (b"456", True)
    peer.send(b"789")
    assert (sink.take(), sink.ended) == (b"7", False)
    sink.grant(100)
    peer.settle()
    assert (sink.take(), sink.ended) == (b"89", True)


def test_credit_never_grows_past_its_limit() -> None:
    peer = Peer(limits=HttpLimits(max_buffered_body_bytes=4), collect=False)
    peer.send(post(100))
    peer.requests[0].grant(1 << 40)
    peer.send(b"x" * 50)
    assert peer.requests[0].buffered_in_bytes == 4


def test_a_handler_that_reads_in_place_needs_no_further_turn() -> None:
    peer = Peer(limits=HttpLimits(max_buffered_body_bytes=4))
    peer.send(post(40) + b"")
    peer.send(b"x" * 40 + get(1))
    assert peer.receivers[0].body == b"x" * 40
    assert len(peer.requests) == 2
    assert peer.outputs == 0


def test_many_small_chunks_do_not_cost_an_object_each() -> None:
    peer = Peer(collect=False)
    peer.send(b"POST /" + HOST + b"Transfer-Encoding: chunked\r\n\r\n" + b"2\r\nab\r\n" * 1000)
    assert peer.requests[0].buffered_in_bytes == 2000
    assert peer.requests[0].take() == b"ab" * 1000


def test_high_water_and_on_writable() -> None:
    peer = Peer(limits=HttpLimits(high_water_bytes=100, low_water_bytes=0))
    peer.send(get(1))
    sink, receiver = peer.requests[0], peer.receivers[0]
    sink.send_head(200, EMPTY, ((b"content-length", b"1000"),))
    assert sink.send_data(b"x" * 20)
    assert not sink.send_data(b"x" * 80)
    assert sink.buffered_out_bytes > 100
    assert receiver.told == []
    peer.settle()
    assert receiver.told == ["writable"]
    assert sink.buffered_out_bytes == 0
    assert sink.send_data(b"x" * 99)
    peer.settle()
    assert receiver.told == ["writable"]


def test_while_the_peer_does_not_read_output_counts_and_input_waits() -> None:
    peer = Peer(limits=HttpLimits(high_water_bytes=100, low_water_bytes=0))
    peer.send(get(1))
    sink, receiver = peer.requests[0], peer.receivers[0]
    peer.engine.pause_writing()
    assert not peer.engine.want_read
    assert peer.send(get(2)) == b""
    assert len(peer.requests) == 1
    sink.send_head(200, EMPTY)
    assert not sink.send_data(b"x" * 100)
    assert peer.settle().endswith(b"x\r\n")
    assert (sink.buffered_out_bytes > 100, receiver.told) == (True, [])
    assert not sink.send_data(b"y")
    peer.engine.resume_writing()
    assert peer.settle() == b"1\r\ny\r\n"
    assert (sink.buffered_out_bytes, receiver.told) == (0, ["writable"])
    assert len(peer.requests) == 2
    assert peer.engine.want_read


# Expect: 100-continue (RFC 9110 §10.1.1).

EXPECT = b"Expect: 100-Continue\r\n"
GO_AHEAD = b"HTTP/1.1 100 Continue\r\n\r\n"


def test_continue_is_sent_when_the_body_is_wanted() -> None:
    peer = Peer()
    assert peer.send(post(3, EXPECT)) == GO_AHEAD
    assert peer.send(b"abc") == b""
    assert peer.receivers[0].body == b"abc"
    echo(peer.requests[0])
    assert statuses(peer.settle()) == [200]
    assert not peer.engine.want_close


class Deaf:
    def on_readable(self) -> None: ...

    def on_writable(self) -> None: ...

    def on_gone(self) -> None: ...


@pytest.mark.parametrize("how", ["take", "grant", "receiver"])
def test_continue_waits_for_a_sign(how: str) -> None:
    peer = Peer(listen=False)
    assert peer.send(post(3, EXPECT)) == b""
    assert not peer.engine.awaiting_body
    sink = peer.requests[0]
    if how == "take":
        sink.take()
    elif how == "grant":
        sink.grant(0)
    else:
        sink.receiver = Deaf()
    assert peer.settle() == GO_AHEAD
    assert peer.engine.awaiting_body
    sink.take()
    assert peer.settle() == b""


def test_an_answer_at_once_spares_the_body_and_closes() -> None:
    peer = Peer(echo)
    out = peer.send(post(3, EXPECT))
    assert statuses(out) == [200]
    assert b"connection: close" in out
    assert peer.engine.want_close


def test_no_continue_for_a_body_that_is_there_or_has_none_or_1_0() -> None:
    for data in (
        post(3, EXPECT) + b"abc",
        post(0, EXPECT),
        b"POST / HTTP/1.0\r\nContent-Length: 1\r\n" + EXPECT + b"\r\n",
    ):
        peer = Peer()
        assert peer.send(data) == b""
    peer = Peer(echo)
    assert statuses(peer.send(post(3, EXPECT) + b"abc")) == [200]
    assert not peer.engine.want_close


def test_continue_keeps_its_place_in_the_pipeline() -> None:
    peer = Peer()
    assert peer.send(get(1) + post(3, EXPECT)) == b""
    echo(peer.requests[0])
    assert peer.settle().endswith(b"GET /1" + GO_AHEAD)


# Answers before the end of the body.


def test_the_rest_of_a_small_body_is_dropped() -> None:
    peer = Peer(echo)
    out = peer.send(post(1000) + b"x" * 10)
    assert peer.requests[0].closed
    assert b"connection: close" not in out
    assert peer.engine.want_read
    assert peer.send(b"y" * 990 + get(2)).endswith(b"GET /2")


def test_a_large_declared_rest_closes_at_once() -> None:
    peer = Peer(echo)
    out = peer.send(post(525_000))
    assert b"connection: close" in out
    assert peer.engine.want_close


def test_an_endless_chunked_rest_closes_after_512_kib() -> None:
    peer = Peer(echo)
    peer.send(b"POST /" + HOST + b"Transfer-Encoding: chunked\r\n\r\n")
    chunk = b"1000\r\n" + b"x" * 4096 + b"\r\n"
    for _ in range(128):
        assert not peer.engine.want_close
        peer.send(chunk)
    peer.send(chunk)
    assert peer.engine.want_close


def test_a_broken_rest_closes_without_a_second_answer() -> None:
    for before, expected in ((b"", []), (get(1), [200, 200])):
        peer = Peer()
        peer.send(before + b"POST /" + HOST + b"Transfer-Encoding: chunked\r\n\r\n")
        echo(peer.requests[-1])
        if not before:
            assert statuses(peer.settle()) == [200]
        peer.send(b"nonsense\r\n")
        for sink in peer.requests:
            echo(sink)
        assert statuses(peer.settle()) == expected
        assert peer.engine.want_close


def test_an_error_in_the_body_of_a_started_answer_only_closes() -> None:
    peer = Peer()
    peer.send(b"POST /" + HOST + b"Transfer-Encoding: chunked\r\n\r\n")
    peer.requests[0].send_head(200, EMPTY)
    peer.settle()
    assert peer.send(b"nonsense\r\n") == b""
    assert peer.receivers[0].told == ["gone"]
    assert peer.engine.want_close


def test_requests_behind_a_closing_answer_are_gone() -> None:
    peer = Peer()
    peer.send(get(1, 2, 3))
    echo(peer.requests[2])
    peer.requests[0].reset(2)
    assert peer.settle() == b""
    assert [receiver.told for receiver in peer.receivers] == [[], ["gone"], []]
    assert peer.requests[1].closed
    assert peer.engine.want_close


# Ends.


def test_half_close_answers_what_is_complete() -> None:
    peer = Peer()
    peer.send(get(1, 2) + b"GET /3")
    peer.engine.receive_eof()
    assert not peer.engine.want_close
    assert not peer.engine.awaiting_head
    for sink in peer.requests:
        echo(sink)
    out = peer.settle()
    assert statuses(out) == [200, 200]
    assert out.count(b"connection: close") == 1
    assert peer.engine.want_close


@pytest.mark.parametrize("data", [b"", b"GET / HT", b"GET /" + HOST])
def test_half_close_without_a_request_is_the_end(data: bytes) -> None:
    peer = Peer()
    peer.send(data)
    peer.engine.receive_eof()
    assert peer.settle() == b""
    assert peer.engine.want_close


def test_half_close_within_a_body_is_an_error() -> None:
    peer = Peer()
    peer.send(UNFINISHED)
    peer.engine.receive_eof()
    assert statuses(peer.settle()) == [400]
    assert peer.receivers[0].told[-1:] == ["gone"]
    assert peer.engine.want_close


def test_half_close_waits_for_credit() -> None:
    peer = Peer(limits=HttpLimits(max_buffered_body_bytes=4), collect=False)
    peer.send(post(6) + b"012345")
    peer.engine.receive_eof()
    sink = peer.requests[0]
    assert (sink.take(), sink.ended) == (b"0123", False)
    sink.grant(4)
    peer.settle()
    assert (sink.take(), sink.ended) == (b"45", True)
    echo(sink)
    assert statuses(peer.settle()) == [200]
    assert peer.engine.want_close


def test_connection_lost_tells_all_that_are_open() -> None:
    peer = Peer()
    peer.send(get(1, 2) + UNFINISHED)
    echo(peer.requests[1])
    peer.engine.connection_lost()
    assert [receiver.told for receiver in peer.receivers] == [["gone"], [], ["gone"]]
    assert all(sink.closed for sink in peer.requests)
    assert peer.engine.data_to_send() == b""
    assert (peer.engine.want_close, peer.engine.want_read, peer.engine.open_requests) == (True, False, 0)
    echo(peer.requests[0])
    assert peer.send(get(4)) == b""
    assert len(peer.requests) == 3


def test_shutdown_when_idle_closes_at_once() -> None:
    peer = Peer()
    peer.engine.shutdown()
    assert peer.outputs == 1
    assert peer.settle() == b""
    assert peer.engine.want_close


def test_shutdown_lets_open_requests_end_and_the_last_says_close() -> None:
    peer = Peer()
    peer.send(get(1, 2) + b"GET /3" + HOST)
    peer.engine.shutdown()
    assert not peer.engine.want_close
    echo(peer.requests[0])
    assert b"connection" not in peer.settle()
    assert peer.send(b"\r\n" + get(4)) == b""
    echo(peer.requests[1])
    assert b"connection: close" in peer.settle()
    assert peer.engine.want_close
    assert len(peer.requests) == 2


def test_shutdown_waits_for_what_has_begun() -> None:
    for data, rest in ((b"GET / H", b"TTP/1.1\r\nHost: a\r\n\r\n"), (UNFINISHED, b"defghi")):
        peer = Peer()
        peer.send(data)
        peer.engine.shutdown()
        assert not peer.engine.want_close
        peer.send(rest + get(2))
        assert len(peer.requests) == 1
        echo(peer.requests[0])
        assert b"connection: close" in peer.settle()
        assert peer.engine.want_close


def test_shutdown_does_not_wait_for_a_body_that_nobody_wants() -> None:
    peer = Peer(echo)
    peer.send(UNFINISHED)
    peer.engine.shutdown()
    assert peer.engine.want_close


def test_time_out_answers_a_request_that_has_begun() -> None:
    for data, told in ((b"GE", None), (b"GET /" + HOST, None), (UNFINISHED, "gone")):
        peer = Peer()
        peer.send(data)
        peer.engine.timeout()
        out = peer.settle()
        assert statuses(out) == [408]
        assert b"connection: close" in out
        assert peer.engine.want_close
        assert [receiver.told[-1] for receiver in peer.receivers] == ([told] if told else [])


def test_time_out_waits_for_earlier_answers() -> None:
    peer = Peer()
    peer.send(get(1) + b"GET /2")
    peer.engine.timeout()
    assert peer.settle() == b""
    echo(peer.requests[0])
    assert statuses(peer.settle()) == [200, 408]


def test_time_out_says_nothing_to_the_idle_and_spares_the_busy() -> None:
    idle, busy, started = Peer(), Peer(), Peer()
    idle.engine.timeout()
    assert (idle.settle(), idle.engine.want_close) == (b"", True)
    busy.send(get(1))
    busy.engine.timeout()
    assert (busy.settle(), busy.engine.want_close) == (b"", False)
    started.send(UNFINISHED)
    started.requests[0].send_head(200, EMPTY)
    started.settle()
    started.engine.timeout()
    assert (started.settle(), started.engine.want_close) == (b"", True)
