"""The drivers of the polywire WebSocket protocol: each call on a socket of its own, in three framings."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any

from polywire.testing import Answer, MemorySink, TestClient
from polywire.testing.websocket import handshake
from polywire.wire.websocket import WebSocketEngine
from tests.parity.drivers import Driver, Observed
from tests.protocols.websocket.tongues import MessagePack, Protobuf, Tongue

ENDS = ("result", "end", "error")
_engine = WebSocketEngine(1 << 30, is_client=True)


class SocketSink(MemorySink):
    """One call on a socket, as if it were an exchange: what is received are the server's messages, a line of JSON each.

    The answer is complete with the message that ends the call; the end of what is fed is the message that says so.
    """

    def __init__(self, client: TestClient, tongue: type[Tongue], paused: bool) -> None:
        method, fields = handshake((tongue.name,), [], "1.1")
        super().__init__(method, "/ws", fields, more=True)
        self.tunnel = "websocket"
        self.paused = paused
        self.tongue = tongue(client)
        self._frames = WebSocketEngine(1 << 30, is_client=True)
        self._lines: list[bytes] = []
        self._over = False
        client.site.on_request(client._peer, self)
        assert self.status == 101

    def say(self, message: dict[str, Any]) -> None:
        super().feed(_engine.encode(self.tongue.encode(message)))

    def feed(self, data: bytes, *, end: bool = False, trailers: Sequence[tuple[str, str]] = ()) -> None:
        """data: masked frames."""
        if not self._over:
            super().feed(data)
            if end:
                self.say({"type": "end", "id": 1})

    async def received(self) -> bytes:
        while not self._lines and not self._over:
            await self._pump()
        taken = b"".join(self._lines)
        self._lines.clear()
        return taken

    async def answer(self) -> Answer:
        while not self._over:
            await self._pump()
        # A turn for what was cancelled.
        await asyncio.sleep(0)
        return Answer(200, self.sent_headers, b"".join(self._lines))

    async def _pump(self) -> None:
        part = await super().received()
        if not part and self.closed:
            raise ConnectionResetError("the socket is closed")
        for one in self._frames.receive_data(part):
            if type(one) is not tuple:
                message = self.tongue.decode(one)
                self._over = self._over or message["type"] in ENDS
                if message["type"] not in ("welcome", "credit"):
                    self._lines.append(json.dumps(message).encode() + b"\n")


class WebSocket(Driver):
    name = "WebSocket"
    tongue: type[Tongue] = Tongue

    def _begin(
        self, message: dict[str, Any], timeout_s: float | None = None, token: str | None = None, paused: bool = False
    ) -> SocketSink:
        sink = SocketSink(self.client, self.tongue, paused)
        if token is not None:
            sink.say({"type": "hello", "token": token})
        more = {} if timeout_s is None else {"timeout_s": timeout_s}
        sink.say({"type": "call", "id": 1, **message, **more})
        return sink

    def open(
        self, method: str, request: dict[str, Any], *, timeout_s: float | None = None, token: str | None = None
    ) -> MemorySink:
        return self._begin({"method": f"parity.Probe/{method}", "input": request}, timeout_s, token)

    def observe(self, method: str, answer: Answer) -> Observed:
        message = self._messages(answer.body)[-1]
        if message["type"] == "result":
            return Observed("OK", message.get("message"), raw=answer.text)
        observed = self._told(message)
        observed.raw = answer.text
        return observed

    def _told(self, error: dict[str, Any]) -> Observed:
        assert error["request_id"]
        violations = tuple((detail["field"], detail["reason"]) for detail in error.get("details", ()))
        return Observed(error["code"], None, error.get("reason"), error["message"], violations)

    def _messages(self, received: bytes) -> list[dict[str, Any]]:
        return [json.loads(line) for line in received.splitlines()]

    def garbage(self) -> MemorySink:
        return self._begin({"method": "parity.Probe/Unary", "input": self._broken()})

    def _broken(self) -> Any:
        """What is deeper than any input may be."""
        deep: list[Any] = []
        for _ in range(150):
            deep = [deep]
        return {"name": "x", "deep": deep}

    def too_large(self) -> MemorySink:
        return self.open("Unary", {"name": "x" * 10_001})

    def unfinished(self, timeout_s: float) -> MemorySink:
        # A message that is not whole is no call yet; a stream that nobody ends is one.
        return self._begin({"method": "parity.Probe/Count"}, timeout_s)

    def invalid(self) -> MemorySink:
        return self.open("Unary", {"name": "x", "count": 101})

    def unknown_method(self) -> MemorySink:
        return self._begin({"method": "parity.Probe/Nothing"})

    def start(
        self,
        method: str,
        steps: list[str] | None,
        *,
        timeout_s: float | None = None,
        token: str | None = None,
        paused: bool = False,
    ) -> MemorySink:
        message: dict[str, Any] = {"method": f"parity.Probe/{method}"}
        if steps is not None:
            message["input"] = {"steps": steps}
        return self._begin(message, timeout_s, token, paused)

    def _item(self, value: Any) -> bytes:
        tongue = self.tongue(self.client)
        tongue.methods[1] = self.client._methods["parity.Probe/Mirror"]
        return _engine.encode(tongue.encode({"type": "next", "id": 1, "message": value}))

    def item(self, name: str) -> bytes:
        return self._item({"name": name})

    def bad_item(self) -> bytes:
        return self._item(self._broken())

    def items(self, method: str, received: bytes) -> list[Any]:
        return [message["message"] for message in self._messages(received) if message["type"] == "next"]

    def end(self, method: str, answer: Answer) -> Observed:
        last = self._messages(answer.body)[-1]
        observed = Observed("OK") if last["type"] == "end" else self._told(last)
        observed.raw = answer.text
        observed.items = self.items(method, answer.body)
        return observed


class WebSocketMessagePack(WebSocket):
    name = "WebSocket, MessagePack"
    tongue = MessagePack


class WebSocketProtobuf(WebSocket):
    name = "WebSocket, protobuf"
    tongue = Protobuf

    def _broken(self) -> Any:
        return b"\x0a\xff\xff"

    def invalid(self) -> MemorySink:
        return self._begin({"method": "parity.Probe/Unary", "input": b"\x0a\x01x\x10\x65"})
