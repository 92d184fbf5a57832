"""The drivers of tRPC: queries and mutations over HTTP, subscriptions as server-sent events."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

from polywire.protocols.rest.negotiation import EVENT_STREAM
from polywire.schema.types import Shape
from polywire.testing import Answer, MemorySink
from tests.parity.drivers import Driver, Observed


class Trpc(Driver):
    name = "tRPC"
    shapes = frozenset({Shape.UNARY})
    accept = "*/*"

    def _headers(self, timeout_s: float | None, token: str | None) -> list[tuple[str, str]]:
        headers = [("accept", self.accept)]
        if timeout_s is not None:
            headers.append(("request-timeout", str(timeout_s)))
        if token is not None:
            headers.append(("authorization", f"Bearer {token}"))
        return headers

    def _get(
        self,
        method: str,
        given: dict[str, Any],
        timeout_s: float | None = None,
        token: str | None = None,
        **options: Any,
    ) -> MemorySink:
        target = f"/trpc/probe.{method[0].lower()}{method[1:]}?input={quote(json.dumps(given), safe='')}"
        return self.client.open("GET", target, headers=self._headers(timeout_s, token), **options)

    def _post(self, body: bytes, timeout_s: float | None = None, **options: Any) -> MemorySink:
        headers = [("content-type", "application/json"), *self._headers(timeout_s, None)]
        return self.client.open("POST", "/trpc/probe.echo", headers=headers, body=body, **options)

    def open(
        self, method: str, request: dict[str, Any], *, timeout_s: float | None = None, token: str | None = None
    ) -> MemorySink:
        return self._get(method, request, timeout_s, token)

    def observe(self, method: str, answer: Answer) -> Observed:
        envelope = answer.json()
        if "result" in envelope:
            assert answer.status == 200
            return Observed("OK", envelope["result"].get("data"), raw=answer.text)
        assert answer.status == envelope["error"]["data"]["httpStatus"]
        return self._told(envelope["error"], answer)

    def _told(self, error: dict[str, Any], answer: Answer) -> Observed:
        data = error["data"]
        assert data["requestId"] == answer.headers["x-request-id"]
        violations = tuple((detail["field"], detail["reason"]) for detail in data.get("details", ()))
        raw = f"{answer.headers.items()} {answer.text}"
        return Observed(data["status"], None, data.get("reason"), error["message"], violations, raw)

    def garbage(self) -> MemorySink:
        return self._post(b"{")

    def too_large(self) -> MemorySink:
        return self._post(json.dumps({"name": "x" * 10_001}).encode())

    def unfinished(self, timeout_s: float) -> MemorySink:
        return self._post(b'{"name": ', timeout_s, more=True)

    def invalid(self) -> MemorySink:
        return self._get("Unary", {"name": "x", "count": 101})

    def unknown_method(self) -> MemorySink:
        return self._get("Nothing", {})

    def start(
        self,
        method: str,
        steps: list[str] | None,
        *,
        timeout_s: float | None = None,
        token: str | None = None,
        paused: bool = False,
    ) -> MemorySink:
        assert steps is not None, "what a caller streams has no place in tRPC"
        return self._get(method, {"steps": steps}, timeout_s, token, paused=paused)

    def item(self, name: str) -> bytes:
        raise NotImplementedError

    def bad_item(self) -> bytes:
        raise NotImplementedError

    def items(self, method: str, received: bytes) -> list[Any]:
        raise NotImplementedError

    def end(self, method: str, answer: Answer) -> Observed:
        raise NotImplementedError


class TrpcEvents(Trpc):
    name = "tRPC, SSE"
    shapes = frozenset({Shape.SERVER_STREAM})
    accept = EVENT_STREAM

    def _events(self, received: bytes) -> list[tuple[str | None, Any]]:
        """The name and the value of each that is whole."""
        *blocks, _ = received.split(b"\n\n")
        events = []
        for block in blocks:
            fields = dict(line.split(": ", 1) for line in block.decode().split("\n"))
            events.append((fields.get("event"), json.loads(fields["data"] or "null")))
        return events

    def items(self, method: str, received: bytes) -> list[Any]:
        return [value for name, value in self._events(received) if name is None]

    def end(self, method: str, answer: Answer) -> Observed:
        assert (answer.status, answer.headers["content-type"]) == (200, EVENT_STREAM)
        first, *_, (last, value) = self._events(answer.body)
        assert first == ("connected", {})
        observed = Observed("OK", raw=answer.text)
        if last == "serialized-error":
            observed = self._told(value, answer)
        else:
            assert last == "return"
        observed.items = self.items(method, answer.body)
        return observed
