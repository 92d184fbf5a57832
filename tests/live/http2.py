"""An HTTP/2 client on hyper-h2, which sends what it is told."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import h2.config
import h2.connection
import h2.events

from .server import Live
from .wire import connected

Fields = list[tuple[str, str]]


@dataclass
class Reply:
    head: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    trailers: dict[str, str] = field(default_factory=dict)
    reset: int | None = None
    """The error code, where the stream was reset."""
    ended: bool = False

    @property
    def grpc_status(self) -> str | None:
        return self.trailers.get("grpc-status", self.head.get("grpc-status"))

    @property
    def everything(self) -> str:
        return f"{self.head} {self.body!r} {self.trailers}"


class H2Client:
    def __init__(self, opened: socket.socket, scheme: str = "http") -> None:
        self.socket = opened
        self.scheme = scheme
        config = h2.config.H2Configuration(client_side=True, validate_outbound_headers=False)
        self.h2 = h2.connection.H2Connection(config)
        self.h2.initiate_connection()
        self.replies: dict[int, Reply] = {}
        self.goaway: int | None = None
        """The error code of the GOAWAY received."""
        self.flush()

    def flush(self) -> None:
        self.socket.sendall(self.h2.data_to_send())

    def begin(self, method: str, path: str, fields: Fields | None = None, *, end: bool = False) -> int:
        stream: int = self.h2.get_next_available_stream_id()
        head = [(":method", method), (":scheme", self.scheme), (":authority", "localhost"), (":path", path)]
        self.h2.send_headers(stream, [*head, *(fields or [])], end_stream=end)
        self.replies[stream] = Reply()
        self.flush()
        return stream

    def send(self, stream: int, data: bytes, *, end: bool = False) -> None:
        """Send a body as the server gives credit for it, as long as it has not answered."""
        reply = self.replies[stream]
        while data and reply.reset is None and not reply.ended:
            room = min(self.h2.local_flow_control_window(stream), self.h2.max_outbound_frame_size, len(data))
            if room == 0:
                self.flush()
                self.receive()
                continue
            part, data = data[:room], data[room:]
            self.h2.send_data(stream, part, end_stream=end and not data)
        self.flush()

    def request(self, method: str, path: str, fields: Fields | None = None, body: bytes = b"") -> Reply:
        stream = self.begin(method, path, fields, end=not body)
        if body:
            self.send(stream, body, end=True)
        return self.wait(stream)

    def wait(self, stream: int) -> Reply:
        """The whole answer. Raises ConnectionError where the connection ends before."""
        reply = self.replies[stream]
        while not reply.ended and reply.reset is None:
            if not self.receive():
                raise ConnectionError("the server has closed")
        return reply

    def receive(self) -> bool:
        """Take in what comes next; False: the server has closed."""
        data = self.socket.recv(65536)
        for event in self.h2.receive_data(data):
            self._note(event)
        if data and self.goaway is None:
            self.flush()
        return bool(data)

    def _note(self, event: h2.events.Event) -> None:
        if isinstance(event, h2.events.ConnectionTerminated):
            self.goaway = int(event.error_code or 0)
            return
        reply = self.replies.get(getattr(event, "stream_id", None) or 0)
        if reply is None:
            return
        if isinstance(event, h2.events.ResponseReceived):
            reply.head = _texts(event.headers)
        elif isinstance(event, h2.events.DataReceived):
            reply.body += event.data or b""
            self.h2.acknowledge_received_data(event.flow_controlled_length or 0, event.stream_id or 0)
        elif isinstance(event, h2.events.TrailersReceived):
            reply.trailers = _texts(event.headers)
        elif isinstance(event, h2.events.StreamEnded):
            reply.ended = True
        elif isinstance(event, h2.events.StreamReset) and not reply.ended:
            # After a whole answer it would only say that the rest of the request is not needed (RFC 9113 §8.1).
            reply.reset = int(event.error_code or 0)


def _texts(headers: object) -> dict[str, str]:
    return {
        name if isinstance(name, str) else name.decode(): value if isinstance(value, str) else value.decode()
        for name, value in headers or ()  # type: ignore[attr-defined]
    }


@contextmanager
def h2_client(live: Live) -> Iterator[H2Client]:
    """By prior knowledge, in clear text."""
    with connected(live) as opened:
        yield H2Client(opened)


def framed(message: bytes, compressed: bool = False) -> bytes:
    """One gRPC message with its prefix."""
    return bytes([compressed]) + len(message).to_bytes(4, "big") + message
