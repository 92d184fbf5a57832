"""The names of procedures in tRPC: `user.getUser` for `user.UserService/GetUser`."""

from __future__ import annotations

from collections.abc import Sequence

from polywire.schema.errors import SchemaError
from polywire.schema.types import Method, ServiceType


def router_name(service: ServiceType) -> str:
    """The service's name without `Service` at its end, in lowerCamel."""
    name = service.name.removesuffix("Service") or service.name
    return name[:1].lower() + name[1:]


def procedure_name(method: Method) -> str:
    return method.name[:1].lower() + method.name[1:]


def procedures(services: Sequence[ServiceType]) -> dict[str, Method]:
    """What tRPC can carry, by path: unary methods, and server streams as subscriptions.

    Raises SchemaError where two services would be one router.
    """
    found: dict[str, Method] = {}
    routers: dict[str, ServiceType] = {}
    for service in services:
        methods = [method for method in service.methods if not method.shape.client_streaming]
        if not methods:
            continue
        router = router_name(service)
        other = routers.setdefault(router, service)
        if other is not service:
            raise SchemaError(
                service.full_name,
                f"{other.full_name} is {router!r} in tRPC too",
                "give one another name=, or serve no tRPC: App(trpc=TrpcOptions(path=None))",
            )
        found |= {f"{router}.{procedure_name(method)}": method for method in methods}
    return found
