"""`lab.Lab` as grpcio and Google's protobuf would serve it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import grpc.aio
from google.protobuf import any_pb2

from polywire.codec import Format, message_codec
from polywire.protocols.grpc.status import Status
from polywire.protocols.rpc.details import BadRequest, ErrorInfo, Packed, Violation
from polywire.schema import message_type
from tests.live import protos


class ForeignLab:
    """Some methods of `tests.live.service.Lab`. What it sees is kept."""

    def __init__(self) -> None:
        self.port = 0
        self.metadata: list[tuple[str, Any]] = []
        self.remaining: list[float | None] = []
        self.cancelled = 0
        self.started = asyncio.Event()
        self.ended = asyncio.Event()
        self.received = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def _see(self, context: Any) -> None:
        self.metadata = list(context.invocation_metadata())
        self.remaining.append(context.time_remaining())
        self.started.set()

    async def get_item(self, request: Any, context: Any) -> Any:
        self._see(context)
        if request.name == "missing":
            await context.abort(grpc.StatusCode.NOT_FOUND, "no such item: 100% «gone»\n", details("ITEM_NOT_FOUND"))
        return protos.message("Item")(name=request.name, count=request.count)

    async def create_item(self, request: Any, context: Any) -> Any:
        self._see(context)
        code = grpc.StatusCode.INVALID_ARGUMENT
        if request.name == "bad":
            await context.abort(code, "told to fail", details("BAD_NAME", ("item.name", "is bad")))
        return request

    async def text(self, request: Any, context: Any) -> Any:
        self._see(context)
        return protos.message("Blob")(text="x" * request.size)

    async def size(self, request: Any, context: Any) -> Any:
        self._see(context)
        return protos.message("Size")(text=len(request.text), data=len(request.data))

    async def delete_item(self, request: Any, context: Any) -> Any:
        self._see(context)
        return protos.method("DeleteItem")[2]()

    async def beside(self, request: Any, context: Any) -> Any:
        self._see(context)
        given = dict(self.metadata)
        value = given.get("given-bin", b"")
        await context.send_initial_metadata((("seen-text", given.get("given", "nothing")), ("seen-bin", value)))
        context.set_trailing_metadata((("last-words", "bye"), ("last-bin", value[::-1])))
        return protos.message("Item")(name="beside")

    async def hangs(self, request: Any, context: Any) -> Any:
        self._see(context)
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.ended.set()

    async def stream(self, request: Any, context: Any) -> AsyncIterator[Any]:
        self._see(context)
        blob = protos.message("Blob")(text="x" * request.size)
        try:
            for _ in range(request.count):
                yield blob
        finally:
            self.ended.set()

    async def stream_raises(self, request: Any, context: Any) -> AsyncIterator[Any]:
        yield protos.message("Blob")(text="one")
        await context.abort(grpc.StatusCode.INTERNAL, "internal error")

    async def total(self, requests: Any, context: Any) -> Any:
        text = data = 0
        async for blob in requests:
            self.received += 1
            text += len(blob.text)
            data += len(blob.data)
        return protos.message("Size")(text=text, data=data)

    async def echo(self, requests: Any, context: Any) -> AsyncIterator[Any]:
        async for blob in requests:
            yield blob


def details(reason: str, *violations: tuple[str, str]) -> tuple[tuple[str, bytes], ...]:
    """grpc-status-details-bin as metadata: what grpcio's own rich_status makes of a google.rpc.Status."""
    code = grpc.StatusCode.INVALID_ARGUMENT if violations else grpc.StatusCode.NOT_FOUND
    values: list[Any] = [ErrorInfo(reason, "lab.Lab")]
    if violations:
        values.append(BadRequest([Violation(field, text) for field, text in violations]))
    packed = []
    for value in values:
        table = message_type(type(value))
        any_value = any_pb2.Any(
            type_url=f"type.googleapis.com/{table.full_name}",
            value=message_codec(table, Format.PROTOBUF).encode(value),
        )
        packed.append(Packed(any_value.type_url, any_value.value))
    status = Status(code.value[0], "", packed)
    return (("grpc-status-details-bin", message_codec(message_type(Status), Format.PROTOBUF).encode(status)),)


_SHAPES = {
    (False, False): grpc.unary_unary_rpc_method_handler,
    (False, True): grpc.unary_stream_rpc_method_handler,
    (True, False): grpc.stream_unary_rpc_method_handler,
    (True, True): grpc.stream_stream_rpc_method_handler,
}


@asynccontextmanager
async def serving(
    lab: ForeignLab,
    *,
    credentials: grpc.ServerCredentials | None = None,
    compression: grpc.Compression | None = None,
    options: tuple[tuple[str, Any], ...] = (),
) -> AsyncIterator[None]:
    server = grpc.aio.server(compression=compression, options=options)
    handlers = {}
    for name, method in protos.POOL.FindServiceByName("lab.Lab").methods_by_name.items():
        python_name = "".join("_" + c.lower() if c.isupper() else c for c in name).lstrip("_")
        handler = getattr(lab, python_name, None)
        if handler is not None:
            _, input_, _ = protos.method(name)
            shape = _SHAPES[method.client_streaming, method.server_streaming]
            handlers[name] = shape(handler, input_.FromString, lambda message: message.SerializeToString())
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("lab.Lab", handlers),))
    if credentials is None:
        lab.port = server.add_insecure_port("127.0.0.1:0")
    else:
        lab.port = server.add_secure_port("127.0.0.1:0", credentials)
    await server.start()
    try:
        yield
    finally:
        await server.stop(0)
