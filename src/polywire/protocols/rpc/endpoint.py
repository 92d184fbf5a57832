"""One method in one protocol of enveloped messages: gRPC, gRPC-Web, and the streams of Connect.

What they share is here: messages in and out, their compression, the call's life. They differ in a few fields and in how
an answer ends, which is what a subclass says.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import partial
from typing import Any, ClassVar

from polywire.codec import Format, method_codec
from polywire.errors import TOO_LARGE, RpcError
from polywire.http.exchange import Exchange
from polywire.protocols.gather import gather, take_turn
from polywire.protocols.rpc import framing
from polywire.protocols.rpc.framing import frame, frame_compressed, unframe_one
from polywire.protocols.rpc.refusals import refuse_transport
from polywire.protocols.streams import MessageReader, Outgoing, Splitter
from polywire.runtime.binding import Binding
from polywire.runtime.call import Call
from polywire.runtime.runtime import Runtime
from polywire.wire.headers import HeaderBlock

Pairs = list[tuple[str | bytes, str | bytes]]


class EnvelopedEndpoint(ABC):
    """How to read and write a method's messages, and the header blocks of its answers."""

    timeout_field: ClassVar[str]
    coding_field: ClassVar[str]
    """Names the coding of compressed messages, in requests and in answers."""
    accepted_field: ClassVar[str]
    version_field: ClassVar[str | None] = None
    """Names the protocol's version in requests; None where it has none."""
    needs_http2: ClassVar[bool] = False

    def __init__(self, runtime: Runtime, binding: Binding, codec_format: Format, content_type: str) -> None:
        codec = method_codec(binding.method, codec_format)
        self._runtime = runtime
        self._dispatch = runtime.dispatch
        self._binding = binding
        self._service = binding.method.service
        self._client_streaming = binding.method.shape.client_streaming
        self._limit = runtime.app.max_request_bytes
        self._most = self._limit + framing.PREFIX_BYTES
        self._decode = codec.decode_input
        self._encode = codec.encode_result
        self._content_type = ("content-type", content_type)
        pairs = [self._content_type, (self.accepted_field, framing.ACCEPTED_CODINGS)]
        self._block = HeaderBlock(pairs)
        self._blocks = {
            coding: HeaderBlock([*pairs, (self.coding_field, coding)] if coding else pairs)
            for coding in (None, *framing.CODINGS)
        }
        # Bound once; a bound method is an object of its own at each look-up.
        self._spend = runtime.turns.spend
        self._then = self._take_whole
        self._at_once = self._run
        self._refuse = self._reject
        self._done = self._answer

    @staticmethod
    @abstractmethod
    def read_timeout(text: str, /) -> float:
        """Seconds of a time-out as it was sent. Raises InvalidArgument."""

    def check_version(self, version: str | None) -> None:  # noqa: B027 -- most have no version
        """Raises InvalidArgument for the value of `version_field` where it will not do."""

    def serve(self, exchange: Exchange) -> None:
        if exchange.method != "POST" or (self.needs_http2 and exchange.sink.version != "2"):
            refuse_transport(exchange)
            return
        headers = exchange.headers
        call = Call(self._binding, exchange)
        call.state = exchange
        try:
            if self.version_field is not None:
                self.check_version(headers.get(self.version_field))
            timeout = headers.get(self.timeout_field)
            if timeout is not None:
                call.limit_time(self.read_timeout(timeout))
            coding = headers.get(self.coding_field)
            if coding is not None:
                framing.check_coding(coding, self.coding_field, self.accepted_field)
        except RpcError as error:
            self._reject(call, error)
            return
        if self._client_streaming:
            unpack = partial(self._unpack, coding)
            call.input = MessageReader(self._runtime, call, exchange, self._splitter(), self._decode, unpack)
            self._launch(call)
            return
        body = exchange.take_whole(self._most)
        if body is None:
            gather(self._runtime, call, exchange, self._most, self._then, self._refuse, self._done)
        elif coding is None:
            self._at_once(call, body)
        else:
            self._take_whole(call, body)

    def _splitter(self) -> Splitter:
        return framing.message_splitter(self._limit)

    def _take_whole(self, call: Call, body: bytes) -> None:
        """Run the call with its one message, when it is its turn."""
        if body[:1] == b"\x01":
            take_turn(self._runtime, call, call.state, body, self._run, self._refuse, self._done)
        else:
            self._run(call, body)

    def _run(self, call: Call, body: bytes) -> None:
        try:
            coding = call.metadata.get(self.coding_field) if body[:1] == b"\x01" else None
            call.input = self._decode(unframe_one(body, self._limit, coding, self._spend))
        except RpcError as error:
            self._reject(call, error)
            return
        self._launch(call)

    def _unpack(self, coding: str | None, message: bytes) -> bytes:
        return framing.decompressed(message, self._limit, coding, self._spend)

    def _reject(self, call: Call, error: RpcError) -> None:
        if error.reason == TOO_LARGE:
            error = type(error)(f"the message is larger than {self._limit} bytes", reason=TOO_LARGE)
        self._runtime.reject(call, error, self._done)

    def _coding_for(self, call: Call) -> str | None:
        """What messages worth it are compressed with."""
        accepted = call.metadata.get(self.accepted_field)
        return None if accepted is None else framing.accepted_coding(accepted)

    @abstractmethod
    def _launch(self, call: Call) -> None:
        """Run the call, whose input is there, and watch its caller."""

    @abstractmethod
    def _answer(self, call: Call, value: Any, error: RpcError | None) -> None:
        """What the runtime calls at the end."""


class UnaryEndpoint(EnvelopedEndpoint):
    """One message in, one message out. `call.state` is the exchange."""

    def _launch(self, call: Call) -> None:
        self._dispatch(call, self._done)
        if not call.answered and not self._binding.finish_on_disconnect:
            call.state.watch(call.cancel)


class StreamEndpoint(EnvelopedEndpoint):
    """Streams in one direction or both. `call.state` is an `Answering` once the call runs, the exchange before."""

    def __init__(self, runtime: Runtime, binding: Binding, codec_format: Format, content_type: str) -> None:
        super().__init__(runtime, binding, codec_format, content_type)
        self._send = self._emit

    @abstractmethod
    def _refused(self, call: Call, exchange: Exchange, error: RpcError) -> None:
        """Answer with an error, nothing having been sent."""

    @abstractmethod
    def _end(self, call: Call, answering: Answering, error: RpcError | None) -> None:
        """End an answer whose head has been sent."""

    def _outgoing(self, exchange: Exchange) -> Answering:
        return Answering(exchange)

    def _launch(self, call: Call) -> None:
        exchange: Exchange = call.state
        call.state = answering = self._outgoing(exchange)
        call.send_head = self._start
        if self._binding.method.shape.server_streaming:
            self._runtime.dispatch_stream(call, self._send, answering.drained, self._done)
        else:
            self._runtime.dispatch(call, self._done)
        if not call.answered and not self._binding.finish_on_disconnect:
            exchange.watch(call.cancel)

    def _emit(self, call: Call, item: Any, id: str | None = None, /) -> bool:
        """Send one message of a streamed answer; there is no place for its position."""
        message = self._encode(item)
        answering: Answering = call.state
        if not answering.started:
            self._start(call)
        if answering.coding is not None and len(message) >= framing.SMALLEST_COMPRESSED_BYTES:
            return answering.write(frame_compressed(answering.coding, message))
        return answering.write(frame(message))

    def _answer(self, call: Call, value: Any, error: RpcError | None) -> None:
        """The end of the call, with the one answer of a client stream."""
        state: Answering | Exchange = call.state
        if error is not None:
            if isinstance(state, Answering) and state.started:
                self._end(call, state, error)
            else:
                self._refused(call, state.exchange if isinstance(state, Answering) else state, error)
            return
        if not self._binding.method.shape.server_streaming:
            self._emit(call, value)
        answering: Answering = call.state
        self._start(call)
        self._end(call, answering, None)

    def _start(self, call: Call) -> None:
        """Send what comes before the first message, the first time."""
        answering: Answering = call.state
        if not answering.started:
            answering.started = True
            answering.coding = coding = self._coding_for(call)
            initial = () if call._response_metadata is None else call._response_metadata.wire_items()
            answering.exchange.start(200, self._blocks[coding], initial)


class Answering(Outgoing):
    """A streamed answer, and what its large messages are compressed with."""

    __slots__ = ("coding",)

    def __init__(self, exchange: Exchange) -> None:
        super().__init__(exchange)
        self.coding: str | None = None
