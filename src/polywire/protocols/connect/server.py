"""Connect: every method of an app at `/package.Service/Method`."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from polywire.http.exchange import Exchange
from polywire.protocols.connect.streams import ConnectStream
from polywire.protocols.connect.unary import FORMATS, ConnectMethod, refuse_unary
from polywire.protocols.endpoint import Endpoint, ProtocolServer
from polywire.protocols.rpc.refusals import GRPC_TYPES, refuse_content_type, refuse_request
from polywire.runtime.binding import Binding
from polywire.runtime.runtime import Runtime
from polywire.schema.types import Method, MethodKind, Shape

PROTOCOL = "connect"
_STREAMS = tuple(f"application/connect+{name}" for name in FORMATS)
_refuse_stream = partial(refuse_content_type, accepted=(*_STREAMS, *GRPC_TYPES))
"""A method that streams, asked for as if it did not (Connect, Streaming-Request)."""


class ConnectServer(ProtocolServer):
    """Unary calls by POST, of queries by GET too, and streams."""

    def __init__(self, runtime: Runtime) -> None:
        self._unary: list[tuple[Method, ConnectMethod]] = []
        self._streams: list[Method] = []
        self.dialects: dict[str, dict[str, Endpoint]] = {
            content_type: {"": _no_such_method} for content_type in ("application/proto", *_STREAMS)
        }
        for service, instance in runtime.app.services:
            for method in service.methods:
                self._offer(runtime, runtime.bind(method, instance, PROTOCOL))

    def _offer(self, runtime: Runtime, binding: Binding) -> None:
        method = binding.method
        if method.shape is Shape.UNARY:
            unary = ConnectMethod(runtime, binding)
            self._unary.append((method, unary))
            self.dialects["application/proto"][method.path] = unary.proto
            for content_type in _STREAMS:
                self.dialects[content_type][method.path] = refuse_unary
            return
        self._streams.append(method)
        self.dialects["application/proto"][method.path] = _refuse_stream
        for content_type, codec_format in zip(_STREAMS, FORMATS.values(), strict=True):
            endpoint = ConnectStream(runtime, binding, codec_format, content_type)
            self.dialects[content_type][method.path] = endpoint.serve

    def routes(self) -> Iterator[tuple[str, str, Endpoint]]:
        for method, unary in self._unary:
            yield method.path, "POST", unary.post
            if method.kind is MethodKind.QUERY:
                yield method.path, "GET", unary.get
        for method in self._streams:
            yield method.path, "POST", _refuse_stream


def _no_such_method(exchange: Exchange) -> None:
    refuse_request(exchange, 404, "there is no such method")
