"""Where the declarations behind a contract stand in the user's Python."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from polywire.contract.reach import named_types
from polywire.protofile import FileSet
from polywire.protofile.declarations import Enum, Message
from polywire.schema.types import EnumType, MessageType, Method, ServiceType, UnionType


class PythonPlaces:
    """`app/users.py:12` for the full names of services, methods (`user.UserService/GetUser`), types and members."""

    def __init__(self, services: Sequence[ServiceType]) -> None:
        self._places: dict[str, str] = {}
        for service in services:
            self._service(service)
        for table in named_types(services):
            if not isinstance(table, MessageType) or not table.generated:
                self._type(table)

    def of(self, full_name: str) -> str:
        """The place of what is called so, or of the nearest thing around it; "" where there is none."""
        while full_name:
            if full_name in self._places:
                return self._places[full_name]
            full_name = full_name[: max(full_name.rfind("."), full_name.rfind("/"), 0)]
        return ""

    def by_proto_place(self, files: FileSet) -> dict[str, str]:
        """The place in Python behind each place in files that were written of these services."""
        return {str(place): found for name, place in _declared(files) if (found := self.of(name))}

    def _service(self, service: ServiceType) -> None:
        for method in service.methods:
            place = _source(method.function)
            if place is None:
                continue
            name, (path, line, lines) = method.full_name, place
            self._places[name] = f"{path}:{line}"
            self._generated(method, path, line, lines)
        cls = _class_of(service.methods[0].function) if service.methods else None
        if cls is not None and (found := _source(cls)) is not None:
            self._places[service.full_name] = f"{found[0]}:{found[1]}"

    def _generated(self, method: Method, path: str, line: int, lines: list[str]) -> None:
        """A message that was made of a method stands where the method does, its fields where the parameters do."""
        for message in (method.input, method.output):
            if message.generated:
                self._places.setdefault(message.full_name, f"{path}:{line}")
        if method.input.generated:
            for field in method.input.fields:
                at = _line_with(rf"\b{re.escape(field.name)}\s*:", lines)
                self._places.setdefault(f"{method.input.full_name}.{field.name}", f"{path}:{line + (at or 0)}")

    def _type(self, table: MessageType | EnumType | UnionType) -> None:
        for cls in reversed(table.cls.__mro__):
            if cls.__module__.startswith("polywire.") or (found := _source(cls)) is None:
                continue
            path, line, lines = found
            self._places[table.full_name] = f"{path}:{line}"
            for name, written in _members(table):
                at = _line_with(rf"^\s+{re.escape(written)}\s*[:=]", lines)
                if at is not None:
                    self._places[f"{table.full_name}.{name}"] = f"{path}:{line + at}"


def _members(table: MessageType | EnumType | UnionType) -> Iterator[tuple[str, str]]:
    """(name in protobuf, name in Python)."""
    if isinstance(table, EnumType):
        yield from ((value.proto_name, value.name) for value in table.values)
    elif isinstance(table, MessageType):
        yield from ((field.name, field.name) for field in table.fields)


def _source(declared: Callable[..., Any] | type) -> tuple[str, int, list[str]] | None:
    """File, first line from 1, lines; None where there is no source to read."""
    try:
        path = inspect.getsourcefile(declared)
        lines, line = inspect.getsourcelines(declared)
    except (OSError, TypeError):
        return None
    return (path, line, lines) if path is not None else None


def _class_of(function: Callable[..., Any]) -> Any:
    """The class around a method at the top of a module."""
    module = sys.modules.get(function.__module__)
    return getattr(module, function.__qualname__.rpartition(".")[0], None)


def _line_with(pattern: str, lines: list[str]) -> int | None:
    return next((index for index, line in enumerate(lines) if re.search(pattern, line)), None)


def _declared(files: FileSet) -> Iterator[tuple[str, Any]]:
    for name in files.wanted:
        file = files.files[name]
        yield from ((service.full_name, service.place) for service in file.services)
        for service in file.services:
            yield from ((f"{service.full_name}/{method.name}", method.place) for method in service.methods)
    tables: list[Message | Enum] = [*files.messages.values(), *files.enums.values()]
    for table in tables:
        yield table.full_name, table.place
        inner = table.fields if isinstance(table, Message) else table.values
        yield from ((f"{table.full_name}.{one.name}", one.place) for one in inner)
