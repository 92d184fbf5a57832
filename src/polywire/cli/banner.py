"""What start-up prints: what is served, and a line to copy for each protocol."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import quote, urlencode

from polywire.cli.terminal import BOLD, CYAN, DIM, GREEN, paint
from polywire.contract.examples import Examples, NoExampleError
from polywire.schema.types import Method, MethodKind, Route, ServiceType, Shape


def banner(
    services: Iterable[ServiceType],
    host: str,
    port: int,
    *,
    tls: bool = False,
    what: str = "",
    workers: int = 1,
    color: bool = False,
) -> str:
    """The text, several lines. what: the application as it was named; tls: a certificate is given."""
    services = list(services)
    where = f"[{_reachable(host)}]:{port}" if ":" in _reachable(host) else f"{_reachable(host)}:{port}"
    url = f"{'https' if tls else 'http'}://{where}"
    served = ", ".join(service.full_name for service in services)
    lines = [
        f"{paint('polywire', BOLD, color=color)} serves {paint(what or served, GREEN, color=color)} on "
        f"{paint(url, CYAN, color=color)}" + (f" with {workers} workers" if workers > 1 else ""),
        *[
            f"  {paint(service.full_name, BOLD, color=color)}: {', '.join(method.name for method in service.methods)}"
            for service in services
        ],
        "",
    ]
    rows = [*_calls(services, url, where, tls=tls), ("Docs", f"{url}/docs"), ("Health", f"{url}/health")]
    rows.append(("Metrics", f"{url}/metrics"))
    lines += [f"  {paint(f'{label:8}', DIM, color=color)} {text}" for label, text in rows]
    return "\n".join(lines)


def _calls(services: list[ServiceType], url: str, where: str, *, tls: bool) -> Iterator[tuple[str, str]]:
    methods = sorted((method for service in services for method in service.methods), key=_rank)
    for method, example in _with_examples([method for method in methods if method.routes], Examples()):
        yield "REST", rest_call(method, method.routes[0], example, url, tls=tls)
        # The same method over both protocols shows best what is meant.
        methods.insert(0, method)
        break
    for method, example in _with_examples(methods, Examples(proto=True)):
        yield "gRPC", grpc_call(method, example, where, tls=tls)
        break


def _rank(method: Method) -> tuple[bool, bool]:
    """Unary before streams, queries before mutations, else in their order."""
    return method.shape is not Shape.UNARY, method.kind is not MethodKind.QUERY


def _with_examples(methods: list[Method], examples: Examples) -> Iterator[tuple[Method, dict[str, Any]]]:
    for method in methods:
        try:
            yield method, examples.of_fields(method.input.fields)
        except NoExampleError:
            continue


def rest_call(method: Method, route: Route, example: dict[str, Any], url: str, *, tls: bool = False) -> str:
    """A curl command for one route."""
    example = dict(example)
    path = route.template
    for name in route.parameters:
        value = str(example.pop(name, "1"))
        path = path.replace(f"{{{name}*}}", quote(value)).replace(f"{{{name}}}", quote(value, safe=""))
    words = ["curl", *(["-k"] if tls else [])]
    if route.verb in ("GET", "HEAD", "DELETE"):
        required = {field.name for field in method.input.fields if field.required}
        query = {name: value for name, value in example.items() if name in required}
        target = url + path + (f"?{urlencode(query, doseq=True)}" if query else "")
        return _command([*words, *([] if route.verb == "GET" else ["-X", route.verb]), target])
    body = json.dumps(example, ensure_ascii=False)
    if route.verb != "POST":
        words += ["-X", route.verb]
    return _command([*words, url + path, "-H", "content-type: application/json", "-d", body])


def grpc_call(method: Method, example: dict[str, Any], where: str, *, tls: bool = False) -> str:
    """A grpcurl command for one method."""
    words = ["grpcurl", "-insecure" if tls else "-plaintext"]
    if example:
        words += ["-d", json.dumps(example, ensure_ascii=False)]
    return _command([*words, where, method.full_name])


def _command(words: list[str]) -> str:
    return " ".join(shlex.quote(word) for word in words)


def _reachable(host: str) -> str:
    """An address to call for one to listen on."""
    return {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 -- recognised, not bound
