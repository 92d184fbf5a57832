"""`App`: the services that are served together, and how. Declares; runs nothing."""

from __future__ import annotations

import inspect
import math
import os
import re
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, TypeVar

from polywire.schema.errors import SchemaError
from polywire.schema.message import where
from polywire.schema.types import MessageType, MethodKind, ServiceType
from polywire.schema.walk import reachable
from polywire.service.declared_topics import BrokerLife, DeclaredTopic
from polywire.service.interceptor import Interceptor
from polywire.service.options import (
    ConnectOptions,
    Deflate,
    GraphqlOptions,
    TrpcOptions,
    WebSocketOptions,
    check_deflate,
    check_message_bytes,
)
from polywire.service.routes import parse_route, route_key
from polywire.service.service import Service

Hook = TypeVar("Hook", bound=Callable[[], Any])

OWN_PATHS: Final = frozenset(
    {
        "/asyncapi.json",
        "/docs",
        "/health",
        "/health/live",
        "/health/ready",
        "/metrics",
        "/openapi.json",
        "/polywire.d.ts",
        "/polywire.js",
    }
)
"""What every app answers by GET beside its services."""

_TOKEN: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_ORIGIN: Final = re.compile(r"[a-z][a-z0-9+.-]*://[A-Za-z0-9._:\[\]-]+")


class BoundService(NamedTuple):
    """A service's table and the object that answers for it."""

    type: ServiceType
    instance: Service


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """One dependency to look at. `function` takes nothing; it fails by raising or by returning False.

    A coroutine function runs on the loop, a plain function on a thread of its own: one that hangs is reported as timed
    out and not started a second time until it comes back.
    """

    name: str
    function: Callable[[], Any]
    timeout_s: float = 5.0


@dataclass(frozen=True, slots=True)
class FileRoute:
    """A directory whose files are served beneath a path."""

    path: str
    """Without a slash at its end."""
    directory: str
    trusted: bool
    """Nobody can put a file there but the application's makers."""

    @property
    def template(self) -> str:
        return f"{self.path}/{{path*}}"


SocketHandler = Callable[[Any], Coroutine[Any, Any, None]]
"""`async def handler(ws: polywire.WebSocket) -> None`"""
SocketHandlerT = TypeVar("SocketHandlerT", bound=SocketHandler)


@dataclass(frozen=True, slots=True)
class SocketRoute:
    """A place where WebSockets are taken up, and what is done with each."""

    path: str
    parameters: tuple[str, ...]
    """Of the path, in order."""
    handler: SocketHandler
    subprotocols: tuple[str, ...]
    max_message_bytes: int
    deflate: Deflate
    grace_s: float


AsgiApp = Callable[[Any, Callable[[], Awaitable[Any]], Callable[[Any], Awaitable[None]]], Any]
"""`async def app(scope, receive, send)`: an application of ASGI 3."""


@dataclass(frozen=True, slots=True)
class Mount:
    """An ASGI application beneath a path."""

    path: str
    """Without a slash at its end."""
    app: AsgiApp


class App:
    """Services, options, hooks and health checks.

    services: instances, at least one.
    name: in health and OpenAPI; default: the first service's full name.
    version: of the application, in health and OpenAPI.
    interceptors: around every call, the first outermost.
    default_deadline_s: seconds a call may take when neither its caller nor its method says; None: for ever.
    stream_idle_s: seconds a stream may stand still, no message going either way, where its method does not say; then
    it ends as DEADLINE_EXCEEDED. None: for ever.
    heartbeat_s: seconds of silence after which a stream over SSE gets a comment, so that no proxy cuts it.
    sse_retry_s: seconds that browsers are told to wait before they come back to an event stream that was cut off, half
    as much more or less at random; None: they choose.
    max_request_bytes: the largest message taken, after decompression; 4 MiB by default, as in gRPC.
    max_pending_bytes: of messages that have begun and are not whole, in all calls of a process together; a call that
    would take more ends as UNAVAILABLE (OVERLOADED). 128 MiB by default.
    thread_pool_size: threads for methods that are plain functions.
    drain_s: seconds that calls under way are given at the end before they are cancelled.
    environment: a word for health, "production".
    origins: of pages that may call besides our own, `https://app.example.com`; `*` for all, then without cookies.
    connect, graphql, trpc, websocket: settings of a dialect; None: its defaults.
    topics: each `Topic` is offered as a service of its own, after the others. broker: carries what is published; None:
    a `MemoryBroker`.

    Raises SchemaError when two services, routes or messages clash (both are named), ValueError for an option out
    of range.
    """

    def __init__(
        self,
        *services: Service,
        name: str | None = None,
        version: str = "0",
        interceptors: Iterable[Interceptor] = (),
        default_deadline_s: float | None = 30.0,
        stream_idle_s: float | None = None,
        heartbeat_s: float = 15.0,
        sse_retry_s: float | None = 3.0,
        max_request_bytes: int = 4 * 1024 * 1024,
        max_pending_bytes: int = 128 * 1024 * 1024,
        thread_pool_size: int = 32,
        drain_s: float = 30.0,
        environment: str = "",
        origins: Iterable[str] = (),
        connect: ConnectOptions | None = None,
        graphql: GraphqlOptions | None = None,
        trpc: TrpcOptions | None = None,
        websocket: WebSocketOptions | None = None,
        topics: Iterable[DeclaredTopic] = (),
        broker: BrokerLife | None = None,
    ) -> None:
        topics = tuple(topics)
        self.broker = topics[0].default_broker() if topics and broker is None else broker
        self.services = tuple(_bind(service) for service in (*services, *(topic.bind(self.broker) for topic in topics)))
        _check_services(self.services)
        self.name = name or self.services[0].type.full_name
        self.version = version
        self.interceptors = tuple(interceptors)
        self.default_deadline_s = default_deadline_s
        self.stream_idle_s = stream_idle_s
        self.heartbeat_s = heartbeat_s
        self.sse_retry_s = sse_retry_s
        self.max_request_bytes = max_request_bytes
        self.max_pending_bytes = max_pending_bytes
        self.thread_pool_size = thread_pool_size
        self.drain_s = drain_s
        self.environment = environment
        self.origins = tuple(map(_check_origin, [origins] if isinstance(origins, str) else origins))
        self.connect = connect or ConnectOptions()
        self.graphql = graphql or GraphqlOptions()
        self.trpc = trpc or TrpcOptions()
        self.websocket_options = websocket or WebSocketOptions()
        if default_deadline_s is not None:
            _check_above_zero("default_deadline_s", default_deadline_s)
        if stream_idle_s is not None:
            _check_above_zero("stream_idle_s", stream_idle_s)
        _check_above_zero("heartbeat_s", heartbeat_s)
        if sse_retry_s is not None:
            _check_above_zero("sse_retry_s", sse_retry_s)
        _check_above_zero("max_request_bytes", max_request_bytes)
        _check_above_zero("max_pending_bytes", max_pending_bytes)
        _check_above_zero("thread_pool_size", thread_pool_size)
        if not 0 <= drain_s < math.inf:
            raise ValueError(f"drain_s={drain_s!r} must be 0 or more")
        for interceptor in self.interceptors:
            if not callable(interceptor) or not _takes_two(interceptor):
                raise ValueError(f"the interceptor {interceptor!r} cannot be called; write async def f(call, proceed)")
        self.start_hooks: list[Callable[[], Any]] = []
        self.stop_hooks: list[Callable[[], Any]] = []
        if self.broker is not None:
            self.start_hooks.append(self.broker.start)
            self.stop_hooks.append(self.broker.stop)
        self.checks: dict[str, HealthCheck] = {}
        self.file_routes: list[FileRoute] = []
        self.mounts: list[Mount] = []
        self.socket_routes: list[SocketRoute] = []

    def on_start(self, function: Hook, /) -> Hook:
        """Decorates what runs before anything is served, in order, sync or async; an error stops the start."""
        self.start_hooks.append(_callable(function, "on_start"))
        return function

    def on_stop(self, function: Hook, /) -> Hook:
        """Decorates what runs after the last call, in reverse order, sync or async."""
        self.stop_hooks.append(_callable(function, "on_stop"))
        return function

    def files(self, path: str, directory: str | os.PathLike[str], *, trusted: bool = False) -> None:
        """Serve the files of a directory, and of those within it, by GET and HEAD beneath a path.

        With `Range`, `ETag`, `Last-Modified` and the conditions of RFC 9110 §13. Names that begin with a dot and
        symbolic links are not served, directories are not listed. No interceptor is asked: whoever reaches the server
        can read them.

        path: `/v1/files`. directory: must be there once the start hooks have run.
        trusted: False: browsers are told to save what could run in them (HTML, SVG) and get no scripts, for a
        directory that users upload into. True: everything is sent as what its name says, for pages of your own.

        Raises SchemaError for a path that is none, or is taken.
        """
        place = f"App.files({path!r})"
        path = path.rstrip("/")
        route = parse_route(f"GET {path}/{{path*}}", MethodKind.QUERY, place)
        if len(route.parameters) != 1:
            raise SchemaError(place, "the path has a parameter", 'write it like "/v1/files"')
        taken = {route_key(other) for service, _ in self.services for m in service.methods for other in m.routes}
        if route_key(route) in taken or any(other.path == path for other in self.file_routes):
            raise SchemaError(place, f"the route 'GET {route.template}' is taken already", "change one path")
        self.file_routes.append(FileRoute(path, os.fspath(directory), trusted))

    def mount(self, path: str, app: AsgiApp) -> None:
        """Let an ASGI application answer everything beneath a path: HTTP, WebSockets, and its start and end (lifespan).

        It goes before every route of ours. No interceptor is asked and no limit of ours but those of connections and
        origins holds: requests stream into the application as it reads them. It sees the whole path, with the mount's
        as `root_path`. When the peer leaves it is told (`http.disconnect`), not cancelled.

        path: `/socket.io`. Raises SchemaError for a path that is none or is mounted, TypeError for what is no
        application.
        """
        place = f"App.mount({path!r})"
        path = path.rstrip("/")
        if not path or parse_route(f"GET {path}", MethodKind.QUERY, place).parameters:
            raise SchemaError(place, "the path has a parameter, or is empty", 'write it like "/socket.io"')
        if not callable(app):
            raise TypeError(f"{place}: {app!r} is no ASGI application")
        if any(other.path == path for other in self.mounts):
            raise SchemaError(place, "something is mounted there", "change one path")
        self.mounts.append(Mount(path, app))

    def websocket(
        self,
        path: str,
        *,
        subprotocols: Iterable[str] = (),
        max_message_bytes: int = 1024 * 1024,
        deflate: Deflate = "off",
        grace_s: float = 5.0,
    ) -> Callable[[SocketHandlerT], SocketHandlerT]:
        """Decorates `async def handler(ws: polywire.WebSocket)`, which speaks a protocol of its own on each WebSocket.

        Its end closes the socket with 1000, an exception with 1011. No interceptor is asked: look at `ws.metadata`.
        Heartbeats, the origins of pages and the bounds of `WebSocketOptions` for all WebSockets hold here too.

        path: `/echo`, `/rooms/{room}`; a GET of the same path that asks for no WebSocket goes to its route.
        subprotocols: the best one first that the client offers is agreed to; one that offers none of them is refused.
        max_message_bytes: a longer message closes with 1009.
        deflate: permessage-deflate with clients that offer it: `no_context_takeover` or `context_takeover`.
        grace_s: seconds that a handler has to end once its socket is closed; then it is cancelled.

        Raises SchemaError for a path that is none or is taken, ValueError for another argument out of range.
        """
        place = f"App.websocket({path!r})"
        route = parse_route(f"GET {path}", MethodKind.QUERY, place)
        if any(
            route_key(route) == route_key(parse_route(f"GET {o.path}", MethodKind.QUERY, place))
            for o in self.socket_routes
        ):
            raise SchemaError(place, "there is such an endpoint already", "change one path")
        names = tuple([subprotocols] if isinstance(subprotocols, str) else subprotocols)
        for name in names:
            if not _TOKEN.fullmatch(name):
                raise ValueError(f"subprotocols: {name!r} is no token of HTTP; write it like 'chat.v1'")
        check_message_bytes(max_message_bytes)
        check_deflate(deflate)
        _check_above_zero("grace_s", grace_s)

        def register(function: SocketHandlerT) -> SocketHandlerT:
            if not inspect.iscoroutinefunction(function):
                raise TypeError(f"{place} is for coroutine functions: async def handler(ws)")
            self.socket_routes.append(
                SocketRoute(route.template, route.parameters, function, names, max_message_bytes, deflate, grace_s)
            )
            return function

        return register

    def check(self, name: str, *, timeout_s: float = 2.0) -> Callable[[Hook], Hook]:
        """Decorates a health check: sync or async, healthy unless it raises.

        name: of the dependency in `/health`; once only.
        timeout_s: seconds after which it counts as unhealthy.
        """
        if not isinstance(name, str):
            raise TypeError('a health check has a name; write @app.check("database")')
        _check_above_zero("timeout_s", timeout_s)

        def register(function: Hook) -> Hook:
            if name in self.checks:
                raise ValueError(f"there are two health checks called {name!r}")
            self.checks[name] = HealthCheck(name, _callable(function, "check"), timeout_s)
            return function

        return register


def _bind(service: Service) -> BoundService:
    if isinstance(service, type) and issubclass(service, Service):
        raise SchemaError("App", f"{service.__name__} is a class", f"write App({service.__name__}(...))")
    if not isinstance(service, Service) or type(service) is Service:
        raise SchemaError("App", f"{service!r} is no service", "derive its class from Service")
    table = type(service).__polywire__
    if not table.methods and not table.resolvers:
        raise SchemaError(_place(service), "it offers no method", "decorate some with @query or @mutation")
    return BoundService(table, service)


def _check_services(services: tuple[BoundService, ...]) -> None:
    if not services:
        raise SchemaError("App", "there is no service", "write App(UserService(...))")
    names: dict[str, BoundService] = {}
    routes: dict[tuple[str, str], str] = {}
    messages: list[MessageType] = []
    for bound in services:
        other = names.setdefault(bound.type.full_name, bound)
        if other is not bound:
            raise SchemaError(
                _place(bound.instance),
                f"{_place(other.instance)} is called {bound.type.full_name} too",
                "give one another package= or name=",
            )
        for method in bound.type.methods:
            place = f"{_place(bound.instance)}.{method.python_name}"
            for route in method.routes:
                if route.verb == "GET" and route.template in OWN_PATHS:
                    raise SchemaError(
                        place, f"the route 'GET {route.template}' is one of polywire's own", "change the path"
                    )
                taken = routes.setdefault(route_key(route), place)
                if taken != place:
                    raise SchemaError(
                        place, f"the route '{route.verb} {route.template}' is that of {taken} too", "change one path"
                    )
            messages += (method.input, method.output)
    found = reachable(messages)
    for full_name in sorted(found.keys() & names.keys()):
        raise SchemaError(
            _place(names[full_name].instance),
            f"the message {where(found[full_name].cls)} is called {full_name}, as the service is",
            "rename one, or give the message another package=",
        )


def _place(service: Service) -> str:
    return f"{type(service).__module__}.{type(service).__qualname__}"


def _callable(function: Any, decorator: str) -> Any:
    if not callable(function):
        raise TypeError(f"@app.{decorator} is for functions, not {function!r}")
    return function


def _takes_two(interceptor: Interceptor) -> bool:
    try:
        inspect.signature(interceptor).bind(None, None)
    except TypeError:
        return False
    except ValueError:
        # Native code may have no signature to look at.
        return True
    return True


def _check_origin(origin: str) -> str:
    if origin != "*" and not _ORIGIN.fullmatch(origin):
        raise ValueError(f"origins: {origin!r} is no origin; write it like 'https://app.example.com', without a path")
    return origin


def _check_above_zero(name: str, value: float) -> None:
    if not (math.isfinite(value) and value > 0):
        raise ValueError(f"{name}={value!r} must be above 0")
