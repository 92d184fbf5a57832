"""tRPC over HTTP: single calls, batches, batches as lines, subscriptions as events."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from polywire.contract.trpc import procedures
from polywire.errors import (
    METHOD_NOT_ALLOWED,
    InvalidArgument,
    NotFound,
    RpcError,
    Unimplemented,
)
from polywire.http.exchange import Exchange
from polywire.protocols.endpoint import Endpoint, ProtocolServer
from polywire.protocols.gather import gather
from polywire.protocols.parameters import parameters_from_text
from polywire.protocols.rest.errors import not_json
from polywire.protocols.rest.negotiation import is_json, timeout_s
from polywire.protocols.trpc.batch import Batch, LineBatch
from polywire.protocols.trpc.events import Subscription
from polywire.protocols.trpc.procedure import Procedure, Told, told_error
from polywire.protocols.trpc.requests import batch_inputs, query_fields
from polywire.protocols.trpc.sockets import Sockets
from polywire.runtime.call import Call
from polywire.runtime.runtime import Runtime
from polywire.wire.headers import HeaderBlock

PROTOCOL = "trpc"
_VARY = ("vary", "trpc-accept, accept")
JSON = HeaderBlock([("content-type", "application/json"), _VARY])
_EMPTY = HeaderBlock([_VARY])


class TrpcServer(ProtocolServer):
    """Every procedure beneath one path. Raises SchemaError where two services would be one router."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._options = runtime.app.trpc
        self._limit = runtime.app.max_request_bytes
        self._by_path: dict[str, Procedure] = {}
        if self._options.path is not None:
            on = {service.full_name: instance for service, instance in runtime.app.services}
            for path, method in procedures([service for service, _ in runtime.app.services]).items():
                binding = runtime.bind(method, on[method.service], PROTOCOL)
                self._by_path[path] = Procedure(runtime, binding, path)

    def routes(self) -> Iterator[tuple[str, str, Endpoint]]:
        if self._options.path is not None:
            template = f"{self._options.path}/{{path}}"
            yield template, "GET", self.get
            yield template, "POST", self.post

    def websockets(self) -> Iterator[tuple[str, Endpoint]]:
        if self._options.path is not None:
            yield self._options.path, Sockets(self._runtime, self._by_path)

    def get(self, exchange: Exchange) -> None:
        if exchange.method == "HEAD":
            exchange.respond(204, _EMPTY, b"")
            return
        path = exchange.variables[0]
        try:
            fields = query_fields(exchange.query)
            if fields.get("batch") == "1":
                self._batch(exchange, path, fields.get("input"), "query")
                return
            procedure = self._procedure(path)
            if procedure.is_subscription:
                self._subscribe(exchange, procedure, fields)
                return
            _check_kind(procedure, "query")
            call = procedure.call(exchange, _timeout(exchange))
        except RpcError as error:
            respond(exchange, told_error(error, path, exchange.request_id), error)
            return
        call.state = exchange
        given = fields.get("input")
        self._start(procedure, call, b"" if given is None else given.encode())

    def post(self, exchange: Exchange) -> None:
        path = exchange.variables[0]
        content_type = exchange.headers.get("content-type")
        try:
            if content_type is None:
                # A mutation without input has neither a body nor a type.
                if exchange.sink.has_body:
                    raise not_json(content_type)
            elif not is_json(content_type):
                raise not_json(content_type)
            if query_fields(exchange.query).get("batch") == "1":
                exchange.collect(
                    self._limit,
                    partial(self._batch_body, path=path),
                    partial(_refuse_batch, path=path),
                    exchange,
                    self._runtime.pending,
                    self._runtime.turns,
                )
                return
            procedure = self._procedure(path)
            _check_kind(procedure, "mutation")
            call = procedure.call(exchange, _timeout(exchange))
        except RpcError as error:
            respond(exchange, told_error(error, path, exchange.request_id), error)
            return
        call.state = exchange
        body = exchange.take_whole(self._limit)
        done = partial(self._done, procedure)
        if body is None:
            gather(
                self._runtime,
                call,
                exchange,
                self._limit,
                lambda call, body: self._start(procedure, call, body),
                lambda call, error: self._runtime.reject(call, error, done),
                done,
            )
        else:
            self._start(procedure, call, body)

    def _procedure(self, path: str) -> Procedure:
        procedure = self._by_path.get(path)
        if procedure is None:
            raise NotFound(f'No procedure found on path "{path[:200]}"')
        return procedure

    def _start(self, procedure: Procedure, call: Call, given: bytes) -> None:
        procedure.start(call, given, partial(self._done, procedure))
        if not call.answered and not procedure.binding.finish_on_disconnect:
            call.state.watch(call.cancel)

    def _done(self, procedure: Procedure, call: Call, value: Any, error: RpcError | None) -> None:
        extra = () if call._response_metadata is None else call._response_metadata.wire_items()
        respond(call.state, procedure.told(value, error, call.request_id), error, extra)

    # Batches

    def _batch_body(self, exchange: Exchange, body: bytes, *, path: str) -> None:
        try:
            self._batch(exchange, path, body, "mutation")
        except RpcError as error:
            respond(exchange, told_error(error, path, exchange.request_id), error)

    def _batch(self, exchange: Exchange, path: str, inputs: str | bytes | None, kind: str) -> None:
        paths = path.split(",", self._options.max_batch)
        if len(paths) > self._options.max_batch:
            raise InvalidArgument(f"a batch has at most {self._options.max_batch} calls", reason="BATCH_TOO_LARGE")
        given = batch_inputs(inputs, len(paths))
        seconds = _timeout(exchange)
        batch = LineBatch if _wants_lines(exchange) else Batch
        batch(self._runtime, exchange, len(paths)).run(
            [(self._by_path.get(each), each) for each in paths], given, kind, seconds
        )

    # Subscriptions

    def _subscribe(self, exchange: Exchange, procedure: Procedure, fields: dict[str, str]) -> None:
        metadata = parameters_from_text(exchange.headers, fields.get("connectionParams"))
        call = procedure.call(exchange, _timeout(exchange), metadata)
        resumed = exchange.headers.get("last-event-id") or fields.get("lastEventId") or fields.get("Last-Event-Id")
        Subscription(self._runtime, procedure, exchange).run(call, fields.get("input", "").encode(), resumed)


def _check_kind(procedure: Procedure, kind: str) -> None:
    """Raises Unimplemented (METHOD_NOT_ALLOWED) for a mutation by GET and a query by POST."""
    if procedure.kind != kind:
        allowed = "POST" if procedure.kind == "mutation" else "GET"
        raise Unimplemented(
            f"{procedure.path} is a {procedure.kind}: {allowed} it",
            reason=METHOD_NOT_ALLOWED,
            metadata={"allow": allowed},
        )


def _timeout(exchange: Exchange) -> float | None:
    text = exchange.headers.get("request-timeout")
    return None if text is None else timeout_s(text)


def _wants_lines(exchange: Exchange) -> bool:
    for name in ("trpc-accept", "accept"):
        if (exchange.headers.get(name) or "").lower().startswith("application/jsonl"):
            return True
    return False


def _refuse_batch(exchange: Exchange, error: RpcError, *, path: str) -> None:
    respond(exchange, told_error(error, path, exchange.request_id), error)


def respond(
    exchange: Exchange, told: Told, error: RpcError | None, extra: tuple[tuple[bytes, bytes], ...] = ()
) -> None:
    """Answer with one envelope."""
    status, body = told
    extra = ((b"x-request-id", exchange.request_id.encode()), *extra)
    if error is not None and error.metadata:
        extra = (*extra, *HeaderBlock((name.lower(), value) for name, value in error.metadata.items()).pairs)
    exchange.respond(status, JSON, body, extra, None, True)
