"""The decorators `query` and `mutation`: they note what was asked for and leave the function as it is."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final, Literal, TypeVar, overload

from polywire.schema.errors import SchemaError
from polywire.schema.message import Message
from polywire.schema.types import MethodKind

F = TypeVar("F", bound=Callable[..., Any])
OnDisconnect = Literal["cancel", "finish"]

_GRAPHQL_NAME: Final = re.compile(r"(?!__)[A-Za-z_][A-Za-z0-9_]*")
_OUR_EVENTS: Final = frozenset({"", "end", "failure", "error", "open"})
"""How a stream over SSE ends, and what EventSource tells of itself."""
OPERATION: Final = "__polywire_operation__"


@dataclass(frozen=True, slots=True)
class Operation:
    """What a decorator was given."""

    kind: MethodKind
    routes: tuple[str, ...]
    name: str | None
    status: int | None
    idempotent: bool
    deadline_s: float | None
    idle_s: float | None
    on_disconnect: str
    graphql: str | None
    event: str | None = None
    resolves: type[Message] | None = None
    request: str | None = None
    """The name of the message that is made of the parameters; default: `<Method>Request`."""


@overload
def query(function: F, /) -> F: ...
@overload
def query(
    *routes: str,
    name: str | None = None,
    status: int | None = None,
    deadline_s: float | None = None,
    idle_s: float | None = None,
    on_disconnect: OnDisconnect = "cancel",
    graphql: str | None = None,
    event: str | None = None,
) -> Callable[[F], F]: ...
def query(
    *routes: Any,
    name: str | None = None,
    status: int | None = None,
    deadline_s: float | None = None,
    idle_s: float | None = None,
    on_disconnect: OnDisconnect = "cancel",
    graphql: str | None = None,
    event: str | None = None,
) -> Any:
    """Offers a method that changes nothing: it may be a GET, be cached and be retried.

    Used bare (`@query`), or with REST routes and options: `@query("GET /v1/users/{id}", "GET /users/{id}")`.

    routes: `GET` and a path template; `{name}` is one segment, `{name*}` the rest of the path. None: no REST.
    name: the method's name in every protocol; default: `get_user` is `GetUser`.
    status: REST status of success, 200 to 299; default 200, or 204 where the result is None.
    deadline_s: seconds a call may take, also where its caller asks for more; default: the app's, which a caller may
    exceed.
    idle_s: seconds that a stream may stand still, no message going either way, before the call ends as
    DEADLINE_EXCEEDED; held to half as much again. Default: the app's.
    on_disconnect: "cancel" stops the method when its caller leaves, "finish" lets it run on.
    graphql: the name of its field in GraphQL; default: `get_user` is `getUser`.
    event: of a stream: the name of its events over SSE, which EventSource hands to the listeners of that name;
    default: none, for `onmessage`.

    Raises SchemaError, at the latest when the class is defined.
    """
    return _decorate(routes, MethodKind.QUERY, name, status, False, deadline_s, idle_s, on_disconnect, graphql, event)


@overload
def mutation(function: F, /) -> F: ...
@overload
def mutation(
    *routes: str,
    name: str | None = None,
    status: int | None = None,
    idempotent: bool = False,
    deadline_s: float | None = None,
    idle_s: float | None = None,
    on_disconnect: OnDisconnect = "cancel",
    graphql: str | None = None,
    event: str | None = None,
) -> Callable[[F], F]: ...
def mutation(
    *routes: Any,
    name: str | None = None,
    status: int | None = None,
    idempotent: bool = False,
    deadline_s: float | None = None,
    idle_s: float | None = None,
    on_disconnect: OnDisconnect = "cancel",
    graphql: str | None = None,
    event: str | None = None,
) -> Any:
    """Offers a method that may change something. As `query`, with POST, PUT, PATCH or DELETE, and:

    idempotent: noted in the method's table; no protocol reads idempotency keys yet.
    """
    return _decorate(
        routes, MethodKind.MUTATION, name, status, idempotent, deadline_s, idle_s, on_disconnect, graphql, event
    )


def _decorate(
    routes: tuple[Any, ...],
    kind: MethodKind,
    name: str | None,
    status: int | None,
    idempotent: bool,
    deadline_s: float | None,
    idle_s: float | None,
    on_disconnect: str,
    graphql: str | None,
    event: str | None,
) -> Any:
    function = None
    if len(routes) == 1 and not isinstance(routes[0], str):
        function, routes = routes[0], ()
    place = f"@{kind.value}"
    note = _noting(
        place,
        _operation(place, routes, kind, name, status, idempotent, deadline_s, idle_s, on_disconnect, graphql, event),
    )
    return note if function is None else note(function)


def _operation(
    place: str,
    routes: tuple[Any, ...],
    kind: MethodKind,
    name: str | None,
    status: int | None,
    idempotent: bool,
    deadline_s: float | None,
    idle_s: float | None,
    on_disconnect: str,
    graphql: str | None,
    event: str | None = None,
) -> Operation:
    for route in routes:
        if not isinstance(route, str):
            raise SchemaError(place, f"the route {route!r} is no string", 'write it like "GET /v1/users/{id}"')
    if on_disconnect not in ("cancel", "finish"):
        raise SchemaError(place, f"on_disconnect={on_disconnect!r} means nothing", 'write "cancel" or "finish"')
    if deadline_s is not None and not 0 < deadline_s < math.inf:
        raise SchemaError(place, f"deadline_s={deadline_s!r} leaves no time", "give a number of seconds above 0")
    if idle_s is not None and not 0 < idle_s < math.inf:
        raise SchemaError(place, f"idle_s={idle_s!r} leaves no time", "give a number of seconds above 0")
    if status is not None and not 200 <= status <= 299:
        raise SchemaError(
            place, f"status={status!r} is no success", "give one from 200 to 299, and raise errors such as NotFound"
        )
    if graphql is not None and not _GRAPHQL_NAME.fullmatch(graphql):
        raise SchemaError(place, f"graphql={graphql!r} is no name for a field", 'write it like graphql="user"')
    if event is not None and (not event.isprintable() or event in _OUR_EVENTS):
        raise SchemaError(place, f"event={event!r} is no name for events", "write one line that is none of ours")
    return Operation(kind, routes, name, status, idempotent, deadline_s, idle_s, on_disconnect, graphql, event)


def resolve(parent: type[Message], *, graphql: str | None = None, deadline_s: float | None = None) -> Callable[[F], F]:
    """Offers a field of a message in GraphQL that this service resolves; other protocols do not see it.

    Of one message, `async def orders(self, user: User, last: Int32 | None = None) -> list[Order]`, or of many at
    once, `users: list[User]` and `-> list[list[Order]]`: then a list of users costs one call, whatever its length, and
    the result has an element for each, in their order. Further parameters are the field's arguments. What is selected
    beneath it is `current_call().selection`.

    parent: the message, as some method of the app returns it.
    graphql: the field's name; default: the function's in lowerCamel.
    deadline_s: seconds it may take; default: what is left to the operation.

    Raises SchemaError, at the latest when the class is defined.
    """
    if not isinstance(parent, type) or not issubclass(parent, Message) or parent is Message:
        raise SchemaError("@resolve", f"{parent!r} is no message", "write @resolve(User)")
    operation = _operation("@resolve", (), MethodKind.QUERY, None, None, False, deadline_s, None, "cancel", graphql)
    note: Callable[[F], F] = _noting("@resolve", replace(operation, resolves=parent))
    return note


def _noting(place: str, operation: Operation) -> Any:
    def note(function: Any) -> Any:
        if isinstance(function, staticmethod | classmethod | property) or not callable(function):
            raise SchemaError(
                f"{place} on {function!r}", "only a method that takes self can be offered", "decorate an ordinary `def`"
            )
        if isinstance(function, type):
            raise SchemaError(f"{place} on {function.__qualname__}", "a class is no method", "derive it from Service")
        if hasattr(function, OPERATION):
            raise SchemaError(f"{place} on {function.__qualname__}", "it is decorated twice", "keep one decorator")
        setattr(function, OPERATION, operation)
        return function

    return note
