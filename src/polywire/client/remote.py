"""A method as it is called from afar, and the terms of one call."""

from __future__ import annotations

from collections.abc import Callable
from inspect import Parameter, signature
from time import monotonic
from typing import Any

from polywire.client.options import CallOptions, Pairs
from polywire.codec import Format, method_codec
from polywire.codec.results import WrongResult
from polywire.errors import DeadlineExceeded, InvalidInput
from polywire.protocols.rpc import framing
from polywire.schema.types import Method
from polywire.tasks.eager import CURRENT_CALL
from polywire.wire.http2_client import RequestHead

CANCEL = 8
"""RFC 9113 §7."""


class Remote:
    """One method of a channel's server: its heads laid out, its codec looked up, its arguments bound by name."""

    def __init__(self, method: Method, scheme: str, authority: str) -> None:
        codec = method_codec(method, Format.PROTOBUF)
        self.method = method
        self.decode: Callable[[bytes], Any] = codec.decode_result
        self._encode = codec.encode_input
        self._input = method.input.cls
        self._signature = signature(method.function)
        parameters = list(self._signature.parameters.values())[1:]
        self._names = tuple(one.name for one in parameters)
        self._only = set(self._names)
        self._by_position = sum(one.kind is not Parameter.KEYWORD_ONLY for one in parameters)
        fields = [
            ("te", "trailers"),
            ("content-type", "application/grpc"),
            ("user-agent", "polywire"),
            ("grpc-accept-encoding", framing.ACCEPTED_CODINGS),
        ]
        self._head = RequestHead("POST", scheme, authority, method.path, fields)
        self._head_gzip = RequestHead("POST", scheme, authority, method.path, [*fields, ("grpc-encoding", "gzip")])

    def head(self, gzip: bool) -> RequestHead:
        return self._head_gzip if gzip else self._head

    def input(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """The request message, or the stream. Raises TypeError as the method itself would."""
        values = kwargs
        if args:
            values = dict(zip(self._names, args, strict=False))
            if len(args) > self._by_position or not values.keys().isdisjoint(kwargs):
                raise self._mistake(args, kwargs)
            values |= kwargs
        try:
            if self.method.arguments is not None:
                return self._input(**values)
            if values.keys() == self._only:
                return values[self._names[0]]
        except TypeError:
            raise self._mistake(args, kwargs) from None
        raise self._mistake(args, kwargs)

    def _mistake(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> TypeError:
        try:
            self._signature.bind(None, *args, **kwargs)
        except TypeError as error:
            return TypeError(f"{self.method.full_name}: {error}")
        return TypeError(f"{self.method.full_name} cannot be called with these arguments")

    def frame(self, message: Any, gzip: bool) -> bytes:
        """A message as it is sent. Raises InvalidInput, as the server would, for one that breaks its schema."""
        try:
            data = self._encode(message)
        except WrongResult as error:
            raise InvalidInput(str(error)) from None
        if gzip and len(data) >= framing.SMALLEST_COMPRESSED_BYTES:
            return framing.frame_compressed("gzip", data)
        return len(data).to_bytes(5) + data


class Terms:
    """What holds for one call: its options, and what the call that it runs within leaves it."""

    __slots__ = ("_pairs", "deadline", "gzip", "wait_for_ready")

    def __init__(self, options: CallOptions) -> None:
        self.gzip = options.compression == "gzip"
        self.wait_for_ready = bool(options.wait_for_ready)
        self.deadline = None if options.timeout_s is None else monotonic() + options.timeout_s
        """When it must be over, on the monotonic clock."""
        self._pairs: Pairs = options.metadata
        call = CURRENT_CALL.get(None)
        if call is not None:
            left = call.deadline
            if left is not None and (self.deadline is None or left < self.deadline):
                self.deadline = left
            if all(name != b"x-request-id" for name, _ in self._pairs):
                self._pairs = (*self._pairs, (b"x-request-id", call.request_id.encode("latin-1")))

    def check(self) -> None:
        """Raises DeadlineExceeded where no time is left: then nothing need be sent."""
        if self.expired:
            raise DeadlineExceeded("the deadline has passed before the call")

    @property
    def expired(self) -> bool:
        return self.deadline is not None and self.deadline <= monotonic()

    def texts(self) -> dict[str, str]:
        """The metadata by name, for protocols that have one value of each; binary ones are base64 already."""
        return {name.decode("latin-1"): value.decode("latin-1") for name, value in self._pairs}

    def fields(self) -> Pairs:
        """What is sent beside the method's own fields, with the time that is left now."""
        if self.deadline is None:
            return self._pairs
        return ((b"grpc-timeout", timeout_text(max(0.0, self.deadline - monotonic()))), *self._pairs)


def timeout_text(timeout_s: float) -> bytes:
    """As grpc-timeout has it, rounded up: up to 8 digits and a unit (gRPC over HTTP/2, Requests)."""
    for unit, scale in ((b"u", 1e6), (b"m", 1e3), (b"S", 1.0)):
        count = int(timeout_s * scale) + 1
        if count < 10**8:
            return b"%d%s" % (count, unit)
    return b"99999999S"
