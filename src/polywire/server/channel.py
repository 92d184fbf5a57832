"""The channel between a parent and one of its workers: small messages over a socket pair, each with a topic.

On the wire a message is its length (4 bytes, big-endian) and MessagePack of [topic, id, body]; what a body holds is the
topic's affair. Both ends never wait: what the other does not take is held, up to `MAX_UNSENT_BYTES`.
"""

from __future__ import annotations

import contextlib
import socket
import struct

import msgspec

MAX_MESSAGE_BYTES = 8 * 1024 * 1024
MAX_UNSENT_BYTES = 16 * 1024 * 1024
_PART = 64 * 1024
_LENGTH = struct.Struct("!I")


class Message(msgspec.Struct, array_like=True, frozen=True):
    topic: str
    id: int = 0
    """Joins an answer to its question."""
    body: bytes = b""


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Message).decode


class ChannelError(Exception):
    """The other end is gone, or sent what no end of ours sends: the channel is to be closed."""


class Channel:
    """One end. The socket is owned from here on."""

    def __init__(self, link: socket.socket) -> None:
        link.setblocking(False)
        self._link = link
        self._received = bytearray()
        self._unsent = bytearray()

    def fileno(self) -> int:
        """Of the socket; -1 once closed."""
        return self._link.fileno()

    @property
    def wants_write(self) -> bool:
        """`flush` is due as soon as the socket can be written to."""
        return bool(self._unsent)

    def send(self, topic: str, body: bytes = b"", id: int = 0) -> bool:
        """Send, or hold for `flush`; False where the message is dropped: too long, too much held, or closed."""
        data = _encode(Message(topic, id, body))
        if (
            self.fileno() < 0
            or len(data) > MAX_MESSAGE_BYTES
            or len(self._unsent) + len(data) + _LENGTH.size > MAX_UNSENT_BYTES
        ):
            return False
        self._unsent += _LENGTH.pack(len(data))
        self._unsent += data
        self.flush()
        return True

    def flush(self) -> None:
        """Send what is held as far as the other end takes it. That it is gone is told by `receive`."""
        with contextlib.suppress(OSError):
            while self._unsent:
                sent = self._link.send(memoryview(self._unsent)[:_PART])
                del self._unsent[:sent]

    def receive(self) -> list[Message]:
        """Every message that is here whole. Raises ChannelError."""
        messages: list[Message] = []
        while True:
            try:
                data = self._link.recv(_PART)
            except (BlockingIOError, InterruptedError):
                return messages
            except OSError as error:
                raise ChannelError(f"it cannot be read: {error.strerror}") from error
            if not data:
                if messages:
                    return messages  # the end is read again next time
                raise ChannelError("its other end is closed")
            self._received += data
            messages += self._take()

    def _take(self) -> list[Message]:
        taken: list[Message] = []
        received, at = self._received, 0
        while len(received) - at >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(received, at)
            if length > MAX_MESSAGE_BYTES:
                raise ChannelError(f"a message of {length} bytes; {MAX_MESSAGE_BYTES} are allowed")
            if len(received) - at - _LENGTH.size < length:
                break
            at += _LENGTH.size
            try:
                taken.append(_decode(bytes(received[at : at + length])))
            except msgspec.MsgspecError as error:
                raise ChannelError(f"not a message: {error}") from error
            at += length
        del received[:at]
        return taken

    def close(self, wait_s: float = 0.0) -> None:
        """wait_s: how long the other end may take to read what is held."""
        if wait_s and self._unsent:
            with contextlib.suppress(OSError):
                self._link.settimeout(wait_s)
                self._link.sendall(self._unsent)
        self._link.close()
        self._unsent.clear()
