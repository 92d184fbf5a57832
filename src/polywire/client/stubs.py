"""A service seen from afar: an instance of a subclass of it, whose methods call the server."""

from __future__ import annotations

import functools
import types
from collections.abc import Callable
from typing import Any, TypeVar, cast

from polywire.client.options import CallOptions, options_here
from polywire.client.pool import Pool
from polywire.client.remote import Remote
from polywire.client.streams import Responses, StreamCall, call_client_stream
from polywire.client.unary import call_unary
from polywire.schema.types import Method, Shape
from polywire.service import Service

S = TypeVar("S", bound=Service)
_KEPT = "__polywire_client__"


class Stub:
    """First base of what is made here: nothing of the service is read again, and its `__init__` does not run."""

    def __init_subclass__(cls, **_: Any) -> None:
        """Not the service's, which would read the methods."""

    def __repr__(self) -> str:
        return f"<client of {self.__polywire__.full_name}>"  # type: ignore[attr-defined]

    def __del__(self) -> None:
        """Not the service's, which may look at what its `__init__` sets."""


def _stub_class(service: type[S]) -> type[S]:
    """Kept in the service itself, and gone with it."""
    kept: type[S] | None = vars(service).get(_KEPT)
    if kept is not None:
        return kept
    made = types.new_class(f"{service.__name__}Client", (Stub, service))
    made.__abstractmethods__ = frozenset()  # type: ignore[attr-defined]
    setattr(service, _KEPT, made)
    return cast(type[S], made)


def make_stub(service: type[S], caller: Callable[[Method], Callable[..., Any]]) -> S:
    """caller: makes what stands in the place of each method."""
    stub = object.__new__(_stub_class(service))
    for method in service.__polywire__.methods:
        stub.__dict__[method.python_name] = functools.update_wrapper(caller(method), method.function)
    return stub


def grpc_caller(pool: Pool, defaults: CallOptions, method: Method) -> Callable[..., Any]:
    """Calls a method over gRPC."""
    remote = Remote(method, pool.target.scheme, pool.target.authority)
    if method.shape is Shape.UNARY:

        def unary(*args: Any, **kwargs: Any) -> Any:
            options = options_here(defaults)
            message = remote.frame(remote.input(args, kwargs), options.compression == "gzip")
            return call_unary(pool, remote, message, options)

        return unary

    if not method.shape.client_streaming:

        def server_stream(*args: Any, **kwargs: Any) -> Any:
            options = options_here(defaults)
            message = remote.frame(remote.input(args, kwargs), options.compression == "gzip")
            return Responses(StreamCall(pool, remote, options, message, None))

        return server_stream

    def client_stream(*args: Any, **kwargs: Any) -> Any:
        items = remote.input(args, kwargs)
        if not hasattr(items, "__aiter__"):
            raise TypeError(f"{method.full_name} takes an asynchronous iterator, not {type(items).__name__}")
        call = StreamCall(pool, remote, options_here(defaults), None, items)
        return Responses(call) if method.shape.server_streaming else call_client_stream(call)

    return client_stream
