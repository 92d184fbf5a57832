"""gRPC and gRPC-Web: every method of an app, and the services that gRPC brings."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from typing import TYPE_CHECKING

from polywire.codec import Format
from polywire.errors import Unimplemented
from polywire.http.exchange import Exchange
from polywire.protocols.endpoint import Endpoint, ProtocolServer
from polywire.protocols.grpc.endpoints import GrpcStream, GrpcUnary
from polywire.protocols.grpc.health import HealthService
from polywire.protocols.grpc.reflection import reflection_services
from polywire.protocols.grpc.status import status_pairs
from polywire.protocols.grpc.web import TextStream, TextUnary, WebStream, WebUnary, trailer_frame
from polywire.protocols.rpc.endpoint import EnvelopedEndpoint
from polywire.protocols.rpc.refusals import refuse_content_type, refuse_transport
from polywire.runtime.binding import Binding
from polywire.runtime.runtime import Runtime
from polywire.schema.types import Shape
from polywire.service import Service
from polywire.wire.headers import HeaderBlock

if TYPE_CHECKING:
    from polywire.runtime.health import Health

Maker = Callable[[Runtime, Binding, Format, str], EnvelopedEndpoint]
_UNKNOWN = status_pairs(Unimplemented("there is no such method"), "")


def refuse_grpc(exchange: Exchange) -> None:
    if exchange.method != "POST" or exchange.sink.version != "2":
        refuse_transport(exchange)
    else:
        exchange.respond(200, HeaderBlock([("content-type", "application/grpc"), *_UNKNOWN]), b"")


def refuse_web(exchange: Exchange) -> None:
    exchange.respond(200, HeaderBlock([("content-type", "application/grpc-web+proto")]), trailer_frame(_UNKNOWN))


def refuse_web_text(exchange: Exchange) -> None:
    block = HeaderBlock([("content-type", "application/grpc-web-text+proto")])
    exchange.respond(200, block, b64encode(trailer_frame(_UNKNOWN)))


_FAMILIES: dict[str, tuple[str, Maker, Maker, Endpoint]] = {
    "application/grpc": ("grpc", GrpcUnary, GrpcStream, refuse_grpc),
    "application/grpc-web": ("grpc-web", WebUnary, WebStream, refuse_web),
    "application/grpc-web-text": ("grpc-web", TextUnary, TextStream, refuse_web_text),
}
"""By the start of the content type: the protocol's name in a call, the endpoints of its two kinds of calls, and what
answers a call of a method that does not exist."""
_FORMATS = {"": Format.PROTOBUF, "+proto": Format.PROTOBUF, "+json": Format.PROTO_JSON}


class GrpcServer(ProtocolServer):
    """All methods of an app in every message format, and the services that gRPC brings: health and reflection."""

    def __init__(self, runtime: Runtime, health: Health) -> None:
        self.dialects: dict[str, dict[str, Endpoint]] = {}
        services = runtime.app.services
        own: list[Service] = [HealthService(health), *reflection_services([service for service, _ in services])]
        offered = [
            *((method, instance, False) for service, instance in services for method in service.methods),
            *((method, instance, True) for instance in own for method in type(instance).__polywire__.methods),
        ]
        bound: dict[str, list[Binding]] = {}
        for family, (protocol, unary, stream, refuse) in _FAMILIES.items():
            if protocol not in bound:
                bound[protocol] = [runtime.bind(method, on, protocol, own=is_own) for method, on, is_own in offered]
            for suffix, codec_format in _FORMATS.items():
                content_type = family + suffix
                paths = self.dialects[content_type] = {
                    binding.method.path: (unary if binding.method.shape is Shape.UNARY else stream)(
                        runtime, binding, codec_format, content_type
                    ).serve
                    for binding in bound[protocol]
                }
                paths[""] = refuse

    def serve_unusual(self, exchange: Exchange, content_type: str) -> None:
        """Answer a content type with parameters or capitals, or refuse it."""
        dialect = self.dialects.get(content_type.partition(";")[0].strip().lower())
        if dialect is None:
            refuse_content_type(exchange, self.dialects)
        else:
            dialect.get(exchange.path, dialect[""])(exchange)
