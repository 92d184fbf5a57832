"""How each protocol calls the service of the matrix, and what it makes of the answer. One class for each protocol."""

from __future__ import annotations

import base64
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote

from google.rpc import error_details_pb2, status_pb2

from polywire import Code
from polywire.codec import Format, method_codec
from polywire.protocols.grpc.framing import frame
from polywire.protocols.rest.errors import STATUS_OF_CODE
from polywire.testing import Answer, MemorySink, TestClient


@dataclass
class Observed:
    """What a caller learned, in the words of the error model."""

    code: str
    value: Any = None
    reason: str | None = None
    message: str = ""
    violations: tuple[tuple[str, str], ...] = ()
    raw: str = ""
    """Everything that came back, to look for what must not be there."""


class Driver(ABC):
    name: str

    def __init__(self, client: TestClient) -> None:
        self.client = client

    @abstractmethod
    def open(
        self, method: str, request: dict[str, Any], *, timeout_s: float | None = None, token: str | None = None
    ) -> MemorySink:
        """Start a call."""

    @abstractmethod
    def observe(self, method: str, answer: Answer) -> Observed: ...

    @abstractmethod
    def garbage(self) -> MemorySink:
        """Start a call whose input cannot be read."""

    @abstractmethod
    def too_large(self) -> MemorySink:
        """Start a call whose input is larger than 10,000 bytes."""

    @abstractmethod
    def unfinished(self, timeout_s: float) -> MemorySink:
        """Start a call whose body stops in the middle."""

    @abstractmethod
    def invalid(self) -> MemorySink:
        """Start a call whose `count` is 101, above its maximum."""

    @abstractmethod
    def unknown_method(self) -> MemorySink: ...

    async def call(self, method: str, request: dict[str, Any], **options: Any) -> Observed:
        return self.observe(method, await self.open(method, request, **options).answer())


class Rest(Driver):
    name = "REST"

    def open(
        self, method: str, request: dict[str, Any], *, timeout_s: float | None = None, token: str | None = None
    ) -> MemorySink:
        values = dict(request)
        path = "/" + "/".join([method.lower(), *([quote(str(values.popitem()[1]))] if values else [])])
        headers = []
        if timeout_s is not None:
            headers.append(("request-timeout", str(timeout_s)))
        if token is not None:
            headers.append(("authorization", f"Bearer {token}"))
        return self.client.open("GET", path, headers=headers)

    def observe(self, method: str, answer: Answer) -> Observed:
        raw = f"{answer.headers.items()} {answer.text}"
        if answer.status < 300:
            return Observed("OK", answer.json() if answer.body else None, raw=raw)
        error = answer.json()["error"]
        assert error["request_id"] == answer.headers["x-request-id"]
        if error.get("reason") == "TOLD_TO":
            assert answer.status in {s for c, s in STATUS_OF_CODE.items() if c.name == error["code"]}
        violations = tuple((detail["field"], detail["reason"]) for detail in error["details"])
        return Observed(error["code"], None, error.get("reason"), error["message"], violations, raw)

    def garbage(self) -> MemorySink:
        return self.client.open("GET", "/unary/%FF")

    def too_large(self) -> MemorySink:
        return self.client.open("POST", "/echo", headers=[("content-type", "application/json")], body=b" " * 10_001)

    def unfinished(self, timeout_s: float) -> MemorySink:
        headers = [("content-type", "application/json"), ("request-timeout", str(timeout_s))]
        return self.client.open("POST", "/echo", headers=headers, body=b'{"name": ', more=True)

    def invalid(self) -> MemorySink:
        return self.client.open("GET", "/unary/x?count=101")

    def unknown_method(self) -> MemorySink:
        return self.client.open("GET", "/nowhere")


class Grpc(Driver):
    name = "gRPC"
    format = Format.PROTOBUF
    content_type = "application/grpc"

    def _codec(self, method: str) -> Any:
        return method_codec(self.client._methods[f"parity.Probe/{method}"], self.format)

    def open(
        self, method: str, request: dict[str, Any], *, timeout_s: float | None = None, token: str | None = None
    ) -> MemorySink:
        table = self.client._methods[f"parity.Probe/{method}"]
        message = self._codec(method).encode_input(table.input.cls(**request))
        return self._send(method, frame(message), timeout_s, token)

    def _send(self, method: str, body: bytes, timeout_s: float | None = None, token: str | None = None) -> MemorySink:
        headers = [("content-type", self.content_type), ("te", "trailers")]
        if timeout_s is not None:
            headers.append(("grpc-timeout", f"{int(timeout_s * 1000)}m"))
        if token is not None:
            headers.append(("authorization", f"Bearer {token}"))
        return self.client.open("POST", f"/parity.Probe/{method}", headers=headers, body=body, version="2")

    def observe(self, method: str, answer: Answer) -> Observed:
        assert answer.status == 200
        fields = answer.trailers if "grpc-status" in answer.trailers else answer.headers
        raw = f"{answer.headers.items()} {answer.body!r} {answer.trailers.items()}"
        code = STATUS_NAMES[int(fields["grpc-status"])]
        if code == "OK":
            value = self._codec(method).decode_result(answer.body[5:])
            return Observed("OK", None if value is None else {"name": value.name, "count": value.count}, raw=raw)
        observed = Observed(code, message=unquote(fields.get("grpc-message") or ""), raw=raw)
        packed = fields.get("grpc-status-details-bin")
        if packed is not None:
            status = status_pb2.Status.FromString(base64.b64decode(packed + "=" * (-len(packed) % 4)))
            assert STATUS_NAMES[status.code] == code
            assert status.message == observed.message
            for detail in status.details:
                info = error_details_pb2.ErrorInfo()
                if detail.Unpack(info):
                    observed.reason = info.reason
                    assert info.domain == "parity.Probe"
                bad = error_details_pb2.BadRequest()
                if detail.Unpack(bad):
                    observed.violations = tuple((v.field, v.description) for v in bad.field_violations)
        return observed

    def garbage(self) -> MemorySink:
        return self._send("Unary", frame(b"\x0a\xff\xff"))

    def too_large(self) -> MemorySink:
        return self._send("Unary", frame(b"\x0a\x91\x4e" + b"x" * 10_001))

    def unfinished(self, timeout_s: float) -> MemorySink:
        headers = [("content-type", self.content_type), ("grpc-timeout", f"{int(timeout_s * 1000)}m")]
        body = b"\x00\x00\x00\x00\x09half"
        return self.client.open("POST", "/parity.Probe/Unary", headers=headers, body=body, version="2", more=True)

    def invalid(self) -> MemorySink:
        return self._send("Unary", frame(b"\x0a\x01x\x10\x65"))

    def unknown_method(self) -> MemorySink:
        return self._send("Nothing", frame(b""))


class GrpcJson(Grpc):
    name = "gRPC+json"
    format = Format.PROTO_JSON
    content_type = "application/grpc+json"

    def garbage(self) -> MemorySink:
        return self._send("Unary", frame(b'{"name": "x'))

    def invalid(self) -> MemorySink:
        return self._send("Unary", frame(b'{"name": "x", "count": 101}'))

    def too_large(self) -> MemorySink:
        return self._send("Unary", frame(b'{"name": "' + b"x" * 10_001 + b'"}'))


STATUS_NAMES = [code.name for code in Code]
DRIVERS: list[type[Driver]] = [Rest, Grpc, GrpcJson]
