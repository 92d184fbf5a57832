"""What connections and streams that are open and quiet cost a server: anonymous memory of its processes, divided."""

from __future__ import annotations

import resource
import socket
import time
from collections.abc import Callable
from contextlib import ExitStack, closing

from benchmarks.answers import frame as enveloped
from benchmarks.frames import Client, ConnectionFailed
from benchmarks.peers import schema
from benchmarks.servers import Server

WARM = 200
"""Connections before the first look, so that pools and caches exist."""
SETTLE_S = 0.5
STREAMS = 100
"""On each connection."""
HTTP1 = b"GET /v1/users/42 HTTP/1.1\r\nhost: localhost\r\nuser-agent: idle\r\naccept: */*\r\n\r\n"

_user = schema.User(id=42, name=schema.NAME, email=schema.EMAIL, age=schema.AGE).SerializeToString()
USER = enveloped(_user)
REQUEST = enveloped(schema.GetUserRequest(id=42).SerializeToString())


def http1_connections(server: Server, count: int) -> float:
    """Bytes of an idle HTTP/1.1 connection that has had one answer.

    Raises ConnectionFailed where one does not get it, as the others do.
    """

    def opened() -> socket.socket:
        client = socket.create_connection(("127.0.0.1", server.port), 10)
        client.sendall(HTTP1)
        answer = b""
        while not answer.endswith(b"}"):
            came = client.recv(65536)
            if not came:
                raise ConnectionFailed(f"the server closed the connection after {answer!r}")
            answer += came
        if not answer.startswith(b"HTTP/1.1 200 ") or schema.EMAIL.encode() not in answer:
            raise ConnectionFailed(f"the answer is {answer!r}")
        return client

    return _each(server, opened, count)


def http2_connections(server: Server, count: int) -> float:
    """Bytes of an idle HTTP/2 connection that has had one gRPC answer."""
    return _each(server, lambda: _answered(server.port), count)


def streams(server: Server, path: str, count: int) -> float:
    """Bytes of an open gRPC stream that has brought one message and waits, without the connection under it."""
    client_streams = path.endswith("Chat")
    first = USER if client_streams else REQUEST
    with ExitStack() as stack:
        clients = [stack.enter_context(closing(_answered(server.port))) for _ in range(count // STREAMS + 1)]
        before = 0
        for number, client in enumerate(clients):
            if number == 1:  # the streams of the first are there for the caches and pools
                before = _settled(server)
            opened = [client.call(path, first, end=not client_streams) for _ in range(STREAMS)]
            client.flush()
            client.wait_for(opened, USER)
        return (_settled(server) - before) / ((len(clients) - 1) * STREAMS)


def _answered(port: int) -> Client:
    client = Client(port)
    stream = client.call("/user.UserService/GetUser", REQUEST)
    client.flush()
    answer = client.bodies([stream])[stream]
    if answer != USER:
        raise ConnectionFailed(f"the answer is {answer!r}")
    return client


def _each(server: Server, opened: Callable[[], socket.socket | Client], count: int) -> float:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with ExitStack() as stack:
        for _ in range(WARM):
            stack.enter_context(closing(opened()))
        before = _settled(server)
        for _ in range(count):
            stack.enter_context(closing(opened()))
        return (_settled(server) - before) / count


def _settled(server: Server) -> int:
    time.sleep(SETTLE_S)
    return server.anonymous_bytes()
