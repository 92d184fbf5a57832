"""The start-up text, from the tables."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from polywire import Int32, Service, query
from polywire.cli.banner import banner
from polywire.cli.load import load_app


def text(host: str = "127.0.0.1", **options: object) -> str:
    services = [service.type for service in load_app("users").services]
    return banner(services, host, 8000, **options)  # type: ignore[arg-type]


def test_a_line_to_copy_for_each_protocol(project: Path) -> None:
    lines = [line.split(None, 1) for line in text(what="users:app").splitlines() if line.strip()]
    told = {line[0]: line[1] for line in lines}
    assert told["polywire"] == "serves users:app on http://127.0.0.1:8000"
    assert told["user.UserService:"] == "CreateUser, GetUser, Search"
    assert told["REST"] == "curl http://127.0.0.1:8000/v1/users/42"
    assert told["gRPC"] == """grpcurl -plaintext -d '{"id": 42}' 127.0.0.1:8000 user.UserService/GetUser"""
    body = """-H 'content-type: application/json' -d '{"id": 42}'"""
    assert told["Connect"] == f"curl http://127.0.0.1:8000/user.UserService/GetUser {body}"
    assert told["tRPC"] == "curl 'http://127.0.0.1:8000/trpc/user.getUser?input=%7B%22id%22:42%7D'"
    call = '{"type": "call", "id": 1, "method": "user.UserService/GetUser", "input": {"id": 42}}'
    assert told["WebSocket"] == f"wscat -c ws://127.0.0.1:8000/ws -s polywire.v1.json -x '{call}' -w 1"
    assert told["GraphQL"] == "http://127.0.0.1:8000/graphql"
    assert told["Docs"] == "http://127.0.0.1:8000/docs"
    assert told["Health"] == "http://127.0.0.1:8000/health"
    assert told["Metrics"] == "http://127.0.0.1:8000/metrics"


def test_what_answers_nowhere_has_no_line(project: Path) -> None:
    told = text(trpc=None, graphql=None, websocket=None)
    labels = {line.split(None, 1)[0] for line in told.splitlines() if line.strip()}
    assert not labels & {"tRPC", "GraphQL", "WebSocket", "Events", "Pages"}


def test_events_and_pages() -> None:
    class Clock(Service, package="clock"):
        @query("GET /v1/{zone}/ticks")
        async def ticks(self, zone: str, last: Int32 = 1) -> AsyncIterator[Int32]:
            yield 1

    told = banner([Clock.__polywire__], "127.0.0.1", 8000, pages="/home.html")
    assert "  Events    curl -N -H 'accept: text/event-stream' http://127.0.0.1:8000/v1/text/ticks\n" in told
    assert "  Pages     http://127.0.0.1:8000/home.html\n" in told


def test_workers_are_counted(project: Path) -> None:
    assert text(what="users:app", workers=3).startswith(
        "polywire serves users:app on http://127.0.0.1:8000 with 3 workers\n"
    )


def test_tls(project: Path) -> None:
    told = text(tls=True)
    assert "curl -k https://127.0.0.1:8000/v1/users/42" in told
    assert "grpcurl -insecure " in told
    assert "wscat -n -c wss://127.0.0.1:8000/ws " in told


def test_client_certificates(project: Path) -> None:
    told = text(tls=True, client_certificate=True)
    assert "curl -k --cert client.pem --key client-key.pem https://127.0.0.1:8000/v1/users/42" in told
    assert "grpcurl -insecure -cert client.pem -key client-key.pem -d " in told


def test_a_unix_socket(project: Path) -> None:
    lines = [line.split(None, 1) for line in text(uds="/run/my users.sock").splitlines() if line.strip()]
    told = {line[0]: line[1] for line in lines}
    assert told["polywire"] == "serves user.UserService on /run/my users.sock"
    assert told["user.UserService:"] == "CreateUser, GetUser, Search"
    assert told["REST"] == "curl --unix-socket '/run/my users.sock' http://localhost/v1/users/42"
    assert told["gRPC"] == (
        """grpcurl -plaintext -unix -d '{"id": 42}' '/run/my users.sock' user.UserService/GetUser"""
    )
    assert told["Health"] == "curl --unix-socket '/run/my users.sock' http://localhost/health"
    assert "WebSocket" not in told


@pytest.mark.parametrize(
    ("host", "shown"),
    [("", "127.0.0.1:8000"), ("0.0.0.0", "127.0.0.1:8000"), ("::", "'http://[::1]:8000"), ("::1", "http://[::1]:8000")],  # noqa: S104
)
def test_an_address_that_can_be_called(project: Path, host: str, shown: str) -> None:
    assert f"{shown}/v1/users/42" in text(host)


def test_colour_only_where_asked(project: Path) -> None:
    assert "\x1b[" not in text()
    assert "\x1b[" in text(color=True)


def test_query_and_body(project: Path) -> None:
    methods = {method.name: method for method in load_app("users").services[0].type.methods}
    from polywire.cli.banner import rest_call

    search, create = methods["Search"], methods["CreateUser"]
    url = "http://h"
    assert rest_call(search, search.routes[0], {"name": "A b", "limit": 10}, url) == (
        "curl 'http://h/v1/search?name=A+b'"
    )
    assert rest_call(create, create.routes[0], {"name": "O'Neill"}, url) == (
        "curl http://h/v1/users -H 'content-type: application/json' -d '{\"name\": \"O'\"'\"'Neill\"}'"
    )
