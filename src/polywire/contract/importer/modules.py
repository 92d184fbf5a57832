"""Writes one Python module for each .proto file. The same bytes go over the wire as with protoc's own code.

Implicit fields have their zero as default; messages, oneofs and `optional` fields are `T | None`. An open enum, one
whose 0 means something, say, is an integer with named constants.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from polywire.contract.importer.names import (
    class_names,
    field_names,
    is_closed,
    method_names,
    module_names,
    value_names,
)
from polywire.contract.importer.routes import Routes
from polywire.contract.rpc_options import doc_without_routes
from polywire.protofile import Enum, Field, File, FileSet, Message, Method, Service, load
from polywire.protofile.resolve import all_messages
from polywire.schema.names import lower_camel, upper_camel

_INDENT = "    "
_WIDEST = 100
_SCALARS = {
    "double": ("float", "0.0"),
    "float": ("Float32", "0.0"),
    "int32": ("Int32", "0"),
    "int64": ("int", "0"),
    "uint32": ("UInt32", "0"),
    "uint64": ("UInt64", "0"),
    "sint32": ("SInt32", "0"),
    "sint64": ("SInt64", "0"),
    "fixed32": ("Fixed32", "0"),
    "fixed64": ("Fixed64", "0"),
    "sfixed32": ("SFixed32", "0"),
    "sfixed64": ("SFixed64", "0"),
    "bool": ("bool", "False"),
    "string": ("str", '""'),
    "bytes": ("bytes", 'b""'),
}
_KEYS = {"int64": "int", "bool": "bool", "string": "str", "int32": "Int32", "uint32": "UInt32", "uint64": "UInt64"}
_NATIVE = {"google.protobuf.Timestamp": "datetime", "google.protobuf.Duration": "timedelta"}
_EMPTY = "google.protobuf.Empty"
_OWN = frozenset(f"google/protobuf/{name}.proto" for name in ("timestamp", "duration", "empty", "descriptor")) | {
    "google/api/http.proto",
    "google/api/annotations.proto",
}
"""Files that need no module, unless one of their messages is sent."""


@dataclass(slots=True)
class Imported:
    """What came of some files."""

    modules: dict[str, str] = field(default_factory=dict)
    """Python by file name, `user_pb.py`; with an `__init__.py` where the modules need each other."""
    notes: list[str] = field(default_factory=list)
    """What could not be said in Python: `user.proto:12:3: ...`."""


def import_proto(paths: Sequence[Path], roots: Sequence[Path] = ()) -> Imported:
    """Read .proto files and what they import.

    Raises ProtoError for what is wrong in them, OSError where one cannot be read.
    """
    return import_files(load(paths, roots))


def import_files(files: FileSet) -> Imported:
    """As `import_proto`, of files that are read."""
    found = Imported()
    referred = _referred(files)
    wanted = [file for file in files.files.values() if file.name not in _OWN or file.name in referred]
    names = _Names(files, module_names(file.name for file in wanted))
    for file in wanted:
        found.modules[f"{names.modules[file.name]}.py"] = _Module(file, files, names, found.notes).text()
    if len(found.modules) > 1:
        found.modules["__init__.py"] = ""
    return found


def _referred(files: FileSet) -> set[str]:
    """The files with a type that is used, and that Python does not have by itself."""
    types: set[str] = set()
    for file in files.files.values():
        if file.name in _OWN:
            continue
        fields = (field for message in all_messages(file.messages) for field in message.fields)
        types.update(files.types[id(field)] for field in fields if id(field) in files.types)
        for service in file.services:
            types.update(end for method in service.methods for end in files.ends[id(method)])
    return {files.owner(name) for name in types - _NATIVE.keys() - {_EMPTY}}


class _Names:
    """What each message, enum and service is called in Python."""

    def __init__(self, files: FileSet, modules: dict[str, str]) -> None:
        self.modules = modules
        """By the name of the file."""
        self.classes: dict[str, str] = {}
        """By full name: the class's name alone."""
        self.paths: dict[str, str] = {}
        """By full name: with the classes around it."""
        taken = {*modules.values()}
        if _EMPTY in files.messages:
            taken.add("Empty")
        for name in modules:
            file = files.files[name]
            tops: list[Enum | Message | Service] = [*file.enums, *file.messages, *file.services]
            found = class_names((one.name for one in tops), taken)
            for one in tops:
                self._enter(one.full_name, found[one.name], "")
            # A class within a class must not hide one of the module: annotations begin there.
            outer = {*found.values(), *taken}
            for message in file.messages:
                self._enter_inner(message, outer)

    def _enter(self, full_name: str, name: str, path: str) -> None:
        self.classes[full_name] = name
        self.paths[full_name] = f"{path}.{name}" if path else name

    def _enter_inner(self, message: Message, outer: set[str]) -> None:
        inner: list[Enum | Message] = [*message.enums, *message.messages]
        found = class_names((one.name for one in inner), {*outer, *field_names(message).values()})
        for one in inner:
            self._enter(one.full_name, found[one.name], self.paths[message.full_name])
        for nested in message.messages:
            self._enter_inner(nested, outer)


class _Module:
    def __init__(self, file: File, files: FileSet, names: _Names, notes: list[str]) -> None:
        self._file = file
        self._files = files
        self._names = names
        self._notes = notes
        self._imports: set[str] = set()
        self._used: set[str] = set()

    def text(self) -> str:
        blocks: list[list[str]] = []
        for enum in self._file.enums:
            blocks.append(list(self._enum(enum)))
        for message in self._file.messages:
            blocks.append(list(self._message(message, None)))
        for service in self._file.services:
            blocks.append(list(self._service(service)))
        body = "\n\n\n".join("\n".join(block) for block in blocks)
        return "\n".join(self._head()) + (f"\n\n\n{body}\n" if body else "\n")

    def _head(self) -> Iterator[str]:
        yield from _docstring(f"From {self._file.name}, by `polywire contract import`.\n\n{self._file.doc}")
        yield ""
        yield "from __future__ import annotations"
        standard = []
        if "enum" in self._used:
            standard.append("import enum")
        if "AsyncIterator" in self._used:
            standard.append("from collections.abc import AsyncIterator")
        dates = sorted(self._used & {"datetime", "timedelta"})
        if dates:
            standard.append(f"from datetime import {', '.join(dates)}")
        if "Annotated" in self._used:
            standard.append("from typing import Annotated")
        if standard:
            yield ""
            yield from standard
        ours = sorted(self._used - {"enum", "AsyncIterator", "datetime", "timedelta", "Annotated", "Empty"})
        if ours:
            yield ""
            yield _one_or_many("from polywire import", ours)
        if "Empty" in self._used:
            yield "from polywire.schema import Empty"
        if self._imports:
            yield ""
            yield _one_or_many("from . import", sorted(self._imports))

    def _use(self, name: str) -> str:
        self._used.add(name)
        return name

    def _note(self, place: object, problem: str) -> None:
        self._notes.append(f"{place}: {problem}")

    # Types

    def _enum(self, enum: Enum) -> Iterator[str]:
        self._use("enum")
        names = value_names(enum)
        python = self._names.classes[enum.full_name]
        closed = is_closed(enum, python)
        yield f"class {python}(enum.{'Enum' if closed else 'IntEnum'}):"
        doc = enum.doc
        if not closed:
            doc = (
                f"{doc}\n\n".lstrip()
                + "Open, so fields of it are integers: values that are not named here keep as well."
            )
            self._note(enum.place, f"{enum.name} is an open enum: its fields are Int32, with {python} for names")
        yield from _doc(doc)
        for value in enum.values[1 if closed else 0 :]:
            yield f"{_INDENT}{names[value.name]} = {value.number}"

    def _message(self, message: Message, outer: str | None) -> Iterator[str]:
        self._use("Message")
        package = outer if outer is not None else self._file.package
        keyword = f', package="{package}"' if package else ""
        name = self._names.classes[message.full_name]
        names = field_names(message)
        if name != message.name:
            self._note(message.place, f"{message.name} is called {name} in Python, and in reflection")
        yield f"class {name}(Message{keyword}):"
        oneofs = [
            f"Of {', '.join(names[one.name] for one in message.fields if one.oneof == oneof.name)} at most one is"
            f" set (oneof {oneof.name}). {oneof.doc}".rstrip()
            for oneof in message.oneofs
        ]
        doc = "\n\n".join(filter(None, [message.doc, *oneofs]))
        lines = list(_doc(doc))
        blocks = [self._enum(enum) for enum in message.enums]
        blocks += [self._message(inner, message.full_name) for inner in message.messages]
        for block in blocks:
            lines += [""] if lines else []
            lines += [f"{_INDENT}{line}" if line else "" for line in block]
        if message.fields and lines:
            lines.append("")
        for one in message.fields:
            lines += [f"{_INDENT}{line}" for line in self._field(one, names[one.name])]
        yield from lines or [f"{_INDENT}pass"]

    def _field(self, one: Field, name: str) -> Iterator[str]:
        if name != one.name:
            self._note(one.place, f"{one.name} is called {name} in Python, and in JSON")
        elif one.json_name not in (None, lower_camel(name)):
            self._note(one.place, f"{one.name} is {lower_camel(name)!r} in JSON of protobuf, not {one.json_name!r:.60}")
        type_, default = self._type(one)
        annotated = f"{self._use('Annotated')}[{type_}, {self._use('FieldNumber')}({one.number})]"
        yield f"{name}: {annotated} = {default}"
        if one.doc:
            yield from _docstring(one.doc)

    def _type(self, one: Field) -> tuple[str, str]:
        element, zero = self._element(one)
        if one.map_key is not None:
            key = _KEYS.get(one.map_key)
            if key is None:
                self._note(
                    one.place, f"a map with keys of {one.map_key} is not carried: it is a map of Int64, other bytes"
                )
                key = "int"
            if key not in ("int", "bool", "str"):
                self._use(key)
            return f"dict[{key}, {element}]", "{}"
        if one.label == "repeated":
            return f"list[{element}]", "[]"
        if one.label == "optional" or one.oneof is not None or zero is None:
            return f"{element} | None", "None"
        return element, zero

    def _element(self, one: Field) -> tuple[str, str | None]:
        """The annotation of one value, and its zero; None where absent is no value."""
        full_name = self._files.types.get(id(one))
        if full_name is None:
            name, zero = _SCALARS[one.type]
            if name[:1].isupper():
                self._use(name)
            return name, zero
        if full_name in _NATIVE:
            return self._use(_NATIVE[full_name]), None
        enum = self._files.enums.get(full_name)
        if enum is not None and not is_closed(enum, self._names.classes[full_name]):
            return self._use("Int32"), "0"
        return self._reference(full_name), None

    def _reference(self, full_name: str) -> str:
        if full_name == _EMPTY:
            return self._use("Empty")
        file, path = self._files.owner(full_name), self._names.paths[full_name]
        if file == self._file.name:
            return path
        module = self._names.modules[file]
        self._imports.add(module)
        return f"{module}.{path}"

    # Services

    def _service(self, service: Service) -> Iterator[str]:
        self._use("Service")
        package = f', package="{self._file.package}"' if self._file.package else ""
        python = self._names.classes[service.full_name]
        name = f', name="{service.name}"' if python != service.name else ""
        yield f"class {python}(Service{package}{name}, abstract=True):"
        yield from _doc(
            service.doc or f"Derive a class of your own from it, and write its methods; it is {service.full_name}."
        )
        routes = Routes(self._files)
        names = method_names(service)
        for method in service.methods:
            yield ""
            yield from (f"{_INDENT}{line}" for line in self._method(service, method, names[method.name], routes))
        if not service.methods:
            self._note(service.place, f"{service.name} has no methods, and cannot be served")

    def _method(self, service: Service, method: Method, python: str, routes: Routes) -> Iterator[str]:
        kind, found, notes = routes.of(method)
        for note in notes:
            self._note(method.place, note)
        arguments = [f'"{route}"' for route in found]
        if kind == "mutation" and method.option("idempotency_level") == "IDEMPOTENT":
            arguments.append("idempotent=True")
        self._use(kind)
        if upper_camel(python.strip("_")) != method.name:
            arguments.append(f'name="{method.name}"')
        yield f"@{kind}({', '.join(arguments)})" if arguments else f"@{kind}"
        input_, output = self._files.ends[id(method)]
        request = self._reference(input_)
        result = "None" if output == _EMPTY and not method.server_streaming else self._reference(output)
        parameter = f"request: {request}"
        if method.client_streaming:
            parameter = f"requests: {self._use('AsyncIterator')}[{request}]"
        if method.server_streaming:
            yield f"def {python}(self, {parameter}) -> {self._use('AsyncIterator')}[{result}]:"
        else:
            yield f"async def {python}(self, {parameter}) -> {result}:"
        if doc := doc_without_routes(method):
            yield from _docstring(doc, _INDENT)
        self._use("Unimplemented")
        yield f'{_INDENT}raise Unimplemented("{service.full_name}/{method.name} is not implemented")'


def _doc(doc: str) -> Iterator[str]:
    if doc.strip():
        yield from _docstring(doc, _INDENT)


def _docstring(doc: str, indent: str = "") -> Iterator[str]:
    lines = [_printable(line) for line in doc.strip().replace("\\", "\\\\").replace('"""', "'''").splitlines()]
    if len(lines) == 1:
        text = lines[0].rstrip()
        yield f'{indent}"""{text}{" " if text.endswith(chr(34)) else ""}"""'
        return
    yield f'{indent}"""{lines[0].rstrip()}'
    for line in lines[1:]:
        yield f"{indent}{line.rstrip()}" if line.strip() else ""
    yield f'{indent}"""'


def _printable(line: str) -> str:
    return "".join(letter for letter in line if letter.isprintable() or letter == "\t")


def _one_or_many(start: str, names: list[str]) -> str:
    line = f"{start} {', '.join(names)}"
    return line if len(line) <= _WIDEST else f"{start} (\n    " + ",\n    ".join(names) + ",\n)"
