"""A server that answers wrongly is not measured: one call of each kind, compared with what must come back."""

from __future__ import annotations

import http.client
import json
import socket
import struct
from collections.abc import Iterator
from typing import Any

import h2.config
import h2.connection
import h2.events

from benchmarks.contenders import Row
from benchmarks.peers import schema

TIMEOUT_S = 5.0
QUERY = "{user(id:42){name email orders(last:3){id total status}}}"
ORDERS = [{"id": id, "total": 9.5, "status": "PAID"} for id in (8, 9, 10)]


class WrongAnswer(Exception):
    """What came back instead."""


def request_body(row: Row) -> bytes:
    """The body that the load sends: one length-prefixed message for gRPC, JSON for Connect and GraphQL."""
    if row.protocol == "graphql":
        return json.dumps({"query": QUERY}).encode()
    if row.content_type == "application/json":
        return b'{"id":42}'
    if not row.content_type:
        return b""
    message: Any
    if row.protocol == "grpc-chat":
        message = schema.User(**_user(1))
    else:
        message = schema.GetUsersRequest(count=row.count) if row.count else schema.GetUserRequest(id=42)
    return frame(message.SerializeToString())


def frame(message: bytes) -> bytes:
    return struct.pack(">BI", 0, len(message)) + message


def _user(id: int) -> dict[str, object]:
    return {"id": id, "name": schema.NAME, "email": schema.EMAIL, "age": schema.AGE}


def check(row: Row, port: int) -> int:
    """Call once; the answer's length in bytes (with its frame, for gRPC).

    Raises WrongAnswer, or OSError where nobody listens.
    """
    if not row.is_http2:
        status, headers, body = _http1(port, row)
    else:
        status, headers, body = _http2(port, row)
    if status != 200:
        raise WrongAnswer(f"status {status}: {body[:200]!r}")
    if row.protocol == "grpc-web":
        message, _, told = body[5:].partition(b"\x80")
        if b"grpc-status: 0" not in told:
            raise WrongAnswer(f"{body!r}")
        _compare(row, _plain(schema.User.FromString(message)))
    elif row.protocol.startswith("grpc"):
        if headers.get("grpc-status") != "0":
            raise WrongAnswer(f"grpc-status {headers.get('grpc-status')}: {headers.get('grpc-message')}")
        _compare(row, _decoded(row, body))
    else:
        _compare(row, json.loads(body))
    return len(body)


def _compare(row: Row, seen: object) -> None:
    wanted: object = {"users": [_user(i) for i in range(1, row.count + 1)]} if row.count else _user(42)
    if row.protocol == "graphql":
        wanted = {"data": {"user": {"name": schema.NAME, "email": schema.EMAIL, "orders": ORDERS}}}
    elif row.protocol == "trpc":
        wanted = {"result": {"data": wanted}}
    if seen != wanted:
        raise WrongAnswer(f"{str(seen)[:200]} instead of {str(wanted)[:200]}")


def _decoded(row: Row, body: bytes) -> object:
    if row.group == "stream":
        return {"users": [_plain(schema.User.FromString(message)) for message in _messages(body)]}
    compressed, length = struct.unpack(">BI", body[:5])
    if compressed or length != len(body) - 5:
        raise WrongAnswer(f"a frame of {length} bytes, compressed={compressed}, in {len(body)} bytes")
    users: list[Any]
    users = list(schema.UserList.FromString(body[5:]).users) if row.count else [schema.User.FromString(body[5:])]
    plain = [_plain(user) for user in users]
    return {"users": plain} if row.count else plain[0]


def _plain(user: Any) -> dict[str, object]:
    return {"id": user.id, "name": user.name, "email": user.email, "age": user.age}


def _messages(body: bytes) -> Iterator[bytes]:
    while body:
        compressed, length = struct.unpack(">BI", body[:5])
        if compressed or length > len(body) - 5:
            raise WrongAnswer(f"a frame of {length} bytes, compressed={compressed}, before {len(body)} bytes")
        yield body[5 : 5 + length]
        body = body[5 + length :]


def _http1(port: int, row: Row) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_S)
    try:
        fields = {"content-type": row.content_type} if row.content_type else {}
        connection.request("POST" if fields else "GET", row.target, request_body(row), fields)
        response = connection.getresponse()
        return response.status, dict(response.getheaders()), response.read()
    except http.client.HTTPException as error:
        raise WrongAnswer(str(error)) from error
    finally:
        connection.close()


def _http2(port: int, row: Row) -> tuple[int, dict[str, str], bytes]:
    posts = bool(row.content_type)
    headers = [
        (":method", "POST" if posts else "GET"),
        (":scheme", "http"),
        (":authority", f"127.0.0.1:{port}"),
        (":path", row.target),
    ]
    if posts:
        headers += [("content-type", row.content_type), ("te", "trailers")]
    connection = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
    connection.initiate_connection()
    connection.send_headers(1, headers, end_stream=not posts)
    if posts:
        connection.send_data(1, request_body(row), end_stream=True)
    received: dict[str, str] = {}
    body = bytearray()
    with socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT_S) as sock:
        sock.sendall(connection.data_to_send())
        while data := sock.recv(65536):
            for event in connection.receive_data(data):
                if isinstance(event, h2.events.ResponseReceived | h2.events.TrailersReceived):
                    received.update(event.headers)  # type: ignore[arg-type]
                elif isinstance(event, h2.events.DataReceived):
                    body += event.data
                    connection.acknowledge_received_data(event.flow_controlled_length, 1)
                elif isinstance(event, h2.events.StreamEnded):
                    return int(received.get(":status", 0)), received, bytes(body)
                elif isinstance(event, h2.events.StreamReset | h2.events.ConnectionTerminated):
                    raise WrongAnswer(f"{type(event).__name__} {event.error_code}")
            sock.sendall(connection.data_to_send())
    raise WrongAnswer("the connection was closed without an answer")
