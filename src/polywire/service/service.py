"""`Service`: an ordinary class whose decorated methods every protocol offers."""

from __future__ import annotations

import sys
from typing import Any, ClassVar, NamedTuple

from polywire.schema.annotations import scope_of
from polywire.schema.docs import doc_of
from polywire.schema.errors import SchemaError
from polywire.schema.names import check_package, check_service_name
from polywire.schema.numbers import ContractLock
from polywire.schema.types import MessageType, Method, ServiceType
from polywire.schema.walk import reachable
from polywire.service.methods import Owner, read_method
from polywire.service.operations import OPERATION, Operation
from polywire.service.routes import route_key


class Service:
    """Base of every service.

        class UserService(Service, package="user"):
            @query("GET /v1/users/{id}")
            async def get_user(self, id: Int32) -> User: ...

    `async def` methods run on the event loop, plain ones in a pool of threads. `__init__` is the subclass's own.
    Class keywords: `package` (protobuf; default none), `name` (in every protocol; default the class name), `lock`
    (numbers of the committed contract; default: by declared order), `abstract` (a declaration only: a subclass has its
    name and package, and what it overrides is offered as the base says). A subclass of a service offers what its bases
    offer too.

    Raises SchemaError when the subclass is defined.
    """

    __polywire__: ClassVar[ServiceType]
    __polywire_abstract__: ClassVar[bool] = False

    def __init_subclass__(
        cls,
        *,
        package: str | None = None,
        name: str | None = None,
        lock: ContractLock | None = None,
        abstract: bool = False,
        **others: Any,
    ) -> None:
        super().__init_subclass__(**others)
        where = f"{cls.__module__}.{cls.__qualname__}"
        cls.__polywire_abstract__ = abstract
        base = next((one for one in cls.__mro__[1:] if one.__dict__.get("__polywire_abstract__")), None)
        if base is not None and issubclass(base, Service):
            # It stands for the service that the base declares.
            package = base.__polywire__.package if package is None else package
            name = base.__polywire__.name if name is None else name
        package = package or ""
        check_package(package, where)
        own_name = cls.__name__ if name is None else name
        check_service_name(own_name, where)
        full_name = f"{package}.{own_name}" if package else own_name
        # A subclass's own __init_subclass__ may stand between the class statement and this frame.
        frame = sys._getframe(1)
        while frame.f_back is not None and frame.f_code.co_name == "__init_subclass__":
            frame = frame.f_back
        owner = Owner(cls, full_name, package, lock, scope_of(frame) or {})
        read = [
            read_method(owner, python_name, offered.function, offered.operation, offered.declared)
            for python_name, offered in _operations(cls, where).items()
        ]
        methods = tuple(method for method in read if method.resolves is None)
        resolvers = tuple(method for method in read if method.resolves is not None)
        _check_methods(methods, where)
        cls.__polywire__ = ServiceType(own_name, package, full_name, methods, doc_of(cls), resolvers)


class _Offered(NamedTuple):
    function: Any
    operation: Operation
    """What its decorator noted."""
    declared: Any
    """Whose signature is read: the function's own, or that of the abstract base which it overrides."""


def _operations(cls: type, where: str) -> dict[str, _Offered]:
    """By Python name; bases first, in the order of declaration."""
    found: dict[str, _Offered] = {}
    declared: dict[str, type] = {}
    for base in reversed(cls.__mro__):
        for name, value in vars(base).items():
            operation = getattr(value, OPERATION, None)
            if isinstance(operation, Operation):
                found[name] = _Offered(value, operation, value)
                declared[name] = base
            elif name in found and declared[name].__dict__.get("__polywire_abstract__"):
                found[name] = found[name]._replace(function=value)
            elif name in found:
                raise SchemaError(
                    f"{where}.{name}",
                    "it replaces a method that a base offers, but is not offered itself",
                    f"decorate it with @{found[name].operation.kind.value} too, or give it another name",
                )
    return found


def _check_methods(methods: tuple[Method, ...], where: str) -> None:
    names: dict[str, Method] = {}
    routes: dict[tuple[str, str], Method] = {}
    messages: list[MessageType] = []
    for method in methods:
        place = f"{where}.{method.python_name}"
        other = names.setdefault(method.name, method)
        if other is not method:
            raise SchemaError(place, f"{other.python_name!r} is called {method.name} too", "give one a name=")
        for route in method.routes:
            other = routes.setdefault(route_key(route), method)
            if other is not method or method.routes.count(route) > 1:
                raise SchemaError(
                    place,
                    f"the route '{route.verb} {route.template}' is that of {other.python_name!r} too",
                    "change one of the paths",
                )
        messages += (method.input, method.output)
    reachable(messages)
