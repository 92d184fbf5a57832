"""Several calls in one request: answered together, or each on lines of its own as it is ready (JSONL)."""

from __future__ import annotations

from functools import partial
from typing import Any

from polywire.errors import METHOD_NOT_ALLOWED, NotFound, RpcError, Unimplemented
from polywire.http.exchange import Exchange
from polywire.protocols.rest.streams import UNBUFFERED
from polywire.protocols.trpc.procedure import Procedure, Told, told_error
from polywire.runtime.call import Call
from polywire.runtime.runtime import Runtime
from polywire.wire.headers import HeaderBlock

_VARY = ("vary", "trpc-accept, accept")
_JSON = HeaderBlock([("content-type", "application/json"), _VARY])
_LINES = HeaderBlock([("content-type", "application/json"), *UNBUFFERED, ("vary", "trpc-accept")])
_MIXED_STATUS = 207


class Batch:
    """Answered when all of its calls have been: an array, in their order."""

    def __init__(self, runtime: Runtime, exchange: Exchange, count: int) -> None:
        self._runtime = runtime
        self._exchange = exchange
        self._told: list[Told | None] = [None] * count
        self._left = count
        self._open: set[Call] = set()

    def run(
        self, calls: list[tuple[Procedure | None, str]], inputs: list[bytes], kind: str, timeout_s: float | None
    ) -> None:
        """Begin all of them; each may end at once."""
        exchange = self._exchange
        self._begin()
        for place, ((procedure, path), given) in enumerate(zip(calls, inputs, strict=True)):
            error = _refusal(procedure, path, kind)
            if error is not None:
                self._settle(place, told_error(error, path, exchange.request_id))
                continue
            assert procedure is not None
            call = procedure.call(exchange, timeout_s)
            procedure.start(call, given, partial(self._done, procedure, place))
            if not call.answered and not procedure.binding.finish_on_disconnect:
                self._open.add(call)
        if self._left:
            exchange.watch(self._cancel)

    def _cancel(self) -> None:
        for call in list(self._open):
            call.cancel()

    def _done(self, procedure: Procedure, place: int, call: Call, value: Any, error: RpcError | None) -> None:
        told = procedure.told(value, error, call.request_id)
        self._open.discard(call)
        self._settle(place, told)

    def _settle(self, place: int, told: Told) -> None:
        self._told[place] = told
        self._left -= 1
        self._ready(place, told)
        if not self._left:
            self._end()

    def _begin(self) -> None:
        """Before the first call."""

    def _ready(self, place: int, told: Told) -> None:
        """One of them has been answered."""

    def _end(self) -> None:
        told = [one for one in self._told if one is not None]
        statuses = {status for status, _ in told}
        status = statuses.pop() if len(statuses) == 1 else _MIXED_STATUS
        body = b"[" + b",".join(envelope for _, envelope in told) + b"]"
        extra = ((b"x-request-id", self._exchange.request_id.encode()),)
        self._exchange.respond(status, _JSON, body, extra, None, True)


class LineBatch(Batch):
    """Answered line by line: first what is to come, then each answer in three chunks, for httpBatchStreamLink.

    A chunk is [its id, 0 for a promise that was kept, what it is]; what it is says which parts are chunks to come.
    """

    def _begin(self) -> None:
        count = self._left
        self._next_chunk = count
        head = b",".join(b'"%d":[[0],[null,0,%d]]' % (place, place) for place in range(count))
        extra = ((b"x-request-id", self._exchange.request_id.encode()),)
        self._exchange.start(200, _LINES, extra)
        self._exchange.write(b"{" + head + b"}\n")
        self._runtime.heartbeats.add(self)

    def _ready(self, place: int, told: Told) -> None:
        status, envelope = told
        if status != 200:
            self._exchange.write(b"[%d,0,[[%s]]]\n" % (place, envelope))
            return
        result = self._next_chunk
        data = result + 1
        self._next_chunk += 2
        value = envelope.removeprefix(b'{"result":{"data":').removesuffix(b"}}") if b'"data":' in envelope else b""
        self._exchange.write(
            b'[%d,0,[[{"result":0}],["result",0,%d]]]\n[%d,0,[[{"data":0}],["data",0,%d]]]\n[%d,0,[[%s]]]\n'
            % (place, result, result, data, data, value)
        )

    def beat(self) -> None:
        if not self._exchange.is_blocked:
            self._exchange.write(b" ")

    def _cancel(self) -> None:
        self._runtime.heartbeats.discard(self)
        super()._cancel()

    def _end(self) -> None:
        self._runtime.heartbeats.discard(self)
        self._exchange.finish()


def _refusal(procedure: Procedure | None, path: str, kind: str) -> RpcError | None:
    if procedure is None:
        return NotFound(f'No procedure found on path "{path[:200]}"')
    if procedure.kind != kind:
        return Unimplemented(f"{path} is a {procedure.kind}, not a {kind}", reason=METHOD_NOT_ALLOWED)
    return None
