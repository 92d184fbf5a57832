"""Who takes part, how each is started, and what is measured."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
POLYWIRE_PYTHON = ROOT / ".venv" / "bin" / "python"
POLYWIRE = "polywire"


@dataclass(frozen=True)
class Contender:
    name: str
    command: tuple[str, ...]
    """`{port}` stands for the port to listen on."""
    package: str
    """Whose version the report names; "" for one that is no Python."""
    rest: bool = False
    grpc: bool = False
    streams: bool = False
    dialects: frozenset[str] = frozenset()
    """Of `connect`, `grpc-web`, `graphql` and `trpc`."""
    http2: bool = True
    limit: bool = False
    """Not a peer but a ceiling: it does none of the work of a framework."""


def _module(name: str, *arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-m", name, *arguments)


def _granian(interface: str, target: str) -> tuple[str, ...]:
    options = ("--loop", "uvloop", "--no-ws", "--log-level", "warning", "--backlog", "4096")
    return _module("granian", "--interface", interface, *options, "--port", "{port}", target)


def _uvicorn(target: str) -> tuple[str, ...]:
    options = ("--loop", "uvloop", "--http", "httptools", "--no-access-log", "--log-level", "warning")
    return _module("uvicorn", target, *options, "--backlog", "4096", "--port", "{port}")


CONTENDERS = (
    Contender(
        POLYWIRE,
        (
            str(POLYWIRE_PYTHON.with_name("polywire")),
            "serve",
            str(ROOT / "benchmarks" / "polywire_app.py") + ":app",
            *("--no-access-log", "--host", "127.0.0.1", "--port", "{port}"),
        ),
        "polywire",
        rest=True,
        grpc=True,
        streams=True,
        dialects=frozenset({"connect", "grpc-web", "graphql", "trpc"}),
    ),
    Contender(
        "FastAPI + uvicorn",
        _uvicorn("benchmarks.peers.fastapi_app:app"),
        "fastapi",
        rest=True,
        http2=False,
    ),
    Contender("Starlette + Granian", _granian("asgi", "benchmarks.peers.starlette_app:app"), "starlette", rest=True),
    Contender("Granian RSGI, bare", _granian("rsgi", "benchmarks.peers.rsgi_app:app"), "granian", rest=True),
    Contender(
        "uvloop + httptools, bare",
        _module("benchmarks.peers.httptools_server", "{port}"),
        "httptools",
        rest=True,
        http2=False,
        limit=True,
    ),
    Contender("grpcio.aio", _module("benchmarks.peers.grpcio_server", "{port}"), "grpcio", grpc=True, streams=True),
    Contender("grpclib", _module("benchmarks.peers.grpclib_server", "{port}"), "grpclib", grpc=True, streams=True),
    Contender(
        "connectrpc + pyvoy",
        (str(Path(sys.executable).with_name("pyvoy")), "benchmarks.peers.connect_app:app", "--port", "{port}"),
        "connectrpc",
        grpc=True,
        dialects=frozenset({"connect"}),
    ),
    Contender(
        "Strawberry + uvicorn",
        _uvicorn("benchmarks.peers.strawberry_app:app"),
        "strawberry-graphql",
        dialects=frozenset({"graphql"}),
        http2=False,
    ),
    Contender(
        "@trpc/server on Node",
        ("node", str(ROOT / "benchmarks" / "peers" / "trpc" / "server.mjs"), "{port}"),
        "",
        dialects=frozenset({"trpc"}),
        http2=False,
    ),
)

REALTIME = (
    Contender(
        POLYWIRE,
        (
            str(POLYWIRE_PYTHON.with_name("polywire")),
            "serve",
            str(ROOT / "benchmarks" / "realtime_app.py") + ":app",
            *("--no-access-log", "--host", "127.0.0.1", "--port", "{port}"),
        ),
        "polywire",
    ),
    Contender("websockets", _module("benchmarks.peers.websockets_server", "{port}"), "websockets"),
    Contender("picows", _module("benchmarks.peers.picows_server", "{port}"), "picows"),
    Contender("sse-starlette + uvicorn", _uvicorn("benchmarks.peers.sse_app:app"), "sse-starlette"),
    Contender("C send() loop", (str(ROOT / "build" / "benchmarks" / "send_loop"), "{port}"), "", limit=True),
)
"""Those of the group "websocket"."""

WITH_COSTS = {
    POLYWIRE: (
        str(POLYWIRE_PYTHON.with_name("polywire")),
        "serve",
        str(ROOT / "benchmarks" / "costs_app.py") + ":app",
        *("--no-access-log", "--host", "127.0.0.1", "--port", "{port}"),
    ),
    "grpcio.aio": _module("benchmarks.peers.grpcio_costs", "{port}"),
}
"""By contender: what is started where `costs.Costs` is to be served too."""


@dataclass(frozen=True)
class Row:
    """One thing measured: a request, and how many of it are under way at once."""

    key: str
    group: str
    title: str
    count: int
    """Users in the answer; 0: the one user of `get_user`."""
    connections: int
    streams: int
    """Requests under way on each connection."""
    protocol: str
    """"http1", "http2", "grpc"; its streams "grpc-list" (one message in, `count` out) and "grpc-chat" (one for one);
    "connect", "graphql", "trpc" over HTTP/1.1, "connect2", "grpc-web" over HTTP/2."""
    path: str = ""
    """Another one than `target` says, answered the same."""

    @property
    def unit(self) -> str:
        return "messages" if self.group in ("stream", "websocket") else "requests"

    @property
    def target(self) -> str:
        if self.path:
            return self.path
        if self.protocol == "graphql":
            return "/graphql"
        if self.protocol == "trpc":
            return "/trpc/user.getUser?input=%7B%22id%22%3A42%7D"
        if self.protocol == "grpc-list":
            return "/user.UserService/ListUsers"
        if self.protocol == "grpc-chat":
            return "/user.UserService/Chat"
        if self.protocol in ("grpc", "grpc-web", "connect", "connect2"):
            return f"/user.UserService/{'GetUsers' if self.count else 'GetUser'}"
        return f"/v1/users?count={self.count}" if self.count else "/v1/users/42"

    @property
    def is_http2(self) -> bool:
        return self.protocol not in ("http1", "connect", "graphql", "trpc")

    @property
    def content_type(self) -> str:
        """Of the request's body; "" where it has none."""
        if self.protocol == "grpc-web":
            return "application/grpc-web+proto"
        if self.protocol.startswith("grpc"):
            return "application/grpc"
        return "application/json" if self.protocol in ("connect", "connect2", "graphql") else ""

    def accepts(self, contender: Contender) -> bool:
        if self.group == "dialect":
            return self.protocol.removesuffix("2") in contender.dialects
        if self.group == "stream":
            return contender.streams
        if self.protocol == "grpc":
            return contender.grpc
        return contender.rest and (contender.http2 or self.protocol == "http1")


def _users(count: int) -> str:
    return "1 user in a list" if count == 1 else f"{count:,} users"


ROWS = (
    Row("rest-http1", "rest", "REST GET, HTTP/1.1, 32 x 1", 0, 32, 1, "http1"),
    Row("rest-http2", "rest", "REST GET, HTTP/2, 4 x 16", 0, 4, 16, "http2"),
    Row("grpc-4x16", "grpc", "gRPC unary, 4 x 16", 0, 4, 16, "grpc"),
    Row("grpc-32x1", "grpc", "gRPC unary, 32 x 1", 0, 32, 1, "grpc"),
    Row("grpc-list", "stream", "gRPC server stream of 1,000 messages, 4 x 16", 1000, 4, 16, "grpc-list"),
    Row("grpc-chat", "stream", "gRPC bidirectional, one for one, 4 x 16", 1, 4, 16, "grpc-chat"),
    Row("connect-http1", "dialect", "Connect unary JSON, HTTP/1.1, 32 x 1", 0, 32, 1, "connect"),
    Row("connect-http2", "dialect", "Connect unary JSON, HTTP/2, 4 x 16", 0, 4, 16, "connect2"),
    Row("grpc-web", "dialect", "gRPC-Web unary, HTTP/2, 4 x 16", 0, 4, 16, "grpc-web"),
    Row("graphql", "dialect", "GraphQL user with 3 orders, HTTP/1.1, 32 x 1", 0, 32, 1, "graphql"),
    Row("trpc", "dialect", "tRPC query, HTTP/1.1, 32 x 1", 0, 32, 1, "trpc"),
    *(Row(f"rest-{n}-users", "size", f"REST GET, {_users(n)}", n, 32, 1, "http1") for n in (1, 100, 1000)),
    *(Row(f"grpc-{n}-users", "size", f"gRPC unary, {_users(n)}", n, 4, 16, "grpc") for n in (1, 100, 1000)),
)
GROUPS = ("rest", "grpc", "stream", "dialect", "size", "websocket", "start", "costs")
