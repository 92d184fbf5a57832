"""A client for tests: calls an app over any of its protocols, in memory and in the test's own loop."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable, Sequence
from types import TracebackType
from typing import Any
from urllib.parse import urlencode

import msgspec

from polywire.codec import Format, method_codec
from polywire.errors import Internal, Unknown
from polywire.protocols.grpc.framing import frame, read_prefix
from polywire.protocols.grpc.status import read_status
from polywire.protocols.site import Site
from polywire.runtime.call import Peer
from polywire.runtime.health import State
from polywire.schema.types import Method
from polywire.service.app import App
from polywire.testing.memory import Answer, MemorySink

Pairs = Iterable[tuple[str, str]]

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
        params: Sequence[tuple[str, str]] | dict[str, str] | None = None,
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
        if params:
            target = f"{target}{'&' if '?' in target else '?'}{urlencode(params)}"
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
        request: Any = None,
        *,
        metadata: Pairs = (),
        timeout_s: float | None = None,
    ) -> Any:
        """Call a method with one answer, `user.UserService/GetUser`; gives the result as the handler returned it.

        request: the request message or a dict of its fields, for client streams an iterable of these; None: empty.
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
        messages = list(request or ()) if table.shape.client_streaming else [{} if request is None else request]
        form, body = _encoded(table, messages)
        decode = method_codec(table, form).decode_result
        headers = [("content-type", _CONTENT_TYPES[form]), ("te", "trailers"), *metadata]
        if timeout_s is not None:
            headers.append(("grpc-timeout", _timeout(timeout_s)))
        sink = self.open("POST", table.path, headers=headers, body=body, version="2")
        buffer = bytearray()
        try:
            while part := await sink.received():
                buffer += part
                while len(buffer) >= 5:
                    prefix = read_prefix(buffer, 1 << 30)
                    end = 5 + prefix.length
                    if len(buffer) < end:
                        break
                    message = bytes(buffer[5:end])
                    del buffer[:end]
                    yield decode(message)
            _raise_for_status(await sink.answer())
        finally:
            sink.leave()


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
