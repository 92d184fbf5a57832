"""How each protocol calls the service of the matrix, and what it makes of the answer. One class for each protocol."""

from __future__ import annotations

import base64
import json
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, unquote, urlencode

from google.rpc import error_details_pb2, status_pb2

from polywire import Code
from polywire.codec import Format, method_codec
from polywire.protocols.rest.errors import STATUS_OF_CODE
from polywire.protocols.rest.negotiation import EVENT_STREAM, NDJSON
from polywire.protocols.rpc.framing import frame
from polywire.schema.types import Shape
from polywire.testing import Answer, MemorySink, TestClient
from tests.parity.service import Thing


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
    items: list[Any] = field(default_factory=list)
    """Of a streamed answer."""


class Driver(ABC):
    name: str
    nowhere = "Unary"
    """The method that `unknown_method` is observed as."""
    shapes = frozenset(Shape)
    """What the protocol can carry."""

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

    # Streams

    @abstractmethod
    def start(
        self,
        method: str,
        steps: list[str] | None,
        *,
        timeout_s: float | None = None,
        token: str | None = None,
        paused: bool = False,
    ) -> MemorySink:
        """Start a stream. steps: of a request that is one message; None: it is a stream, and goes on."""

    @abstractmethod
    def item(self, name: str) -> bytes:
        """One message of a client stream."""

    @abstractmethod
    def bad_item(self) -> bytes:
        """One that cannot be read."""

    @abstractmethod
    def items(self, method: str, received: bytes) -> list[Any]:
        """The items of a streamed answer that are there so far."""

    @abstractmethod
    def end(self, method: str, answer: Answer) -> Observed:
        """How a streamed answer has ended."""


class Rest(Driver):
    name = "REST"
    accept = NDJSON

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
        observed = self._told(answer.json()["error"], answer)
        if observed.reason == "TOLD_TO":
            assert answer.status in {s for c, s in STATUS_OF_CODE.items() if c.name == observed.code}
        observed.raw = raw
        return observed

    def _told(self, error: dict[str, Any], answer: Answer) -> Observed:
        assert error["request_id"] == answer.headers["x-request-id"]
        violations = tuple((detail["field"], detail["reason"]) for detail in error["details"])
        return Observed(error["code"], None, error.get("reason"), error["message"], violations)

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

    def start(
        self,
        method: str,
        steps: list[str] | None,
        *,
        timeout_s: float | None = None,
        token: str | None = None,
        paused: bool = False,
    ) -> MemorySink:
        path = "/" + re.sub("(?<=[a-z])(?=[A-Z])", "-", method).lower()
        headers = [("accept", f"{self.accept}, application/json;q=0.5")]
        if timeout_s is not None:
            headers.append(("request-timeout", str(timeout_s)))
        if token is not None:
            headers.append(("authorization", f"Bearer {token}"))
        if steps is not None:
            query = urlencode([("steps", step) for step in steps])
            return self.client.open("GET", f"{path}?{query}", headers=headers, paused=paused)
        headers.append(("content-type", NDJSON))
        return self.client.open("POST", path, headers=headers, more=True, paused=paused)

    def item(self, name: str) -> bytes:
        return json.dumps({"name": name}).encode() + b"\n"

    def bad_item(self) -> bytes:
        return b'{"name": \n'

    def _values(self, received: bytes) -> list[Any]:
        return [json.loads(line) for line in received.split(b"\n")[:-1]]

    def items(self, method: str, received: bytes) -> list[Any]:
        return [value for value in self._values(received) if "name" in value]

    def end(self, method: str, answer: Answer) -> Observed:
        if answer.status >= 300:
            return self.observe(method, answer)
        assert answer.headers["content-type"] == self.accept
        errors = [value["error"] for value in self._values(answer.body) if "error" in value]
        assert len(errors) <= 1
        observed = self._told(errors[0], answer) if errors else Observed("OK")
        observed.raw = f"{answer.headers.items()} {answer.text}"
        observed.items = self.items(method, answer.body)
        return observed


class RestEvents(Rest):
    name = "REST, SSE"
    accept = EVENT_STREAM
    shapes = frozenset({Shape.SERVER_STREAM, Shape.BIDI_STREAM})

    def _values(self, received: bytes) -> list[Any]:
        *events, _ = received.split(b"\n\n")
        return [json.loads(event.rpartition(b"data: ")[2]) for event in events]


class Grpc(Driver):
    name = "gRPC"
    format = Format.PROTOBUF
    content_type = "application/grpc"
    version = "2"

    def _codec(self, method: str) -> Any:
        return method_codec(self.client._methods[f"parity.Probe/{method}"], self.format)

    def open(
        self, method: str, request: dict[str, Any], *, timeout_s: float | None = None, token: str | None = None
    ) -> MemorySink:
        table = self.client._methods[f"parity.Probe/{method}"]
        message = self._codec(method).encode_input(table.input.cls(**request))
        return self._send(method, frame(message), timeout_s, token)

    def _send(
        self, method: str, body: bytes, timeout_s: float | None = None, token: str | None = None, **options: Any
    ) -> MemorySink:
        headers = [("content-type", self.content_type), ("te", "trailers")]
        if timeout_s is not None:
            headers.append(("grpc-timeout", f"{int(timeout_s * 1000)}m"))
        if token is not None:
            headers.append(("authorization", f"Bearer {token}"))
        return self.client.open(
            "POST", f"/parity.Probe/{method}", headers=headers, body=body, version=self.version, **options
        )

    def observe(self, method: str, answer: Answer) -> Observed:
        observed = self._status(answer)
        if observed.code == "OK":
            (observed.value,) = self.items(method, answer.body)
        return observed

    def _status(self, answer: Answer) -> Observed:
        assert answer.status == 200
        fields = answer.trailers if "grpc-status" in answer.trailers else answer.headers
        raw = f"{answer.headers.items()} {answer.body!r} {answer.trailers.items()}"
        code = STATUS_NAMES[int(fields["grpc-status"])]
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
        body = self._half(b"\x00\x00\x00\x00\x09half")
        return self.client.open(
            "POST", "/parity.Probe/Unary", headers=headers, body=body, version=self.version, more=True
        )

    def _half(self, body: bytes) -> bytes:
        """Of a request, as it is sent."""
        return body

    def invalid(self) -> MemorySink:
        return self._send("Unary", frame(b"\x0a\x01x\x10\x65"))

    def unknown_method(self) -> MemorySink:
        return self._send("Nothing", frame(b""))

    def start(
        self,
        method: str,
        steps: list[str] | None,
        *,
        timeout_s: float | None = None,
        token: str | None = None,
        paused: bool = False,
    ) -> MemorySink:
        if steps is None:
            return self._send(method, b"", timeout_s, token, more=True, paused=paused)
        table = self.client._methods[f"parity.Probe/{method}"]
        message = self._codec(method).encode_input(table.input.cls(steps=steps))
        return self._send(method, frame(message), timeout_s, token, paused=paused)

    def item(self, name: str) -> bytes:
        return frame(self._codec("Mirror").encode_input(Thing(name)))

    def bad_item(self) -> bytes:
        return frame(b"\x0a\xff\xff")

    def items(self, method: str, received: bytes) -> list[Any]:
        values = [self._codec(method).decode_result(message) for message in unframed(received)]
        return [None if value is None else {"name": value.name, "count": value.count} for value in values]

    def end(self, method: str, answer: Answer) -> Observed:
        observed = self._status(answer)
        observed.items = self.items(method, answer.body)
        return observed


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

    def bad_item(self) -> bytes:
        return frame(b'{"name": ')


def unframed(received: bytes) -> Iterator[bytes]:
    """The whole messages in what has come so far."""
    while len(received) >= 5 and len(received) >= (end := 5 + int.from_bytes(received[1:5])):
        assert received[0] == 0
        yield received[5:end]
        received = received[end:]


STATUS_NAMES = [code.name for code in Code]
