"""HTTP/1.1 that is malformed, smuggled, oversized or slow, against a whole server: its answer and how it closes."""

from __future__ import annotations

import contextlib
import os
import random
import resource
import socket
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from tests.live.server import Live, serve, until
from tests.live.wire import connected, exchange, parse, read_all, reset

from .answers import check_envelope, leaks

GET = b"GET /items/a HTTP/1.1\r\nhost: a\r\n\r\n"
LAST_GET = b"GET /items/a HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"
POST = b"POST /items HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n"
SMUGGLED = b"DELETE /items/smuggled HTTP/1.1\r\nhost: a\r\n\r\n"

MALFORMED = {
    "both lengths": POST + b"content-length: 4\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
    "two lengths": POST + b"content-length: 0\r\ncontent-length: 44\r\n\r\n" + SMUGGLED,
    "length list": POST + b"content-length: 0, 44\r\n\r\n" + SMUGGLED,
    "signed length": POST + b"content-length: +0\r\n\r\n" + SMUGGLED,
    "negative length": POST + b"content-length: -1\r\n\r\n" + SMUGGLED,
    "huge length": POST + b"content-length: 99999999999999999999\r\n\r\n" + SMUGGLED,
    "hex length": POST + b"content-length: 0x10\r\n\r\n" + SMUGGLED,
    "chunked twice": POST + b"transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
    "chunked, then identity": POST + b"transfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n" + SMUGGLED,
    "chunked in 1.0": b"POST /items HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
    "bad chunk size": POST + b"transfer-encoding: chunked\r\n\r\nzz\r\n\r\n" + SMUGGLED,
    "signed chunk size": POST + b"transfer-encoding: chunked\r\n\r\n-1\r\n\r\n" + SMUGGLED,
    "prefixed chunk size": POST + b"transfer-encoding: chunked\r\n\r\n0x1\r\na\r\n0\r\n\r\n" + SMUGGLED,
    "chunk size overflow": POST + b"transfer-encoding: chunked\r\n\r\n" + b"f" * 17 + b"\r\n" + SMUGGLED,
    "chunk longer than said": POST + b"transfer-encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n" + SMUGGLED,
    "chunk line with bare LF": POST + b"transfer-encoding: chunked\r\n\r\n1\na\r\n0\r\n\r\n" + SMUGGLED,
    "obs-fold": b"GET /items/a HTTP/1.1\r\nhost: a\r\nx: 1\r\n  2\r\n\r\n" + SMUGGLED,
    "bare LF": b"GET /items/a HTTP/1.1\nhost: a\n\n" + SMUGGLED,
    "bare CR in a value": b"GET /items/a HTTP/1.1\r\nhost: a\r\nx: 1\r2\r\n\r\n" + SMUGGLED,
    "NUL in a value": b"GET /items/a HTTP/1.1\r\nhost: a\r\nx: \x00\r\n\r\n" + SMUGGLED,
    "space before the colon": b"GET /items/a HTTP/1.1\r\nhost: a\r\nx : 1\r\n\r\n" + SMUGGLED,
    "space in a name": b"GET /items/a HTTP/1.1\r\nhost: a\r\nx y: 1\r\n\r\n" + SMUGGLED,
    "no colon": b"GET /items/a HTTP/1.1\r\nhost: a\r\nx\r\n\r\n" + SMUGGLED,
    "no host": b"GET /items/a HTTP/1.1\r\n\r\n" + SMUGGLED,
    "two hosts": b"GET /items/a HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n" + SMUGGLED,
    "space in the target": b"GET /items/ a HTTP/1.1\r\nhost: a\r\n\r\n" + SMUGGLED,
    "no version": b"GET /items/a\r\nhost: a\r\n\r\n" + SMUGGLED,
    "bad method": b"G(T /items/a HTTP/1.1\r\nhost: a\r\n\r\n" + SMUGGLED,
    "raw UTF-8 in the target": "GET /items/é HTTP/1.1\r\nhost: a\r\n\r\n".encode() + SMUGGLED,
    "HTTP/2 after HTTP/1.1": GET + b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + SMUGGLED,
}


@pytest.mark.parametrize("sent", MALFORMED.values(), ids=MALFORMED)
def test_malformed_requests_are_answered_and_what_follows_is_not_obeyed(live: Live, sent: bytes) -> None:
    answers = parse(exchange(live, sent))
    assert answers[-1].status in (400, 501, 505)
    assert answers[-1].headers["connection"] == "close"
    check_envelope(
        answers[-1], answers[-1].status, "INVALID_ARGUMENT" if answers[-1].status == 400 else "UNIMPLEMENTED"
    )
    assert live.lab.seen == []
    assert parse(exchange(live, LAST_GET))[0].status == 200


OTHERS = {
    "target too long": (b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\nhost: a\r\n\r\n", 414, "RESOURCE_EXHAUSTED"),
    "field too long": (b"GET / HTTP/1.1\r\nhost: a\r\nx: " + b"x" * 40_000 + b"\r\n\r\n", 431, "RESOURCE_EXHAUSTED"),
    "endless field": (b"GET / HTTP/1.1\r\nhost: a\r\nx: " + b"x" * 400_000, 431, "RESOURCE_EXHAUSTED"),
    "too many fields": (b"GET / HTTP/1.1\r\nhost: a\r\n" + b"x: 1\r\n" * 200 + b"\r\n", 431, "RESOURCE_EXHAUSTED"),
    "unknown coding": (POST + b"transfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501, "UNIMPLEMENTED"),
    "unknown version": (b"GET / HTTP/3.0\r\nhost: a\r\n\r\n", 505, "UNIMPLEMENTED"),
    "CONNECT": (b"CONNECT a:443 HTTP/1.1\r\nhost: a:443\r\n\r\n", 501, "UNIMPLEMENTED"),
    "unknown expectation": (POST + b"expect: magic\r\ncontent-length: 2\r\n\r\n{}", 417, "INVALID_ARGUMENT"),
}


@pytest.mark.parametrize(("sent", "status", "code"), OTHERS.values(), ids=OTHERS)
def test_requests_beyond_a_limit(live: Live, sent: bytes, status: int, code: str) -> None:
    (answer,) = parse(exchange(live, sent))
    check_envelope(answer, status, code)
    until(lambda: live.finished == [status])  # what the access log is told, and counted for the metrics


UPGRADES = {
    "websocket": b"connection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n",
    "h2c": b"connection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAARAAAAAAAIAAAAA\r\n",
    "unknown": b"connection: upgrade\r\nupgrade: TLS/1.0, x\r\n",
}


@pytest.mark.parametrize("fields", UPGRADES.values(), ids=UPGRADES)
def test_an_upgrade_that_nobody_takes_up_is_ignored(live: Live, fields: bytes) -> None:
    answers = parse(exchange(live, GET[:-2] + fields + b"\r\n" + LAST_GET))
    assert [answer.status for answer in answers] == [200, 200]


def test_an_error_comes_after_the_answers_before_it(live: Live) -> None:
    answers = parse(exchange(live, GET + GET + b"GET / HTTP/1.1\r\n\r\n"))
    assert [answer.status for answer in answers] == [200, 200, 400]


GARBAGE = {
    "zeros": bytes(200),
    "random": random.Random(7).randbytes(4000),
    "TLS hello": bytes.fromhex("1603010200010001fc0303") + bytes(512),
    "old TLS hello": bytes.fromhex("802e0100020015000000100100800200800300800400800500800600800700c0"),
    "SSH": b"SSH-2.0-OpenSSH_9.2\r\n",
    "SMTP": b"EHLO example.org\r\n",
    "Redis": b"*1\r\n$4\r\nPING\r\n",
    "MQTT": b"\x10\x0c\x00\x04MQTT\x04\x02\x00<\x00\x00",
    "high bytes": b"\xff\xfe" * 300 + b"\r\n\r\n",
    "only line ends": b"\r\n" * 100,
    "half a preface": b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n",
}


@pytest.mark.parametrize("sent", GARBAGE.values(), ids=GARBAGE)
def test_garbage_is_refused_and_the_connection_closed(live: Live, sent: bytes) -> None:
    with connected(live) as opened:
        opened.sendall(sent)
        opened.shutdown(socket.SHUT_WR)
        received = read_all(opened)
    assert leaks(received.decode("latin-1")) == []
    # What is no complete line may end without a word; a broken HTTP/2 preface is answered in HTTP/2.
    assert not received or received.startswith(b"HTTP/1.1 4") or sent.startswith(b"PRI")


def test_a_declared_body_over_the_limit_is_refused_before_it_comes() -> None:
    with serve(app={"max_request_bytes": 1000}) as live, connected(live) as opened:
        opened.sendall(POST + b"content-length: 1001\r\n\r\n")
        opened.shutdown(socket.SHUT_WR)
        (answer,) = parse(read_all(opened))
        assert check_envelope(answer, 413, "RESOURCE_EXHAUSTED")["reason"] == "TOO_LARGE"


@pytest.mark.parametrize("size", [1001, 70_000, 3_000_000])
def test_an_undeclared_body_over_the_limit_is_refused_though_it_goes_on(size: int) -> None:
    """The client reads only after it has sent all: the answer must not be lost to a reset."""
    body = POST + b"transfer-encoding: chunked\r\n\r\n" + b"400\r\n" + b"x" * 1024 + b"\r\n"
    with serve(app={"max_request_bytes": 1000}, linger_bytes=10_000_000) as live, connected(live) as opened:
        opened.sendall(body)
        for _ in range(size // 1024):
            opened.sendall(b"400\r\n" + b"x" * 1024 + b"\r\n")
        opened.sendall(b"0\r\n\r\n")
        opened.shutdown(socket.SHUT_WR)
        (answer,) = parse(read_all(opened))
        check_envelope(answer, 413, "RESOURCE_EXHAUSTED")


def test_a_body_that_goes_on_long_after_its_refusal_does_not_lose_the_answer() -> None:
    """A client that reads only when it has sent everything, more than any socket holds."""
    with serve(app={"max_request_bytes": 1000}) as live, connected(live) as opened:
        opened.sendall(POST + b"content-length: 30000000\r\n\r\n")
        for _ in range(300):
            opened.sendall(bytes(100_000))
        opened.shutdown(socket.SHUT_WR)
        (answer,) = parse(read_all(opened))
        check_envelope(answer, 413, "RESOURCE_EXHAUSTED")


def test_a_rest_that_trickles_after_the_answer_has_one_time_out_in_all() -> None:
    with serve(app={"max_request_bytes": 10}, body_timeout_s=0.2) as live, connected(live) as opened:
        opened.settimeout(0.02)
        opened.sendall(POST + b"content-length: 1000\r\n\r\n")
        started, received = time.monotonic(), b""
        while time.monotonic() - started < 10:
            try:
                opened.sendall(b"x")
                part = opened.recv(65536)
            except TimeoutError:
                continue
            except ConnectionError:
                break
            received += part
            if not part:
                break
        assert time.monotonic() - started < 8
        assert received.startswith(b"HTTP/1.1 413 ")


def test_an_endless_body_is_cut_off_and_costs_no_memory() -> None:
    with serve(app={"max_request_bytes": 100_000}, linger_bytes=1_000_000) as live, connected(live) as opened:
        opened.sendall(POST + b"transfer-encoding: chunked\r\n\r\n")
        before = resident_bytes()
        sent = 0
        with contextlib.suppress(ConnectionError):
            while sent < 200_000_000:
                opened.sendall(b"10000\r\n" + bytes(0x10000) + b"\r\n")
                sent += 0x10000
        assert sent < 20_000_000
        assert resident_bytes() - before < 20_000_000


def resident_bytes() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE")


SLOW: list[tuple[str, bytes, dict[str, Any], int | None]] = [
    ("nothing at all", b"", {"first_byte_timeout_s": 0.1}, None),
    ("half a head", b"GET /items/a HTTP/1.1\r\nho", {"head_timeout_s": 0.1}, 408),
    ("half a body", POST + b'content-length: 20\r\n\r\n{"na', {"body_timeout_s": 0.1}, 408),
    ("half a chunk", POST + b'transfer-encoding: chunked\r\n\r\n9\r\n{"na', {"body_timeout_s": 0.1}, 408),
    ("half a preface", b"PRI * HTTP", {"first_byte_timeout_s": 0.1}, None),
]


@pytest.mark.parametrize(("sent", "settings", "status"), [row[1:] for row in SLOW], ids=[row[0] for row in SLOW])
def test_who_stops_sending_is_told_so(sent: bytes, settings: dict[str, Any], status: int | None) -> None:
    with serve(**settings) as live:
        started = time.monotonic()
        received = exchange(live, sent)
        assert 0.05 < time.monotonic() - started < 2
        if status is None:
            assert received == b""
        else:
            (answer,) = parse(received)
            check_envelope(answer, status, "DEADLINE_EXCEEDED")


def test_a_head_that_trickles_is_timed_as_a_whole() -> None:
    with serve(head_timeout_s=0.2) as live, connected(live) as opened:
        opened.settimeout(0.02)
        opened.sendall(b"GET /items/a HTTP/1.1\r\nhost: a\r\n")
        started, received = time.monotonic(), b""
        while time.monotonic() - started < 2 and not received:
            try:
                opened.sendall(b"x: 1\r\n")
                received = opened.recv(65536)
            except TimeoutError:
                continue
        assert received.startswith(b"HTTP/1.1 408 ")


def test_who_does_not_read_is_cut_off() -> None:
    with serve(write_timeout_s=0.2) as live, connected(live) as opened:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        opened.sendall(b"GET /text/8000000 HTTP/1.1\r\nhost: a\r\n\r\n")
        until(lambda: live.finished == [200])
        until(lambda: live.open_connections == 0)


def test_who_sends_requests_and_reads_no_answers_holds_little() -> None:
    """4,000 requests for 1 MB each: no more of them are run than its sockets hold answers."""
    with serve(write_timeout_s=0.2) as live, connected(live) as opened:
        opened.sendall(b"GET /text/1000000 HTTP/1.1\r\nhost: a\r\n\r\n" * 4000)
        until(lambda: live.finished)
        until(lambda: live.open_connections == 0)
        assert len(live.finished) <= 12


def test_thousands_of_pipelined_requests_are_answered_one_by_one_as_they_are_read() -> None:
    count, size = 2000, 5000
    with serve() as live, connected(live) as opened:
        request = b"GET /text/%d HTTP/1.1\r\nhost: a\r\n\r\n" % size
        sender = threading.Thread(target=opened.sendall, args=(request * (count - 1) + LAST_GET,))
        before = resident_bytes()
        sender.start()
        until(lambda: live.finished)
        held = resident_bytes() - before
        answers = parse(read_all(opened))
        sender.join()
        assert [answer.status for answer in answers] == [200] * count
        assert held < 20_000_000
        assert len(live.finished) == count


def test_thousands_of_idle_connections_are_all_closed_in_the_end() -> None:
    # Both ends are in this process.
    count = min(2000, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 4)
    with serve(idle_timeout_s=1.0) as live:
        clients = [socket.create_connection(("127.0.0.1", live.port), 5) for _ in range(count)]
        try:
            for client in clients:
                client.sendall(GET)
            for client in clients:
                assert client.recv(65536).startswith(b"HTTP/1.1 200 ")
            for client in clients:
                assert client.recv(65536) == b""
        finally:
            for client in clients:
                client.close()


LEAVING = {
    "in the head": b"GET /items/a HTTP/1.1\r\nho",
    "in the body": POST + b"content-length: 1000\r\n\r\n{",
    "in a chunk": POST + b"transfer-encoding: chunked\r\n\r\n5\r\n{",
    "while the handler runs": b"GET /hangs HTTP/1.1\r\nhost: a\r\n\r\n",
    "in the answer": b"GET /text/4000000 HTTP/1.1\r\nhost: a\r\n\r\n",
    "at once": b"",
}


@pytest.mark.parametrize("how", [reset, socket.socket.close], ids=["RST", "FIN"])
@pytest.mark.parametrize("sent", LEAVING.values(), ids=LEAVING)
def test_who_leaves_leaves_nothing(live: Live, sent: bytes, how: Any) -> None:
    with connected(live) as opened:
        opened.sendall(sent)
        until(lambda: live.open_connections == 1)
        if b"hangs" in sent:
            until(lambda: live.lab.running == 1)
        how(opened)
        until(live.is_quiet)
        assert live.lab.cancelled == (1 if b"hangs" in sent else 0)


def test_hundreds_come_and_go(live: Live) -> None:
    for turn in range(300):
        with connected(live) as opened:
            if turn % 3:
                opened.sendall(GET[: turn % len(GET)])
            if turn % 2:
                reset(opened)
    assert parse(exchange(live, LAST_GET))[0].status == 200


def test_hundreds_at_once_are_all_answered(live: Live) -> None:
    clients = [socket.create_connection(("127.0.0.1", live.port), 5) for _ in range(300)]
    for client in clients:
        client.sendall(GET)
    for client in clients:
        assert client.recv(65536).startswith(b"HTTP/1.1 200 ")
        client.close()


def test_no_more_connections_than_allowed() -> None:
    with serve(max_connections=2) as live:
        first, second = (socket.create_connection(("127.0.0.1", live.port), 5) for _ in range(2))
        until(lambda: live.open_connections == 2)
        assert exchange(live, b"") == b""
        first.close()
        until(lambda: live.open_connections == 1)
        second.sendall(GET)
        assert second.recv(65536).startswith(b"HTTP/1.1 200 ")
        second.close()


@pytest.mark.parametrize("place", ["tcp", "unix"])
def test_who_leaves_while_nothing_is_read_from_them_is_missed(place: str, tmp_path: Path) -> None:
    """A transport that does not read is not told of RST: the call stayed until its deadline, if it had one."""
    settings: dict[str, Any] = {"uds": str(tmp_path / "socket")} if place == "unix" else {}
    with serve(**settings) as live:
        with socket.socket(socket.AF_UNIX if settings else socket.AF_INET) as opened:
            opened.connect(settings.get("uds") or ("127.0.0.1", live.port))
            opened.sendall(b"GET /hangs HTTP/1.1\r\nhost: a\r\n\r\n")
            until(lambda: live.lab.running == 1)
            opened.settimeout(0.2)
            with contextlib.suppress(TimeoutError):
                while True:
                    opened.sendall(GET * 1000)
            assert live.lab.running == 1
            reset(opened)
        until(lambda: live.lab.cancelled == 1)
        until(lambda: live.open_connections == 0)
