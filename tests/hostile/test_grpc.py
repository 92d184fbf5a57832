"""gRPC that is wrong: frames, messages, metadata, callers that leave, handlers that fail."""

from __future__ import annotations

import gzip
import zlib

import h2.errors
import pytest

from tests.live.http2 import Fields, H2Client, framed, h2_client
from tests.live.server import Live, serve, until
from tests.live.wire import reset

from .answers import check_status, leaks

PROTO: Fields = [("content-type", "application/grpc"), ("te", "trailers")]
JSON: Fields = [("content-type", "application/grpc+json"), ("te", "trailers")]
CANCELLED, INVALID, EXPIRED, EXHAUSTED, UNIMPLEMENTED, INTERNAL = 1, 3, 4, 8, 12, 13


def call(client: H2Client, name: str, body: bytes, fields: Fields | None = None, kind: Fields = PROTO) -> object:
    return client.request("POST", f"/lab.Lab/{name}", [*kind, *(fields or [])], body)


def still_answers(client: H2Client) -> bool:
    return client.request("POST", "/lab.Lab/GetItem", PROTO, framed(b"\x0a\x01a")).grpc_status == "0"


def field(number: int, payload: bytes) -> bytes:
    """A length-delimited field."""
    size, length = len(payload), b""
    while size > 127:
        length += bytes([size & 127 | 128])
        size >>= 7
    return bytes([number << 3 | 2]) + length + bytes([size]) + payload


def nested(depth: int) -> bytes:
    message = b""
    for _ in range(depth):
        message = field(1, message)
    return message


ZIPPED = gzip.compress(b"\x0a\x01a")
GZIP = [("grpc-encoding", "gzip")]

BODIES: dict[str, tuple[str, bytes, Fields, int]] = {
    "no message": ("GetItem", b"", [], UNIMPLEMENTED),
    "half a prefix": ("GetItem", b"\0\0\0", [], INVALID),
    "message cut off": ("GetItem", b"\0\0\0\0\x09\x0a\x01a", [], INVALID),
    "two messages": ("GetItem", framed(b"\x0a\x01a") * 2, [], UNIMPLEMENTED),
    "bytes after the message": ("GetItem", framed(b"\x0a\x01a") + b"\0", [], UNIMPLEMENTED),
    "bad flag": ("GetItem", b"\x02\0\0\0\0", [], INVALID),
    "length of 4 GiB": ("GetItem", b"\0\xff\xff\xff\xff", [], EXHAUSTED),
    "compressed, undeclared": ("GetItem", framed(ZIPPED, True), [], INTERNAL),
    "compressed, identity": ("GetItem", framed(ZIPPED, True), [("grpc-encoding", "identity")], INTERNAL),
    "not gzip": ("GetItem", framed(b"\x0a\x01a", True), GZIP, INVALID),
    "gzip cut off": ("GetItem", framed(ZIPPED[:-4], True), GZIP, INVALID),
    "unknown coding": ("GetItem", framed(ZIPPED, True), [("grpc-encoding", "snappy")], UNIMPLEMENTED),
    "bomb": ("Size", framed(gzip.compress(bytes(100_000_000), 9), True), GZIP, EXHAUSTED),
    "garbage": ("GetItem", framed(b"\xff" * 20), [], INVALID),
    "field cut off": ("GetItem", framed(b"\x0a\x7fa"), [], INVALID),
    "field number 0": ("GetItem", framed(b"\x02\x01a"), [], INVALID),
    "endless varint": ("GetItem", framed(b"\x10" + b"\xff" * 11), [], INVALID),
    "wire type 7": ("GetItem", framed(b"\x0f\x01"), [], INVALID),
    "group not closed": ("GetItem", framed(b"\x7b" * 10), [], INVALID),
    "groups 10,000 deep": ("GetItem", framed(b"\x7b" * 10_000 + b"\x7c" * 10_000), [], INVALID),
    "length beyond 64 bits": ("GetItem", framed(b"\x0a" + b"\xff" * 9 + b"\x01"), [], INVALID),
    "bad UTF-8": ("GetItem", framed(field(1, b"\xff\xfe")), [], INVALID),
    "encoded surrogate": ("GetItem", framed(field(1, b"\xed\xa0\x80")), [], INVALID),
    "out of bounds": ("GetItem", framed(field(1, b"a") + b"\x10\x65"), [], INVALID),
    "10,000 deep": ("Tree", framed(field(1, nested(10_000))), [], INVALID),
    "time-out without a unit": ("GetItem", framed(b""), [("grpc-timeout", "10")], INVALID),
    "negative time-out": ("GetItem", framed(b""), [("grpc-timeout", "-1S")], INVALID),
    "time-out of 9 digits": ("GetItem", framed(b""), [("grpc-timeout", "999999999S")], INVALID),
    "unknown method": ("Nothing", framed(b""), [], UNIMPLEMENTED),
}


@pytest.mark.parametrize(("name", "body", "fields", "code"), BODIES.values(), ids=BODIES)
def test_bad_calls(live: Live, name: str, body: bytes, fields: Fields, code: int) -> None:
    with h2_client(live) as client:
        check_status(client.request("POST", f"/lab.Lab/{name}", [*PROTO, *fields], body), code)
        assert still_answers(client)


DEEP = 100_000

JSON_BODIES = {
    "not JSON": ("CreateItem", b"hello"),
    "empty": ("CreateItem", b""),
    "wrong type": ("CreateItem", b'{"name":1}'),
    "bad UTF-8": ("CreateItem", b'{"name":"\xff"}'),
    "NaN": ("Numbers", b'{"ratio":NaN}'),
    "huge": ("Numbers", b'{"big":"' + b"9" * 100_000 + b'"}'),
    "deep": ("Tree", b'{"child":' * DEEP + b"}" * DEEP),
    "deep, unknown": ("CreateItem", b'{"x":' + b"[" * DEEP + b"]" * DEEP + b"}"),
}


@pytest.mark.parametrize(("name", "body"), JSON_BODIES.values(), ids=JSON_BODIES)
def test_bad_json_over_grpc(live: Live, name: str, body: bytes) -> None:
    with h2_client(live) as client:
        reply = client.request("POST", f"/lab.Lab/{name}", JSON, framed(body))
        check_status(reply, INVALID)
        assert still_answers(client)


def test_a_message_over_the_limit() -> None:
    with serve(app={"max_request_bytes": 1000}) as live, h2_client(live) as client:
        for size in (1001, 2_000_000):
            reply = client.request("POST", "/lab.Lab/Size", PROTO, framed(field(1, b"x" * size)))
            assert "larger than 1000 bytes" in check_status(reply, EXHAUSTED)
        assert still_answers(client)


def test_grpc_by_another_method_is_refused(live: Live) -> None:
    with h2_client(live) as client:
        reply = client.request("GET", "/lab.Lab/GetItem", PROTO)
        assert (reply.head[":status"], reply.head["allow"]) == ("405", "POST")


@pytest.mark.parametrize("name", ["Raises", "RaisesInThread", "RaisesLate", "Wrong", "StreamRaises"])
@pytest.mark.parametrize("kind", [PROTO, JSON], ids=["proto", "json"])
def test_what_an_unexpected_exception_says_stays_inside(name: str, kind: Fields) -> None:
    with serve(errors=1) as live, h2_client(live) as client:
        body = framed(b"{}" if kind is JSON else b"")
        reply = client.request("POST", f"/lab.Lab/{name}", kind, body)
        assert (reply.head[":status"], reply.grpc_status) == ("200", str(INTERNAL))
        assert {**reply.head, **reply.trailers}["grpc-message"] == "internal error"
        assert leaks(reply.everything) == []
        assert live.records[0].exc_info is not None
        assert still_answers(client)


@pytest.mark.parametrize("name", ["Hangs", "HangsInThread"])
def test_a_handler_that_hangs_meets_its_deadline(live: Live, name: str) -> None:
    with h2_client(live) as client:
        reply = client.request("POST", f"/lab.Lab/{name}", [*PROTO, ("grpc-timeout", "80m")], framed(b""))
        check_status(reply, EXPIRED)
        if name == "Hangs":
            until(lambda: live.lab.cancelled == 1)
        live.lab.release.set()
        assert still_answers(client)


def test_the_default_deadline_ends_who_asked_for_none() -> None:
    with serve(app={"default_deadline_s": 0.1}) as live, h2_client(live) as client:
        check_status(client.request("POST", "/lab.Lab/Hangs", PROTO, framed(b"")), EXPIRED)
        until(lambda: live.lab.cancelled == 1)


def test_a_caller_that_resets_its_stream_cancels_the_handler(live: Live) -> None:
    with h2_client(live) as client:
        stream = client.begin("POST", "/lab.Lab/Hangs", PROTO)
        client.send(stream, framed(b""), end=True)
        until(lambda: live.lab.running == 1)
        client.h2.reset_stream(stream, h2.errors.ErrorCodes.CANCEL)
        client.flush()
        until(lambda: live.lab.cancelled == 1)
        assert live.finished == [499]
        assert still_answers(client)


@pytest.mark.parametrize("name", ["Hangs", "Total", "Echo", "Stream"])
def test_a_caller_whose_connection_breaks_cancels_its_handlers(live: Live, name: str) -> None:
    body = framed(b"\x08\x90\xa1\x0f\x10\x90\x4e" if name == "Stream" else b"")  # 250,000 messages of 10,000 bytes
    with h2_client(live) as client:
        for _ in range(20):
            stream = client.begin("POST", f"/lab.Lab/{name}", PROTO)
            client.send(stream, body, end=name in ("Hangs", "Stream"))
        until(lambda: live.lab.running == 20)
        reset(client.socket)
        until(live.is_quiet)
        assert live.lab.running == 0
        assert live.finished == [499 if name in ("Hangs", "Total") else 200] * 20


def test_a_stream_stops_at_a_caller_that_does_not_read(live: Live) -> None:
    """250,000 messages of 10,000 bytes: the handler is held back by flow control, and cancelled in the end."""
    with h2_client(live) as client:
        stream = client.begin("POST", "/lab.Lab/Stream", PROTO)
        client.send(stream, framed(b"\x08\x90\xa1\x0f\x10\x90\x4e"), end=True)
        until(lambda: live.lab.running == 1)
        assert still_answers(client)
        assert live.lab.running == 1
        client.h2.reset_stream(stream, h2.errors.ErrorCodes.CANCEL)
        client.flush()
        until(lambda: live.lab.running == 0)
        assert len(client.replies[stream].body) < 200_000


def test_a_client_stream_with_a_broken_message(live: Live) -> None:
    with h2_client(live) as client:
        for sent, code in [
            (framed(b"\x0a\x01a") + framed(b"\xff"), INVALID),
            (framed(b"\x0a\x01a") + b"\0\0", INVALID),
            (framed(b"\x0a\x01a") + b"\0\0\0\0\x09a", INVALID),
            (framed(b"\x0a\x01a") + b"\0\xff\xff\xff\xff", EXHAUSTED),
            (framed(b"\x0a\x01a") + b"\x07\0\0\0\0", INVALID),
        ]:
            check_status(client.request("POST", "/lab.Lab/Total", PROTO, sent), code)
        assert live.lab.running == 0
        assert still_answers(client)


def test_a_bomb_in_a_stream(live: Live) -> None:
    packer = zlib.compressobj(9, wbits=31)
    bomb = packer.compress(bytes(100_000_000)) + packer.flush()
    with h2_client(live) as client:
        reply = client.request("POST", "/lab.Lab/Total", [*PROTO, *GZIP], framed(bomb, True))
        check_status(reply, EXHAUSTED)
