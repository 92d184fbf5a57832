"""GraphQL over HTTP (https://graphql.github.io/graphql-over-http/draft): queries and mutations by POST and GET."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import msgspec

from polywire.errors import (
    METHOD_NOT_ALLOWED,
    NOT_ACCEPTABLE,
    DeadlineExceeded,
    InvalidArgument,
    RpcError,
    Unimplemented,
)
from polywire.http.exchange import Exchange
from polywire.protocols.endpoint import Endpoint, ProtocolServer
from polywire.protocols.graphql.accept import HTML, JSON, RESPONSE, accepted_forms
from polywire.protocols.graphql.events import DistinctStream
from polywire.protocols.graphql.explorer import explorer_headers, explorer_page
from polywire.protocols.graphql.plan_errors import problems_json
from polywire.protocols.graphql.preparation import Preparation
from polywire.protocols.graphql.request import GraphqlRequest, request_from_body, request_from_query
from polywire.protocols.graphql.schema import GraphqlRefusal
from polywire.protocols.graphql.shared_streams import SharedStreams, parameter_of, token_of
from polywire.protocols.graphql.sockets import Sockets
from polywire.protocols.rest.errors import not_json, status_of
from polywire.protocols.rest.negotiation import EVENT_STREAM, is_json, timeout_s
from polywire.runtime.metadata import error_pairs
from polywire.runtime.runtime import Runtime
from polywire.wire import sse
from polywire.wire.headers import HeaderBlock

if TYPE_CHECKING:
    from polywire.protocols.graphql.plan import Pairs, Plan

VARY = ("vary", "accept, accept-encoding")
_BLOCKS = {form: HeaderBlock([("content-type", f"{form}; charset=utf-8"), VARY]) for form in (JSON, RESPONSE)}
_EMPTY = HeaderBlock([VARY])
_TOKEN = HeaderBlock([("content-type", "text/plain; charset=utf-8"), ("cache-control", "no-store"), VARY])
_encode = msgspec.json.Encoder().encode


class GraphqlServer(ProtocolServer):
    """Everything at the one path of GraphQL."""

    def __init__(self, runtime: Runtime) -> None:
        options = runtime.app.graphql
        self._runtime = runtime
        self._path = options.path
        self._limit = runtime.app.max_request_bytes
        self._explores = options.explorer and not options.only_documents
        self._cached: Pairs = ()
        if options.cache_control is not None:
            self._cached = ((b"cache-control", options.cache_control.encode()),)
        if self._path is not None:
            self._preparation = Preparation(runtime)
            self._streams = SharedStreams(runtime, options)

    def routes(self) -> Iterator[tuple[str, str, Endpoint]]:
        if self._path is not None:
            yield self._path, "POST", self.post
            yield self._path, "GET", self.get
            yield self._path, "PUT", self.reserve
            yield self._path, "DELETE", self.stop

    def websockets(self) -> Iterator[tuple[str, Endpoint]]:
        if self._path is not None:
            timeout_s = self._runtime.app.graphql.init_timeout_s
            yield self._path, Sockets(self._runtime, self._preparation, timeout_s)

    def post(self, exchange: Exchange) -> None:
        content_type = exchange.headers.get("content-type") or ""
        if content_type != JSON and not is_json(content_type):
            refuse(exchange, not_json(content_type))
            return
        body = exchange.take_whole(self._limit)
        if body is None:
            _Body(exchange).collect(self)
        else:
            self.read(exchange, body)

    def read(self, exchange: Exchange, body: bytes) -> None:
        try:
            request = request_from_body(body)
        except RpcError as error:
            refuse(exchange, error)
            return
        try:
            token = token_of(exchange)
            if token is not None:
                self._add(exchange, token, request)
                return
        except (RpcError, GraphqlRefusal) as problem:
            refuse(exchange, problem)
            return
        self._run(exchange, request, is_get=False)

    def get(self, exchange: Exchange) -> None:
        if self._explores and prefers_page(exchange):
            exchange.respond(200, _page_block(), explorer_page(), request_id_of(exchange), None, True)
            return
        form = form_of(exchange)
        try:
            if form == EVENT_STREAM:
                if exchange.headers.get("last-event-id") == sse.END_ID:
                    # Of a stream that has ended: the browser is not to come again.
                    exchange.respond(204, _EMPTY, b"", request_id_of(exchange))
                    return
                token = token_of(exchange)
                if token is not None:
                    self._streams.find(token).open(exchange)
                    return
            request = request_from_query(exchange.query)
        except RpcError as error:
            refuse(exchange, error)
            return
        self._run(exchange, request, is_get=True)

    def _run(self, exchange: Exchange, request: GraphqlRequest, *, is_get: bool) -> None:
        form = form_of(exchange)
        try:
            if form is None:
                raise InvalidArgument(f"the answer can only be {RESPONSE} or {JSON}", reason=NOT_ACCEPTABLE)
            seconds = timeout_of(exchange)
            if form == EVENT_STREAM:
                self._stream(exchange, request, seconds, is_get)
                return
            plan, variables = self._preparation.prepare(request)
            if is_get and plan.is_mutation:
                raise _mutation_by_get()
            if plan.is_subscription:
                raise InvalidArgument(
                    f"a subscription is asked for with accept: {EVENT_STREAM}, or over a WebSocket",
                    reason=NOT_ACCEPTABLE,
                )
        except (RpcError, GraphqlRefusal) as problem:
            refuse(exchange, problem)
            return
        self._execute(exchange, form, plan, variables, seconds, self._cached if is_get else ())

    def _execute(
        self,
        exchange: Exchange,
        form: str,
        plan: Plan,
        variables: dict[str, Any],
        seconds: float | None,
        cached: Pairs,
    ) -> None:
        answered = False

        def answer(body: bytes, metadata: Pairs) -> None:
            nonlocal answered
            answered = True
            extra = ((b"x-request-id", exchange.request_id.encode()), *metadata)
            if cached and body.startswith(b'{"data"'):
                # Errors stand before the data.
                extra += cached
            exchange.respond(200, _BLOCKS[form], body, extra, None, True)

        execution = plan.execute(exchange, variables, seconds, answer)
        if not answered:
            exchange.watch(execution.cancel)

    # As events

    def _stream(self, exchange: Exchange, request: GraphqlRequest, seconds: float | None, is_get: bool) -> None:
        """One operation on a stream of its own. Raises RpcError for what is no request at all."""
        try:
            plan, variables = self._preparation.prepare(request)
            if is_get and plan.is_mutation:
                raise _mutation_by_get()
        except GraphqlRefusal as refusal:
            DistinctStream(self._runtime, exchange).operation.refuse(refusal)
            return
        operation = DistinctStream(self._runtime, exchange).operation
        try:
            operation.start(plan, variables, seconds)
        except GraphqlRefusal as refusal:
            operation.refuse(refusal)

    def reserve(self, exchange: Exchange) -> None:
        """PUT: a stream to share."""
        try:
            token = self._streams.reserve(exchange)
        except RpcError as error:
            refuse(exchange, error)
            return
        exchange.respond(201, _TOKEN, token.encode(), request_id_of(exchange))

    def stop(self, exchange: Exchange) -> None:
        """DELETE: an operation on a shared stream."""
        try:
            stream = self._streams.find(token_of(exchange) or "")
            id = parameter_of(exchange, "operationId")
            if not id:
                raise InvalidArgument("the query string must name the operationId")
        except RpcError as error:
            refuse(exchange, error)
            return
        stream.stop(id)
        exchange.respond(200, _EMPTY, b"", request_id_of(exchange))

    def _add(self, exchange: Exchange, token: str, request: GraphqlRequest) -> None:
        """POST: an operation whose responses come on a shared stream. Raises RpcError."""
        stream = self._streams.find(token)
        seconds = timeout_of(exchange)
        try:
            plan, variables = self._preparation.prepare(request)
            operation = stream.add((request.extensions or {}).get("operationId"), exchange)
            try:
                operation.start(plan, variables, seconds)
            except GraphqlRefusal:
                stream.stop(operation.id)
                raise
        except GraphqlRefusal as refusal:
            # 202 says that it runs; anything else is an error (GraphQL over SSE, Single connection mode).
            refuse(exchange, refusal, 400)
            return
        exchange.respond(202, _EMPTY, b"", request_id_of(exchange))

    @property
    def runtime(self) -> Runtime:
        return self._runtime

    @property
    def limit_bytes(self) -> int:
        return self._limit


class _Body:
    """A request's body on its way, for as long as the request may take."""

    __slots__ = ("_exchange", "_timer")

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._timer: asyncio.TimerHandle | None = None

    def collect(self, server: GraphqlServer) -> None:
        runtime = server.runtime
        exchange = self._exchange
        try:
            seconds = timeout_of(exchange)
        except RpcError as error:
            refuse(exchange, error)
            return

        def read(body: _Body, data: bytes) -> None:
            body._stop()
            server.read(exchange, data)

        def refused(body: _Body, error: RpcError) -> None:
            body._stop()
            refuse(exchange, error)

        exchange.collect(server.limit_bytes, read, refused, self, runtime.pending, runtime.turns)
        if exchange.gathering is not None:
            if seconds is None:
                seconds = runtime.app.default_deadline_s
            if seconds is not None:
                self._timer = asyncio.get_running_loop().call_later(seconds, self._too_late)
                exchange.watch(self._stop)

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _too_late(self) -> None:
        refuse(self._exchange, DeadlineExceeded("the deadline has passed"))


def _mutation_by_get() -> RpcError:
    return Unimplemented("a mutation cannot be sent by GET", reason=METHOD_NOT_ALLOWED, metadata={"allow": "POST"})


def prefers_page(exchange: Exchange) -> bool:
    """Whether a browser asks, for a page to look at."""
    forms = accepted_forms(exchange.headers.get("accept") or JSON)
    return bool(forms) and forms[0] == HTML


@functools.cache
def _page_block() -> HeaderBlock:
    return HeaderBlock([*explorer_headers(), VARY])


def form_of(exchange: Exchange) -> str | None:
    """What the caller prefers of the forms of one answer; None: it takes none of them."""
    accept = exchange.headers.get("accept")
    if not accept:
        return JSON
    for form in accepted_forms(accept):
        if form != HTML:
            return form
    return None


def timeout_of(exchange: Exchange) -> float | None:
    """Seconds that the caller gives the request. Raises MalformedInput."""
    text = exchange.headers.get("request-timeout")
    return None if text is None else timeout_s(text)


def request_id_of(exchange: Exchange) -> Pairs:
    return ((b"x-request-id", exchange.request_id.encode()),)


def refuse(exchange: Exchange, problem: RpcError | GraphqlRefusal, refused_status: int = 200) -> None:
    """Answer what was not run, in the form of GraphQL.

    A document that is refused is a result like others to callers who know no more than `application/json`: 200.
    """
    form = RESPONSE if form_of(exchange) == RESPONSE else JSON
    extra = request_id_of(exchange)
    if isinstance(problem, GraphqlRefusal):
        status = 400 if form == RESPONSE else refused_status
    else:
        status = status_of(problem)
        extra += HeaderBlock(error_pairs(problem.metadata)).pairs
    body = _encode({"errors": problems_json(problem, exchange.request_id)})
    exchange.respond(status, _BLOCKS[form], body, extra, None, True)
