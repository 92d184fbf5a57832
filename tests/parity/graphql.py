"""The drivers of GraphQL: fields over HTTP, subscriptions as server-sent events."""

from __future__ import annotations

import json
from typing import Any

from polywire.protocols.rest.negotiation import EVENT_STREAM
from polywire.schema.types import Shape
from polywire.testing import Answer, MemorySink
from tests.parity.drivers import Driver, Observed

RESPONSE = "application/graphql-response+json"
FIELDS = {"Empty": ""}
"""What is selected of a method's result, where it is no Thing."""
TYPES = {"name": "String!", "count": "Int64!", "code": "String!", "steps": "[String!]!"}


def _field(method: str) -> str:
    return method[0].lower() + method[1:]


class Graphql(Driver):
    name = "GraphQL"
    shapes = frozenset({Shape.UNARY})
    kind = "query"
    accept = RESPONSE

    def _body(self, method: str, request: dict[str, Any]) -> bytes:
        declared = f"({', '.join(f'${name}: {TYPES[name]}' for name in request)})" if request else ""
        passed = f"({', '.join(f'{name}: ${name}' for name in request)})" if request else ""
        text = f"{self.kind} {method}{declared} {{{_field(method)}{passed} {FIELDS.get(method, '{name count}')}}}"
        return json.dumps({"query": text, "variables": request}).encode()

    def _post(
        self, body: bytes, timeout_s: float | None = None, token: str | None = None, **options: Any
    ) -> MemorySink:
        headers = [("content-type", "application/json"), ("accept", self.accept)]
        if timeout_s is not None:
            headers.append(("request-timeout", str(timeout_s)))
        if token is not None:
            headers.append(("authorization", f"Bearer {token}"))
        return self.client.open("POST", "/graphql", headers=headers, body=body, **options)

    def open(
        self, method: str, request: dict[str, Any], *, timeout_s: float | None = None, token: str | None = None
    ) -> MemorySink:
        return self._post(self._body(method, request), timeout_s, token)

    def observe(self, method: str, answer: Answer) -> Observed:
        response = answer.json()
        observed = self._told(response, answer)
        if observed.code == "OK":
            (value,) = response["data"].values()
            observed.value = None if method == "Empty" else self._thing(value)
        else:
            assert answer.status == (200 if "data" in response else answer.status)
        return observed

    def _told(self, response: dict[str, Any], answer: Answer) -> Observed:
        raw = f"{answer.headers.items()} {answer.text}"
        if "errors" not in response:
            return Observed("OK", raw=raw)
        (error,) = response["errors"]
        if error["message"].startswith("Cannot query field"):
            # An unknown method is an invalid document.
            assert (answer.status, error["extensions"]["code"]) == (400, "INVALID_ARGUMENT")
            return Observed("UNIMPLEMENTED", raw=raw)
        told = error["extensions"]
        assert told["requestId"] == answer.headers["x-request-id"]
        violations = tuple((detail["field"], detail["reason"]) for detail in told.get("details", ()))
        return Observed(told["code"], None, told.get("reason"), error["message"], violations, raw)

    def _thing(self, value: dict[str, Any]) -> dict[str, Any]:
        return {**value, "count": int(value["count"])}

    def garbage(self) -> MemorySink:
        return self._post(b'{"query": "{')

    def too_large(self) -> MemorySink:
        return self._post(self._body("Unary", {"name": "x" * 10_001}))

    def unfinished(self, timeout_s: float) -> MemorySink:
        return self._post(b'{"query": ', timeout_s, more=True)

    def invalid(self) -> MemorySink:
        return self._post(self._body("Unary", {"name": "x", "count": 101}))

    def unknown_method(self) -> MemorySink:
        return self._post(self._body("Nothing", {}))

    def start(
        self,
        method: str,
        steps: list[str] | None,
        *,
        timeout_s: float | None = None,
        token: str | None = None,
        paused: bool = False,
    ) -> MemorySink:
        assert steps is not None, "what a caller streams has no place in GraphQL"
        return self._post(self._body(method, {"steps": steps}), timeout_s, token, paused=paused)

    def item(self, name: str) -> bytes:
        raise NotImplementedError

    def bad_item(self) -> bytes:
        raise NotImplementedError

    def items(self, method: str, received: bytes) -> list[Any]:
        raise NotImplementedError

    def end(self, method: str, answer: Answer) -> Observed:
        raise NotImplementedError


class GraphqlEvents(Graphql):
    name = "GraphQL, SSE"
    shapes = frozenset({Shape.SERVER_STREAM})
    kind = "subscription"
    accept = EVENT_STREAM

    def _responses(self, received: bytes) -> list[dict[str, Any]]:
        *events, _ = received.split(b"\n\n")
        return [json.loads(event.removeprefix(b"event: next\ndata: ")) for event in events if b"event: next" in event]

    def items(self, method: str, received: bytes) -> list[Any]:
        found = [response["data"] for response in self._responses(received) if response.get("data")]
        return [self._thing(data[_field(method)]) for data in found]

    def end(self, method: str, answer: Answer) -> Observed:
        assert (answer.status, answer.headers["content-type"]) == (200, EVENT_STREAM)
        assert answer.body.endswith(b"event: complete\nid: :end\ndata: \n\n")
        failed = [response for response in self._responses(answer.body) if "errors" in response]
        assert len(failed) <= 1
        observed = self._told(failed[0] if failed else {}, answer)
        observed.items = self.items(method, answer.body)
        return observed
