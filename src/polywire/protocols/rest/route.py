"""A REST route of a method with one answer: JSON in and out."""

from __future__ import annotations

from typing import Any

from polywire.codec import Format, method_codec
from polywire.codec.parameters import request_binder
from polywire.errors import (
    NOT_ACCEPTABLE,
    InvalidArgument,
    MalformedInput,
    RpcError,
)
from polywire.http.conditional import Outcome, Validators, evaluate
from polywire.http.exchange import Exchange
from polywire.protocols.gather import gather
from polywire.protocols.rest.errors import not_json, respond_error
from polywire.protocols.rest.negotiation import accepts_json, is_json, timeout_s
from polywire.runtime.binding import Binding
from polywire.runtime.call import Call
from polywire.runtime.runtime import Runtime
from polywire.schema.types import Method, ResultForm, Route
from polywire.wire.headers import HeaderBlock

_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})
_JSON = HeaderBlock([("content-type", "application/json"), ("vary", "accept, accept-encoding")])
_EMPTY = HeaderBlock()
_VARY = HeaderBlock([("vary", "accept, accept-encoding")])


class RestRoute:
    """One route of one method."""

    __slots__ = (
        "_binding",
        "_block",
        "_done",
        "_encode",
        "_input",
        "_limit",
        "_reject",
        "_runtime",
        "_status",
        "_takes_body",
        "_then",
    )

    def __init__(self, runtime: Runtime, binding: Binding, method: Method, route: Route) -> None:
        self._runtime = runtime
        self._binding = binding
        self._takes_body = route.verb in _WITH_BODY
        self._limit = runtime.app.max_request_bytes
        self._input = request_binder(method, route)
        self._encode = method_codec(method, Format.PLAIN_JSON).encode_result
        empty = method.result_form is ResultForm.EMPTY
        self._status = method.status or (204 if empty else 200)
        self._block = _EMPTY if empty else _JSON
        self._done = self._answer
        # Bound once; a bound method is an object of its own at each look-up.
        self._then = self._run
        self._reject = self._refuse

    def __call__(self, exchange: Exchange) -> None:
        headers = exchange.headers
        try:
            accept = headers.get("accept")
            if accept is not None:
                self._check_accept(accept)
            call = Call(self._binding, exchange)
            timeout = headers.get("request-timeout")
            if timeout is not None:
                call.limit_time(timeout_s(timeout))
        except RpcError as error:
            respond_error(exchange, error)
            return
        call.state = exchange
        self._take_input(call, exchange)

    def _check_accept(self, accept: str) -> None:
        """Raises InvalidArgument where the answer cannot be in any form that is accepted."""
        if not accepts_json(accept):
            raise InvalidArgument("the answer can only be application/json", reason=NOT_ACCEPTABLE)

    def _take_input(self, call: Call, exchange: Exchange) -> None:
        if self._takes_body:
            body = exchange.take_whole(self._limit)
            if body is None:
                gather(self._runtime, call, exchange, self._limit, self._then, self._reject, self._done)
            else:
                self._run(call, body)
        elif exchange.sink.has_body:
            self._refuse(call, MalformedInput(f"{exchange.method} takes no body here"))
        else:
            self._run(call, b"")

    def _refuse(self, call: Call, error: RpcError) -> None:
        self._runtime.reject(call, error, self._done)

    def _run(self, call: Call, body: bytes) -> None:
        exchange: Exchange = call.state
        try:
            if body and not is_json(content_type := exchange.headers.get("content-type") or ""):
                raise not_json(content_type)
            call.input = self._input(exchange.variables, exchange.query, body)
        except RpcError as error:
            self._refuse(call, error)
            return
        self._launch(call)

    def _launch(self, call: Call) -> None:
        """Run the call, whose input is there, and watch its caller."""
        exchange: Exchange = call.state
        self._runtime.dispatch(call, self._done)
        if not call.answered and not self._binding.finish_on_disconnect:
            exchange.watch(call.cancel)

    def _answer(self, call: Call, value: Any, error: RpcError | None) -> None:
        exchange: Exchange = call.state
        extra: tuple[tuple[bytes, bytes], ...] = ()
        if call._response_metadata is not None:
            extra = call._response_metadata.wire_items()
        if error is not None:
            respond_error(exchange, error, extra)
            return
        if extra and _is_known(exchange, extra):
            exchange.respond(304, _VARY, b"", ((b"x-request-id", call.request_id.encode()), *extra))
            return
        body = self._encode(value)
        trailers = None if call._trailers is None else HeaderBlock(call._trailers.wire_items())
        exchange.respond(
            self._status, self._block, body, ((b"x-request-id", call.request_id.encode()), *extra), trailers, True
        )


def _is_known(exchange: Exchange, extra: tuple[tuple[bytes, bytes], ...]) -> bool:
    """Whether the caller of a GET has what the handler's `etag` names already (RFC 9110 §13.1.2)."""
    if exchange.method not in ("GET", "HEAD") or exchange.headers.get("if-none-match") is None:
        return False
    etag = next((value for name, value in extra if name == b"etag"), None)
    if etag is None:
        return False
    return evaluate("GET", exchange.headers, Validators(etag.decode("latin-1"))) is Outcome.NOT_MODIFIED
