"""Reads one decorated function into a `Method`."""

from __future__ import annotations

import collections.abc
import inspect
import re
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from polywire.schema.annotations import nested_classes, resolve
from polywire.schema.docs import doc_of
from polywire.schema.errors import SchemaError
from polywire.schema.message import RESULT, Message, MessageMeta
from polywire.schema.names import lower_camel, upper_camel
from polywire.schema.numbers import ContractLock
from polywire.schema.reader import read_generated
from polywire.schema.types import MessageType, Method, MethodKind, ResultForm, Shape
from polywire.schema.values import Extras, strip
from polywire.schema.well_known import EMPTY
from polywire.service.operations import Operation
from polywire.service.routes import check_parameters, parse_route
from polywire.service.tracked import Tracked

_STREAMS: Final = frozenset(
    {collections.abc.AsyncIterator, collections.abc.AsyncIterable, collections.abc.AsyncGenerator}
)
_SYNC_STREAMS: Final = frozenset({collections.abc.Iterator, collections.abc.Iterable, collections.abc.Generator})
_METHOD_NAME = re.compile(r"[A-Z][A-Za-z0-9]*")
_GIVEN_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
"""A contract that is older than the service may spell it otherwise."""


@dataclass(frozen=True, slots=True)
class Owner:
    """The service that a method is read for."""

    cls: type
    full_name: str
    package: str
    lock: ContractLock | None
    scope: Mapping[str, Any]
    """Local names where the class is defined."""


@dataclass(frozen=True, slots=True)
class _Input:
    message: MessageType
    arguments: tuple[str, ...] | None
    stream_argument: str | None = None


def read_method(
    owner: Owner,
    python_name: str,
    function: Callable[..., Any],
    operation: Operation,
    declared: Callable[..., Any] | None = None,
) -> Method:
    """The table of one method. declared: whose signature it has; default: its own. Raises SchemaError."""
    where = f"{owner.cls.__module__}.{owner.cls.__qualname__}.{python_name}"
    name = operation.name or upper_camel(python_name.strip("_"))
    if not (_METHOD_NAME if operation.name is None else _GIVEN_NAME).fullmatch(name):
        raise SchemaError(where, f"{name!r} is no name for a method", 'write it like name="GetUser"')
    declared = declared or function
    reading = _Signature(owner, declared, where, name, declared is not function, operation.request)
    parent, batched = reading.parent(operation.resolves) if operation.resolves is not None else (None, False)
    input_ = reading.input()
    if parent is not None and input_.stream_argument is not None:
        raise SchemaError(where, "a field has no stream of arguments", "take them as single values")
    output, form, streams_out, tracked = reading.output(batched)
    shape = {
        (False, False): Shape.UNARY,
        (False, True): Shape.SERVER_STREAM,
        (True, False): Shape.CLIENT_STREAM,
        (True, True): Shape.BIDI_STREAM,
    }[input_.stream_argument is not None, streams_out]
    if operation.status == 204 and form is not ResultForm.EMPTY:
        raise SchemaError(where, "status=204 has no body, and the method returns something", "return None")
    if operation.idle_s is not None and shape is Shape.UNARY:
        raise SchemaError(where, "idle_s is for streams", "limit a single answer by deadline_s")
    if operation.event is not None and not streams_out:
        raise SchemaError(where, "event= is for streams", "leave it out of a single answer")
    if operation.idempotent and shape is not Shape.UNARY:
        raise SchemaError(where, "idempotent=True needs one request and one answer", "leave it out of a stream")
    if shape.client_streaming and operation.routes and operation.kind is MethodKind.QUERY:
        path = operation.routes[0].partition(" ")[2]
        raise SchemaError(
            where,
            f"the stream {input_.stream_argument!r} is sent as a body, which no route of a query has",
            f'write @mutation("POST {path if path and "{" not in path else "/..."}"), or leave the route out',
        )
    routes = []
    for text in operation.routes:
        route = parse_route(text, operation.kind, where)
        check_parameters(route, input_.message, shape.client_streaming, where)
        routes.append(route)
    is_async = inspect.iscoroutinefunction(function) or streams_out
    if input_.stream_argument is not None and not is_async:
        raise SchemaError(where, "a plain function cannot read an async stream", f"write `async def {python_name}`")
    return Method(
        name,
        python_name,
        owner.full_name,
        operation.kind,
        shape,
        input_.message,
        output,
        form,
        input_.arguments,
        input_.stream_argument,
        tuple(routes),
        operation.status,
        operation.idempotent,
        operation.deadline_s,
        operation.idle_s,
        tracked,
        operation.on_disconnect == "finish",
        is_async,
        function,
        doc_of(function) or doc_of(declared),
        operation.graphql or lower_camel(python_name.strip("_") if operation.name is None else name),
        parent,
        batched,
        operation.event,
    )


class _Signature:
    def __init__(
        self,
        owner: Owner,
        function: Callable[..., Any],
        where: str,
        name: str,
        is_inherited: bool,
        request: str | None,
    ) -> None:
        """is_inherited: an abstract base declares it, and its names mean what they mean there."""
        self._owner = owner
        self._is_inherited = is_inherited
        self._function = function
        self._where = where
        self._name = name
        self._request = request or f"{name}Request"
        signature = inspect.signature(function)
        parameters = list(signature.parameters.values())
        if not parameters or parameters[0].kind not in (
            inspect.Parameter.POSITIONAL_ONLY,
            inspect.Parameter.POSITIONAL_OR_KEYWORD,
        ):
            raise SchemaError(where, "it does not take self", f"write `def {function.__name__}(self, ...)`")
        self._parameters = parameters[1:]
        self._result = signature.return_annotation

    def parent(self, cls: type[Message]) -> tuple[MessageType, bool]:
        """The message that a resolver's first parameter is, and whether it takes a list of them."""
        one, many = cls.__name__, f"list[{cls.__name__}]"
        if not self._parameters:
            raise SchemaError(self._where, f"it does not take the {one} whose field it is", f"take `of: {one}` first")
        first, *self._parameters = self._parameters
        hint = self._parameter_hint(first)
        if hint is not cls and hint != list[cls]:  # type: ignore[valid-type]
            raise SchemaError(
                f"{self._where}({first.name})", f"a field of {one} is resolved of {one} or {many}", f"write {many}"
            )
        return self._read(cls), hint is not cls

    def input(self) -> _Input:
        hints = {parameter.name: self._parameter_hint(parameter) for parameter in self._parameters}
        streams = [name for name, hint in hints.items() if typing.get_origin(hint) in _STREAMS or hint in _STREAMS]
        if streams:
            return self._stream_input(streams[0], hints)
        if len(hints) == 1:
            ((parameter, hint),) = zip(self._parameters, hints.values(), strict=True)
            if _is_message(hint) and parameter.default is inspect.Parameter.empty:
                return _Input(self._read(hint), None)
        defaults = {
            parameter.name: parameter.default
            for parameter in self._parameters
            if parameter.default is not inspect.Parameter.empty
        }
        message = self._generate(self._request, hints, defaults, self._where)
        return _Input(message, tuple(hints))

    def _stream_input(self, name: str, hints: dict[str, Any]) -> _Input:
        if len(hints) > 1:
            raise SchemaError(
                self._where,
                f"the stream {name!r} stands alone, there is no message that could carry the other parameters",
                "put them into the messages of the stream, or into metadata",
            )
        arguments = typing.get_args(hints[name])
        if not arguments or not _is_message(arguments[0]):
            raise SchemaError(
                self._where,
                f"the stream {name!r} is not one of messages",
                "declare a Message for what is sent and write AsyncIterator[ThatMessage]",
            )
        return _Input(self._read(arguments[0]), None, name)

    def output(self, batched: bool) -> tuple[MessageType, ResultForm, bool, bool]:
        """The message of the result, its form, whether it is a stream, and whether that tells positions.

        batched: of an element of the list that it must be.
        """
        if self._result is inspect.Signature.empty:
            raise SchemaError(self._where, "it does not say what it returns", "write `-> User`, or `-> None`")
        hint = self._resolve(self._result, self._where + RESULT)
        if batched:
            if typing.get_origin(hint) is not list:
                raise SchemaError(
                    self._where, "it takes a list, and does not give one", "return a list with the field of each"
                )
            (hint,) = typing.get_args(hint)
        origin = typing.get_origin(hint) or hint
        if origin in _SYNC_STREAMS:
            raise SchemaError(
                self._where, "a stream is asynchronous", "write `async def` and `-> AsyncIterator[...]`, and yield"
            )
        streams = origin in _STREAMS
        tracked = False
        if streams:
            arguments = typing.get_args(hint)
            if not arguments:
                raise SchemaError(
                    self._where, "a plain AsyncIterator does not say what it yields", "write AsyncIterator[User]"
                )
            hint = arguments[0]
            if hint is Tracked:
                raise SchemaError(self._where, "Tracked does not say of what", "write AsyncIterator[Tracked[User]]")
            if typing.get_origin(hint) is Tracked:
                tracked = True
                (hint,) = typing.get_args(hint)
            if inspect.isgeneratorfunction(inspect.unwrap(self._function)):
                raise SchemaError(self._where, "it yields, but is no `async def`", "write `async def`")
            if hint in (None, type(None)):
                raise SchemaError(self._where, "a stream of None carries nothing", "yield a Message")
        elif inspect.isasyncgenfunction(self._function):
            raise SchemaError(self._where, "it yields, but its result is no stream", "write `-> AsyncIterator[...]`")
        elif inspect.isgeneratorfunction(self._function):
            raise SchemaError(self._where, "it yields, but is no `async def`", "write `async def`")
        elif tracked_hint := _tracked_within(hint):
            raise SchemaError(
                self._where, "only an item of a stream has a position", f"write AsyncIterator[{tracked_hint}]"
            )
        if hint in (None, type(None)):
            return EMPTY, ResultForm.EMPTY, False, False
        if _is_message(hint):
            return self._read(hint), ResultForm.MESSAGE, streams, tracked
        return self._wrapped(hint), ResultForm.WRAPPED, streams, tracked

    def _wrapped(self, hint: Any) -> MessageType:
        bare = strip(hint, Extras())
        is_many = bare in (list, dict) or typing.get_origin(bare) in (list, dict)
        field = "values" if is_many else "value"
        # An optional value is absent from the wrapper where the result is None.
        defaults = {field: None} if type(None) in typing.get_args(bare) else {}
        return self._generate(f"{self._name}Response", {field: hint}, defaults, self._where + RESULT)

    def _parameter_hint(self, parameter: inspect.Parameter) -> Any:
        place = f"{self._where}({parameter.name})"
        if parameter.kind in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD):
            raise SchemaError(place, "a contract names every parameter", "write them out")
        if parameter.kind is inspect.Parameter.POSITIONAL_ONLY:
            raise SchemaError(place, "parameters are passed by name", "take the `/` out")
        if parameter.annotation is inspect.Parameter.empty:
            raise SchemaError(place, "it has no type", f"write `{parameter.name}: str`, for example")
        return self._resolve(parameter.annotation, place)

    def _resolve(self, annotation: Any, where: str) -> Any:
        function = inspect.unwrap(self._function)
        cls = self._owner.cls
        local: dict[str, Any] = {}
        if not self._is_inherited:
            local = {**self._owner.scope, **nested_classes(vars(cls)), cls.__name__: cls}
        return resolve(annotation, getattr(function, "__globals__", {}), local, where)

    def _generate(self, name: str, hints: dict[str, Any], defaults: dict[str, Any], origin: str) -> MessageType:
        owner = self._owner
        namespace: dict[str, Any] = {
            "__module__": owner.cls.__module__,
            "__qualname__": f"{owner.cls.__qualname__}.{name}",
            "__annotations__": hints,
            **defaults,
        }
        seen_default = False
        kw_only = False
        for field in hints:
            kw_only = kw_only or (seen_default and field not in defaults)
            seen_default = seen_default or field in defaults
        try:
            cls = MessageMeta(name, (Message,), namespace, kw_only=kw_only)
        except SchemaError as error:
            raise SchemaError(self._where, error.problem, error.instead) from error.__cause__
        cls.__polywire_origin__ = origin
        cls.__polywire_scope__ = None
        return self._read(cls)

    def _read(self, cls: Any) -> MessageType:
        return read_generated(cls, self._owner.package, self._owner.lock, dict(self._owner.scope))


def _tracked_within(hint: Any) -> str:
    """How the Tracked that `hint` is, or is a list or an optional of, is written; "" for none."""
    if hint is Tracked:
        return "Tracked[...]"
    if typing.get_origin(hint) is Tracked:
        (of,) = typing.get_args(hint)
        return f"Tracked[{getattr(of, '__name__', '...')}]"
    return next(filter(None, map(_tracked_within, typing.get_args(hint))), "")


def _is_message(hint: Any) -> bool:
    return isinstance(hint, MessageMeta) and hint is not Message and hint.__polywire_union_members__ is None
