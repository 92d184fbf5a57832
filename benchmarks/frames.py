"""HTTP/2 frames as bytes, and a client made of nothing else: loads and probes must cost much less than a server."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterable

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
ACK, END_STREAM, END_HEADERS = 1, 1, 4
CANCEL = (8).to_bytes(4)
WIDEST = 2**31 - 1
TIMEOUT_S = 5.0


class ConnectionFailed(Exception):
    """The server ended a stream or the connection, or answered wrongly."""


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3) + bytes((kind, flags)) + stream.to_bytes(4) + payload


def opening() -> bytes:
    """What a client says first: as much as the server likes may be under way to it."""
    settings = b"\x00\x04" + WIDEST.to_bytes(4)
    return PREFACE + frame(SETTINGS, 0, 0, settings) + frame(WINDOW_UPDATE, 0, 0, (2**30).to_bytes(4))


def head(path: str) -> bytes:
    """The header block of a gRPC call."""
    fields = {
        b":method": b"POST",
        b":scheme": b"http",
        b":path": path.encode(),
        b":authority": b"127.0.0.1",
        b"content-type": b"application/grpc",
        b"te": b"trailers",
    }
    # Literals without indexing (RFC 7541 §6.2.2): no table to keep.
    return b"".join(b"\x00" + _literal(name) + _literal(value) for name, value in fields.items())


def _literal(text: bytes) -> bytes:
    return bytes((len(text),)) + text


def _in_time(until: float) -> None:
    if time.monotonic() > until:
        raise ConnectionFailed(f"nothing of what was awaited came in {TIMEOUT_S:.0f} s")


class Client:
    """One blocking connection that calls by gRPC. What is written waits for `flush`."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), TIMEOUT_S)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._out = [opening()]
        self._rest = b""
        self._next = 1
        self._reset: set[int] = set()

    def call(self, path: str, enveloped: bytes, *, end: bool = True) -> int:
        """Begin a call with its first message, and with `end` its last; its stream."""
        stream, self._next = self._next, self._next + 2
        self._out.append(frame(HEADERS, END_HEADERS, stream, head(path)))
        self._out.append(frame(DATA, END_STREAM if end else 0, stream, enveloped))
        return stream

    def reset(self, stream: int) -> None:
        self._out.append(frame(RST_STREAM, 0, stream, CANCEL))
        self._reset.add(stream)

    def flush(self) -> None:
        out, self._out = b"".join(self._out), []
        if out:
            self._socket.sendall(out)

    def read(self) -> list[tuple[int, int, int, bytes]]:
        """Wait for bytes; the frames in them that belong to streams: kind, flags, stream, payload.

        Raises ConnectionFailed where the server resets a stream that is not reset already, or ends the connection.
        """
        came = self._socket.recv(262_144)
        if not came:
            raise ConnectionFailed("the server closed the connection")
        data, at = self._rest + came, 0
        found = []
        while len(data) - at >= 9:
            end = at + 9 + int.from_bytes(data[at : at + 3])
            if end > len(data):
                break
            kind, flags, stream = data[at + 3], data[at + 4], int.from_bytes(data[at + 5 : at + 9])
            payload, at = data[at + 9 : end], end
            if kind in (SETTINGS, PING) and not flags & ACK:
                self._out.append(frame(kind, ACK, 0, payload if kind == PING else b""))
            elif kind == GOAWAY or (kind == RST_STREAM and stream not in self._reset):
                raise ConnectionFailed(f"the server sent frame {kind} on stream {stream}: {payload!r}")
            elif kind in (DATA, HEADERS):
                found.append((kind, flags, stream, payload))
        self._rest = data[at:]
        self.flush()
        return found

    def bodies(self, streams: Iterable[int]) -> dict[int, bytes]:
        """What each of these streams brings until it ends. Raises ConnectionFailed where that does not come in time."""
        brought = dict.fromkeys(streams, b"")
        missing = set(brought)
        until = time.monotonic() + TIMEOUT_S
        while missing:
            _in_time(until)
            for kind, flags, stream, payload in self.read():
                if kind == DATA and stream in missing:
                    brought[stream] += payload
                if flags & END_STREAM:
                    missing.discard(stream)
        return brought

    def wait_for(self, streams: Iterable[int], body: bytes) -> None:
        """Until each of these open streams has brought exactly this body.

        Raises ConnectionFailed where one brings another, or ends.
        """
        missing = dict.fromkeys(streams, body)
        until = time.monotonic() + TIMEOUT_S
        while missing:
            _in_time(until)
            for kind, flags, stream, payload in self.read():
                if stream not in missing:
                    continue
                if flags & END_STREAM:
                    raise ConnectionFailed("the server ended a stream that should stay open")
                if kind == DATA:
                    if not missing[stream].startswith(payload):
                        raise ConnectionFailed(f"{payload!r} instead of {missing[stream]!r}")
                    missing[stream] = missing[stream][len(payload) :]
                    if not missing[stream]:
                        del missing[stream]

    def close(self) -> None:
        self._socket.close()
