"""HTTP/1.1 as only raw sockets show it: pipelining, HTTP/1.0, interim answers, chunks, trailers."""

from __future__ import annotations

import socket

import pytest

from tests.live.server import Live
from tests.live.wire import connected, exchange, parse, read_all


def get(path: str, version: str = "1.1", more: str = "") -> bytes:
    return f"GET {path} HTTP/{version}\r\nhost: a\r\n{more}\r\n".encode()


LAST = "connection: close\r\n"


def test_pipelined_requests_are_answered_in_order(live: Live) -> None:
    """The slow ones first: those behind them wait for their turn."""
    paths = [path for number in range(60) for path in (f"/later/{number}", f"/text/{number}")]
    answers = parse(exchange(live, b"".join(map(get, paths)) + get("/items/a", more=LAST)))
    assert [len(answer.body) for answer in answers[:-1]] == [
        len('{"text":"","data":""}') + number for number in range(60) for _ in range(2)
    ]
    assert len(answers) == 121


def test_more_are_pipelined_than_are_run_at_once(live: Live) -> None:
    answers = parse(exchange(live, get("/later/1") * 500 + get("/items/a", more=LAST)))
    assert [answer.status for answer in answers] == [200] * 501


def test_pipelined_bodies_and_heads(live: Live) -> None:
    post = b"POST /items HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n"
    sent = (
        post + b'content-length: 12\r\n\r\n{"name":"a"}'
        + b"HEAD /text/5 HTTP/1.1\r\nhost: a\r\n\r\n"
        + b"DELETE /items/b HTTP/1.1\r\nhost: a\r\n\r\n"
        + post + b'transfer-encoding: chunked\r\n\r\n8;ext=1\r\n{"name":\r\n004\r\n"b"}\r\n0\r\nx-sum: 1\r\n\r\n'
        + get("/items/c", more=LAST)
    )  # fmt: skip
    for step in (1, 7, len(sent)):
        live.lab.seen.clear()
        with connected(live) as opened:
            opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for start in range(0, len(sent), step):
                opened.sendall(sent[start : start + step])
            answers = parse(read_all(opened), "POST", "HEAD")
        assert [answer.status for answer in answers] == [201, 200, 204, 201, 200]
        assert answers[1].headers["content-length"] == str(len('{"text":"xxxxx","data":""}'))
        assert live.lab.seen == ["a", "b", "b"]


def test_http_1_0_closes_unless_asked_to_stay(live: Live) -> None:
    (answer,) = parse(exchange(live, b"GET /items/a HTTP/1.0\r\n\r\n"))
    assert (answer.status, answer.body[:13]) == (200, b'{"name":"a","')
    assert "transfer-encoding" not in answer.headers
    first, second = parse(exchange(live, get("/items/a", "1.0", "connection: keep-alive\r\n") + get("/items/b", "1.0")))
    assert first.headers["connection"] == "keep-alive"
    assert second.body[:13] == b'{"name":"b","'


def test_the_target_in_absolute_form(live: Live) -> None:
    (answer,) = parse(exchange(live, get("http://example.org/items/a?count=3", more=LAST)))
    assert answer.body == b'{"name":"a","count":3,"tags":[]}'


def test_100_continue_comes_before_the_body_is_sent(live: Live) -> None:
    body = b'{"text":"' + b"x" * 2_000_000 + b'"}'
    with connected(live) as opened:
        opened.sendall(
            b"POST /size HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\nexpect: 100-continue\r\n"
            b"content-length: %d\r\nconnection: close\r\n\r\n" % len(body)
        )
        interim = b"HTTP/1.1 100 Continue\r\n\r\n"
        assert opened.recv(len(interim), socket.MSG_WAITALL) == interim
        opened.sendall(body)
        (answer,) = parse(read_all(opened))
        assert answer.body == b'{"text":2000000,"data":0}'


@pytest.mark.parametrize(
    ("head", "status"),
    [
        ("POST /nowhere HTTP/1.1\r\ncontent-length: 1000\r\n", 404),
        ("POST /size HTTP/1.1\r\ncontent-length: 999999999\r\n", 413),
        ("POST /items HTTP/1.1\r\naccept: image/png\r\ncontent-length: 10\r\n", 406),
        ("GET /items/a HTTP/1.1\r\ncontent-length: 10\r\n", 400),
    ],
)
def test_a_body_that_is_not_wanted_is_not_invited(live: Live, head: str, status: int) -> None:
    with connected(live) as opened:
        opened.sendall(f"{head}host: a\r\nexpect: 100-continue\r\n\r\n".encode())
        received = opened.recv(65536)
        assert received.startswith(f"HTTP/1.1 {status} ".encode())


def test_a_half_closed_client_gets_its_answer(live: Live) -> None:
    with connected(live) as opened:
        opened.sendall(get("/later/1"))
        opened.shutdown(socket.SHUT_WR)
        (answer,) = parse(read_all(opened))
        assert answer.status == 200
