"""Raw sockets: bytes as a test wants them, and answers taken apart by the standard library."""

from __future__ import annotations

import http.client
import io
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from .server import Live

PATIENT_S = 5.0


class Answer(NamedTuple):
    status: int
    headers: http.client.HTTPMessage
    body: bytes


@contextmanager
def connected(live: Live) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", live.port), PATIENT_S) as opened:
        yield opened


def read_all(opened: socket.socket) -> bytes:
    """Everything until the server closes in order. Raises ConnectionResetError for RST, TimeoutError for neither."""
    parts = []
    while part := opened.recv(65536):
        parts.append(part)
    return b"".join(parts)


def exchange(live: Live, sent: bytes) -> bytes:
    """Send, and read until the server closes; the client does not close first."""
    with connected(live) as opened:
        opened.sendall(sent)
        return read_all(opened)


def reset(opened: socket.socket) -> None:
    """Leave with RST instead of FIN."""
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    opened.close()


class _Bytes:
    """What http.client wants of a socket."""

    def __init__(self, stream: io.BufferedIOBase) -> None:
        self._stream = stream

    def makefile(self, *_: object) -> io.BufferedIOBase:
        return self._stream


class _Shared(io.BytesIO):
    """Stays open when one answer has been read from it."""

    def close(self) -> None:
        pass


def parse(received: bytes, *methods: str) -> list[Answer]:
    """All final answers in `received`, which must hold nothing else. methods: of the requests, where one was HEAD."""
    stream = _Shared(received)
    answers = []
    while stream.tell() < len(received):
        method = methods[len(answers)] if len(answers) < len(methods) else "GET"
        response = http.client.HTTPResponse(_Bytes(stream), method=method)  # type: ignore[arg-type]
        response.begin()
        answers.append(Answer(response.status, response.headers, response.read()))
    return answers
