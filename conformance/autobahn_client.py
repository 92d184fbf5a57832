"""A client that sends back what it hears, on polywire's engine: what the Autobahn suite's server tries."""

from __future__ import annotations

import base64
import json
import os
import socket
from collections.abc import Callable, Iterator

from polywire.wire.websocket import WebSocketEngine
from polywire.wire.websocket_deflate import agreed, offer
from polywire.wire.websocket_key import accept_key

LONGEST = 16 * 1024 * 1024
AGENT = "polywire"
_CLOSE, _PING = 8, 9
_PATIENT_S = 60.0


def run_all(port: int, tell: Callable[[int], None]) -> None:
    """Every case that the suite's server has; then it writes its reports."""
    (count,) = _talk(port, "/getCaseCount")
    for number in range(1, int(count) + 1):
        tell(number)
        for _ in _talk(port, f"/runCase?case={number}&agent={AGENT}", echo=True):
            pass
    for _ in _talk(port, f"/updateReports?agent={AGENT}"):
        pass


def _talk(port: int, target: str, *, echo: bool = False) -> Iterator[str | bytes]:
    """What is heard, until the connection ends."""
    with socket.create_connection(("127.0.0.1", port), _PATIENT_S) as opened:
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        engine, data = _handshake(opened, port, target)
        try:
            while not (engine.closed or engine.failure):
                found = engine.receive_data(data)
                for one in found:
                    if type(one) is not tuple:
                        yield one
                        if echo:
                            opened.sendall(engine.encode(one))
                    elif one[0] == _PING:
                        opened.sendall(engine.encode_pong(one[1]))
                    elif one[0] == _CLOSE:
                        opened.sendall(engine.encode_close(one[1][0]))
                if engine.failure:
                    opened.sendall(engine.encode_close(*engine.failure))
                elif not engine.closed:
                    data = b"" if engine.waiting else opened.recv(65536)
                    if not data and not engine.waiting:
                        return
            # The server closes first (RFC 6455 §7.1.1).
            while opened.recv(65536):
                pass
        except ConnectionError:
            return


def _handshake(opened: socket.socket, port: int, target: str) -> tuple[WebSocketEngine, bytes]:
    """The engine, and what came behind the answer."""
    key = base64.b64encode(os.urandom(16)).decode()
    head = [
        f"GET {target} HTTP/1.1",
        f"Host: 127.0.0.1:{port}",
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        f"Sec-WebSocket-Key: {key}",
        f"Sec-WebSocket-Extensions: {offer(keep_context=True)}",
        "\r\n",
    ]
    opened.sendall("\r\n".join(head).encode())
    received = b""
    while b"\r\n\r\n" not in received:
        received += opened.recv(65536)
    answered, _, data = received.partition(b"\r\n\r\n")
    pairs = (line.split(": ", 1) for line in answered.decode().split("\r\n")[1:])
    fields = {name.lower(): value for name, value in pairs}
    if fields["sec-websocket-accept"] != accept_key(key):
        raise RuntimeError(json.dumps(fields))
    deflate = agreed(fields.get("sec-websocket-extensions", ""), keep_context=True)
    return WebSocketEngine(LONGEST, is_client=True, deflate=deflate), data
