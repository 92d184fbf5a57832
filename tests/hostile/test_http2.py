"""HTTP/2 that is broken or abusive against a whole server."""

from __future__ import annotations

import random
import socket
import struct
import time
from typing import Any

import h2.errors
import pytest

from tests.live.http2 import h2_client
from tests.live.server import Live, serve, until
from tests.live.wire import connected, exchange, read_all

from .answers import leaks

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
SETTINGS = b"\0\0\0\x04\0\0\0\0\0"


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def goaways(received: bytes) -> list[int]:
    """The error codes of the GOAWAY frames in what the server sent, which must be whole frames."""
    codes = []
    while received:
        length, kind = int.from_bytes(received[:3], "big"), received[3]
        assert len(received) >= 9 + length
        if kind == 7:
            codes.append(int.from_bytes(received[13:17], "big"))
        received = received[9 + length :]
    return codes


# :method GET, :scheme http, :path /, :authority a
GET = b"\x82\x86\x84\x41\x01a"

BROKEN = {
    "no SETTINGS": (PREFACE + frame(6, 0, 0, bytes(8)), 1),
    "garbage": (PREFACE + SETTINGS + random.Random(3).randbytes(4000), None),
    "frame too large": (PREFACE + SETTINGS + frame(0, 0, 1, bytes(20_000)), 6),
    "DATA on no stream": (PREFACE + SETTINGS + frame(0, 0, 0, b"x"), 1),
    "DATA on an idle stream": (PREFACE + SETTINGS + frame(0, 0, 1, b"x"), 1),
    "even stream": (PREFACE + SETTINGS + frame(1, 5, 2, GET), 1),
    "broken HPACK": (PREFACE + SETTINGS + frame(1, 5, 1, b"\xff\xff\xff\xff\xff\xff"), 9),
    "CONTINUATION of nothing": (PREFACE + SETTINGS + frame(9, 4, 1, GET), 1),
    "frame within a head": (PREFACE + SETTINGS + frame(1, 1, 1, GET) + frame(6, 0, 0, bytes(8)), 1),
    "PUSH_PROMISE": (PREFACE + SETTINGS + frame(5, 4, 1, bytes(4) + GET), 1),
    "bad SETTINGS": (PREFACE + frame(4, 0, 0, b"\0\x05\0\0\0\x01"), 1),
    "window overflow": (PREFACE + SETTINGS + frame(8, 0, 0, b"\x7f\xff\xff\xff"), 3),
    "short PING": (PREFACE + SETTINGS + frame(6, 0, 0, b"x"), 6),
    "endless CONTINUATION": (PREFACE + SETTINGS + frame(1, 1, 1, GET) + frame(9, 0, 1, b"") * 100, 11),
}  # fmt: skip


@pytest.mark.parametrize(("sent", "code"), BROKEN.values(), ids=BROKEN)
def test_a_broken_connection_ends_with_goaway(live: Live, sent: bytes, code: int | None) -> None:
    received = exchange(live, sent)
    assert leaks(received.decode("latin-1")) == []
    (told,) = goaways(received)
    assert told == code or (code is None and told != 0)


FLOODS = {
    "PING": frame(6, 0, 0, bytes(8)) * 2000,
    "SETTINGS": SETTINGS * 2000,
    "empty DATA": frame(1, 4, 1, b"\x83\x86\x84\x41\x01a") + frame(0, 0, 1, b"") * 2000,
    "PRIORITY": frame(2, 0, 1, b"\0\0\0\0\0") * 2000,
    "rapid reset": b"".join(
        frame(1, 5, stream, GET) + frame(3, 0, stream, struct.pack(">I", 8)) for stream in range(1, 4001, 2)
    ),
    "heads too large": b"".join(frame(1, 5, stream, GET + b"\x00\x01x\x01y" * 200) for stream in range(1, 801, 2)),
}


@pytest.mark.parametrize("flood", FLOODS.values(), ids=FLOODS)
def test_a_flood_ends_the_connection(live: Live, flood: bytes) -> None:
    with connected(live) as opened:
        opened.sendall(PREFACE + SETTINGS)
        try:
            opened.sendall(flood)
        except ConnectionError:
            return  # cut off before it had sent all
        assert goaways(read_all(opened))[-1] == h2.errors.ErrorCodes.ENHANCE_YOUR_CALM
    with h2_client(live) as client:
        assert client.request("GET", "/items/a").head[":status"] == "200"


BAD_HEADS: dict[str, list[tuple[str, str]]] = {
    "capitals": [("X-Upper", "1")],
    "connection field": [("connection", "close")],
    "transfer-encoding": [("transfer-encoding", "chunked")],
    "te": [("te", "gzip")],
    "pseudo-field late": [("x", "1"), (":path", "/other")],
    "line break in a value": [("x", "1\r\ny: 2")],
    "NUL in a value": [("x", "\0")],
    "space in a name": [("x y", "1")],
    "content-length that lies": [("content-length", "5")],
}


@pytest.mark.parametrize("fields", BAD_HEADS.values(), ids=BAD_HEADS)
def test_a_malformed_request_costs_its_stream_only(live: Live, fields: Any) -> None:
    with h2_client(live) as client:
        client.h2.config.normalize_outbound_headers = False
        stream = client.begin("GET", "/items/a", fields, end=True)
        assert client.wait(stream).reset == h2.errors.ErrorCodes.PROTOCOL_ERROR
        assert client.request("GET", "/items/a").head[":status"] == "200"
        assert live.finished == [200]


def test_a_host_unlike_the_authority_is_refused(live: Live) -> None:
    with h2_client(live) as client:
        assert client.request("GET", "/items/a", [("host", "other")]).head[":status"] == "400"


@pytest.mark.parametrize(
    ("path", "fields", "status"),
    [
        ("/" + "x" * 9000, [], "414"),
        ("/items/a", [("x", "y" * 40_000)], "431"),
        ("/items/a", [(f"x{number}", "1") for number in range(200)], "431"),
        ("items", [], "400"),
    ],
)
def test_heads_beyond_a_limit(live: Live, path: str, fields: Any, status: str) -> None:
    with h2_client(live) as client:
        reply = client.wait(client.begin("GET", path, fields, end=True))
        assert reply.head.get(":status") == status or (reply.reset == 1 and status == "400")
        assert client.request("GET", "/items/a").head[":status"] == "200"


def test_more_streams_than_allowed_are_refused(live: Live) -> None:
    head = b"\x82\x86\x41\x01a\x04\x06/hangs"
    with connected(live) as opened:
        opened.sendall(PREFACE + SETTINGS + b"".join(frame(1, 5, stream, head) for stream in range(1, 257, 2)))
        until(lambda: live.lab.running == 128)
        opened.sendall(frame(1, 5, 257, head))
        refusal = frame(3, 0, 257, (7).to_bytes(4, "big"))
        received = b""
        while refusal not in received:
            part = opened.recv(65536)
            assert part
            received += part
        assert live.lab.running == 128


def test_a_body_that_stops_is_reset_and_the_connection_goes_on() -> None:
    with serve(body_timeout_s=0.1) as live, h2_client(live) as client:
        stream = client.begin("POST", "/items", [("content-type", "application/json")])
        client.send(stream, b'{"na')
        assert client.wait(stream).reset == h2.errors.ErrorCodes.CANCEL
        assert client.request("GET", "/items/a").head[":status"] == "200"


def test_windows_never_opened_are_given_up() -> None:
    """The client asks for 100 answers of 100 kB with a window of nothing, and stays."""
    with serve(idle_timeout_s=0.3, write_timeout_s=0.3) as live, connected(live) as opened:
        opened.sendall(PREFACE + frame(4, 0, 0, b"\0\x04\0\0\0\0"))
        head = b"\x82\x86\x41\x01a\x04\x0c/text/100000"
        opened.sendall(b"".join(frame(1, 5, stream, head) for stream in range(1, 201, 2)))
        until(lambda: len(live.finished) == 100)
        until(lambda: live.open_connections == 0)


def test_an_answer_that_is_taken_slowly_is_not_given_up() -> None:
    with serve(write_timeout_s=0.1) as live, h2_client(live) as client:
        stream = client.begin("GET", "/text/400000", end=True)
        ended = time.monotonic() + 0.5
        while time.monotonic() < ended:
            time.sleep(0.03)
            client.h2.increment_flow_control_window(10)
            client.h2.increment_flow_control_window(10, stream)
            client.flush()
        reply = client.wait(stream)
        assert (reply.reset, reply.ended) == (None, True)


def test_leaving_in_the_middle_of_anything(live: Live) -> None:
    whole = PREFACE + SETTINGS + frame(1, 5, 1, b"\x82\x86\x41\x01a\x04\x08/items/a")
    for length in range(0, len(whole), 2):
        with connected(live) as opened:
            opened.sendall(whole[:length])
            if length % 4:
                opened.shutdown(socket.SHUT_WR)
                read_all(opened)
