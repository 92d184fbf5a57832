"""How one name is spelt in each language, and which names no language could carry."""

from __future__ import annotations

import re
from typing import Final

from polywire.schema.errors import SchemaError

_IDENTIFIER = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_PACKAGE = re.compile(r"[A-Za-z][A-Za-z0-9_]*(\.[A-Za-z][A-Za-z0-9_]*)*")
_WORD_START = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")

RESERVED_TYPE_NAMES: Final = frozenset(
    {"Query", "Mutation", "Subscription", "String", "Int", "Float", "Boolean", "ID", "Int64", "UInt32", "UInt64"}
)
"""GraphQL's own types, and the scalars that polywire adds to them."""


def lower_camel(name: str) -> str:
    """`user_id` -> `userId`, by protobuf's rule for JSON names: underscores go, the letter after one is raised."""
    head, *rest = name.split("_")
    return head + "".join(part[:1].upper() + part[1:] for part in rest)


def upper_camel(name: str) -> str:
    """`get_user` -> `GetUser`."""
    return "".join(part[:1].upper() + part[1:] for part in name.split("_"))


def snake(name: str) -> str:
    """`HTTPRoute` -> `http_route`."""
    return _WORD_START.sub("_", name).lower()


def upper_snake(name: str) -> str:
    """`OrderStatus` -> `ORDER_STATUS`."""
    return snake(name).upper()


def check_field_name(name: str, where: str) -> None:
    if not _IDENTIFIER.fullmatch(name):
        raise SchemaError(
            where,
            f"the name {name!r} cannot be said in every protocol",
            "begin it with an ASCII letter and go on with ASCII letters, digits and underscores",
        )


def check_type_name(name: str, where: str) -> None:
    if name in RESERVED_TYPE_NAMES:
        raise SchemaError(where, f"the name {name!r} is GraphQL's own", f"call the class {name}Value, for example")
    check_service_name(name, where)


def check_service_name(name: str, where: str) -> None:
    """GraphQL has no names of services."""
    if not _IDENTIFIER.fullmatch(name.removeprefix("_")):
        raise SchemaError(
            where,
            f"the name {name!r} cannot be said in every protocol",
            "begin it with an ASCII letter and go on with ASCII letters, digits and underscores",
        )


def check_package(package: str, where: str) -> None:
    """Refuses what is no protobuf package; "" (no package) is one."""
    if package and not _PACKAGE.fullmatch(package):
        raise SchemaError(where, f"package={package!r} is no protobuf package", 'write it like package="shop.orders"')
