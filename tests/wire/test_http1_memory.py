"""What an exchange and a connection hold, and that they let go of it."""

from __future__ import annotations

import gc
import tracemalloc
import weakref

from polywire.wire.http1 import Http1Connection, Http1Request
from polywire.wire.limits import HttpLimits

from .http1_peer import COMMON, EMPTY, TEXT, echo

HOST = b" HTTP/1.1\r\nHost: a\r\n"
GET = b"GET /" + HOST + b"\r\n"
POST = b"POST /" + HOST + b"Content-Length: 3\r\n\r\nabc"
UNFINISHED = b"POST /" + HOST + b"Content-Length: 9\r\n\r\nab"
CHUNKED = b"POST /" + HOST + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\nA: b\r\n\r\n"


class Owner:
    """A receiver that holds its sink, as the layer above does: a cycle while the exchange lasts."""

    def __init__(self, sink: Http1Request) -> None:
        self.sink = sink
        sink.receiver = self

    def on_readable(self) -> None: ...

    def on_writable(self) -> None: ...

    def on_gone(self) -> None: ...


def test_an_exchange_that_is_over_leaves_nothing_to_the_collector() -> None:
    owners: list[weakref.ref[Owner]] = []
    sinks: list[Http1Request] = []

    def answer(sink: Http1Request) -> None:
        owners.append(weakref.ref(Owner(sink)))
        if sink.target == "/later":
            sinks.append(sink)
        else:
            sink.respond(200, TEXT, b"x")

    later = b"GET /later" + HOST + b"\r\n"
    gc.disable()
    try:
        for ending in ("answer", "reset", "lost"):
            engine = Http1Connection(answer, HttpLimits(), COMMON)
            engine.receive_data(GET + POST + CHUNKED + later + GET + UNFINISHED)
            assert len(owners) == 6
            if ending == "answer":
                sinks[0].respond(200, TEXT, b"y")
            elif ending == "reset":
                sinks[0].reset(8)
            else:
                engine.connection_lost()
            engine.data_to_send()
            sinks.clear()
            assert [owner() for owner in owners] == [None] * 6
            owners.clear()
    finally:
        gc.enable()


def test_a_connection_holds_no_more_after_ten_thousand_requests() -> None:
    engine = Http1Connection(echo, HttpLimits(), COMMON)

    def stream(sink: Http1Request) -> None:
        sink.take()
        sink.send_head(200, EMPTY)
        sink.send_data(b"x" * 10)
        sink.send_end(TEXT)

    streaming = Http1Connection(stream, HttpLimits(), COMMON)

    def work(rounds: int) -> None:
        for _ in range(rounds):
            for one in (engine, streaming):
                one.receive_data(GET + POST)
                one.receive_data(CHUNKED[:70])
                one.receive_data(CHUNKED[70:])
                one.data_to_send()
            refused = Http1Connection(echo, HttpLimits(), COMMON)
            refused.receive_data(UNFINISHED[:-5] + b"\r\nG\n")
            refused.data_to_send()

    work(50)
    gc.collect()
    tracemalloc.start()
    try:
        work(50)
        before, _ = tracemalloc.get_traced_memory()
        work(1500)
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < 2000


def test_an_idle_connection_is_small() -> None:
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        engine = Http1Connection(echo, HttpLimits(), COMMON)
        for part in (GET + POST + CHUNKED, GET[:10], GET[10:]):
            engine.receive_data(part)
        engine.data_to_send()
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < 1000
