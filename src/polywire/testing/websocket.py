"""The other end of a WebSocket, in memory."""

from __future__ import annotations

from typing import Any

import msgspec

from polywire.http.websocket import SocketClosed as SocketClosed
from polywire.testing.memory import Answer, MemorySink
from polywire.wire.websocket import WebSocketEngine
from polywire.wire.websocket_deflate import DeflateParameters

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
"""That of RFC 6455 §1.3."""
_CLOSE, _PING = 8, 9
_MOST_BYTES = 64 * 1024 * 1024


class SocketRefused(ConnectionError):
    """The server did not take the WebSocket up."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(f"answered {answer.status}: {answer.text[:200]}")
        self.answer = answer


class TestSocket:
    """What `TestClient.websocket` opens."""

    __test__ = False

    def __init__(
        self, sink: MemorySink, status: int, subprotocol: str | None, deflate: DeflateParameters | None
    ) -> None:
        self.sink = sink
        self.status = status
        """101, or 200 over HTTP/2."""
        self.subprotocol = subprotocol
        self.deflate = deflate
        """How messages are compressed; None: they are not."""
        self._engine = WebSocketEngine(_MOST_BYTES, is_client=True, deflate=deflate)
        self._found: list[Any] = []
        self._closed: SocketClosed | None = None
        self._closing = False

    def send(self, message: str | bytes) -> None:
        """Send a message; a text, or bytes."""
        self.sink.feed(self._engine.encode(message))

    def send_json(self, value: Any) -> None:
        self.send(msgspec.json.encode(value).decode())

    def send_raw(self, data: bytes) -> None:
        """Send bytes as they are: frames that are not as they should be."""
        self.sink.feed(data)

    async def receive(self) -> str | bytes:
        """The next message; pings are answered. Raises SocketClosed at the end (1006 where there was no close)."""
        while True:
            while self._found:
                one = self._found.pop(0)
                if type(one) is not tuple:
                    return one  # type: ignore[no-any-return]
                opcode, payload = one
                if opcode == _PING:
                    self.sink.feed(self._engine.encode_pong(payload))
                elif opcode == _CLOSE:
                    self._closed = SocketClosed(*payload)
                    if not self._closing:
                        self.close(payload[0])
            if self._closed is not None:
                raise self._closed
            part = await self.sink.received()
            if not part and self.sink.closed:
                self._closed = SocketClosed(1006, "")
            self._found = self._engine.receive_data(part)
            while self._engine.waiting:
                self._found += self._engine.receive_data(b"")

    async def receive_json(self) -> Any:
        return msgspec.json.decode(await self.receive())

    async def closed(self) -> tuple[int, str]:
        """Wait for the server's close, leaving out the messages before it; its code and reason."""
        while True:
            try:
                await self.receive()
            except SocketClosed as end:
                return end.code, end.reason

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Begin the closing handshake, or answer the server's."""
        self._closing = True
        self.sink.feed(self._engine.encode_close(code, reason))

    def leave(self) -> None:
        """Go without a word."""
        self.sink.leave()


def handshake(
    subprotocols: tuple[str, ...], headers: list[tuple[str, str]], version: str
) -> tuple[str, list[tuple[str, str]]]:
    """The method and the fields that ask for a WebSocket."""
    fields = [("sec-websocket-version", "13"), *headers]
    if subprotocols:
        fields.append(("sec-websocket-protocol", ", ".join(subprotocols)))
    if version == "2":
        return "CONNECT", fields
    return "GET", [("sec-websocket-key", KEY), *fields]
