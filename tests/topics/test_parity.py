"""One topic over every protocol that is there: greeting, a message, resuming, what was missed."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from typing import Any
from urllib.parse import quote

import pytest

from polywire import App, History, Service, Topic, Tracked, mutation, query
from polywire.codec import Format, method_codec
from polywire.protocols.rpc.framing import frame
from polywire.protocols.site import Site
from polywire.runtime import runtime
from polywire.testing import TestClient
from tests.topics.test_service import Market, Tick

Next = Callable[[], Awaitable[tuple[str, int | None]]]
"""The next event: its position and what it holds."""


def of(event: Any) -> tuple[str, int | None]:
    data = event["data"]
    return event["position"], None if data is None else data["cents"]


class Parts:
    """What comes over a connection, cut into messages."""

    def __init__(self, sink: Any, pattern: bytes) -> None:
        self._sink = sink
        self._pattern = re.compile(pattern, re.DOTALL)
        self._buffer = b""

    async def next(self) -> bytes:
        while True:
            found = self._pattern.match(self._buffer)
            if found is not None:
                self._buffer = self._buffer[found.end() :]
                return found[1]
            part = await self._sink.received()
            assert part, self._buffer
            self._buffer += part


def rest(accept: str, pattern: bytes) -> Any:
    @asynccontextmanager
    async def subscribe(client: TestClient, after: str | None) -> Any:
        query = "" if after is None else f"?after={after}"
        sink = client.open("GET", f"/topics/prices/ACME{query}", headers=[("accept", accept)])
        parts = Parts(sink, pattern)

        async def read() -> Any:
            return of(json.loads(await parts.next()))

        yield read
        sink.leave()

    return subscribe


def enveloped(content_type: str, format: Format, version: str = "2") -> Any:
    @asynccontextmanager
    async def subscribe(client: TestClient, after: str | None) -> Any:
        method = client._methods["topics.Prices/Subscribe"]
        codec = method_codec(method, format)
        body = frame(codec.encode_input(method.input.cls(symbol="ACME", after=after)))
        headers = [("content-type", content_type), ("te", "trailers"), ("connect-protocol-version", "1")]
        sink = client.open("POST", "/topics.Prices/Subscribe", headers=headers, body=body, version=version)
        buffer = b""

        async def read() -> Any:
            nonlocal buffer
            while len(buffer) < 5 or len(buffer) < 5 + int.from_bytes(buffer[1:5]):
                part = await sink.received()
                assert part, buffer
                buffer += part
            end = 5 + int.from_bytes(buffer[1:5])
            event, buffer = codec.decode_result(buffer[5:end]), buffer[end:]
            return event.position, None if event.data is None else event.data.cents

        yield read
        sink.leave()

    return subscribe


@asynccontextmanager
async def graphql_events(client: TestClient, after: str | None) -> Any:
    body = json.dumps({"query": SUBSCRIPTION, "variables": {"after": after}}).encode()
    headers = [("content-type", "application/json"), ("accept", "text/event-stream")]
    sink = client.open("POST", "/graphql", headers=headers, body=body)
    parts = Parts(sink, rb"(?:retry: [0-9]+\n+)?(?::\n\n)*event: next\n(?:id: [^\n]*\n)?data: ([^\n]*)\n\n")

    async def read() -> Any:
        return of(json.loads(await parts.next())["data"]["prices"])

    yield read
    sink.leave()


SUBSCRIPTION = """subscription ($after: String) {
  prices(symbol: "ACME", after: $after) { position data { cents } }
}"""


@asynccontextmanager
async def graphql_socket(client: TestClient, after: str | None) -> Any:
    async with client.websocket("/graphql", subprotocols=["graphql-transport-ws"]) as ws:
        ws.send_json({"type": "connection_init"})
        assert (await ws.receive_json())["type"] == "connection_ack"
        ws.send_json(
            {"type": "subscribe", "id": "1", "payload": {"query": SUBSCRIPTION, "variables": {"after": after}}}
        )

        async def read() -> Any:
            message = await ws.receive_json()
            assert message["type"] == "next", message
            return of(message["payload"]["data"]["prices"])

        yield read


@asynccontextmanager
async def trpc_events(client: TestClient, after: str | None) -> Any:
    given = {"symbol": "ACME"} | ({} if after is None else {"lastEventId": after})
    target = f"/trpc/prices.subscribe?input={quote(json.dumps(given))}"
    sink = client.open("GET", target, headers=[("accept", "text/event-stream")])
    parts = Parts(sink, rb"(?:event: connected\ndata: {}\n\n)?id: [^\n]*\ndata: ([^\n]*)\n\n|data: ([^\n]*)\n\n")

    async def read() -> Any:
        return of(json.loads(await parts.next()))

    yield read
    sink.leave()


@asynccontextmanager
async def trpc_socket(client: TestClient, after: str | None) -> Any:
    async with client.websocket("/trpc") as ws:
        given = {"symbol": "ACME"} | ({} if after is None else {"lastEventId": after})
        ws.send_json({"id": 1, "method": "subscription", "params": {"path": "prices.subscribe", "input": given}})
        assert (await ws.receive_json())["result"]["type"] == "started"

        async def read() -> Any:
            result = (await ws.receive_json())["result"]
            tracked = result["data"]
            assert result["id"] == tracked["id"] == tracked["data"]["position"]
            return of(tracked["data"])

        yield read


@asynccontextmanager
async def polywire_socket(client: TestClient, after: str | None) -> Any:
    async with client.websocket("/ws") as ws:
        assert (await ws.receive_json())["type"] == "welcome"
        resumed = {} if after is None else {"after": after}
        ws.send_json(
            {"type": "call", "id": 1, "method": "topics.Prices/Subscribe", "input": {"symbol": "ACME"}, **resumed}
        )

        async def read() -> Any:
            message = await ws.receive_json()
            assert message["position"] == message["message"]["position"]
            return of(message["message"])

        yield read


PROTOCOLS = {
    "SSE": rest("text/event-stream", rb"(?:retry: [0-9]+\n+)?id: [^\n]*\ndata: ([^\n]*)\n\n"),
    "NDJSON": rest("application/x-ndjson", rb"([^\n]*)\n"),
    "gRPC": enveloped("application/grpc", Format.PROTOBUF),
    "gRPC, JSON": enveloped("application/grpc+json", Format.PROTO_JSON),
    "gRPC-Web": enveloped("application/grpc-web+proto", Format.PROTOBUF, "1.1"),
    "Connect": enveloped("application/connect+proto", Format.PROTOBUF, "1.1"),
    "Connect, JSON": enveloped("application/connect+json", Format.PROTO_JSON, "1.1"),
    "GraphQL over SSE": graphql_events,
    "graphql-transport-ws": graphql_socket,
    "tRPC over SSE": trpc_events,
    "tRPC over WebSocket": trpc_socket,
    "polywire's WebSocket": polywire_socket,
}


@pytest.mark.parametrize("name", PROTOCOLS)
async def test_a_topic_over(name: str) -> None:
    subscribe = PROTOCOLS[name]
    prices = Topic("prices.{symbol}", Tick, history=History(count=10))
    async with TestClient(App(Market(), topics=[prices])) as client, asyncio.timeout(10):
        async with subscribe(client, None) as read:
            first = await prices.publish(Tick(0), symbol="ACME")
            assert (await read())[1] is None, "the greeting"
            assert await read() == (str(first), 0)
            second = await prices.publish(Tick(7), symbol="ACME")
            assert await read() == (str(second), 7)
        missed = [await prices.publish(Tick(cents), symbol="ACME") for cents in (8, 9)]
        async with subscribe(client, str(second)) as read:
            assert await read() == (str(second), None)
            assert await read() == (str(missed[0]), 8)
            assert await read() == (str(missed[1]), 9)
            live = await prices.publish(Tick(10), symbol="ACME")
            assert await read() == (str(live), 10)


@pytest.mark.parametrize("name", PROTOCOLS)
async def test_when_the_server_goes_over(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "_LEAST_SPREAD_S", 0.02)
    prices = Topic("prices.{symbol}", Tick, history=History(count=10))
    async with TestClient(App(Market(), topics=[prices])) as client, asyncio.timeout(10):
        async with PROTOCOLS[name](client, None) as read:
            assert (await read())[1] is None, "the greeting"
            assert client.site.open_calls == 1
            client.site.go_away()
            await ended(client.site)
        counted = [line for line in client.site.metrics.render().decode().splitlines() if 'code="UNAVAILABLE"' in line]
        assert len(counted) == 1, counted
        assert "topics.Prices/Subscribe" in counted[0]


async def test_what_is_no_subscription_goes_on_when_the_server_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "_LEAST_SPREAD_S", 0.02)
    prices = Topic("prices.{symbol}", Tick)

    class Own(Service):
        @query("GET /handed-on")
        async def handed_on(self) -> AsyncIterator[Tracked[Tick]]:
            async with aclosing(prices.subscribe(symbol="ACME")) as events:
                async for event in events:
                    yield Tracked(event.position, Tick(0))

        @query("GET /unnumbered")
        async def unnumbered(self) -> AsyncIterator[Tick]:
            async with aclosing(prices.subscribe(symbol="ACME")) as events:
                async for _ in events:
                    yield Tick(1)

        @mutation("POST /both-ways")
        async def both_ways(self, ticks: AsyncIterator[Tick]) -> AsyncIterator[Tracked[Tick]]:
            async for event in self.handed_on():
                yield event

        @query("GET /counted")
        async def counted(self) -> AsyncIterator[Tracked[Tick]]:
            yield Tracked("1", Tick(1))
            await asyncio.Event().wait()

    accept = [("accept", "text/event-stream")]
    async with TestClient(App(Own(), topics=[prices])) as client, asyncio.timeout(10):
        sinks = [client.open("GET", path, headers=accept) for path in ("/handed-on", "/unnumbered", "/counted")]
        both = [*accept, ("content-type", "application/x-ndjson")]
        sinks.append(client.open("POST", "/both-ways", headers=both, more=True))
        for sink in sinks:
            await sink.received()
        client.site.go_away()
        answer = await sinks[0].answer()
        assert b'"reason":"GOING_AWAY"' in answer.body
        await asyncio.sleep(3 * 0.05)  # turns in which subscriptions are ended
        assert client.site.open_calls == 3


async def test_what_comes_while_the_server_goes_is_ended_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "_LEAST_SPREAD_S", 0.02)
    prices = Topic("prices.{symbol}", Tick)
    async with TestClient(App(Market(), topics=[prices])) as client, asyncio.timeout(10):
        client.site.go_away()
        sink = client.open("GET", "/topics/prices/ACME", headers=[("accept", "text/event-stream")])
        assert b'"reason":"GOING_AWAY"' in (await sink.answer()).body


async def test_a_poll_is_not_held_when_the_server_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "_LEAST_SPREAD_S", 0.02)
    prices = Topic("prices.{symbol}", Tick)
    async with TestClient(App(Market(), topics=[prices])) as client, asyncio.timeout(10):
        sink = client.open("GET", "/topics/prices/ACME/history?wait_s=60")
        while not client.site.open_calls:  # noqa: ASYNC110 -- there is no event of it
            await asyncio.sleep(0)
        client.site.go_away()
        answer = await sink.answer()
        assert answer.status == 503
        assert b'"reason":"GOING_AWAY"' in answer.body


async def ended(site: Site) -> None:
    while site.open_calls:  # noqa: ASYNC110 -- there is no event of it
        await asyncio.sleep(0.01)
