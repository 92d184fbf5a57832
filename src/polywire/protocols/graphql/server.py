"""GraphQL over HTTP (https://graphql.github.io/graphql-over-http/draft): queries and mutations."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from polywire.errors import METHOD_NOT_ALLOWED, UNSUPPORTED_MEDIA_TYPE, MalformedInput, RpcError, Unimplemented
from polywire.http.exchange import Exchange
from polywire.protocols.endpoint import Endpoint, ProtocolServer
from polywire.protocols.graphql.plan_errors import refusal_json
from polywire.protocols.graphql.schema import GraphqlRefusal, GraphqlSchema
from polywire.protocols.rest.errors import status_of
from polywire.protocols.rest.negotiation import is_json, timeout_s
from polywire.runtime.runtime import Runtime
from polywire.wire.headers import HeaderBlock

_VARY = ("vary", "accept, accept-encoding")
_JSON = HeaderBlock([("content-type", "application/json; charset=utf-8"), _VARY])
_encode = msgspec.json.Encoder().encode
_MOST_FIELDS = 100


class GraphqlRequest(msgspec.Struct, rename="camel"):
    """The body of a request; other members are ignored."""

    query: str | None = None
    variables: dict[str, Any] | None = None
    operation_name: str | None = None
    extensions: dict[str, Any] | None = None


_decode = msgspec.json.Decoder(GraphqlRequest).decode


class GraphqlServer(ProtocolServer):
    """Everything at the one path of GraphQL."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._path = runtime.app.graphql.path
        self._limit = runtime.app.max_request_bytes
        self.schema = GraphqlSchema(runtime) if self._path is not None else None

    def routes(self) -> Iterator[tuple[str, str, Endpoint]]:
        if self._path is not None:
            yield self._path, "POST", self.post
            yield self._path, "GET", self.get

    def post(self, exchange: Exchange) -> None:
        if not is_json(exchange.headers.get("content-type") or ""):
            _refuse(exchange, Unimplemented("the body must be application/json", reason=UNSUPPORTED_MEDIA_TYPE))
            return
        body = exchange.take_whole(self._limit)
        if body is None:
            exchange.collect(self._limit, self._read, _refuse, exchange, self._runtime.pending, self._runtime.turns)
        else:
            self._read(exchange, body)

    def _read(self, exchange: Exchange, body: bytes) -> None:
        try:
            request = _decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            _refuse(exchange, MalformedInput("the body is not a GraphQL request in JSON"))
            return
        self._run(exchange, request, False)

    def get(self, exchange: Exchange) -> None:
        try:
            request = _from_query(exchange.query)
        except MalformedInput as error:
            _refuse(exchange, error)
            return
        self._run(exchange, request, True)

    def _run(self, exchange: Exchange, request: GraphqlRequest, is_get: bool) -> None:
        assert self.schema is not None
        try:
            timeout = exchange.headers.get("request-timeout")
            seconds = None if timeout is None else timeout_s(timeout)
            if not request.query:
                raise MalformedInput("the request has no query")
            plan = self.schema.plan(request.query, request.operation_name)
            if is_get and plan.kind.value != "query":
                raise Unimplemented(
                    f"a {plan.kind.value} cannot be sent by GET", reason=METHOD_NOT_ALLOWED, metadata={"allow": "POST"}
                )
            if plan.kind.value == "subscription":
                raise MalformedInput("a subscription is asked for over a WebSocket, or with accept: text/event-stream")
            variables = plan.coerce(request.variables)
        except RpcError as error:
            _refuse(exchange, error)
            return
        except GraphqlRefusal as refusal:
            exchange.respond(200, _JSON, _encode({"errors": refusal_json(refusal)}), _extra(exchange), None, True)
            return
        answered = False

        def answer(body: bytes) -> None:
            nonlocal answered
            answered = True
            exchange.respond(200, _JSON, body, _extra(exchange), None, True)

        execution = plan.execute(exchange, variables, seconds, answer)
        if not answered:
            exchange.watch(execution.cancel)


def _extra(exchange: Exchange) -> tuple[tuple[bytes, bytes], ...]:
    return ((b"x-request-id", exchange.request_id.encode()),)


def _refuse(exchange: Exchange, error: RpcError) -> None:
    """Answer what is no request that could be run."""
    from polywire.protocols.graphql.plan import error_json

    extra = (*_extra(exchange), *HeaderBlock((error.metadata or {}).items()).pairs)
    body = _encode({"errors": [error_json(error, exchange.request_id)]})
    exchange.respond(status_of(error), _JSON, body, extra, None, True)


def _from_query(query: str) -> GraphqlRequest:
    try:
        pairs = parse_qsl(query, keep_blank_values=True, encoding="utf-8", errors="strict", max_num_fields=_MOST_FIELDS)
    except ValueError:
        raise MalformedInput("the query string cannot be read") from None
    fields = dict(pairs)
    try:
        variables = msgspec.json.decode(fields["variables"]) if fields.get("variables") else None
        extensions = msgspec.json.decode(fields["extensions"]) if fields.get("extensions") else None
    except (msgspec.DecodeError, RecursionError):
        raise MalformedInput("variables and extensions are objects in JSON") from None
    if not isinstance(variables, dict | None) or not isinstance(extensions, dict | None):
        raise MalformedInput("variables and extensions are objects in JSON")
    return GraphqlRequest(fields.get("query"), variables, fields.get("operationName") or None, extensions)
