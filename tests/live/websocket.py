"""A blocking WebSocket client over a real socket, which does what it is told."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec

from polywire.testing.websocket import KEY
from polywire.wire.websocket import WebSocketEngine

from .server import Live
from .wire import connected

_CLOSE, _PING = 8, 9


class Refused(Exception):
    """The server did not take the socket up; its answer, as it came."""

    def __init__(self, answer: bytes) -> None:
        super().__init__(answer.decode("latin-1"))
        self.status = int(answer.split(b" ", 2)[1])


class Client:
    """Over HTTP/1.1."""

    def __init__(self, opened: socket.socket, path: str, fields: list[tuple[str, str]]) -> None:
        self.socket = opened
        self._engine = WebSocketEngine(1 << 24, is_client=True)
        self._found: list[Any] = []
        head = [
            f"GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\nupgrade: websocket\r\n",
            f"sec-websocket-version: 13\r\nsec-websocket-key: {KEY}\r\n",
            *[f"{name}: {value}\r\n" for name, value in fields],
        ]
        opened.sendall("".join([*head, "\r\n"]).encode())
        data = b""
        while b"\r\n\r\n" not in data:
            part = opened.recv(65536)
            assert part, data
            data += part
        if not data.startswith(b"HTTP/1.1 101 "):
            raise Refused(data)
        self._take(data.partition(b"\r\n\r\n")[2])

    def encode(self, *messages: dict[str, Any]) -> bytes:
        return b"".join(self._engine.encode(msgspec.json.encode(message).decode()) for message in messages)

    def send(self, *messages: dict[str, Any]) -> None:
        self.socket.sendall(self.encode(*messages))

    def receive(self) -> Any:
        """The next message, parsed; of a close its code. Pings are answered."""
        while True:
            while not self._found:
                part = self.socket.recv(65536)
                if not part:
                    return 1006
                self._take(part)
            one = self._found.pop(0)
            if type(one) is not tuple:
                return msgspec.json.decode(one)
            opcode, payload = one
            if opcode == _CLOSE:
                return payload[0]
            if opcode == _PING:
                self.socket.sendall(self._engine.encode_pong(payload))

    def _take(self, data: bytes) -> None:
        self._found += self._engine.receive_data(data)


@contextmanager
def websocket(live: Live, path: str = "/ws", fields: list[tuple[str, str]] | None = None) -> Iterator[Client]:
    """Raises Refused for any answer but 101."""
    with connected(live) as opened:
        yield Client(opened, path, fields or [])
