"""Where requests become calls: chooses the protocol of each exchange, by content type and then by path."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING

from polywire.errors import NO_ROUTE, Internal, NotFound, ResourceExhausted, RpcError, Unimplemented
from polywire.http.exchange import INTERNAL_ERROR, Exchange, Observer
from polywire.http.gate import SocketGate
from polywire.http.origin import SAFE, CrossOrigin, Origins, is_sent_across
from polywire.http.router import Router
from polywire.protocols.connect.server import ConnectServer
from polywire.protocols.docs_page.endpoints import docs_endpoints
from polywire.protocols.endpoint import Endpoint, ProtocolServer
from polywire.protocols.files import FileServer
from polywire.protocols.graphql.server import GraphqlServer
from polywire.protocols.grpc.server import GrpcServer
from polywire.protocols.javascript import javascript_endpoints
from polywire.protocols.mounts import MountServer
from polywire.protocols.operations import Operations
from polywire.protocols.raw_sockets import RawEndpoint
from polywire.protocols.rest.errors import respond_error
from polywire.protocols.rest.server import RestServer
from polywire.protocols.trpc.server import TrpcServer
from polywire.protocols.websocket.server import WebSocketServer
from polywire.runtime.call import Peer
from polywire.runtime.health import Health
from polywire.runtime.hooks import run_every_hook, run_hooks
from polywire.runtime.metrics import Metrics
from polywire.runtime.runtime import Runtime
from polywire.wire.headers import HeaderBlock

if TYPE_CHECKING:
    from polywire.service.app import App
    from polywire.wire.sink import Sink

logger = logging.getLogger("polywire")

_SOCKET = "websocket"
"""In the place of a verb."""


class Site:
    """Everything one app answers on an HTTP listener.

    Give `on_request` to the engines, once `start` has been awaited in the loop that serves.

    observers: told of every finished exchange, after the counters.
    """

    def __init__(self, app: App, observers: Iterable[Observer] = ()) -> None:
        self.app = app
        self._observers = list(observers)
        self.drain_s = app.drain_s
        self.metrics = Metrics()
        self._statuses = self.metrics.http_statuses
        self.health = Health(
            app.checks.values(),
            services=[service.full_name for service, _ in app.services],
            environment=app.environment,
            version=app.version,
        )
        self.runtime = Runtime(app, self.metrics)
        self._observer = self._observe
        self._router: Router[Endpoint] = Router()
        self._origins = Origins(app.origins)
        self._unasked = self._origins.unasked
        bounds = app.websocket_options
        self._gate: SocketGate | None = None
        if bounds.max_per_address is not None or bounds.connects_per_s is not None:
            self._gate = SocketGate(bounds.max_per_address, bounds.connects_per_s)
        self._sockets: Router[Endpoint] = Router()
        """What takes up a WebSocket."""
        self._dialects: dict[str, Mapping[str, Endpoint]] = {}
        self._grpc = GrpcServer(self.runtime, self.health)
        runtime = self.runtime
        servers = (
            RestServer(runtime),
            self._grpc,
            ConnectServer(runtime),
            GraphqlServer(runtime),
            TrpcServer(runtime),
            WebSocketServer(runtime),
        )
        for server in servers:
            self._add(server)
        self._operations = Operations(self.health, self.metrics)
        own = {**self._operations.endpoints(), **docs_endpoints(app), **javascript_endpoints()}
        for path, endpoint in own.items():
            self.add_endpoint("GET", path, endpoint)
        for route in app.socket_routes:
            self.add_socket(route.path, RawEndpoint(route, runtime))
        self._mounts = tuple(MountServer(mount, self.runtime) for mount in app.mounts)
        self._files = [FileServer(route, self.runtime.pool) for route in app.file_routes]
        for files in self._files:
            self.add_endpoint("GET", files.route.template, files)

    def _add(self, server: ProtocolServer) -> None:
        self._dialects.update(server.dialects)
        for template, verb, endpoint in server.routes():
            self.add_endpoint(verb, template, endpoint)
        for path, endpoint in server.websockets():
            self.add_socket(path, endpoint)

    def add_endpoint(self, verb: str, path: str, endpoint: Endpoint) -> None:
        """Answer a path outside of every service. Raises ValueError where a route has it already."""
        self._router.add(verb, path, endpoint)

    def add_socket(self, path: str, endpoint: Endpoint) -> None:
        """Let an endpoint take up the WebSockets that are asked for at a path, of all HTTP versions alike.

        Pages of other origins than those listed never get that far. Raises ValueError where the path has one already.
        """
        self._sockets.add(_SOCKET, path, endpoint)

    async def start(self) -> None:
        """Run the app's start hooks. Raises what they raise; `stop` must be awaited all the same."""
        self.runtime.start()
        await run_hooks(self.app.start_hooks)
        for files in self._files:
            files.check()
        for mount in self._mounts:
            await mount.start()

    async def stop(self) -> None:
        """Cancel the calls that are left, then run the app's stop hooks, the last registered first.

        All of them run; the first error is raised at the end.
        """
        await self.runtime.stop()
        for mount in self._mounts:
            await mount.stop()
        for files in self._files:
            await files.close()
        # Checks that are under way look at what the hooks are about to close.
        await self._operations.close()
        await run_every_hook(reversed(self.app.stop_hooks))

    def go_away(self, within_s: float | None = None) -> None:
        """No new connections come: tell those that are open, and end what can go on elsewhere.

        within_s: when `stop` comes; None: after the app's `drain_s`.
        """
        self.runtime.go_away(self.drain_s if within_s is None else within_s)

    @property
    def open_calls(self) -> int:
        """Calls whose handlers have not ended yet, and requests of what is mounted."""
        return len(self.runtime.suspended) + sum(mount.open_requests for mount in self._mounts)

    def on_request(self, peer: Peer, sink: Sink) -> None:
        """Take one request from an engine; `peer` is the connection's."""
        exchange = Exchange(sink, peer, self._observer)
        try:
            headers = exchange.headers
            origin = headers.get("origin")
            if origin is None:
                exchange.origin_fields = self._unasked
            elif not self._origins.admits(exchange, origin):
                return
            if self._gate is not None and sink.tunnel == "websocket":
                key = self._gate.enter(exchange.peer.address, monotonic())
                exchange.on_observed(partial(self._socket_over, self._gate, key))
            if self._mounts and self._mounted(exchange):
                return
            content_type = headers.get("content-type")
            if content_type is not None:
                dialect = self._dialects.get(content_type)
                if dialect is not None:
                    (dialect.get(exchange.path) or dialect[""])(exchange)
                    return
                if content_type[:16].lower() == "application/grpc":
                    self._grpc.serve_unusual(exchange, content_type)
                    return
            verb = exchange.method
            tunnel = sink.tunnel
            if origin is None and (tunnel is not None or verb not in SAFE) and is_sent_across(exchange):
                raise CrossOrigin
            if tunnel == "websocket":
                found = self._sockets.find(_SOCKET, exchange.path)
                if found is not None:
                    socket, exchange.variables = found
                    socket(exchange)
                    return
            try:
                endpoint, exchange.variables = self._router.match("GET" if verb == "HEAD" else verb, exchange.path)
            except RpcError as error:
                self._unrouted(exchange, error)
                return
            endpoint(exchange)
        except (CrossOrigin, ResourceExhausted) as error:
            respond_error(exchange, error)
        except Exception:
            self._broken(exchange)

    def _socket_over(self, gate: SocketGate, key: str, exchange: Exchange) -> None:
        gate.leave(key)

    def _mounted(self, exchange: Exchange) -> bool:
        """Whether it is for something mounted, which then has it."""
        for mount in self._mounts:
            if mount.takes(exchange.path):
                if exchange.headers.get("origin") is None and exchange.method not in SAFE and is_sent_across(exchange):
                    raise CrossOrigin
                mount(exchange)
                return True
        return False

    def on_refused(self, peer: Peer, sink: Sink, status: int, body_bytes: int) -> None:
        """Count a request that the engine has answered by itself, and tell the observers."""
        exchange = Exchange(sink, peer)
        exchange.status = status
        exchange.sent_body_bytes = body_bytes
        self._observe(exchange)

    def _broken(self, exchange: Exchange) -> None:
        """An exception that no call answers for: it must not cost the connection, on which others wait."""
        name = f"{exchange.method} {exchange.path!r:.200}"
        extra = {"request_id": exchange.request_id}
        logger.exception("%s failed (request %s)", name, exchange.request_id, extra=extra)
        if exchange.status:
            exchange.reset(INTERNAL_ERROR)
        else:
            respond_error(exchange, Internal("internal error"))

    def _unrouted(self, exchange: Exchange, error: RpcError) -> None:
        path = exchange.path
        if exchange.method == "CONNECT":
            # An extended one (RFC 8441 §3); an Upgrade that nobody takes up is an ordinary GET (RFC 9110 §7.8).
            respond_error(exchange, Unimplemented("no tunnel of this kind is offered here"))
            return
        if exchange.method == "OPTIONS":
            allowed = ["OPTIONS"] if path == "*" else self._router.allowed(path)
            if allowed:
                exchange.respond(204, HeaderBlock([("allow", ", ".join(allowed))]), b"")
                return
        respond_error(exchange, (self._nearly_found(path) or error) if isinstance(error, NotFound) else error)

    def _nearly_found(self, path: str) -> NotFound | None:
        """For whoever is close: at this path are WebSockets, or other methods of this service."""
        if self._sockets.allowed(path):
            return NotFound("only WebSockets are answered at this path", reason=NO_ROUTE)
        service, _, method = path.removeprefix("/rpc").removeprefix("/").partition("/")
        if method and any(table.full_name == service for table, _ in self.app.services):
            return NotFound(f"{service} has no method {method[:100]!r}", reason=NO_ROUTE)
        return None

    def _observe(self, exchange: Exchange) -> None:
        self._statuses[exchange.status] += 1
        if self._observers:
            for observer in self._observers:
                observer(exchange)
