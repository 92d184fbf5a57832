"""gRPC-Web (gRPC's PROTOCOL-WEB.md): over any HTTP version, the trailers a last frame of the body.

As text (`application/grpc-web-text`) all of a body is base64, encoded frame by frame: padding may stand in the middle.
"""

from __future__ import annotations

import binascii
from base64 import b64encode
from binascii import a2b_base64
from collections.abc import Iterable
from typing import Any

from polywire.errors import MalformedInput, RpcError
from polywire.http.exchange import Exchange
from polywire.protocols.grpc.endpoints import GrpcEndpoint
from polywire.protocols.rpc import framing
from polywire.protocols.rpc.endpoint import Answering, StreamEndpoint, UnaryEndpoint
from polywire.protocols.rpc.framing import frame, frame_compressed
from polywire.protocols.streams import Splitter
from polywire.runtime.call import Call
from polywire.wire.headers import HeaderBlock

_TRAILERS = 0x80
"""The flag of the frame that holds them."""
_QUANTUM = 4
"""Characters of base64 that make up to three bytes."""
_MOST_PADS = 1000
"""Of a body with one message; each part that is padded is decoded by itself, which takes longer than its bytes do."""


def trailer_frame(pairs: Iterable[tuple[str | bytes, str | bytes]]) -> bytes:
    """The last frame of a body."""
    # As lines of HTTP/1.1: names and values have been checked as header fields.
    return frame(HeaderBlock(pairs).h1_lines, _TRAILERS)


_OK = trailer_frame([("grpc-status", "0")])


class WebEndpoint(GrpcEndpoint):
    needs_http2 = False

    def _last_frame(self, call: Call, error: RpcError | None) -> bytes:
        if error is not None:
            return trailer_frame(self._error_pairs(call, error))
        if call._trailers is None:
            return _OK
        return trailer_frame([("grpc-status", "0"), *call._trailers.wire_items()])

    def _refused(self, call: Call, exchange: Exchange, error: RpcError) -> None:
        # Not in the head: a page of another origin may be kept from reading that.
        initial = () if call._response_metadata is None else call._response_metadata.wire_items()
        exchange.respond(200, self._block, self._coded(self._last_frame(call, error)), initial)

    def _coded(self, data: bytes) -> bytes:
        return data


class WebUnary(WebEndpoint, UnaryEndpoint):
    def _answer(self, call: Call, value: Any, error: RpcError | None) -> None:
        exchange: Exchange = call.state
        if error is not None:
            self._refused(call, exchange, error)
            return
        message = self._encode(value)
        last = self._last_frame(call, None)
        initial = () if call._response_metadata is None else call._response_metadata.wire_items()
        block, framed = self._block, b""
        if len(message) >= framing.SMALLEST_COMPRESSED_BYTES and (coding := self._coding_for(call)) is not None:
            block, framed = self._blocks[coding], frame_compressed(coding, message)
        else:
            framed = frame(message)
        exchange.respond(200, block, self._coded(framed + last), initial)


class WebStream(WebEndpoint, StreamEndpoint):
    def _end(self, call: Call, answering: Answering, error: RpcError | None) -> None:
        answering.write(self._last_frame(call, error))
        answering.exchange.finish()


class TextEndpoint(WebEndpoint):
    """Bodies in base64, both ways."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._most = self._most * 4 // 3 + _QUANTUM
        self._at_once = self._take_whole

    def _take_whole(self, call: Call, body: bytes) -> None:
        try:
            if body.count(b"=") > _MOST_PADS:
                raise MalformedInput(f"the body has more than {_MOST_PADS} padding characters")
            decoded = decode_text(body)
        except RpcError as error:
            self._reject(call, error)
            return
        super()._take_whole(call, decoded)

    def _splitter(self) -> Splitter:
        return TextSplitter(super()._splitter())

    def _coded(self, data: bytes) -> bytes:
        return b64encode(data)


class TextUnary(TextEndpoint, WebUnary):
    pass


class TextStream(TextEndpoint, WebStream):
    def _outgoing(self, exchange: Exchange) -> Answering:
        return TextAnswering(exchange)


class TextAnswering(Answering):
    """Encodes frame by frame, so that each can be read when it is there."""

    __slots__ = ()

    def __init__(self, exchange: Exchange) -> None:
        super().__init__(exchange)
        self.write = self._write_text

    def _write_text(self, data: bytes) -> bool:
        return self.exchange.write(b64encode(data))


def decode_text(text: bytes) -> bytes:
    """The bytes of base64 that may be padded anywhere between two quanta. Raises MalformedInput."""
    # Too much padding passes in the strict mode of some versions of Python.
    if len(text) % _QUANTUM:
        raise _not_base64()
    try:
        if b"=" not in text[:-2]:
            return a2b_base64(text, strict_mode=True)
        parts = []
        start = 0
        while start < len(text):
            pad = text.find(b"=", start)
            # A padded quantum ends what was encoded at once.
            end = len(text) if pad < 0 else start + (pad - start) // _QUANTUM * _QUANTUM + _QUANTUM
            if 0 <= pad < end - 2:
                raise _not_base64()
            parts.append(a2b_base64(text[start:end], strict_mode=True))
            start = end
        return b"".join(parts)
    except binascii.Error:
        raise _not_base64() from None


def _not_base64() -> MalformedInput:
    return MalformedInput("the body is not base64")


class TextSplitter:
    """A `Splitter` of frames that come in base64."""

    def __init__(self, inner: Splitter) -> None:
        self._inner = inner
        self._rest = b""
        """Of a quantum that is not whole."""
        self._broken: MalformedInput | None = None

    @property
    def error(self) -> Exception | None:
        return self._broken or self._inner.error

    @property
    def is_clear(self) -> bool:
        return self._inner.is_clear and not self._rest and self._broken is None

    @property
    def waiting(self) -> int:
        return 0 if self._broken is not None else self._inner.waiting

    @property
    def unfinished(self) -> int:
        return self._inner.unfinished + len(self._rest)

    def feed(self, data: bytes, /) -> list[Any]:
        if self._broken is not None:
            return []
        text = self._rest + data
        whole = len(text) // _QUANTUM * _QUANTUM
        self._rest = text[whole:]
        try:
            decoded = decode_text(text[:whole])
        except MalformedInput as error:
            self._broken = error
            return []
        return self._inner.feed(decoded)

    def end(self) -> list[Any]:
        if self._rest and self._broken is None:
            self._broken = MalformedInput("the body ends within a quantum of base64")
        return [] if self._broken is not None else self._inner.end()
