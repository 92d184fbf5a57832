"""One procedure: how its calls are made, and what they answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from polywire.codec import Format, method_codec
from polywire.errors import RpcError
from polywire.protocols.trpc.errors import error_shape, trpc_code
from polywire.runtime.binding import Binding
from polywire.runtime.call import Call, Carrier
from polywire.runtime.metadata import Metadata
from polywire.runtime.runtime import Done, Runtime
from polywire.schema.types import MethodKind, Shape

Told = tuple[int, bytes]
"""(HTTP status, the response envelope of one call)."""


class Procedure:
    """A unary method, or a server stream as a subscription."""

    def __init__(self, runtime: Runtime, binding: Binding, path: str) -> None:
        codec = method_codec(binding.method, Format.PLAIN_JSON)
        self.path = path
        self.is_subscription = binding.method.shape is Shape.SERVER_STREAM
        if self.is_subscription:
            self.kind = "subscription"
        else:
            self.kind = "query" if binding.method.kind is MethodKind.QUERY else "mutation"
        self.binding = binding
        self.encode = codec.encode_result
        self._decode = codec.decode_input
        self._runtime = runtime

    def call(self, carrier: Carrier, timeout_s: float | None, metadata: Metadata | None = None) -> Call:
        call = Call(self.binding, carrier)
        if timeout_s is not None:
            call.limit_time(timeout_s)
        if metadata is not None:
            call.metadata = metadata
        return call

    def start(self, call: Call, given: bytes, done: Done) -> None:
        """Run a unary call. given: its input in JSON; b"" where it is undefined."""
        if not self.read(call, given, done):
            return
        self._runtime.dispatch(call, done)

    def read(self, call: Call, given: bytes, done: Done) -> bool:
        """Decode the input; False: it was refused, and `done` has been told."""
        try:
            call.input = self._decode(given)
        except RpcError as error:
            self._runtime.reject(call, error, done)
            return False
        return True

    def told(self, value: Any, error: RpcError | None, request_id: str) -> Told:
        """What came of a unary call."""
        if error is not None:
            return told_error(error, self.path, request_id)
        return 200, result_envelope(self.encode(value))


def result_envelope(data: bytes) -> bytes:
    """data: b"" where there is none."""
    return b'{"result":{"data":' + data + b"}}" if data else b'{"result":{}}'


def told_error(error: RpcError, path: str | None, request_id: str) -> Told:
    return trpc_code(error).status, b'{"error":' + error_shape(error, path, request_id) + b"}"


Answer = Callable[[Told], None]
