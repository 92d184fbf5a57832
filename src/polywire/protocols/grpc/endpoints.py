"""gRPC over HTTP/2: an answer ends with trailers."""

from __future__ import annotations

from typing import Any

from polywire.errors import RpcError
from polywire.http.exchange import Exchange
from polywire.protocols.grpc.status import status_pairs
from polywire.protocols.grpc.timeout import timeout_s
from polywire.protocols.rpc import framing
from polywire.protocols.rpc.endpoint import Answering, EnvelopedEndpoint, Pairs, StreamEndpoint, UnaryEndpoint
from polywire.protocols.rpc.framing import frame, frame_compressed
from polywire.runtime.call import Call
from polywire.runtime.metadata import MutableMetadata, error_pairs
from polywire.wire.headers import HeaderBlock

_OK = HeaderBlock([("grpc-status", "0")])


class GrpcEndpoint(EnvelopedEndpoint):
    """What unary calls and streams have in common; gRPC-Web too."""

    timeout_field = "grpc-timeout"
    coding_field = "grpc-encoding"
    accepted_field = "grpc-accept-encoding"
    needs_http2 = True

    @staticmethod
    def read_timeout(text: str) -> float:
        return timeout_s(text)

    def _error_pairs(self, call: Call, error: RpcError) -> Pairs:
        pairs: Pairs = [*status_pairs(error, self._service), *error_pairs(error.metadata)]
        if call._trailers is not None:
            pairs.extend(call._trailers.wire_items())
        pairs.append(("x-request-id", call.request_id))
        return pairs

    def _only_error(self, call: Call, exchange: Exchange, error: RpcError) -> None:
        """Answer without a message: by trailers only, or with a head where there is metadata for it."""
        pairs = self._error_pairs(call, error)
        if call._response_metadata is None:
            exchange.respond(200, HeaderBlock([self._content_type, *pairs]), b"")
        else:
            # Clients take all of a trailers-only answer for trailers.
            exchange.start(200, self._block, call._response_metadata.wire_items())
            exchange.finish(HeaderBlock(pairs))


class GrpcUnary(UnaryEndpoint, GrpcEndpoint):
    def _answer(self, call: Call, value: Any, error: RpcError | None) -> None:
        exchange: Exchange = call.state
        if error is not None:
            self._only_error(call, exchange, error)
            return
        message = self._encode(value)
        trailers = _OK if call._trailers is None else _ok_with(call._trailers)
        initial = () if call._response_metadata is None else call._response_metadata.wire_items()
        if len(message) >= framing.SMALLEST_COMPRESSED_BYTES and (coding := self._coding_for(call)) is not None:
            exchange.respond(200, self._blocks[coding], frame_compressed(coding, message), initial, trailers)
        else:
            exchange.respond(200, self._block, frame(message), initial, trailers)


class GrpcStream(StreamEndpoint, GrpcEndpoint):
    def _refused(self, call: Call, exchange: Exchange, error: RpcError) -> None:
        self._only_error(call, exchange, error)

    def _end(self, call: Call, answering: Answering, error: RpcError | None) -> None:
        if error is not None:
            trailers = HeaderBlock(self._error_pairs(call, error))
        else:
            trailers = _OK if call._trailers is None else _ok_with(call._trailers)
        answering.exchange.finish(trailers)


def _ok_with(trailers: MutableMetadata) -> HeaderBlock:
    return HeaderBlock([("grpc-status", "0"), *trailers.wire_items()])
