"""A method made ready to be called: its arguments bound, its interceptors composed, once at start-up."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Any

from polywire.runtime.call import Call
from polywire.runtime.metrics import MethodMetrics
from polywire.runtime.pool import ThreadPool
from polywire.schema.types import Method, Shape
from polywire.service.interceptor import Interceptor, Invoke


class Binding:
    """One method as one protocol offers it."""

    __slots__ = ("finish_on_disconnect", "idle_s", "invoke", "method", "protocol", "record", "timeout_s")

    def __init__(
        self,
        method: Method,
        protocol: str,
        invoke: Invoke,
        metrics: MethodMetrics,
        default_deadline_s: float | None,
        idle_s: float | None,
    ) -> None:
        self.method = method
        self.protocol = protocol
        self.invoke = invoke
        self.record = metrics.record
        if method.deadline_s is not None:
            default_deadline_s = method.deadline_s
        elif method.shape.server_streaming:
            # A stream may well be meant to last: its deadline comes from its caller or its declaration only.
            default_deadline_s = None
        self.timeout_s = default_deadline_s
        self.idle_s = None if method.shape is Shape.UNARY else method.idle_s or idle_s
        self.finish_on_disconnect = method.finish_on_disconnect


def compose(method: Method, instance: object, interceptors: Sequence[Interceptor], pool: ThreadPool) -> Invoke:
    """The whole way from a call to the handler; the first interceptor is the outermost."""
    invoke = _handler(method, instance, pool)
    for interceptor in reversed(interceptors):
        invoke = _intercept(interceptor, invoke)
    return invoke


def _intercept(interceptor: Interceptor, proceed: Invoke) -> Invoke:
    # Of an object its bound method: that is quicker to call than the object.
    function = interceptor if inspect.isroutine(interceptor) else interceptor.__call__
    if inspect.iscoroutinefunction(function):
        return lambda call: function(call, proceed)

    async def invoke(call: Call) -> Any:
        # A plain function: what it does belongs within the call's step, where its errors are answered.
        outcome = interceptor(call, proceed)
        return await outcome if inspect.isawaitable(outcome) else outcome

    return invoke


def _handler(method: Method, instance: object, pool: ThreadPool) -> Invoke:
    function = _by_position(method.function.__get__(instance))
    arguments = method.arguments
    if method.resolves is not None:
        return _resolver(function, arguments or (), method.is_async, pool)
    if method.shape.server_streaming:
        return _streaming(_direct(function, arguments))
    if not method.is_async:
        return _threaded(function, arguments, pool)
    return _direct(function, arguments)


def _by_position(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, taking by position what it declares keyword-only as well."""
    parameters = inspect.signature(function).parameters.values()
    names = [parameter.name for parameter in parameters if parameter.kind is inspect.Parameter.KEYWORD_ONLY]
    if not names:
        return function
    first = len(parameters) - len(names)
    return lambda *values: function(*values[:first], **dict(zip(names, values[first:], strict=True)))


def _direct(function: Callable[..., Any], arguments: tuple[str, ...] | None) -> Callable[[Call], Any]:
    if arguments is None:
        return lambda call: function(call.input)
    if not arguments:
        return lambda call: function()
    if len(arguments) == 1:
        only = attrgetter(arguments[0])
        return lambda call: function(only(call.input))
    several = attrgetter(*arguments)
    return lambda call: function(*several(call.input))


def _resolver(function: Callable[..., Any], arguments: tuple[str, ...], is_async: bool, pool: ThreadPool) -> Invoke:
    """As of a method, with what it resolves a field of as the first argument."""

    def values(call: Call) -> list[Any]:
        return [getattr(call.input, name) for name in arguments]

    async def in_thread(call: Call) -> Any:
        value = await pool.run(function, call.parent, *values(call))
        return await value if inspect.iscoroutine(value) else value

    if not is_async:
        return in_thread
    if not arguments:
        return lambda call: function(call.parent)
    return lambda call: function(call.parent, *values(call))


def _streaming(start: Callable[[Call], Any]) -> Invoke:
    async def invoke(call: Call) -> Any:
        items = start(call)
        # `async def` without a yield gives its iterator only when awaited.
        return await items if inspect.iscoroutine(items) else items

    return invoke


def _threaded(function: Callable[..., Any], arguments: tuple[str, ...] | None, pool: ThreadPool) -> Invoke:
    async def invoke(call: Call) -> Any:
        if arguments is None:
            value = await pool.run(function, call.input)
        else:
            value = await pool.run(function, *[getattr(call.input, name) for name in arguments])
        # A plain function around an async one, as a decorator makes it.
        return await value if inspect.iscoroutine(value) else value

    return invoke
