"""The other drivers: gRPC-Web and Connect, which carry what gRPC does in bodies and fields of their own."""

from __future__ import annotations

import base64
import json
from typing import Any
from urllib.parse import quote

from google.rpc import error_details_pb2

from polywire.codec import Format
from polywire.protocols.rpc.framing import frame
from polywire.schema.types import Shape
from polywire.testing import Answer, MemorySink
from polywire.wire.headers import Headers
from tests.parity.drivers import Driver, Grpc, GrpcJson, Observed, Rest, RestEvents
from tests.parity.graphql import Graphql, GraphqlEvents
from tests.parity.trpc import Trpc, TrpcEvents
from tests.parity.websocket import WebSocket, WebSocketMessagePack, WebSocketProtobuf


class GrpcWeb(Grpc):
    name = "gRPC-Web"
    content_type = "application/grpc-web+proto"
    version = "1.1"

    def _body(self, answer: Answer) -> bytes:
        return answer.body

    def _status(self, answer: Answer) -> Observed:
        body = self._body(answer)
        lines: list[str] = []
        while body:
            flags, end = body[0], 5 + int.from_bytes(body[1:5])
            if flags & 0x80:
                assert end == len(body), "the trailers are the last frame"
                lines = body[5:end].decode().split("\r\n")[:-1]
            body = body[end:]
        fields = Headers([(line.partition(": ")[0], line.partition(": ")[2]) for line in lines])
        return super()._status(Answer(answer.status, answer.headers, answer.body, fields, []))

    def items(self, method: str, received: bytes) -> list[Any]:
        messages = []
        while len(received) >= 5 and len(received) >= (end := 5 + int.from_bytes(received[1:5])):
            if not received[0] & 0x80:
                messages.append(received[:end])
            received = received[end:]
        return super().items(method, b"".join(messages))


class GrpcWebText(GrpcWeb):
    name = "gRPC-Web, text"
    content_type = "application/grpc-web-text+proto"

    def _send(
        self, method: str, body: bytes, timeout_s: float | None = None, token: str | None = None, **options: Any
    ) -> MemorySink:
        return super()._send(method, base64.b64encode(body), timeout_s, token, **options)

    def _body(self, answer: Answer) -> bytes:
        return decoded(answer.body)

    def items(self, method: str, received: bytes) -> list[Any]:
        return super().items(method, decoded(received))

    def item(self, name: str) -> bytes:
        return base64.b64encode(super().item(name))

    def bad_item(self) -> bytes:
        return base64.b64encode(super().bad_item())

    def _half(self, body: bytes) -> bytes:
        return base64.b64encode(body)[:-3]


def decoded(text: bytes) -> bytes:
    """Base64 that may be padded in the middle, a quantum at a time; a last one that is not whole is left out."""
    return b"".join(base64.b64decode(text[at : at + 4]) for at in range(0, len(text) // 4 * 4, 4))


class Connect(Grpc):
    name = "Connect"
    nowhere = "Nothing"
    unary_type = "application/proto"
    content_type = "application/connect+proto"

    def _post(self, method: str, body: bytes, timeout_s: float | None, token: str | None, **options: Any) -> MemorySink:
        headers = [("content-type", self.unary_type), ("connect-protocol-version", "1")]
        return self._open(method, headers, body, timeout_s, token, **options)

    def _open(
        self,
        method: str,
        headers: list[tuple[str, str]],
        body: bytes,
        timeout_s: float | None,
        token: str | None,
        **options: Any,
    ) -> MemorySink:
        if timeout_s is not None:
            headers.append(("connect-timeout-ms", str(int(timeout_s * 1000))))
        if token is not None:
            headers.append(("authorization", f"Bearer {token}"))
        return self.client.open("POST", f"/parity.Probe/{method}", headers=headers, body=body, **options)

    def _send(
        self, method: str, body: bytes, timeout_s: float | None = None, token: str | None = None, **options: Any
    ) -> MemorySink:
        """A stream."""
        return self._open(method, [("content-type", self.content_type)], body, timeout_s, token, **options)

    def open(
        self, method: str, request: dict[str, Any], *, timeout_s: float | None = None, token: str | None = None
    ) -> MemorySink:
        table = self.client._methods[f"parity.Probe/{method}"]
        message = self._codec(method).encode_input(table.input.cls(**request))
        return self._post(method, message, timeout_s, token)

    def observe(self, method: str, answer: Answer) -> Observed:
        if method != self.nowhere and self.client._methods[f"parity.Probe/{method}"].shape is not Shape.UNARY:
            observed = self.end(method, answer)
            if observed.code == "OK":
                (observed.value,), observed.items = observed.items, []
            return observed
        raw = f"{answer.headers.items()} {answer.body!r}"
        if answer.status == 200:
            assert answer.headers["content-type"] == self.unary_type
            value = self._codec(method).decode_result(answer.body)
            return Observed("OK", None if value is None else {"name": value.name, "count": value.count}, raw=raw)
        if method == self.nowhere and answer.status == 404:
            # Nothing at this path speaks Connect; its clients take such a 404 for UNIMPLEMENTED.
            return Observed("UNIMPLEMENTED", raw=raw)
        assert answer.headers["content-type"] == "application/json"
        return self._told(json.loads(answer.body), raw)

    def _told(self, error: dict[str, Any], raw: str) -> Observed:
        code = {"canceled": "CANCELLED"}.get(error["code"], error["code"].upper())
        observed = Observed(code, message=error.get("message", ""), raw=raw)
        for detail in error.get("details", ()):
            value = base64.b64decode(detail["value"] + "=" * (-len(detail["value"]) % 4))
            if detail["type"] == "google.rpc.ErrorInfo":
                info = error_details_pb2.ErrorInfo.FromString(value)
                observed.reason = info.reason
                assert detail["debug"] == {"reason": info.reason, "domain": info.domain}
            elif detail["type"] == "google.rpc.BadRequest":
                bad = error_details_pb2.BadRequest.FromString(value)
                observed.violations = tuple((v.field, v.description) for v in bad.field_violations)
        return observed

    def garbage(self) -> MemorySink:
        return self._post("Unary", b"\x0a\xff\xff", None, None)

    def too_large(self) -> MemorySink:
        return self._post("Unary", b"\x0a\x91\x4e" + b"x" * 10_001, None, None)

    def unfinished(self, timeout_s: float) -> MemorySink:
        return self._post("Unary", b"\x0a\x09half", timeout_s, None, more=True)

    def invalid(self) -> MemorySink:
        return self._post("Unary", b"\x0a\x01x\x10\x65", None, None)

    def unknown_method(self) -> MemorySink:
        return self._post("Nothing", b"", None, None)

    def items(self, method: str, received: bytes) -> list[Any]:
        return super().items(method, b"".join(part for flags, part in frames(received) if not flags & 2))

    def end(self, method: str, answer: Answer) -> Observed:
        assert answer.status == 200
        assert answer.headers["content-type"] == self.content_type
        parts = list(frames(answer.body))
        assert [flags for flags, _ in parts].index(2) == len(parts) - 1
        last = json.loads(parts[-1][1][5:])
        raw = f"{answer.headers.items()} {answer.body!r}"
        observed = self._told(last["error"], raw) if "error" in last else Observed("OK", raw=raw)
        observed.items = self.items(method, answer.body)
        return observed


def frames(received: bytes) -> list[tuple[int, bytes]]:
    """(flags, frame) of each that is whole."""
    found = []
    while len(received) >= 5 and len(received) >= (end := 5 + int.from_bytes(received[1:5])):
        found.append((received[0], received[:end]))
        received = received[end:]
    return found


class ConnectJson(Connect):
    name = "Connect, JSON"
    format = Format.PROTO_JSON
    unary_type = "application/json"
    content_type = "application/connect+json"

    def garbage(self) -> MemorySink:
        return self._post("Unary", b'{"name": "x', None, None)

    def invalid(self) -> MemorySink:
        return self._post("Unary", b'{"name": "x", "count": 101}', None, None)

    def too_large(self) -> MemorySink:
        return self._post("Unary", b'{"name": "' + b"x" * 10_001 + b'"}', None, None)

    def bad_item(self) -> bytes:
        return frame(b'{"name": ')


class ConnectGet(ConnectJson):
    name = "Connect, GET"
    shapes = frozenset({Shape.UNARY})

    def _post(self, method: str, body: bytes, timeout_s: float | None, token: str | None, **options: Any) -> MemorySink:
        if options:
            # A body that never ends is one of a POST.
            return super()._post(method, body, timeout_s, token, **options)
        headers = []
        if timeout_s is not None:
            headers.append(("connect-timeout-ms", str(int(timeout_s * 1000))))
        if token is not None:
            headers.append(("authorization", f"Bearer {token}"))
        query = f"connect=v1&encoding=json&message={quote(body)}"
        return self.client.open("GET", f"/parity.Probe/{method}?{query}", headers=headers)


DRIVERS: list[type[Driver]] = [
    Rest,
    RestEvents,
    Grpc,
    GrpcJson,
    GrpcWeb,
    GrpcWebText,
    Connect,
    ConnectJson,
    ConnectGet,
    Graphql,
    GraphqlEvents,
    Trpc,
    TrpcEvents,
    WebSocket,
    WebSocketMessagePack,
    WebSocketProtobuf,
]
