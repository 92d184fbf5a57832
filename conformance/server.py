"""The ConformanceService of the Connect project, by polywire: what its runner starts, once for each kind of server.

Its messages are made of the .proto files that come with the runner: CONFORMANCE_PROTO names their folder.
"""

from __future__ import annotations

import asyncio
import base64
import importlib
import os
import signal
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import uvloop

from polywire import App, Code, RpcError, current_call
from polywire.codec import Format, message_codec
from polywire.contract.importer import import_proto
from polywire.protocols.site import Site
from polywire.schema import message_type
from polywire.server.serve import Server
from polywire.server.settings import ServerSettings

PACKAGE = "conformance_messages"
TYPE_URL = "type.googleapis.com/connectrpc.conformance.v1."


def generate(folder: Path) -> None:
    """Write the messages as Python modules, as `polywire contract import` does."""
    root = Path(os.environ["CONFORMANCE_PROTO"])
    files = [root / "connectrpc/conformance/v1" / f"{name}.proto" for name in ("service", "server_compat")]
    package = folder / PACKAGE
    package.mkdir()
    for name, text in import_proto(files, [root]).modules.items():
        (package / name).write_text(text)
    sys.path.insert(0, str(folder))


def binary(table: type[Any]) -> Any:
    return message_codec(message_type(table), Format.PROTOBUF)


def make_service(pb: Any, any_pb: Any) -> Any:
    def packed(message: Any) -> Any:
        return any_pb.Any(TYPE_URL + type(message).__name__, binary(type(message)).encode(message))

    def request_info(requests: list[Any]) -> Any:
        call = current_call()
        names: dict[str, list[str]] = {}
        for name, value in call.metadata.items():
            names.setdefault(name, []).append(value)
        query: dict[str, list[str]] = {}
        exchange = call._carrier
        for pair in getattr(exchange, "query", "").split("&"):
            name, _, value = pair.partition("=")
            if name:
                query.setdefault(name, []).append(value)
        info = pb.ConformancePayload
        return info.RequestInfo(
            request_headers=[pb.Header(name, values) for name, values in names.items()],
            timeout_ms=None if call.timeout_s is None else round(call.timeout_s * 1000),
            requests=[packed(request) for request in requests],
            connect_get_info=info.ConnectGetInfo([pb.Header(*one) for one in query.items()]) if query else None,
        )

    def add(metadata: Any, headers: list[Any]) -> None:
        for header in headers:
            for value in header.value:
                is_binary = header.name.lower().endswith("-bin")
                padded = value + "=" * (-len(value) % 4)
                metadata.add(header.name, base64.b64decode(padded) if is_binary else value)

    def tell(definition: Any) -> None:
        add(current_call().response_metadata, definition.response_headers)
        add(current_call().trailers, definition.response_trailers)

    def failure(error: Any, info: Any | None) -> RpcError:
        details = [*error.details, *([info] if info is not None else [])]
        return RpcError(error.message or "", code=Code(error.code.value), details=details)

    async def unary(definition: Any, requests: list[Any]) -> Any:
        info = request_info(requests)
        if definition is None:
            return pb.ConformancePayload(request_info=info)
        tell(definition)
        if definition.response_delay_ms:
            await asyncio.sleep(definition.response_delay_ms / 1000)
        if definition.error is not None:
            raise failure(definition.error, info)
        return pb.ConformancePayload(data=definition.response_data or b"", request_info=info)

    class Conformance(pb.ConformanceService):  # type: ignore[misc]
        async def unary(self, request: Any) -> Any:
            return pb.UnaryResponse(await unary(request.response_definition, [request]))

        async def idempotent_unary(self, request: Any) -> Any:
            return pb.IdempotentUnaryResponse(await unary(request.response_definition, [request]))

        async def client_stream(self, requests: Any) -> Any:
            received = [request async for request in requests]
            definition = received[0].response_definition if received else None
            return pb.ClientStreamResponse(await unary(definition, received))

        async def server_stream(self, request: Any) -> AsyncIterator[Any]:
            definition = request.response_definition
            if definition is None:
                return
            async for payload in stream(definition, [request]):
                yield pb.ServerStreamResponse(payload)

        async def bidi_stream(self, requests: Any) -> AsyncIterator[Any]:
            definition, received = None, []
            data: list[bytes] = []
            full_duplex, sent = False, 0
            async for request in requests:
                if not received:
                    definition, full_duplex = request.response_definition, request.full_duplex
                    if definition is not None:
                        tell(definition)
                        data = definition.response_data
                        if full_duplex:
                            current_call().send_metadata()
                received.append(request)
                if full_duplex and sent == len(data):
                    # Nothing is left to say: the caller would wait in vain.
                    break
                if full_duplex:
                    await pause(definition)
                    info = request_info(received if sent == 0 else [request])
                    yield pb.BidiStreamResponse(pb.ConformancePayload(data=data[sent], request_info=info))
                    sent += 1
            if definition is None:
                return
            while sent < len(data):
                await pause(definition)
                info = request_info(received) if sent == 0 else None
                yield pb.BidiStreamResponse(pb.ConformancePayload(data=data[sent], request_info=info))
                sent += 1
            if definition.error is not None:
                raise failure(definition.error, None if sent else request_info(received))

    async def stream(definition: Any, requests: list[Any]) -> AsyncIterator[Any]:
        tell(definition)
        if definition.response_data:
            current_call().send_metadata()
        for place, data in enumerate(definition.response_data):
            await pause(definition)
            info = None if place else request_info(requests)
            yield pb.ConformancePayload(data=data, request_info=info)
        if definition.error is not None:
            raise failure(definition.error, None if definition.response_data else request_info(requests))

    async def pause(definition: Any) -> None:
        if definition.response_delay_ms:
            await asyncio.sleep(definition.response_delay_ms / 1000)

    return Conformance()


async def main(folder: Path) -> None:
    generate(folder)
    pb = importlib.import_module(f"{PACKAGE}.connectrpc_conformance_v1_service_pb")
    compat = importlib.import_module(f"{PACKAGE}.connectrpc_conformance_v1_server_compat_pb")
    any_pb = importlib.import_module(f"{PACKAGE}.google_protobuf_any_pb")
    size = int.from_bytes(sys.stdin.buffer.read(4))
    asked = binary(compat.ServerCompatRequest).decode(sys.stdin.buffer.read(size))
    limit = asked.message_receive_limit or 16 * 1024 * 1024
    app = App(make_service(pb, any_pb), default_deadline_s=None, max_request_bytes=limit)
    settings: dict[str, Any] = {"port": 0}
    cert = b""
    if asked.use_tls:
        cert = asked.server_creds.cert
        (folder / "cert.pem").write_bytes(cert)
        (folder / "key.pem").write_bytes(asked.server_creds.key)
        settings |= {"tls_cert": str(folder / "cert.pem"), "tls_key": str(folder / "key.pem"), "clear_text": False}
        if asked.client_tls_cert:
            (folder / "client.pem").write_bytes(asked.client_tls_cert)
            settings |= {"tls_client_ca": str(folder / "client.pem"), "tls_client_auth": "required"}
    server = Server(Site(app), ServerSettings(**settings))
    await server.start()
    answer = binary(compat.ServerCompatResponse).encode(
        compat.ServerCompatResponse(host="127.0.0.1", port=server.port, pem_cert=cert)
    )
    sys.stdout.buffer.write(len(answer).to_bytes(4) + answer)
    sys.stdout.buffer.flush()
    told_to_end = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, told_to_end.set)
    await told_to_end.wait()
    await server.abort()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as made:
        uvloop.run(main(Path(made)))
