"""Connect's unary calls: plain HTTP requests with JSON or protobuf in their bodies, or GETs."""

from __future__ import annotations

from functools import partial
from typing import Any

from polywire.codec import Format, method_codec
from polywire.errors import (
    TOO_LARGE,
    Code,
    ResourceExhausted,
    RpcError,
    Unimplemented,
)
from polywire.http.compression import ACCEPTED, CODINGS, decompress
from polywire.http.exchange import Exchange
from polywire.protocols.connect.errors import check_version, encode_error, timeout_s
from polywire.protocols.connect.query import query_fields, query_message
from polywire.protocols.gather import gather, take_turn
from polywire.protocols.rest.errors import STATUS_OF_CODE
from polywire.protocols.rpc.refusals import GRPC_TYPES, refuse_content_type, refuse_request, refuse_verb
from polywire.runtime.binding import Binding
from polywire.runtime.call import Call
from polywire.runtime.metadata import error_pairs
from polywire.runtime.runtime import Runtime
from polywire.wire.headers import HeaderBlock

FORMATS = {"json": Format.PROTO_JSON, "proto": Format.PROTOBUF}
refuse_unary = partial(refuse_content_type, accepted=(*(f"application/{name}" for name in FORMATS), *GRPC_TYPES))
"""A unary method, in a content type that it is not called in."""
_ERROR = HeaderBlock([("content-type", "application/json"), ("vary", "accept-encoding")])


class ConnectUnary:
    """One method in one format."""

    def __init__(self, runtime: Runtime, binding: Binding, name: str) -> None:
        codec = method_codec(binding.method, FORMATS[name])
        self._runtime = runtime
        self._binding = binding
        self._requires_version = runtime.app.connect.require_version
        self._limit = runtime.app.max_request_bytes
        self._decode = codec.decode_input
        self._encode = codec.encode_result
        self._block = HeaderBlock([("content-type", f"application/{name}"), ("vary", "accept-encoding")])
        # Bound once; a bound method is an object of its own at each look-up.
        self._then = self._run
        self._refuse = self._reject
        self._done = self._answer

    def post(self, exchange: Exchange) -> None:
        if exchange.method != "POST":
            refuse_verb(exchange)
            return
        call = Call(self._binding, exchange)
        call.state = exchange
        headers = exchange.headers
        try:
            version = headers.get("connect-protocol-version")
            if version is not None or self._requires_version:
                check_version(version, self._requires_version, "connect-protocol-version")
            self._limit_time(call)
        except RpcError as error:
            self._reject(call, error)
            return
        body = exchange.take_whole(self._limit)
        if body is None:
            gather(self._runtime, call, exchange, self._limit, self._then, self._refuse, self._done)
        else:
            self._run(call, body)

    def get(self, exchange: Exchange, fields: dict[str, str]) -> None:
        """Answer a GET whose query has these fields, still percent-encoded."""
        call = Call(self._binding, exchange)
        call.state = exchange
        try:
            check_version(fields.get("connect"), self._requires_version, "connect", "v1")
            self._limit_time(call)
            message = query_message(fields)
            coding = fields.get("compression", "identity")
            if coding not in ("identity", *CODINGS):
                raise _unknown_coding(coding)
            if len(message) > self._limit:
                raise ResourceExhausted(f"the message is larger than {self._limit} bytes", reason=TOO_LARGE)
        except RpcError as error:
            self._reject(call, error)
            return
        if coding == "identity":
            self._run(call, message)
        else:
            take_turn(
                self._runtime,
                call,
                exchange,
                message,
                lambda call, body: self._unpack(call, coding, body),
                self._refuse,
                self._done,
            )

    def _limit_time(self, call: Call) -> None:
        timeout = call.metadata.get("connect-timeout-ms")
        if timeout is not None:
            call.limit_time(timeout_s(timeout))

    def _unpack(self, call: Call, coding: str, packed: bytes) -> None:
        try:
            message = decompress(coding, packed, self._limit, self._runtime.turns.spend)
        except RpcError as error:
            self._reject(call, error)
            return
        self._run(call, message)

    def _reject(self, call: Call, error: RpcError) -> None:
        self._runtime.reject(call, error, self._done)

    def _run(self, call: Call, body: bytes) -> None:
        try:
            call.input = self._decode(body)
        except RpcError as error:
            self._reject(call, error)
            return
        self._runtime.dispatch(call, self._done)
        if not call.answered and not self._binding.finish_on_disconnect:
            call.state.watch(call.cancel)

    def _answer(self, call: Call, value: Any, error: RpcError | None) -> None:
        exchange: Exchange = call.state
        status, block = 200, self._block
        if error is None:
            body = self._encode(value)
        else:
            # In JSON whatever the format of the call.
            status, block = STATUS_OF_CODE[Code(error.code)], _ERROR
            body = encode_error(error, self._binding.method.service)
        extra: tuple[tuple[bytes, bytes], ...] = ((b"x-request-id", call.request_id.encode()),)
        if call._response_metadata is not None:
            extra += call._response_metadata.wire_items()
        if error is not None and error.metadata:
            extra += HeaderBlock(error_pairs(error.metadata)).pairs
        if call._trailers is not None:
            extra += tuple((b"trailer-" + name, text) for name, text in call._trailers.wire_items())
        exchange.respond(status, block, body, extra, None, True)


class ConnectMethod:
    """One method at its path: chooses the format of a call."""

    def __init__(self, runtime: Runtime, binding: Binding) -> None:
        self._by_name = {name: ConnectUnary(runtime, binding, name) for name in FORMATS}
        self._json = self._by_name["json"].post
        self.proto = self._by_name["proto"].post
        self._service = binding.method.service

    def post(self, exchange: Exchange) -> None:
        content_type = exchange.headers.get("content-type") or ""
        if content_type == "application/json":
            self._json(exchange)
            return
        unary = self._by_name.get(_format_name(content_type))
        if unary is None:
            refuse_unary(exchange)
        else:
            unary.post(exchange)

    def get(self, exchange: Exchange) -> None:
        try:
            fields = query_fields(exchange.query)
            unary = self._by_name.get(fields.get("encoding", ""))
            if unary is None:
                refuse_request(exchange, 415, "the query needs encoding=json or encoding=proto")
                return
        except RpcError as error:
            respond_connect_error(exchange, error, self._service)
            return
        unary.get(exchange, fields)


def _format_name(content_type: str) -> str:
    media_type, _, parameters = content_type.partition(";")
    if parameters.strip().lower() not in ("", "charset=utf-8", 'charset="utf-8"'):
        return ""
    return media_type.strip().lower().removeprefix("application/")


def _unknown_coding(coding: str) -> RpcError:
    return Unimplemented(f"compression {coding[:32]!r} is not supported; use one of {ACCEPTED}")


def respond_connect_error(exchange: Exchange, error: RpcError, service: str) -> None:
    """Answer what is no call yet."""
    extra = ((b"x-request-id", exchange.request_id.encode()), *HeaderBlock(error_pairs(error.metadata)).pairs)
    exchange.respond(STATUS_OF_CODE[Code(error.code)], _ERROR, encode_error(error, service), extra)
