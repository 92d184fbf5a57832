"""gRPC over HTTP/2: unary calls and streams, protobuf or JSON."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Any

from polywire.codec import Format, method_codec
from polywire.errors import (
    TOO_LARGE,
    UNSUPPORTED_MEDIA_TYPE,
    Cancelled,
    MalformedInput,
    RpcError,
    Unimplemented,
)
from polywire.http.exchange import Exchange, Gone
from polywire.protocols.grpc import framing
from polywire.protocols.grpc.health import HealthService
from polywire.protocols.grpc.reflection import reflection_services
from polywire.protocols.grpc.status import status_pairs
from polywire.protocols.rest.errors import respond_error
from polywire.runtime.binding import Binding
from polywire.runtime.call import Call
from polywire.runtime.runtime import Runtime
from polywire.schema.types import Method, ServiceType
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


class GrpcServer:
    """All methods of an app by path, and the services that gRPC itself brings: health and reflection."""

    def __init__(self, runtime: Runtime, health: Health) -> None:
        self._runtime = runtime
        self.methods: dict[str, GrpcMethod] = {}
        own = [(service, instance) for service, instance in runtime.app.services]
        builtin: list[Any] = [HealthService(health), *reflection_services([service for service, _ in own])]
        for service, instance in [*own, *((instance.__polywire__, instance) for instance in builtin)]:
            for method in service.methods:
                self.methods[method.path] = GrpcMethod(runtime, service, method, instance)

    def content_types(self) -> dict[str, Callable[[Exchange], None]]:
        """The endpoint of each content type."""
        return {
            content_type: functools.partial(self._serve, codec_format, content_type)
            for content_type, codec_format in _FORMATS.items()
        }

    def by_content_type(self, content_type: str) -> Callable[[Exchange], None] | None:
        """The endpoint of a content type with parameters or capitals; None: it is not gRPC's."""
        name = content_type.partition(";")[0].strip().lower()
        if name not in _FORMATS:
            return self._unknown_format if name.startswith("application/grpc+") else None
        return functools.partial(self._serve, _FORMATS[name], name)

    def _serve(self, codec_format: Format, content_type: str, exchange: Exchange) -> None:
        if exchange.version != "2" or exchange.method != "POST":
            respond_error(exchange, Unimplemented("gRPC is called by POST over HTTP/2", reason=UNSUPPORTED_MEDIA_TYPE))
            return
        method = self.methods.get(exchange.path)
        if method is None:
            unknown = Unimplemented("there is no such method")
            exchange.respond(200, _trailers_only(content_type, unknown, ""), b"")
            return
        method.serve(exchange, method.dialects[codec_format])

    def _unknown_format(self, exchange: Exchange) -> None:
        respond_error(
            exchange, Unimplemented("gRPC messages must be +proto or +json", reason=UNSUPPORTED_MEDIA_TYPE)
        )


class Dialect:
    """One method in one message format: how to read and write it, and the header blocks of its answers."""

    __slots__ = ("block", "block_gzip", "content_type", "decode", "encode")

    def __init__(self, method: Method, codec_format: Format) -> None:
        codec = method_codec(method, codec_format)
        self.decode = codec.decode_input
        self.encode = codec.encode_result
        self.content_type = "application/grpc" if codec_format is Format.PROTOBUF else "application/grpc+json"
        pairs = [("content-type", self.content_type), ("grpc-accept-encoding", framing.ACCEPTED_CODINGS)]
        self.block = HeaderBlock(pairs)
        self.block_gzip = HeaderBlock([*pairs, ("grpc-encoding", "gzip")])


class GrpcMethod:
    """One method as gRPC serves it."""

    def __init__(self, runtime: Runtime, service: ServiceType, method: Method, instance: object) -> None:
        self._runtime = runtime
        self._service = service.full_name
        self._limit = runtime.app.max_request_bytes
        self._binding: Binding = runtime.bind(method, instance, PROTOCOL)
        self._shape = method.shape
        self._done = self._answer
        self.dialects = {codec_format: Dialect(method, codec_format) for codec_format in set(_FORMATS.values())}

    def serve(self, exchange: Exchange, dialect: Dialect) -> None:
        headers = exchange.headers
        header = headers.get("grpc-timeout")
        call = Call(self._binding, headers, exchange.peer, exchange.request_id)
        call.state = state = Carried(exchange, dialect)
        try:
            if header is not None:
                call.limit_time(framing.timeout_s(header))
            header = headers.get("grpc-encoding")
            if header is not None:
                framing.check_coding(header)
                state.coding = header
        except RpcError as error:
            self._refuse(call, error)
            return
        if self._shape.client_streaming:
            call.input = MessageReader(exchange, dialect, self._limit, state.coding)
            self._launch(call, state)
        else:
            exchange.collect(
                self._limit + 5, functools.partial(self._run, call, state), functools.partial(self._refuse, call)
            )

    def _refuse(self, call: Call, error: RpcError) -> None:
        if error.reason == TOO_LARGE:
            error = type(error)(f"the message is larger than {self._limit} bytes", reason=TOO_LARGE)
        self._runtime.reject(call, error, self._done)

    def _run(self, call: Call, state: Carried, body: bytes) -> None:
        try:
            call.input = state.dialect.decode(framing.unframe_one(body, self._limit, state.coding))
        except RpcError as error:
            self._refuse(call, error)
            return
        self._launch(call, state)

    def _launch(self, call: Call, state: Carried) -> None:
        if self._shape.server_streaming:
            self._runtime.dispatch_stream(call, self._emit, state.exchange.drain, self._end)
        else:
            self._runtime.dispatch(call, self._done)
        if not call.answered and not self._binding.finish_on_disconnect:
            state.exchange.watch(call.cancel)

    def _answer(self, call: Call, value: Any, error: RpcError | None) -> None:
        """The outcome of a call with one answer."""
        state: Carried = call.state
        if error is not None:
            self._fail(call, state, error)
            return
        dialect = state.dialect
        message = dialect.encode(value)
        trailers = _OK
        if call._trailers is not None:
            trailers = HeaderBlock([("grpc-status", "0"), *call._trailers.wire_items()])
        initial = () if call._response_metadata is None else call._response_metadata.wire_items()
        if len(message) >= framing.SMALLEST_COMPRESSED_BYTES and state.takes_gzip():
            state.exchange.respond(200, dialect.block_gzip, framing.frame_gzip(message), initial, trailers)
        else:
            state.exchange.respond(200, dialect.block, framing.frame(message), initial, trailers)

    def _emit(self, call: Call, item: Any) -> bool:
        """One message of a streamed answer."""
        state: Carried = call.state
        message = state.dialect.encode(item)
        if not state.started:
            state.start(call)
        if state.gzip and len(message) >= framing.SMALLEST_COMPRESSED_BYTES:
            return state.exchange.write(framing.frame_gzip(message))
        return state.exchange.write(framing.frame(message))

    def _end(self, call: Call, value: Any, error: RpcError | None) -> None:
        """The end of a streamed answer."""
        state: Carried = call.state
        if error is not None:
            self._fail(call, state, error)
            return
        if not state.started:
            state.start(call)
        extra = () if call._trailers is None else call._trailers.wire_items()
        state.exchange.finish(HeaderBlock([("grpc-status", "0"), *extra]) if extra else _OK)

    def _fail(self, call: Call, state: Carried, error: RpcError) -> None:
        extra: list[tuple[str | bytes, str | bytes]] = [*(error.metadata or {}).items()]
        if call._trailers is not None:
            extra.extend(call._trailers.wire_items())
        extra.append(("x-request-id", call.request_id))
        pairs = [*status_pairs(error, self._service), *extra]
        if state.started:
            state.exchange.finish(HeaderBlock(pairs))
        else:
            initial = () if call._response_metadata is None else call._response_metadata.wire_items()
            block = HeaderBlock([("content-type", state.dialect.content_type), *initial, *pairs])
            state.exchange.respond(200, block, b"")


class Carried:
    """What one gRPC call keeps about the exchange that carries it."""

    __slots__ = ("coding", "dialect", "exchange", "gzip", "started")

    def __init__(self, exchange: Exchange, dialect: Dialect) -> None:
        self.exchange = exchange
        self.dialect = dialect
        self.coding: str | None = None
        self.started = False
        self.gzip = False

    def takes_gzip(self) -> bool:
        return framing.accepts_gzip(self.exchange.headers.get("grpc-accept-encoding"))

    def start(self, call: Call) -> None:
        """Send the initial metadata of a stream."""
        self.started = True
        self.gzip = self.takes_gzip()
        block = self.dialect.block_gzip if self.gzip else self.dialect.block
        extra = () if call._response_metadata is None else call._response_metadata.wire_items()
        self.exchange.start(200, block, extra)


class MessageReader:
    """The messages of a client stream, decoded one at a time; the peer gets credit as they are read."""

    def __init__(self, exchange: Exchange, dialect: Dialect, limit_bytes: int, coding: str | None) -> None:
        self._exchange = exchange
        self._decode = dialect.decode
        self._limit = limit_bytes
        self._coding = coding
        self._buffer = bytearray()

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        """Raises StopAsyncIteration at the end, Cancelled if the caller leaves, and what decoding raises."""
        if not await self._fill(5):
            if self._buffer:
                raise MalformedInput("the stream ends within a message's prefix")
            raise StopAsyncIteration
        prefix = framing.read_prefix(self._buffer, self._limit)
        if not await self._fill(5 + prefix.length):
            raise MalformedInput("the stream ends within a message")
        message = bytes(self._buffer[5 : 5 + prefix.length])
        del self._buffer[: 5 + prefix.length]
        return self._decode(framing.unpack(message, prefix, self._limit, self._coding))

    async def _fill(self, size: int) -> bool:
        """Have at least `size` bytes buffered; False: the stream ended before."""
        while len(self._buffer) < size:
            try:
                part = await self._exchange.read()
            except Gone:
                raise Cancelled("the caller has left") from None
            if not part:
                return False
            self._buffer += part
        return True


def _trailers_only(content_type: str, error: RpcError, service: str) -> HeaderBlock:
    return HeaderBlock([("content-type", content_type), *status_pairs(error, service)])
