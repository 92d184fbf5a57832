"""What start-up prints: what is served, and a line to copy for each protocol."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from polywire.cli.terminal import BOLD, CYAN, DIM, GREEN, paint
from polywire.contract.examples import Examples, NoExampleError
from polywire.contract.trpc import procedures
from polywire.schema.types import Method, MethodKind, Route, ServiceType, Shape


def banner(
    services: Iterable[ServiceType],
    host: str,
    port: int,
    *,
    tls: bool = False,
    client_certificate: bool = False,
    uds: str | None = None,
    what: str = "",
    workers: int = 1,
    color: bool = False,
    trpc: str | None = "/trpc",
    graphql: str | None = "/graphql",
    websocket: str | None = "/ws",
    pages: str | None = None,
) -> str:
    """The text, several lines. what: the application as it was named; tls: a certificate is given.

    client_certificate: callers must show one. uds: a Unix socket, instead of host and port. trpc, graphql, websocket:
    where those answer; None: nowhere. pages: where the application's own pages begin.
    """
    services = list(services)
    way = _Way.to(authority(host, port), uds, tls=tls, client_certificate=client_certificate)
    url = way.url
    served = ", ".join(service.full_name for service in services)
    lines = [
        f"{paint('polywire', BOLD, color=color)} serves {paint(what or served, GREEN, color=color)} on "
        f"{paint(url if uds is None else uds, CYAN, color=color)}"
        + (f" with {workers} workers" if workers > 1 else ""),
        *[
            f"  {paint(service.full_name, BOLD, color=color)}: {', '.join(method.name for method in service.methods)}"
            for service in services
        ],
        "",
    ]
    rows = [*_calls(services, way, trpc, websocket)]
    if uds is None:
        rows += [("GraphQL", url + graphql)] if graphql is not None else []
        rows += [("Pages", url + pages)] if pages is not None else []
        rows += [("Docs", f"{url}/docs"), ("Health", f"{url}/health"), ("Metrics", f"{url}/metrics")]
    else:  # which no browser opens
        rows += [(name.title(), _command([*way.curl, f"{url}/{name}"])) for name in ("health", "metrics")]
    lines += [f"  {paint(f'{label:9}', DIM, color=color)} {text}" for label, text in rows]
    return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class _Way:
    """How the server is reached: a URL for what curl begins with, how grpcurl begins and where it calls, and wscat."""

    url: str
    curl: tuple[str, ...]
    grpcurl: tuple[str, ...]
    target: str
    wscat: tuple[str, ...] | None
    """None: it knows no Unix sockets."""

    @classmethod
    def to(cls, where: str, uds: str | None, *, tls: bool, client_certificate: bool) -> _Way:
        curl = ["curl", *(["-k"] if tls else [])]
        grpcurl = ["grpcurl", "-insecure" if tls else "-plaintext"]
        wscat = ["wscat", *(["-n"] if tls else [])]
        if client_certificate:
            curl += ["--cert", "client.pem", "--key", "client-key.pem"]
            grpcurl += ["-cert", "client.pem", "-key", "client-key.pem"]
            wscat += ["--cert", "client.pem", "--key", "client-key.pem"]
        if uds is not None:
            curl += ["--unix-socket", uds]
            grpcurl.append("-unix")
        scheme = "https" if tls else "http"
        url = f"{scheme}://{'localhost' if uds else where}"
        return cls(url, tuple(curl), tuple(grpcurl), uds or where, tuple(wscat) if uds is None else None)


def _calls(
    services: list[ServiceType], way: _Way, trpc: str | None, websocket: str | None
) -> Iterator[tuple[str, str]]:
    methods = sorted((method for service in services for method in service.methods), key=_rank)
    streams = [method for method in methods if method.shape is Shape.SERVER_STREAM and _get(method)]
    for method, example in _with_examples([method for method in methods if method.routes], Examples()):
        yield "REST", rest_call(method, method.routes[0], example, way.url, way.curl)
        # The same method over every protocol shows best what is meant.
        methods.insert(0, method)
        break
    for method, example in _with_examples(methods, Examples(proto=True)):
        yield "gRPC", grpc_call(method, example, way.target, way.grpcurl)
        break
    unary = [method for method in methods if method.shape is Shape.UNARY]
    for method, example in _with_examples(unary, Examples(proto=True)):
        yield "Connect", _post(f"{way.url}/{method.full_name}", example, way.curl)
        break
    if trpc is not None:
        names = {method: name for name, method in procedures(services).items()}
        for method, example in _with_examples(unary, Examples()):
            yield "tRPC", _trpc_call(method, example, f"{way.url}{trpc}/{names[method]}", way.curl)
            break
    if websocket is not None and way.wscat is not None:
        for method, example in _with_examples(unary, Examples()):
            yield "WebSocket", _websocket_call(method, example, f"ws{way.url[4:]}{websocket}", way.wscat)
            break
    for method, example in _with_examples(streams, Examples()):
        words = [*way.curl, "-N", "-H", "accept: text/event-stream"]
        yield "Events", rest_call(method, _get(method)[0], example, way.url, words)
        break


def _get(method: Method) -> list[Route]:
    return [route for route in method.routes if route.verb == "GET"]


def _rank(method: Method) -> tuple[bool, bool]:
    """Unary before streams, queries before mutations, else in their order."""
    return method.shape is not Shape.UNARY, method.kind is not MethodKind.QUERY


def _with_examples(methods: list[Method], examples: Examples) -> Iterator[tuple[Method, dict[str, Any]]]:
    for method in methods:
        try:
            yield method, examples.of_fields(method.input.fields)
        except NoExampleError:
            continue


def rest_call(method: Method, route: Route, example: dict[str, Any], url: str, words: Sequence[str] = ("curl",)) -> str:
    """A curl command for one route. words: those that it begins with."""
    example = dict(example)
    path = route.template
    for name in route.parameters:
        value = str(example.pop(name, "1"))
        path = path.replace(f"{{{name}*}}", quote(value)).replace(f"{{{name}}}", quote(value, safe=""))
    words = list(words)
    if route.verb in ("GET", "HEAD", "DELETE"):
        required = {field.name for field in method.input.fields if field.required}
        query = {name: value for name, value in example.items() if name in required}
        target = url + path + (f"?{urlencode(query, doseq=True)}" if query else "")
        return _command([*words, *([] if route.verb == "GET" else ["-X", route.verb]), target])
    if route.verb != "POST":
        words += ["-X", route.verb]
    return _post(url + path, example, words)


def _post(url: str, example: dict[str, Any], words: Sequence[str]) -> str:
    body = json.dumps(example, ensure_ascii=False)
    return _command([*words, url, "-H", "content-type: application/json", "-d", body])


def _trpc_call(method: Method, example: dict[str, Any], url: str, words: Sequence[str]) -> str:
    if method.kind is not MethodKind.QUERY:
        return _post(url, example, words)
    asked = json.dumps(example, ensure_ascii=False, separators=(",", ":"))
    return _command([*words, f"{url}?input={quote(asked, safe=':,')}" if example else url])


def _websocket_call(method: Method, example: dict[str, Any], url: str, words: Sequence[str]) -> str:
    call = {"type": "call", "id": 1, "method": method.full_name, **({"input": example} if example else {})}
    text = json.dumps(call, ensure_ascii=False)
    return _command([*words, "-c", url, "-s", "polywire.v1.json", "-x", text, "-w", "1"])


def grpc_call(method: Method, example: dict[str, Any], where: str, words: Sequence[str]) -> str:
    """A grpcurl command for one method. words: those that it begins with."""
    words = list(words)
    if example:
        words += ["-d", json.dumps(example, ensure_ascii=False)]
    return _command([*words, where, method.full_name])


def _command(words: list[str]) -> str:
    return " ".join(shlex.quote(word) for word in words)


def authority(host: str, port: int) -> str:
    """Where to call a server that listens on `host`, as it stands in a URL."""
    host = _reachable(host)
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _reachable(host: str) -> str:
    """An address to call for one to listen on."""
    return {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 -- recognised, not bound
