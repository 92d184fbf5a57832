"""What is refused, and how: malformed and smuggled messages never reach the layer above as a complete request."""

from __future__ import annotations

import json

import pytest

from polywire.wire.http1_text import PROBLEMS

from .http1_peer import TEXT, Peer, deliveries, echo, statuses

HOST = b"Host: a\r\n"
SECOND = b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
TE = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"


def fields(*lines: bytes) -> bytes:
    return b"POST / HTTP/1.1\r\nHost: a\r\n" + b"\r\n".join(lines) + b"\r\n\r\n"


def target(text: bytes, method: bytes = b"GET") -> bytes:
    return method + b" " + text + b" HTTP/1.1\r\nHost: a\r\n\r\n"


REQUEST_LINE = "the request line is not `method target HTTP-version`"
METHOD = "the method is not a token of at most 32 characters followed by one space"
TARGET = "the request target is not valid for this method"
VERSION = "the request line does not end with an HTTP version"
LINE_END = "a line does not end with CRLF, or too many empty lines precede the request"
NAME = "a field name is not a token followed by a colon"
VALUE = "a field value holds a control character"
FOLDED = "folded field lines are not allowed"
NO_HOST = "the Host field is missing"
BAD_HOST = "the Host field is repeated or not a host"
LENGTH = "Content-Length is not one decimal number"
BOTH = "Content-Length and Transfer-Encoding exclude each other"
CODING = "Transfer-Encoding is not `chunked`"
CODING_1_0 = "Transfer-Encoding does not exist in HTTP/1.0"
CHUNK = "the chunked body is malformed"
EXPECTATION = "the only expectation known is 100-continue"
UNKNOWN_CODING = "the only transfer coding known is chunked"
CONNECT = "CONNECT is not offered"
UNKNOWN_VERSION = "only HTTP/1.0 and HTTP/1.1 are spoken in this form"

HEADS: list[tuple[bytes, int, str]] = [
    (b"GET\r\n\r\n", 400, METHOD),
    (b"GET /\r\n\r\n", 400, REQUEST_LINE),
    (b"GET  / HTTP/1.1\r\n" + HOST + b"\r\n", 400, REQUEST_LINE),
    (b"GET /  HTTP/1.1\r\n" + HOST + b"\r\n", 400, VERSION),
    (b"GET / a HTTP/1.1\r\n" + HOST + b"\r\n", 400, VERSION),
    (b"GET / HTTP/1.1 \r\n" + HOST + b"\r\n", 400, VERSION),
    (b"GET / http/1.1\r\n" + HOST + b"\r\n", 400, VERSION),
    (b"GET / HTTP/1\r\n" + HOST + b"\r\n", 400, VERSION),
    (b"GET / HTTP/1x1\r\n" + HOST + b"\r\n", 400, VERSION),
    (b"GET / HTTP/a.1\r\n" + HOST + b"\r\n", 400, VERSION),
    (b"GET / HTTP/0.9\r\n" + HOST + b"\r\n", 505, UNKNOWN_VERSION),
    (b"PRI * HTTP/2.0\r\n\r\n", 505, UNKNOWN_VERSION),
    (b" GET / HTTP/1.1\r\n" + HOST + b"\r\n", 400, METHOD),
    (b"GE\xc9 / HTTP/1.1\r\n" + HOST + b"\r\n", 400, METHOD),
    (b"GE(T / HTTP/1.1\r\n" + HOST + b"\r\n", 400, METHOD),
    (b"M" * 33 + b" / HTTP/1.1\r\n" + HOST + b"\r\n", 400, METHOD),
    (b"GET\t/ HTTP/1.1\r\n" + HOST + b"\r\n", 400, METHOD),
    (b"\x16\x03\x01\x00\xa5\r\n\r\n", 400, METHOD),
    (b"\r\n\r\n\r\nGET / HTTP/1.1\r\n" + HOST + b"\r\n", 400, LINE_END),
    (target(b"a"), 400, TARGET),
    (target(b"*"), 400, TARGET),
    (target(b"a:80"), 400, TARGET),
    (target(b"/caf\xc3\xa9"), 400, TARGET),
    (target(b"/a#b"), 400, TARGET),
    (target(b"/\x00"), 400, TARGET),
    (target(b"/\x7f"), 400, TARGET),
    (target(b"/\t"), 400, TARGET),
    (target(b"http://"), 400, TARGET),
    (target(b"http:///x"), 400, TARGET),
    (target(b"http://user@a/"), 400, TARGET),
    (target(b"ftp://a/"), 400, TARGET),
    (target(b"a:443", b"CONNECT"), 501, CONNECT),
    (target(b"/", b"CONNECT"), 400, TARGET),
    (target(b"a", b"CONNECT"), 400, TARGET),
    (target(b"http://a/", b"CONNECT"), 400, TARGET),
    (b"GET / HTTP/1.1\r\n\r\n", 400, NO_HOST),
    (b"GET http://a/ HTTP/1.1\r\n\r\n", 400, NO_HOST),
    (b"GET / HTTP/1.1\r\n" + HOST + HOST + b"\r\n", 400, BAD_HOST),
    (b"GET / HTTP/1.0\r\n" + HOST + b"host: b\r\n\r\n", 400, BAD_HOST),
    (b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400, BAD_HOST),
    (b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400, BAD_HOST),
    (b"GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", 400, BAD_HOST),
    (b"GET / HTTP/1.1\r\nHost: a:b\r\n\r\n", 400, BAD_HOST),
    (b"GET / HTTP/1.1\r\nHost: a:80:80\r\n\r\n", 400, BAD_HOST),
    (b"GET / HTTP/1.1\r\nHost: a:100000\r\n\r\n", 400, BAD_HOST),
    (b"GET / HTTP/1.1\r\nHost: :80\r\n\r\n", 400, BAD_HOST),
    (b"GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", 400, BAD_HOST),
    (b"GET / HTTP/1.1\r\nHost: []\r\n\r\n", 400, BAD_HOST),
    (b"GET / HTTP/1.1\r\nHost: [::1]x\r\n\r\n", 400, BAD_HOST),
    (b"GET / HTTP/1.1\r\nHost: a\xe9\r\n\r\n", 400, BAD_HOST),
    (b"GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400, NAME),
    (fields(b"A b: c"), 400, NAME),
    (fields(b"A\t: c"), 400, NAME),
    (fields(b": c"), 400, NAME),
    (fields(b"no colon"), 400, NAME),
    (fields(b"nocolon"), 400, NAME),
    (fields(b"A\x00: c"), 400, NAME),
    (fields(b"\xc3\xa9: c"), 400, NAME),
    (fields(b"A: b", b" folded"), 400, FOLDED),
    (fields(b"A: b", b"\tfolded"), 400, FOLDED),
    (b"GET / HTTP/1.1\r\n Host: a\r\n\r\n", 400, FOLDED),
    (fields(b"A: b\x00c"), 400, VALUE),
    (fields(b"A: b\x0bc"), 400, VALUE),
    (fields(b"A: long enough for a word \x01 and more"), 400, VALUE),
    (fields(b"A: long enough for a word \x7f and more"), 400, VALUE),
    (fields(b"A: b\rc"), 400, VALUE),
    (fields(b"A: b\r"), 400, VALUE),
    (fields(b"Expect: 200-ok"), 417, EXPECTATION),
    (fields(b"Expect: 100-continue", b"Expect: 100-continue"), 417, EXPECTATION),
]
SMUGGLING: list[tuple[bytes, int, str]] = [
    # One CR or LF for a line's end.
    (b"GET / HTTP/1.1\n" + HOST + b"\r\n", 400, LINE_END),
    (b"GET / HTTP/1.1\r\nHost: a\n\r\n", 400, LINE_END),
    (b"GET / HTTP/1.1\r\nHost: a\r\n\n", 400, LINE_END),
    (b"\nGET / HTTP/1.1\r\n" + HOST + b"\r\n", 400, LINE_END),
    (b"GET / HTTP/1.1\rHost: a\r\n\r\n", 400, VERSION),
    # CL.TE, TE.CL, TE in 1.0.
    (fields(b"Content-Length: 6", b"Transfer-Encoding: chunked") + b"0\r\n\r\nG", 400, BOTH),
    (fields(b"Transfer-Encoding: chunked", b"Content-Length: 4") + b"5c\r\nGPOST", 400, BOTH),
    (b"POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, CODING_1_0),
    # CL.CL.
    (fields(b"Content-Length: 5", b"Content-Length: 6") + b"hello", 400, LENGTH),
    (fields(b"Content-Length: 5", b"Content-Length: 5") + b"hello", 400, LENGTH),
    (fields(b"Content-Length: 5, 5") + b"hello", 400, LENGTH),
    *[
        (fields(b"Content-Length: " + value) + b"hello", 400, LENGTH)
        for value in (b"", b"+5", b"-5", b"5 5", b"0x5", b"5.", b"5e0", b"5_0", b"\xb2", b"five", b"5,")
    ],
    (fields(b"Content-Length: 4611686018427387905"), 400, LENGTH),
    (fields(b"Content-Length: 9999999999999999999"), 400, LENGTH),
    (fields(b"Content-Length: 18446744073709551617"), 400, LENGTH),
    (fields(b"Content-Length: 0000000000000000000000005") + b"hello", 400, LENGTH),
    (fields(b"Content-Length : 5") + b"hello", 400, NAME),
    (fields(b"Content-Length: \x0b5") + b"hello", 400, VALUE),
    # TE.TE.
    (fields(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"), 400, CODING),
    (fields(b"Transfer-Encoding: chunked", b"Transfer-Encoding: identity"), 400, CODING),
    (fields(b"Transfer-Encoding: gzip, chunked"), 501, UNKNOWN_CODING),
    (fields(b"Transfer-Encoding: identity,\tchunked"), 501, UNKNOWN_CODING),
    *[
        (fields(b"Transfer-Encoding: " + value), 400, CODING)
        for value in (
            b"",
            b"xchunked",
            b"chunkedx",
            b"identity",
            b"gzip",
            b"chunked, gzip",
            b"chunked, chunked",
            b", chunked",
            b"chunked,",
            b'"chunked"',
            b"chunked;q=1",
            b"chunked x",
            b"gzip;q=1, chunked",
            b"gzip,,chunked",
            b"'chunked'",
            b"ch\xfcnked",
        )
    ],
    (fields(b"Transfer-Encoding : chunked"), 400, NAME),
    (fields(b"Transfer-Encoding\t: chunked"), 400, NAME),
    (fields(b"Transfer-Encoding:\x0bchunked"), 400, VALUE),
    (fields(b"X: y", b" Transfer-Encoding: chunked"), 400, FOLDED),
    (fields(b"Transfer-Encoding:", b" chunked"), 400, CODING),
    (fields(b"X: y\rTransfer-Encoding: chunked"), 400, VALUE),
]
BODIES: list[tuple[bytes, int, str]] = [
    *[
        (TE + size + b"\r\nhello\r\n0\r\n\r\n", 400, CHUNK)
        for size in (
            b"",
            b"0x5",
            b"+5",
            b"-5",
            b"5 ",
            b" 5",
            b"\t5",
            b"5\t",
            b"5 ;a",
            b"g",
            b"5,5",
            b"5\x00",
            b"FFFFFFFFFFFFFFFFF",
            b"FFFFFFFFFFFFFFFF",
            b"4000000000000001",
            b"00000000000000005",
            b"5;a\rb",
            b"5;\x00",
            b"5;" + b"a" * 1024,
        )
    ],
    (TE + b"5;" + b"a" * 4000, 400, CHUNK),
    (TE + b"5\nhello\r\n0\r\n\r\n", 400, LINE_END),
    (TE + b"5\r\nhello0\r\n\r\n", 400, CHUNK),
    (TE + b"5\r\nhello\n0\r\n\r\n", 400, CHUNK),
    (TE + b"5\r\nhello\rX0\r\n\r\n", 400, CHUNK),
    (TE + b"5\r\nhello\r\n0\n\n", 400, LINE_END),
    (TE + b"0\r\nA b: c\r\n\r\n", 400, NAME),
    (TE + b"0\r\nA: b\r\n c\r\n\r\n", 400, FOLDED),
    (TE + b"0\r\nA: b\n\r\n", 400, LINE_END),
    (TE + b"0\r\nA: \x00\r\n\r\n", 400, VALUE),
    (TE + (b"1;" + b"a" * 1000 + b"\r\nx\r\n") * 17 + b"0\r\n\r\n", 400, CHUNK),
]


def check(out: bytes, status: int, message: str) -> None:
    head, _, body = out.partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    assert int(lines[0].split()[1]) == status
    assert b"connection: close" in lines
    assert b"server: t" in lines
    assert b"content-type: application/json" in lines
    assert b"content-length: %d" % len(body) in lines
    code = {400: "INVALID_ARGUMENT", 417: "INVALID_ARGUMENT", 501: "UNIMPLEMENTED", 505: "UNIMPLEMENTED"}[status]
    assert json.loads(body) == {"error": {"code": code, "message": message, "details": [], "request_id": None}}


@pytest.mark.parametrize(("data", "status", "message"), HEADS + SMUGGLING)
def test_bad_heads_are_answered_and_never_handed_up(data: bytes, status: int, message: str) -> None:
    for parts in deliveries(data + SECOND):
        peer = Peer(echo)
        out = b"".join([peer.send(part) for part in parts])
        assert peer.requests == []
        check(out, status, message)
        assert peer.engine.want_close
        assert not peer.engine.want_read
        assert peer.engine.open_requests == 0
        assert peer.send(SECOND) == b""


@pytest.mark.parametrize(("data", "status", "message"), BODIES)
def test_bad_bodies_are_answered_and_their_requests_are_gone(data: bytes, status: int, message: str) -> None:
    for parts in deliveries(data + SECOND):
        peer = Peer()
        out = b"".join([peer.send(part) for part in parts])
        check(out, status, message)
        assert peer.engine.want_close
        assert all(sink.closed and not sink.ended for sink in peer.requests)
        assert all(receiver.told[-1:] == ["gone"] for receiver in peer.receivers)
        assert len(peer.requests) == 1 or len(parts) < len(data)


@pytest.mark.parametrize(("data", "status", "message"), HEADS + SMUGGLING + BODIES)
def test_errors_wait_for_the_answers_before_them(data: bytes, status: int, message: str) -> None:
    peer = Peer()
    assert peer.send(b"GET /first HTTP/1.1\r\nHost: a\r\n\r\n" + data) == b""
    assert not peer.engine.want_close
    peer.requests[0].respond(200, TEXT, b"first")
    out = peer.settle()
    assert statuses(out) == [200, status]
    check(out[out.index(b"HTTP/1.1 ", 5) :], status, message)
    assert peer.engine.want_close


def test_a_refused_head_gets_no_body() -> None:
    out = Peer().send(b"HEAD / HTTP/1.1\r\n\r\n")
    assert statuses(out) == [400]
    assert out.endswith(b"\r\n\r\n")
    assert b"content-length: 0" not in out


def test_expectations_mean_nothing_to_http_1_0() -> None:
    peer = Peer(echo)
    assert statuses(peer.send(b"GET / HTTP/1.0\r\nExpect: 200-ok\r\n\r\n")) == [200]


def test_every_problem_has_a_text_of_its_own() -> None:
    assert len({message for _, _, message in PROBLEMS}) == len(PROBLEMS)
    seen = {message for _, _, message in HEADS + SMUGGLING + BODIES}
    elsewhere = {status for status, _, message in PROBLEMS[1:] if message not in seen}
    assert elsewhere == {400, 408, 414, 431}
