"""A client for tests: calls an app over any of its protocols, in memory and in the test's own loop."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Iterable, Sequence
from types import TracebackType
from typing import Any
from urllib.parse import urlencode

import msgspec

from polywire.codec import Format, method_codec
from polywire.errors import Code, RpcError
from polywire.protocols.grpc.framing import frame, read_prefix
from polywire.protocols.site import Site
from polywire.runtime.call import Peer
from polywire.runtime.health import State
from polywire.schema.types import Method
from polywire.service.app import App
from polywire.testing.memory import Answer, MemorySink

Pairs = Iterable[tuple[str, str]]


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
        await self.site.start()
        self.site.health.state = State.SERVING
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.site.stop()
        await self.site.health.close()

    # HTTP

    async def request(
        self,
        method: str,
        target: str,
        *,
        params: Sequence[tuple[str, str]] | dict[str, str] | None = None,
        json: Any = msgspec.UNSET,
        body: bytes | None = None,
        headers: Pairs = (),
        version: str = "1.1",
    ) -> Answer:
        """One HTTP request. json: a value to send as a JSON body; body: raw bytes instead."""
        pairs = list(headers)
        if json is not msgspec.UNSET:
            body = msgspec.json.encode(json)
            pairs.append(("content-type", "application/json"))
        if params:
            target = f"{target}?{urlencode(params)}"
        sink = self.open(method, target, headers=pairs, body=body, version=version)
        return await sink.answer()

    def open(
        self,
        method: str,
        target: str,
        *,
        headers: Pairs = (),
        body: bytes | None = None,
        version: str = "1.1",
        more: bool = False,
    ) -> MemorySink:
        """Start a request and hold its other end: for streams, slow bodies and callers that leave."""
        sink = MemorySink(method, target, headers, body, version=version, more=more)
        self.site.on_request(self._peer, sink)
        return sink

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

    # gRPC

    async def grpc(
        self,
        method: str,
        request: Any,
        *,
        metadata: Pairs = (),
        timeout_s: float | None = None,
    ) -> Any:
        """Call a method with one answer, `user.UserService/GetUser`.

        request: the request message, or an iterable of messages for client streams; a dict is converted.
        Raises the RpcError that the service answers with.
        """
        async for value in self.grpc_stream(method, request, metadata=metadata, timeout_s=timeout_s):
            return value
        raise RpcError("the server answered OK without a message", code=Code.INTERNAL)

    async def grpc_stream(
        self,
        method: str,
        request: Any,
        *,
        metadata: Pairs = (),
        timeout_s: float | None = None,
    ) -> AsyncIterator[Any]:
        """Call a method of any shape; yields each answer as it comes."""
        table = self._methods[method]
        codec = method_codec(table, Format.PROTOBUF)
        messages = request if table.shape.client_streaming else [request]
        body = b"".join(frame(codec.encode_input(_message(table, message))) for message in messages)
        headers = [("content-type", "application/grpc"), ("te", "trailers"), *metadata]
        if timeout_s is not None:
            headers.append(("grpc-timeout", f"{int(timeout_s * 1000)}m"))
        sink = self.open("POST", table.path, headers=headers, body=body, version="2")
        buffer = b""
        while part := await sink.received():
            buffer += part
            while len(buffer) >= 5:
                end = 5 + read_prefix(buffer, 1 << 30).length
                if len(buffer) < end:
                    break
                yield codec.decode_result(buffer[5:end])
                buffer = buffer[end:]
        answer = await sink.answer()
        _raise_for_status(answer)


def _message(table: Method, value: Any) -> Any:
    return msgspec.convert(value, table.input.cls) if isinstance(value, dict) else value


def _raise_for_status(answer: Answer) -> None:
    fields = answer.trailers if "grpc-status" in answer.trailers else answer.headers
    code = Code(int(fields.get("grpc-status") or Code.UNKNOWN))
    if code is not Code.OK:
        details = fields.get("grpc-status-details-bin")
        raise RpcError(
            fields.get("grpc-message") or "",
            code=code,
            details=() if details is None else (base64.b64decode(details + "=" * (-len(details) % 4)),),
        )
