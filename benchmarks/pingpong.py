"""The load of a bidirectional gRPC stream: on every stream one message goes out when the one before has come back.

Raw HTTP/2 frames over plain sockets in one thread: it must cost much less than the fastest server.

    python -m benchmarks.pingpong PORT --connections 4 --streams 16 --seconds 3
"""

from __future__ import annotations

import argparse
import selectors
import socket
import time

from benchmarks.frames import (
    ACK,
    DATA,
    END_HEADERS,
    GOAWAY,
    HEADERS,
    PING,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    frame,
    head,
    opening,
)


class PingPongFailed(Exception):
    """The server ended a stream or the connection."""


class Connection:
    """One connection and its streams. A message that comes back is answered by the next."""

    def __init__(self, port: int, path: str, message: bytes, streams: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.done = 0
        self._rest = b""
        enveloped = len(message).to_bytes(5) + message
        self._due = len(enveloped)
        self._missing = {1 + 2 * number: self._due for number in range(streams)}
        self._next = {stream: frame(DATA, 0, stream, enveloped) for stream in self._missing}
        block = head(path)
        heads = b"".join(frame(HEADERS, END_HEADERS, stream, block) for stream in self._missing)
        self.socket.sendall(opening() + heads + b"".join(self._next.values()))

    def turn(self) -> None:
        """Read what came, and answer it in one write."""
        came = self.socket.recv(262_144)
        if not came:
            raise PingPongFailed("the server closed the connection")
        data = self._rest + came if self._rest else came
        at, size = 0, len(data)
        out: list[bytes] = []
        while size - at >= 9:
            length = int.from_bytes(data[at : at + 3])
            end = at + 9 + length
            if end > size:
                break
            kind = data[at + 3]
            if kind == DATA:
                stream = int.from_bytes(data[at + 5 : at + 9])
                missing = self._missing[stream] - length
                if missing <= 0:
                    self.done += 1
                    out.append(self._next[stream])
                    missing += self._due
                self._missing[stream] = missing
            elif kind != HEADERS and kind != WINDOW_UPDATE:
                self._control(kind, data[at + 4], data[at + 9 : end], out)
            elif kind == HEADERS and data[at + 4] & 1:
                raise PingPongFailed("the server ended a stream")
            at = end
        self._rest = data[at:]
        if out:
            self.socket.sendall(b"".join(out))

    def _control(self, kind: int, flags: int, payload: bytes, out: list[bytes]) -> None:
        if kind in (RST_STREAM, GOAWAY):
            raise PingPongFailed(f"the server sent frame {kind}: {payload!r}")
        if kind in (SETTINGS, PING) and not flags & ACK:
            out.append(frame(kind, ACK, 0, payload if kind == PING else b""))


def pingpong(port: int, path: str, message: bytes, connections: int, streams: int, seconds: float) -> float:
    """Messages there and back per second, all streams together, after a tenth of a second of warming up.

    Raises PingPongFailed where the server ends anything.
    """
    opened = [Connection(port, path, message, streams) for _ in range(connections)]
    with selectors.DefaultSelector() as selector:
        for connection in opened:
            selector.register(connection.socket, selectors.EVENT_READ, connection)
        begin = time.perf_counter() + 0.1
        end = begin + seconds
        before: int | None = None
        while (now := time.perf_counter()) < end:
            if before is None and now >= begin:
                before = sum(connection.done for connection in opened)
                begin = now
            for key, _ in selector.select(end - now):
                key.data.turn()
        done = sum(connection.done for connection in opened) - (before or 0)
        finished = time.perf_counter()
    for connection in opened:
        connection.socket.close()
    return done / (finished - begin)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("port", type=int)
    parser.add_argument("--path", default="/user.UserService/Chat")
    parser.add_argument("--connections", type=int, default=4)
    parser.add_argument("--streams", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=3.0)
    options = parser.parse_args()
    user = b"\x08\x01\x12\x05Alice\x1a\x11alice@example.com\x20\x1e"
    rate = pingpong(options.port, options.path, user, options.connections, options.streams, options.seconds)
    print(f"{rate:,.0f} messages/s there and back")


if __name__ == "__main__":
    main()
