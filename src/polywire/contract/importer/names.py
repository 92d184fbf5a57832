"""Names of .proto files as Python has them."""

from __future__ import annotations

import keyword

from polywire.protofile import Enum
from polywire.schema.names import RESERVED_TYPE_NAMES, snake, upper_snake

_TAKEN = frozenset(
    {
        "AsyncIterator",
        "Annotated",
        "FieldNumber",
        "Fixed32",
        "Fixed64",
        "Float32",
        "Int32",
        "Int64",
        "Message",
        "SFixed32",
        "SFixed64",
        "SInt32",
        "SInt64",
        "Service",
        "UInt32",
        "UInt64",
        "Unimplemented",
        "datetime",
        "enum",
        "mutation",
        "query",
        "timedelta",
    }
)
"""What a module imports."""
_STRUCT = frozenset({"rename", "mro"})


def module_name(file: str) -> str:
    """`shop_v1_orders_pb` for `shop/v1/orders.proto`."""
    stem = file.removesuffix(".proto").replace("/", "_").replace("-", "_").replace(".", "_")
    return f"{stem}_pb"


def class_name(name: str) -> str:
    if name in _TAKEN or name in RESERVED_TYPE_NAMES or keyword.iskeyword(name):
        return f"{name}Message"
    return name


def field_name(name: str) -> str:
    """With an underscore behind it where Python keeps the name for itself; the bytes do not depend on it."""
    if keyword.iskeyword(name) or name in _STRUCT:
        return f"{name}_"
    return name if not name.startswith("_") else f"f{name}"


def method_name(name: str) -> str:
    python = snake(name[:1].upper() + name[1:])
    return f"{python}_" if keyword.iskeyword(python) else python


def value_names(enum: Enum) -> dict[str, str]:
    """Python's names of an enum's values, by those in the file: without the prefix that proto3 style asks for."""
    prefix = f"{upper_snake(enum.name)}_"
    names = {}
    for value in enum.values:
        short = value.name.removeprefix(prefix)
        names[value.name] = short if short[:1].isalpha() and not keyword.iskeyword(short) else value.name
    return names


def is_closed(enum: Enum) -> bool:
    """Whether it can be an `enum.Enum`: 0 says nothing, all else is above it and has one name, with the prefix."""
    prefix = f"{upper_snake(enum.name)}_"
    numbers = [value.number for value in enum.values]
    return (
        enum.values[0].name == f"{prefix}UNSPECIFIED"
        and len(enum.values) > 1
        and min(numbers[1:]) > 0
        and len(set(numbers)) == len(numbers)
        and all(value.name.startswith(prefix) and value.name[len(prefix) :][:1].isalpha() for value in enum.values)
    )
