"""A client for tests: calls an app over any of its protocols, in memory and in the test's own loop."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Iterable, Sequence
from contextlib import aclosing, asynccontextmanager
from types import TracebackType
from typing import Any
from urllib.parse import urlencode

import msgspec

from polywire.codec import Format, method_codec
from polywire.errors import Internal, Unknown
from polywire.http.websocket import Deflate
from polywire.protocols.grpc.status import read_status
from polywire.protocols.rest.negotiation import EVENT_STREAM, NDJSON
from polywire.protocols.rpc.framing import frame, read_prefix
from polywire.protocols.site import Site
from polywire.runtime.call import Peer
from polywire.runtime.health import State
from polywire.schema.types import Method
from polywire.service.app import App
from polywire.testing.memory import Answer, MemorySink
from polywire.testing.streams import Event, feeding, read_events, read_lines
from polywire.testing.websocket import KEY, SocketRefused, TestSocket, handshake
from polywire.wire.websocket_deflate import agreed, offer
from polywire.wire.websocket_key import accept_key

Pairs = Iterable[tuple[str, str]]
Params = Sequence[tuple[str, str]] | dict[str, str]
Items = AsyncIterable[Any] | Iterable[Any]

_CONTENT_TYPES = {Format.PROTOBUF: "application/grpc", Format.PROTO_JSON: "application/grpc+json"}


class TestClient:
    """Runs an app's start hooks, then calls it; `async with TestClient(app) as client:`.

    No socket is opened, and no task is left behind when the block ends.
    """

    __test__ = False  # not a test class, whatever its name

    def __init__(self, app: App, *, peer: Peer | None = None) -> None:
        self.app = app
        self.site = Site(app)
        self._peer = Peer("127.0.0.1", 50000) if peer is None else peer
        self._methods: dict[str, Method] = {
            method.full_name: method for service, _ in app.services for method in service.methods
        }

    async def __aenter__(self) -> TestClient:
        try:
            await self.site.start()
        except BaseException:
            await self._stop()
            raise
        self.site.health.state = State.SERVING
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stop()

    async def _stop(self) -> None:
        try:
            await self.site.stop()
        finally:
            await self.site.health.close()

    # HTTP

    async def request(
        self,
        method: str,
        target: str,
        *,
        params: Params | None = None,
        json: Any = msgspec.UNSET,
        body: bytes | None = None,
        headers: Pairs = (),
        version: str = "1.1",
    ) -> Answer:
        """One HTTP request and its whole answer.

        target: path, with its query or not; params: query parameters to append.
        json: a value to send as a JSON body; body: raw bytes instead.
        version: "1.0", "1.1" or "2".

        Cancelled, it leaves like a caller that hangs up. Raises ConnectionResetError if the server breaks off.
        """
        pairs = list(headers)
        if json is not msgspec.UNSET:
            body = msgspec.json.encode(json)
            pairs.append(("content-type", "application/json"))
        target = _with_query(target, params)
        sink = self.open(method, target, headers=pairs, body=body, version=version)
        try:
            return await sink.answer()
        finally:
            sink.leave()

    def open(
        self,
        method: str,
        target: str,
        *,
        headers: Pairs = (),
        body: bytes | None = None,
        version: str = "1.1",
        more: bool = False,
        paused: bool = False,
    ) -> MemorySink:
        """Start a request and hold its other end: for streams, slow bodies and callers that leave.

        more: the body goes on after `body`, by `feed`. paused: nothing of the answer is taken until `resume`.
        """
        sink = MemorySink(method, target, headers, body, version=version, more=more)
        sink.paused = paused
        self.site.on_request(self._peer, sink)
        return sink

    @asynccontextmanager
    async def websocket(
        self,
        path: str,
        *,
        subprotocols: Sequence[str] = (),
        headers: Pairs = (),
        version: str = "1.1",
        deflate: Deflate = "off",
    ) -> AsyncGenerator[TestSocket]:
        """Open a WebSocket; leaving the block is like a caller that hangs up.

        deflate: offer permessage-deflate. The server need not take it up: see `deflate` of what is yielded.
        Raises SocketRefused where the server takes it up with anything but 101 (200 over HTTP/2).
        """
        method, fields = handshake(tuple(subprotocols), list(headers), version)
        keep_context = deflate == "context_takeover"
        if deflate != "off":
            fields.append(("sec-websocket-extensions", offer(keep_context)))
        sink = MemorySink(method, path, fields, version=version, more=True)
        sink.tunnel = "websocket"
        self.site.on_request(self._peer, sink)
        try:
            status = await sink.headed()
        except BaseException:
            sink.leave()
            raise
        if status != (200 if version == "2" else 101):
            raise SocketRefused(await sink.answer())
        if version != "2":
            assert sink.sent_headers["sec-websocket-accept"] == accept_key(KEY)
        agreement = agreed(sink.sent_headers.get("sec-websocket-extensions") or "", keep_context)
        try:
            yield TestSocket(sink, status, sink.sent_headers.get("sec-websocket-protocol"), agreement)
        finally:
            sink.leave()

    async def get(self, target: str, **options: Any) -> Answer:
        return await self.request("GET", target, **options)

    async def post(self, target: str, **options: Any) -> Answer:
        return await self.request("POST", target, **options)

    async def put(self, target: str, **options: Any) -> Answer:
        return await self.request("PUT", target, **options)

    async def patch(self, target: str, **options: Any) -> Answer:
        return await self.request("PATCH", target, **options)

    async def delete(self, target: str, **options: Any) -> Answer:
        return await self.request("DELETE", target, **options)

    async def stream(
        self,
        method: str,
        target: str,
        items: Items | None = None,
        *,
        params: Params | None = None,
        json: Any = msgspec.UNSET,
        headers: Pairs = (),
        version: str = "1.1",
    ) -> AsyncGenerator[Any, None]:
        """A stream over REST as JSON lines; yields each value as it comes, parsed: of a client stream the one answer.

        items: what a client stream sends, a line each: values that JSON can hold. From an async iterable each is sent
        when it comes, so that a test may wait for an answer before it sends more.

        Raises the RpcError that the server answers with or breaks the stream off with, of the class that fits its code.
        Closed early (`aclosing`), it leaves like a caller that hangs up.
        """
        pairs = [("accept", f"{NDJSON}, application/json"), *headers]
        async with aclosing(self._streamed(method, target, items, params, json, pairs, version)) as lines:
            async for value in lines:
                yield value

    async def events(
        self,
        method: str,
        target: str,
        items: Items | None = None,
        *,
        after: str | None = None,
        params: Params | None = None,
        json: Any = msgspec.UNSET,
        headers: Pairs = (),
        version: str = "1.1",
    ) -> AsyncGenerator[Event, None]:
        """A stream over REST as server-sent events; yields each `Event` with its value and its position.

        after: the position of the last event seen, sent as Last-Event-ID; None: from the beginning. Otherwise as
        `stream`.
        """
        pairs = [("accept", EVENT_STREAM), *headers]
        if after is not None:
            # As browsers send it: in UTF-8 (WHATWG HTML §9.2.3).
            pairs.append(("last-event-id", after.encode().decode("latin-1")))
        async with aclosing(self._streamed(method, target, items, params, json, pairs, version)) as events:
            async for event in events:
                yield event

    async def _streamed(
        self,
        method: str,
        target: str,
        items: Items | None,
        params: Params | None,
        json: Any,
        headers: list[tuple[str, str]],
        version: str,
    ) -> AsyncGenerator[Any, None]:
        body = None
        if items is not None:
            headers.append(("content-type", NDJSON))
        elif json is not msgspec.UNSET:
            body = msgspec.json.encode(json)
            headers.append(("content-type", "application/json"))
        target = _with_query(target, params)
        sink = self.open(method, target, headers=headers, body=body, version=version, more=items is not None)
        read = read_events if ("accept", EVENT_STREAM) in headers else read_lines
        try:
            async with feeding(sink, items, _line):
                async for value in read(sink):
                    yield value
        finally:
            sink.leave()

    # gRPC

    async def grpc(
        self,
        method: str,
        request: Any = None,
        *,
        metadata: Pairs = (),
        timeout_s: float | None = None,
    ) -> Any:
        """Call a method with one answer, `user.UserService/GetUser`; gives the result as the handler returned it.

        request: the request message or a dict of its fields; None: empty. For client streams an iterable of these, or
        an async iterable, of which each is sent when it comes.
        metadata: pairs of text, sent as headers; timeout_s: seconds, sent as grpc-timeout; None: none.

        Raises the RpcError that the service answers with, of the class that fits its code, with its reason, details
        and metadata; LookupError for a method that the app does not have. Cancelled, it cancels the call.
        """
        values = [v async for v in self.grpc_stream(method, request, metadata=metadata, timeout_s=timeout_s)]
        if len(values) != 1:
            raise Internal(f"the server answered OK with {len(values)} messages instead of one")
        return values[0]

    async def grpc_stream(
        self,
        method: str,
        request: Any = None,
        *,
        metadata: Pairs = (),
        timeout_s: float | None = None,
    ) -> AsyncGenerator[Any, None]:
        """Call a method of any shape; yields each answer as it comes. Closed early (`aclosing`), it cancels the call.

        Otherwise as `grpc`.
        """
        table = self._methods.get(method)
        if table is None:
            raise LookupError(f"there is no method {method!r}; there are {', '.join(self._methods)}")
        later = isinstance(request, AsyncIterable)
        messages: list[Any] = []
        if not table.shape.client_streaming:
            messages.append({} if request is None else request)
        elif not later:
            messages.extend(request or ())
        form, body = _encoded(table, messages)
        decode = method_codec(table, form).decode_result
        headers = [("content-type", _CONTENT_TYPES[form]), ("te", "trailers"), *metadata]
        if timeout_s is not None:
            headers.append(("grpc-timeout", _timeout(timeout_s)))
        sink = self.open("POST", table.path, headers=headers, body=body, version="2", more=later)
        try:
            async with feeding(sink, request if later else None, lambda message: _encoded(table, [message])[1]):
                async for message in _messages(sink):
                    yield decode(message)
                _raise_for_status(await sink.answer())
        finally:
            sink.leave()


async def _messages(sink: MemorySink) -> AsyncGenerator[bytes, None]:
    buffer = bytearray()
    while part := await sink.received():
        buffer += part
        while len(buffer) >= 5:
            prefix = read_prefix(buffer, 1 << 30)
            end = 5 + prefix.length
            if len(buffer) < end:
                break
            message = bytes(buffer[5:end])
            del buffer[:end]
            yield message


def _with_query(target: str, params: Params | None) -> str:
    return f"{target}{'&' if '?' in target else '?'}{urlencode(params)}" if params else target


def _line(value: Any) -> bytes:
    return msgspec.json.encode(value) + b"\n"


def _encoded(table: Method, messages: list[Any]) -> tuple[Format, bytes]:
    """The messages framed, in protobuf. What the contract forbids goes as JSON: that it is refused is worth a test."""
    cls, encode = table.input.cls, method_codec(table, Format.PROTOBUF).encode_input
    try:
        typed = [msgspec.convert(message, cls) if isinstance(message, dict) else message for message in messages]
    except msgspec.ValidationError:
        return Format.PROTO_JSON, b"".join(frame(msgspec.json.encode(message)) for message in messages)
    return Format.PROTOBUF, b"".join(frame(encode(message)) for message in typed)


def _timeout(timeout_s: float) -> str:
    """As grpc-timeout has it: up to 8 digits and a unit."""
    micros = max(0, round(timeout_s * 1e6))
    return f"{micros}u" if micros < 10**8 else f"{min(round(timeout_s), 10**8 - 1)}S"


def _raise_for_status(answer: Answer) -> None:
    if answer.status != 200:
        raise Unknown(f"the server answered with HTTP status {answer.status} instead of gRPC's: {answer.text}")
    error = read_status(answer.trailers if "grpc-status" in answer.trailers else answer.headers)
    if error is not None:
        raise error
