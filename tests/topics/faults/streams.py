"""A topic over what streams or polls by HTTP: SSE, envelopes, polling, and polywire's own client."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from typing import Any, Literal, NamedTuple
from urllib.parse import quote, urlencode

import polywire
from polywire import Code, RpcError
from polywire.client import SocketSettings
from polywire.codec import Format, method_codec
from polywire.protocols.rpc.framing import frame

from .app import METHODS, SERVICES, TOPICS
from .pipes import Pipe, http1, http2

_SSE = [("accept", "text/event-stream")]


class Feed(NamedTuple):
    """One topic, as each protocol calls it."""

    name: str
    lane: str

    @property
    def path(self) -> str:
        return f"/topics/{self.name}/{self.lane}"

    @property
    def service(self) -> str:
        return f"topics.{self.name.capitalize()}"


class Seen(NamedTuple):
    """What a subscriber is told."""

    position: str
    """To come back with."""
    number: int | None = None
    text: str = ""
    gap: str | None = None


def of_json(position: str, event: dict[str, Any]) -> Seen:
    data = event["data"] or {}
    return Seen(position, data.get("number"), data.get("text", ""), event["gap"] and event["gap"]["reason"])


def of_message(event: Any) -> Seen:
    data = event.data
    gap = None if event.gap is None else event.gap.reason.name
    return Seen(event.position, data and data.number, data.text if data else "", gap)


async def _events(pipe: Pipe) -> AsyncIterator[Seen]:
    """Server-sent events, each with its id. One that is cut is none (WHATWG HTML §9.2.6)."""
    buffer = b""
    while True:
        buffer += await pipe.receive()
        *whole, buffer = buffer.split(b"\n\n")
        for text in whole:
            fields = dict(line.split(": ", 1) for line in text.decode().split("\n") if ": " in line)
            if fields.get("event", "message") not in ("message", "connected"):
                raise EOFError(fields["data"])
            if "id" in fields:
                yield of_json(fields["id"], json.loads(fields["data"]))


async def _sse(open_: Any, port: int, target: str, after: str | None) -> AsyncIterator[Seen]:
    async with open_(port) as pipe:
        await pipe.ask("GET", target, _SSE if after is None else [*_SSE, ("last-event-id", after)])
        async with aclosing(_events(pipe)) as events:
            async for event in events:
                yield event


def sse(port: int, feed: Feed, after: str | None) -> AsyncIterator[Seen]:
    return _sse(http1, port, feed.path, after)


def sse_http2(port: int, feed: Feed, after: str | None) -> AsyncIterator[Seen]:
    return _sse(http2, port, feed.path, after)


def trpc(port: int, feed: Feed, after: str | None) -> AsyncIterator[Seen]:
    given = {"lane": feed.lane} | ({} if after is None else {"lastEventId": after})
    return _sse(http1, port, f"/trpc/{feed.name}.subscribe?input={quote(json.dumps(given))}", None)


async def _enveloped(port: int, feed: Feed, after: str | None, content_type: str, last: int) -> AsyncIterator[Seen]:
    """last: the flag of the envelope that ends the stream."""
    method = METHODS[f"{feed.service}/Subscribe"]
    codec = method_codec(method, Format.PROTOBUF)
    body = frame(codec.encode_input(method.input.cls(lane=feed.lane, after=after)))
    fields = [("content-type", content_type), ("te", "trailers"), ("connect-protocol-version", "1")]
    async with (http2 if content_type == "application/grpc" else http1)(port) as pipe:
        await pipe.ask("POST", f"/{feed.service}/Subscribe", fields, body)
        buffer = b""
        while True:
            buffer += await pipe.receive()
            while len(buffer) >= 5 and len(buffer) >= (end := 5 + int.from_bytes(buffer[1:5])):
                message, buffer = buffer[:end], buffer[end:]
                if message[0] & last:
                    raise EOFError(message)
                yield of_message(codec.decode_result(message[5:]))


def grpc(port: int, feed: Feed, after: str | None) -> AsyncIterator[Seen]:
    return _enveloped(port, feed, after, "application/grpc", 0)


def grpc_web(port: int, feed: Feed, after: str | None) -> AsyncIterator[Seen]:
    return _enveloped(port, feed, after, "application/grpc-web+proto", 0x80)


def connect(port: int, feed: Feed, after: str | None) -> AsyncIterator[Seen]:
    return _enveloped(port, feed, after, "application/connect+proto", 0x02)


async def polywire_client(port: int, feed: Feed, after: str | None) -> AsyncIterator[Seen]:
    async with polywire.connect(f"http://127.0.0.1:{port}") as channel:
        client: Any = channel.client(SERVICES[feed.service])
        try:
            async with aclosing(client.subscribe(feed.lane, after=after)) as events:
                async for event in events:
                    yield of_message(event)
        except RpcError as error:
            if error.code is not Code.UNAVAILABLE:
                raise
            raise EOFError from error


def reconnecting(transport: Literal["websocket", "http"]) -> Callable[[int, Feed, str | None], AsyncIterator[Seen]]:
    """polywire's client that comes back by itself, and is never seen to be cut off."""

    async def subscribe(port: int, feed: Feed, after: str | None) -> AsyncIterator[Seen]:
        settings = SocketSettings(transports=(transport,), backoff_s=0.05, max_backoff_s=0.5)
        async with (
            polywire.connect_websocket(f"ws://127.0.0.1:{port}", settings=settings) as channel,
            aclosing(channel.subscribe(TOPICS[feed.name], after=after, lane=feed.lane)) as events,
        ):
            async for event in events:
                yield of_message(event)

    return subscribe


async def polling(port: int, feed: Feed, after: str | None) -> AsyncIterator[Seen]:
    """Long polls, over one connection as long as it lasts."""
    async with http1(port) as pipe:
        while True:
            asked = {} if after is None else {"after": after, "wait_s": 5}
            answered = await pipe.ask("GET", f"{feed.path}/history?{urlencode(asked)}", [])
            page = json.loads(await pipe.whole(answered))
            if page["gap"] is not None:
                yield Seen(page["position"], gap=page["gap"]["reason"])
            for event in page["events"]:
                yield of_json(event["position"], event)
            after = page["position"]
            yield Seen(after)
