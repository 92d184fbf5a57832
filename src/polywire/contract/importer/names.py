"""Names of .proto files as Python has them. What a file says becomes code, so nothing but identifiers comes out."""

from __future__ import annotations

import keyword
import re
from collections.abc import Callable, Collection, Iterable
from typing import Final

from polywire.protofile import Enum, Message, Service
from polywire.schema.names import RESERVED_TYPE_NAMES, lower_camel, snake, upper_snake

_IMPORTED: Final = frozenset(
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
"""What a module may import."""
_BUILTIN: Final = frozenset({"bool", "bytes", "dict", "float", "int", "list", "str"})
"""What its annotations are made of."""
_STRUCT: Final = frozenset({"rename", "mro"})
_ENUM: Final = frozenset({"mro", "name", "value"})
_DECORATORS: Final = frozenset({"mutation", "query"})


def module_names(files: Iterable[str]) -> dict[str, str]:
    """`shop_v1_orders_pb` for `shop/v1/orders.proto`."""
    names: dict[str, str] = {}
    for file in files:
        stem = re.sub(r"[^A-Za-z0-9_]", "_", file.removesuffix(".proto"))
        names[file] = _free(f"_{stem}_pb" if stem[:1].isdigit() else f"{stem}_pb", names.values())
    return names


def class_names(names: Iterable[str], taken: Collection[str]) -> dict[str, str]:
    """Of what stands in one scope. taken: what the module calls something else."""
    found: dict[str, str] = {}
    kept = _IMPORTED | _BUILTIN | RESERVED_TYPE_NAMES | set(taken)
    for name in names:
        plain = name.lstrip("_") or "Message"
        if not plain[0].isalpha():
            plain = f"Message{plain}"
        taken_too = plain in kept or keyword.iskeyword(plain)
        found[name] = _free(f"{plain}Message" if taken_too else plain, {*found.values(), *kept})
    return found


def field_names(message: Message) -> dict[str, str]:
    """With an underscore behind it where Python keeps the name for itself; the bytes do not depend on it."""
    return _each_once((field.name for field in message.fields), _field_name, lower_camel)


def method_names(service: Service) -> dict[str, str]:
    return _each_once((method.name for method in service.methods), _method_name, str)


def value_names(enum: Enum) -> dict[str, str]:
    """Of an enum's values: without the prefix that proto3 style asks for."""
    prefix = f"{upper_snake(enum.name)}_"
    return _each_once((value.name for value in enum.values), lambda name: _value_name(name, prefix), str)


def is_closed(enum: Enum, python: str) -> bool:
    """Whether it can be an `enum.Enum`: 0 says nothing, all else is above it and has one name, with the prefix.

    python: the name of its class.
    """
    prefix = f"{upper_snake(enum.name)}_"
    numbers = [value.number for value in enum.values]
    return (
        python == enum.name
        and enum.values[0].name == f"{prefix}UNSPECIFIED"
        and len(enum.values) > 1
        and min(numbers[1:]) > 0
        and len(set(numbers)) == len(numbers)
        and all(value.name == value.name.upper() for value in enum.values)
        and all(value.name.startswith(prefix) and value.name[len(prefix) :][:1].isalpha() for value in enum.values)
    )


def _field_name(name: str) -> str:
    if name.startswith("_"):
        return f"f{name}"
    return f"{name}_" if keyword.iskeyword(name) or name in _STRUCT else name


def _method_name(name: str) -> str:
    python = snake(name[:1].upper() + name[1:])
    if python.startswith("_"):
        return f"rpc{python}"
    return f"{python}_" if keyword.iskeyword(python) or python in _DECORATORS else python


def _value_name(name: str, prefix: str) -> str:
    short = name.removeprefix(prefix)
    short = short if short[:1].isalpha() else name
    if short.startswith("_"):
        return f"v{short}"
    return f"{short}_" if keyword.iskeyword(short) or short in _ENUM else short


def _each_once(names: Iterable[str], python: Callable[[str], str], key: Callable[[str], str]) -> dict[str, str]:
    """key: what has to differ."""
    found: dict[str, str] = {}
    keys: set[str] = set()
    for name in names:
        made = _free(python(name), keys, key)
        keys.add(key(made))
        found[name] = made
    return found


def _free(name: str, taken: Collection[str], key: Callable[[str], str] = str) -> str:
    """The name, or with a number behind it the first one that is not taken."""
    made, number = name, 2
    while key(made) in taken:
        made, number = f"{name}{number}", number + 1
    return made
