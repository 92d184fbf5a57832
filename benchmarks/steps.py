"""Where the time of one call goes, in microseconds and without sockets: `.venv/bin/python -m benchmarks.steps`.

Bytes go straight into an engine and its answer is thrown away, 16 requests at a time on HTTP/2 and one on HTTP/1.1; the
rest of what a request costs on a socket is the kernel's and the event loop's. Best of several runs, in one process.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from time import perf_counter
from typing import Any

import uvloop
from rich.console import Console
from rich.table import Table

from benchmarks.polywire_app import Timing, UserService, authenticate
from polywire import App
from polywire.protocols.site import Site
from polywire.runtime.call import UNKNOWN_PEER
from polywire.wire.headers import CommonHeaders, HeaderBlock
from polywire.wire.http1 import Http1Connection
from polywire.wire.http2 import Http2Connection
from polywire.wire.limits import HttpLimits

ROUNDS = 2000
BATCH = 16
RUNS = 7

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
SETTINGS, HEADERS, DATA = 4, 1, 0
END_STREAM, END_HEADERS = 1, 4
COMMON = CommonHeaders(HeaderBlock([("date", "Sat, 21 Nov 2026 05:00:00 GMT"), ("server", "polywire")]))
JSON = HeaderBlock([("content-type", "application/json")])
GRPC = HeaderBlock([("content-type", "application/grpc")])
OK = HeaderBlock([("grpc-status", "0")])
GET = b"GET /v1/users/42 HTTP/1.1\r\nhost: 127.0.0.1:8000\r\n\r\n"
MESSAGE = b"\x00\x00\x00\x00\x02\x08\x2a"

GRPC_FIELDS = {
    b":method": b"POST",
    b":path": b"/user.UserService/GetUser",
    b":scheme": b"http",
    b":authority": b"127.0.0.1:8000",
    b"user-agent": b"h2load",
    b"content-type": b"application/grpc",
    b"te": b"trailers",
}
REST_FIELDS = {**GRPC_FIELDS, b":method": b"GET", b":path": b"/v1/users/42"}
del REST_FIELDS[b"content-type"], REST_FIELDS[b"te"]

Sink = Any
OnRequest = Callable[[Sink], None]


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3) + bytes((kind, flags)) + stream.to_bytes(4) + payload


def heads(fields: dict[bytes, bytes]) -> tuple[bytes, bytes]:
    """The header block of the first request, which fills the dynamic table, and that of all others (RFC 7541 §6)."""
    first = b"".join(b"\x40" + bytes((len(n),)) + n + bytes((len(v),)) + v for n, v in fields.items())
    return first, bytes(0x80 | 61 + len(fields) - place for place in range(len(fields)))


def http2_input(fields: dict[bytes, bytes], body: bytes | None) -> list[bytes]:
    first, later = heads(fields)
    chunks = [PREFACE + frame(SETTINGS, 0, 0, b"\x00\x04\x3f\xff\xff\xff")]
    chunks[0] += frame(8, 0, 0, (2**30).to_bytes(4))
    stream = 1
    for _ in range(ROUNDS):
        chunk = b""
        for _ in range(BATCH):
            flags = END_HEADERS | (END_STREAM if body is None else 0)
            chunk += frame(HEADERS, flags, stream, first if stream == 1 else later)
            if body is not None:
                chunk += frame(DATA, END_STREAM, stream, body)
            stream += 2
        chunks.append(chunk)
    return chunks


def http2(on_request: OnRequest, chunks: list[bytes]) -> float:
    engine = Http2Connection(on_request, HttpLimits(), COMMON)
    started = perf_counter()
    for chunk in chunks:
        engine.receive_data(chunk)
        while engine.data_to_send():
            pass
    return (perf_counter() - started) / (ROUNDS * BATCH) * 1e6


def http1(on_request: OnRequest) -> float:
    engine = Http1Connection(on_request, HttpLimits(), COMMON)
    started = perf_counter()
    for _ in range(ROUNDS * 4):
        engine.receive_data(GET)
        engine.data_to_send()
    return (perf_counter() - started) / (ROUNDS * 4) * 1e6


def answer_rest(sink: Sink) -> None:
    sink.respond(200, JSON, bytes(61))


def answer_grpc(sink: Sink) -> None:
    sink.grant(len(sink.take()))
    sink.respond(200, GRPC, bytes(35), (), OK)


def measure() -> list[tuple[str, float, float, float]]:
    """(what, gRPC, REST on HTTP/2, REST on HTTP/1.1): microseconds a call."""
    plain = Site(App(UserService()))
    whole = Site(App(UserService(), interceptors=[Timing(), authenticate]))
    for site in (plain, whole):
        site.runtime.start()
    grpc, rest = http2_input(GRPC_FIELDS, MESSAGE), http2_input(REST_FIELDS, None)
    with_handler: OnRequest = partial(plain.on_request, UNKNOWN_PEER)
    with_interceptors: OnRequest = partial(whole.on_request, UNKNOWN_PEER)
    steps: list[tuple[str, OnRequest, OnRequest]] = [
        ("the engine alone", answer_grpc, answer_rest),
        ("and routing, call, deadline, codec, handler, metrics", with_handler, with_handler),
        ("and two interceptors", with_interceptors, with_interceptors),
    ]
    rows = []
    for what, on_grpc, on_rest in steps:
        runs = [(http2(on_grpc, grpc), http2(on_rest, rest), http1(on_rest)) for _ in range(RUNS)]
        rows.append((what, *(min(column) for column in zip(*runs, strict=True))))
    return rows


async def main() -> None:
    # Within a callback of the loop, as a transport calls: no task is current then.
    done: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon(lambda: done.set_result(measure()))
    table = Table("one call costs, in µs", "gRPC", "REST, HTTP/2", "REST, HTTP/1.1")
    for what, *figures in await done:
        table.add_row(what, *(f"{figure:.2f}" for figure in figures))
    Console().print(table)


if __name__ == "__main__":
    uvloop.run(main())
