"""gRPC over HTTP/2: unary calls and streams, protobuf or JSON."""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import partial
from typing import TYPE_CHECKING, Any

from polywire.codec import Format, method_codec
from polywire.errors import (
    TOO_LARGE,
    UNSUPPORTED_MEDIA_TYPE,
    RpcError,
    Unimplemented,
)
from polywire.http.exchange import Exchange
from polywire.protocols.endpoint import Endpoint, ProtocolServer
from polywire.protocols.gather import gather, take_turn
from polywire.protocols.grpc import framing
from polywire.protocols.grpc.framing import frame, unframe_one
from polywire.protocols.grpc.health import HealthService
from polywire.protocols.grpc.reflection import reflection_services
from polywire.protocols.grpc.status import status_pairs
from polywire.protocols.rest.errors import respond_error
from polywire.protocols.streams import MessageReader, Outgoing
from polywire.runtime.binding import Binding
from polywire.runtime.call import Call
from polywire.runtime.metadata import Metadata, MutableMetadata, error_pairs
from polywire.runtime.runtime import Runtime
from polywire.schema.types import Shape
from polywire.service import Service
from polywire.wire.headers import HeaderBlock

if TYPE_CHECKING:
    from polywire.runtime.health import Health

PROTOCOL = "grpc"
_FORMATS = {
    "application/grpc": Format.PROTOBUF,
    "application/grpc+proto": Format.PROTOBUF,
    "application/grpc+json": Format.PROTO_JSON,
}
_OK = HeaderBlock([("grpc-status", "0")])
_CONTENT_TYPE = ("content-type", "application/grpc")


class GrpcServer(ProtocolServer):
    """All methods of an app in every message format, and the services that gRPC brings: health and reflection."""

    def __init__(self, runtime: Runtime, health: Health) -> None:
        self.dialects: dict[str, dict[str, Endpoint]] = {}
        services = runtime.app.services
        own: list[Service] = [HealthService(health), *reflection_services([service for service, _ in services])]
        bindings = [
            *(runtime.bind(method, instance, PROTOCOL) for service, instance in services for method in service.methods),
            *(
                runtime.bind(method, instance, PROTOCOL, own=True)
                for instance in own
                for method in type(instance).__polywire__.methods
            ),
        ]
        for content_type, codec_format in _FORMATS.items():
            self.dialects[content_type] = {
                binding.method.path: (StreamEndpoint if binding.method.shape is not Shape.UNARY else UnaryEndpoint)(
                    runtime, binding, codec_format, content_type
                ).serve
                for binding in bindings
            }

    def refuse(self, exchange: Exchange) -> None:
        """Answer a call of a method that does not exist."""
        if _is_grpc(exchange):
            block = HeaderBlock([_CONTENT_TYPE, *status_pairs(Unimplemented("there is no such method"), "")])
            exchange.respond(200, block, b"")

    def serve_unusual(self, exchange: Exchange, content_type: str) -> None:
        """Answer a content type with parameters or capitals, or refuse it."""
        dialect = self.dialects.get(content_type.partition(";")[0].strip().lower())
        if dialect is None:
            respond_error(exchange, Unimplemented("messages must be +proto or +json", reason=UNSUPPORTED_MEDIA_TYPE))
        else:
            dialect.get(exchange.path, self.refuse)(exchange)


class MethodEndpoint(ABC):
    """One method in one message format: how to read and write it, and the header blocks of its answers."""

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
        pairs = [self._content_type, ("grpc-accept-encoding", framing.ACCEPTED_CODINGS)]
        self._block = HeaderBlock(pairs)
        self._block_gzip = HeaderBlock([*pairs, ("grpc-encoding", "gzip")])
        # Bound once; a bound method is an object of its own at each look-up.
        self._spend = runtime.turns.spend
        self._then = self._run_in_turn
        self._refuse = self._reject
        self._done = self._answer

    def serve(self, exchange: Exchange) -> None:
        if exchange.method != "POST" or exchange.sink.version != "2":
            _refuse_http(exchange)
            return
        headers = exchange.headers
        call = Call(self._binding, exchange)
        call.state = exchange
        timeout = headers.get("grpc-timeout")
        try:
            if timeout is not None:
                call.limit_time(framing.timeout_s(timeout))
            coding = headers.get("grpc-encoding")
            if coding is not None:
                framing.check_coding(coding)
        except RpcError as error:
            self._reject(call, error)
            return
        if self._client_streaming:
            unpack = partial(self._unpack, call.metadata)
            splitter = framing.message_splitter(self._limit)
            call.input = MessageReader(self._runtime, call, exchange, splitter, self._decode, unpack)
            self._launch(call)
            return
        body = exchange.take_whole(self._most)
        if body is None:
            gather(self._runtime, call, exchange, self._most, self._then, self._refuse, self._done)
        elif coding is None:
            self._run(call, body)
        else:
            self._run_in_turn(call, body)

    def _run_in_turn(self, call: Call, body: bytes) -> None:
        if body[:1] == b"\x01":
            take_turn(self._runtime, call, call.state, body, self._run, self._refuse, self._done)
        else:
            self._run(call, body)

    def _run(self, call: Call, body: bytes) -> None:
        try:
            call.input = self._decode(unframe_one(body, self._limit, call.metadata, self._spend))
        except RpcError as error:
            self._reject(call, error)
            return
        self._launch(call)

    def _unpack(self, headers: Metadata, message: bytes) -> bytes:
        return framing.decompressed(message, self._limit, headers, self._spend)

    def _reject(self, call: Call, error: RpcError) -> None:
        if error.reason == TOO_LARGE:
            error = type(error)(f"the message is larger than {self._limit} bytes", reason=TOO_LARGE)
        self._runtime.reject(call, error, self._done)

    @abstractmethod
    def _launch(self, call: Call) -> None:
        """Run the call, whose input is there, and watch its caller."""

    @abstractmethod
    def _answer(self, call: Call, value: Any, error: RpcError | None) -> None:
        """What the runtime calls at the end."""

    def _error_block(self, call: Call, error: RpcError, head: bool) -> HeaderBlock:
        """The trailers that tell the error; as a trailers-only answer with what belongs into the head."""
        pairs: list[tuple[str | bytes, str | bytes]] = []
        if head:
            pairs.append(self._content_type)
            if call._response_metadata is not None:
                pairs.extend(call._response_metadata.wire_items())
        pairs.extend(status_pairs(error, self._service))
        pairs.extend(error_pairs(error.metadata))
        if call._trailers is not None:
            pairs.extend(call._trailers.wire_items())
        pairs.append(("x-request-id", call.request_id))
        return HeaderBlock(pairs)


class UnaryEndpoint(MethodEndpoint):
    """One message in, one message out."""

    def _launch(self, call: Call) -> None:
        self._dispatch(call, self._done)
        if not call.answered and not self._binding.finish_on_disconnect:
            call.state.watch(call.cancel)

    def _answer(self, call: Call, value: Any, error: RpcError | None) -> None:
        exchange: Exchange = call.state
        if error is not None:
            exchange.respond(200, self._error_block(call, error, True), b"")
            return
        message = self._encode(value)
        trailers = _OK if call._trailers is None else _ok_with(call._trailers)
        initial = () if call._response_metadata is None else call._response_metadata.wire_items()
        if len(message) >= framing.SMALLEST_COMPRESSED_BYTES and framing.accepts_gzip(call.metadata):
            exchange.respond(200, self._block_gzip, framing.frame_gzip(message), initial, trailers)
        else:
            exchange.respond(200, self._block, frame(message), initial, trailers)


class StreamEndpoint(MethodEndpoint):
    """Streams in one direction or both. `call.state` is an `Answering`."""

    def __init__(self, runtime: Runtime, binding: Binding, codec_format: Format, content_type: str) -> None:
        super().__init__(runtime, binding, codec_format, content_type)
        self._send = self._emit

    def _launch(self, call: Call) -> None:
        exchange: Exchange = call.state
        call.state = answering = Answering(exchange)
        call.send_head = self._start
        if self._binding.method.shape.server_streaming:
            self._runtime.dispatch_stream(call, self._send, answering.drained, self._done)
        else:
            self._runtime.dispatch(call, self._done)
        if not call.answered and not self._binding.finish_on_disconnect:
            exchange.watch(call.cancel)

    def _emit(self, call: Call, item: Any, id: str | None = None, /) -> bool:
        """Send one message of a streamed answer; gRPC has no place for its position."""
        message = self._encode(item)
        answering: Answering = call.state
        if not answering.started:
            self._start(call)
        if answering.gzip and len(message) >= framing.SMALLEST_COMPRESSED_BYTES:
            return answering.write(framing.frame_gzip(message))
        return answering.write(frame(message))

    def _answer(self, call: Call, value: Any, error: RpcError | None) -> None:
        """The end of the call, with the one answer of a client stream."""
        if error is not None:
            self._fail(call, error)
            return
        if not self._binding.method.shape.server_streaming:
            self._emit(call, value)
        answering: Answering = call.state
        self._start(call)
        answering.exchange.finish(_OK if call._trailers is None else _ok_with(call._trailers))

    def _fail(self, call: Call, error: RpcError) -> None:
        state: Answering | Exchange = call.state
        if isinstance(state, Answering) and state.started:
            state.exchange.finish(self._error_block(call, error, False))
        else:
            exchange = state.exchange if isinstance(state, Answering) else state
            exchange.respond(200, self._error_block(call, error, True), b"")

    def _start(self, call: Call) -> None:
        """Send the initial metadata, the first time."""
        answering: Answering = call.state
        if not answering.started:
            answering.started = True
            answering.gzip = framing.accepts_gzip(call.metadata)
            initial = () if call._response_metadata is None else call._response_metadata.wire_items()
            answering.exchange.start(200, self._block_gzip if answering.gzip else self._block, initial)


class Answering(Outgoing):
    """A gRPC answer, and whether its large messages are compressed."""

    __slots__ = ("gzip",)

    def __init__(self, exchange: Exchange) -> None:
        super().__init__(exchange)
        self.gzip = False


def _ok_with(trailers: MutableMetadata) -> HeaderBlock:
    return HeaderBlock([("grpc-status", "0"), *trailers.wire_items()])


def _is_grpc(exchange: Exchange) -> bool:
    if exchange.sink.version == "2" and exchange.method == "POST":
        return True
    _refuse_http(exchange)
    return False


def _refuse_http(exchange: Exchange) -> None:
    respond_error(exchange, Unimplemented("gRPC is called by POST over HTTP/2", reason=UNSUPPORTED_MEDIA_TYPE))
