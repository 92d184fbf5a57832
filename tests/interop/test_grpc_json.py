"""gRPC with JSON messages, through hyper-h2: no common client speaks it."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest

from tests.live.http2 import Fields, H2Client, Reply, framed, h2_client
from tests.live.server import Live

HEAD: Fields = [("content-type", "application/grpc+json"), ("te", "trailers")]


def call(client: H2Client, name: str, message: Any, fields: Fields | None = None) -> Reply:
    body = framed(json.dumps(message).encode())
    return client.request("POST", f"/lab.Lab/{name}", [*HEAD, *(fields or [])], body)


def answer(reply: Reply) -> Any:
    assert (reply.head[":status"], reply.trailers["grpc-status"]) == ("200", "0")
    assert reply.head["content-type"] == "application/grpc+json"
    assert reply.body[:5] == framed(reply.body[5:])[:5]
    return json.loads(reply.body[5:])


def test_unary(live: Live) -> None:
    with h2_client(live) as client:
        assert answer(call(client, "GetItem", {"name": "é", "count": 3})) == {"name": "é", "count": 3}


def test_64_bit_integers_are_text(live: Live) -> None:
    """As in protobuf's JSON mapping; REST says plain numbers."""
    with h2_client(live) as client:
        assert answer(call(client, "Numbers", {"big": "18446744073709551615"}))["big"] == "18446744073709551615"


def test_a_request_in_gzip(live: Live) -> None:
    with h2_client(live) as client:
        body = framed(gzip.compress(b'{"name":"zipped"}'), compressed=True)
        reply = client.request("POST", "/lab.Lab/GetItem", [*HEAD, ("grpc-encoding", "gzip")], body)
        assert answer(reply)["name"] == "zipped"


def test_an_answer_in_gzip(live: Live) -> None:
    with h2_client(live) as client:
        reply = call(client, "Text", {"size": 5000}, [("grpc-accept-encoding", "identity,gzip")])
        assert reply.head["grpc-encoding"] == "gzip"
        assert reply.body[0] == 1
        assert json.loads(gzip.decompress(reply.body[5:])) == {"text": "x" * 5000}


@pytest.mark.parametrize("name", ["CreateItem", "Nothing"])
def test_an_error_comes_in_the_head_alone(live: Live, name: str) -> None:
    with h2_client(live) as client:
        reply = call(client, name, {"name": "bad"})
        assert reply.grpc_status == ("3" if name == "CreateItem" else "12")
        assert (reply.head[":status"], reply.body, reply.trailers) == ("200", b"", {})


def test_a_stream(live: Live) -> None:
    with h2_client(live) as client:
        reply = call(client, "Stream", {"count": 3, "size": 2})
        assert reply.body == framed(b'{"text":"xx"}') * 3
        assert reply.trailers["grpc-status"] == "0"


def test_a_message_in_many_frames_and_with_trailers(live: Live) -> None:
    with h2_client(live) as client:
        stream = client.begin("POST", "/lab.Lab/GetItem", HEAD)
        for byte in framed(b'{"name":"slow"}'):
            client.send(stream, bytes([byte]))
        client.h2.send_headers(stream, [("x-checksum", "1")], end_stream=True)
        client.flush()
        assert answer(client.wait(stream))["name"] == "slow"


def test_one_exchange_of_each_kind_on_one_connection(live: Live) -> None:
    with h2_client(live) as client:
        assert client.request("GET", "/items/a").body == b'{"name":"a","count":0,"tags":[]}'
        assert answer(call(client, "GetItem", {"name": "a"}))["name"] == "a"
        proto = [("content-type", "application/grpc"), ("te", "trailers")]
        reply = client.request("POST", "/lab.Lab/GetItem", proto, framed(b"\x0a\x01a"))
        assert reply.body == framed(b"\x0a\x01a")
        assert client.request("GET", "/health").head[":status"] == "200"
