"""REST: the routes that methods declare, and for each method one of its own, `/rpc/pkg.Service/Method`."""

from __future__ import annotations

from collections.abc import Iterator

from polywire.protocols.endpoint import Endpoint, ProtocolServer
from polywire.protocols.rest.route import RestRoute
from polywire.protocols.rest.streams import ClientStreamRoute, ServerStreamRoute
from polywire.runtime.runtime import Runtime
from polywire.schema.types import Method, MethodKind, Route, Shape

PROTOCOL = "rest"
_KINDS: dict[Shape, type[RestRoute]] = {
    Shape.UNARY: RestRoute,
    Shape.CLIENT_STREAM: ClientStreamRoute,
    Shape.SERVER_STREAM: ServerStreamRoute,
    Shape.BIDI_STREAM: ServerStreamRoute,
}


class RestServer(ProtocolServer):
    """The routes of all services of an app."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def routes(self) -> Iterator[tuple[str, str, Endpoint]]:
        """(template, verb, endpoint) of each route."""
        for service, instance in self._runtime.app.services:
            for method in service.methods:
                binding = self._runtime.bind(method, instance, PROTOCOL)
                kind = _KINDS[method.shape]
                for route in (*method.routes, *generic_routes(method)):
                    yield route.template, route.verb, kind(self._runtime, binding, method, route)


def generic_routes(method: Method) -> Iterator[Route]:
    """Where a method answers plain JSON whatever routes it declares: for clients that know names only.

    By POST with its input as the body; a query without a streamed request by GET, too, with its input in the query.
    """
    template = f"/rpc{method.path}"
    yield Route("POST", template, ())
    if method.kind is MethodKind.QUERY and not method.shape.client_streaming:
        yield Route("GET", template, ())
