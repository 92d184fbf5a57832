"""Several files as a whole: every name looked up, and what protoc would refuse refused."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain

from polywire.protofile.builtin import OPTIONS
from polywire.protofile.checks import check_enum, check_field, check_message, check_number
from polywire.protofile.declarations import (
    Enum,
    Extension,
    Field,
    File,
    Message,
    Method,
    Oneof,
    Option,
    Place,
    ProtoError,
    Service,
)
from polywire.protofile.names import entry_name
from polywire.protofile.options import check_options
from polywire.protofile.parser import SCALARS
from polywire.protofile.scopes import Scopes

_EXTENDED = frozenset(f"google.protobuf.{name}" for name in OPTIONS)
_FIRST_EXTENSION = 1000


class FileSet:
    """Files that hold together: every type is found, every name and number is there once.

    files: by name, each after those it imports. wanted: those that were asked for, not only imported.
    """

    def __init__(self, files: dict[str, File], wanted: Sequence[str]) -> None:
        self.files = files
        self.wanted = list(dict.fromkeys(wanted))
        self.messages: dict[str, Message] = {}
        self.enums: dict[str, Enum] = {}
        self.types: dict[int, str] = {}
        """id(field) -> the full name of its message or enum; scalars are left out."""
        self.ends: dict[int, tuple[str, str]] = {}
        """id(method) -> the full names of its input and output."""
        self._extendees: dict[str, str] = {}
        """Full name of an extension -> of what it extends."""
        self._scopes = Scopes()
        for file in files.values():
            self._declare(file)
        for file in files.values():
            self._resolve(file)

    def type_of(self, field: Field) -> Message | Enum | str:
        """What a field holds, or the values of a map: a scalar by its name."""
        full_name = self.types.get(id(field))
        if full_name is None:
            return field.type
        return self.messages.get(full_name) or self.enums[full_name]

    def owner(self, full_name: str) -> str:
        """The name of the file that declares it."""
        return self._scopes.file_of(full_name)

    # Names

    def _declare(self, file: File) -> None:
        if file.package_place is not None:
            self._scopes.enter_package(file.package, file.name, file.package_place)
        for enum in file.enums:
            self._declare_enum(enum, file)
        for message in file.messages:
            self._declare_message(message, file)
        for extension in file.extensions:
            self._scopes.claim(file.package, extension.field.name, file.name, extension.field.place)
        for service in file.services:
            self._scopes.claim(file.package, service.name, file.name, service.place, is_scope=True)
            for method in service.methods:
                self._scopes.claim(service.full_name, method.name, file.name, method.place)

    def _declare_enum(self, enum: Enum, file: File) -> None:
        scope = enum.full_name.rpartition(".")[0]
        self._scopes.claim(scope, enum.name, file.name, enum.place, is_scope=True)
        self.enums[enum.full_name] = enum
        for value in enum.values:
            # Values are siblings of their enum, as in C++.
            self._scopes.claim(scope, value.name, file.name, value.place)
        check_enum(enum)

    def _declare_message(self, message: Message, file: File) -> None:
        scope = message.full_name.rpartition(".")[0]
        self._scopes.claim(scope, message.name, file.name, message.place, is_scope=True)
        self.messages[message.full_name] = message
        for enum in message.enums:
            self._declare_enum(enum, file)
        for inner in message.messages:
            self._declare_message(inner, file)
        fields = chain(message.fields, (extension.field for extension in message.extensions))
        members: Iterable[Field | Oneof] = chain(message.oneofs, fields)
        for one in members:
            self._scopes.claim(message.full_name, one.name, file.name, one.place)
        for field in message.fields:
            if field.map_key is not None:
                self._scopes.claim(message.full_name, entry_name(field.name), file.name, field.place)
        check_message(message)

    # Types

    def _resolve(self, file: File) -> None:
        imported: set[str] = set()
        for one in file.imports:
            if one.name in imported:
                raise ProtoError(one.place, f"{one.name!r:.100} is imported twice")
            imported.add(one.name)
        self._scopes.see(self._visible(file))
        self._resolve_extensions(file.extensions, file.package)
        for message in all_messages(file.messages):
            self._resolve_extensions(message.extensions, message.full_name)
        self._options("FileOptions", file.options, file.package)
        for extension in file.extensions:
            self._resolve_field(extension.field, file.package)
        for enum in file.enums:
            self._resolve_enum(enum)
        for message in file.messages:
            self._resolve_message(message)
        for service in file.services:
            self._resolve_service(service)

    def _visible(self, file: File) -> dict[str, str]:
        """The files whose names may be used, each with its package: those imported, and what they import publicly."""
        visible = {file.name: file.package}
        waiting = [one.name for one in file.imports]
        while waiting:
            name = waiting.pop()
            if name not in visible:
                visible[name] = self.files[name].package
                waiting += [one.name for one in self.files[name].imports if one.is_public]
        return visible

    def _resolve_message(self, message: Message) -> None:
        self._options("MessageOptions", message.options, message.full_name)
        for extension in message.extensions:
            self._resolve_field(extension.field, message.full_name)
        for enum in message.enums:
            self._resolve_enum(enum)
        for inner in message.messages:
            self._resolve_message(inner)
        for oneof in message.oneofs:
            self._options("OneofOptions", oneof.options, message.full_name)
        for field in message.fields:
            self._resolve_field(field, message.full_name)

    def _resolve_field(self, field: Field, scope: str) -> None:
        if field.type not in SCALARS:
            place = field.type_place or field.place
            full_name = self._scopes.look_up(field.type, scope, place, self._is_type)
            if not self._is_type(full_name):
                raise ProtoError(place, f"{field.type} is no type")
            self.types[id(field)] = full_name
        self._options("FieldOptions", field.options, scope)
        type_ = self.type_of(field)
        check_field(field, is_message=isinstance(type_, Message), is_enum=isinstance(type_, Enum))

    def _resolve_enum(self, enum: Enum) -> None:
        self._options("EnumOptions", enum.options, enum.full_name)
        for value in enum.values:
            self._options("EnumValueOptions", value.options, enum.full_name)

    def _resolve_service(self, service: Service) -> None:
        self._options("ServiceOptions", service.options, service.full_name)
        for method in service.methods:
            self._options("MethodOptions", method.options, service.full_name)
            self.ends[id(method)] = (
                self._end(method.input, method.input_place, method, service),
                self._end(method.output, method.output_place, method, service),
            )

    def _end(self, name: str, place: Place | None, method: Method, service: Service) -> str:
        place = place or method.place
        full_name = self._scopes.look_up(name, service.full_name, place)
        if full_name not in self.messages:
            raise ProtoError(place, f"{name} is no message")
        return full_name

    def _is_type(self, full_name: str) -> bool:
        return full_name in self.messages or full_name in self.enums

    # Options

    def _resolve_extensions(self, extensions: Iterable[Extension], scope: str) -> None:
        """Before the options that are set by them, which may stand further up."""
        for one in extensions:
            extendee = self._scopes.look_up(one.extendee, scope, one.extendee_place, self._is_type)
            if extendee not in _EXTENDED:
                raise ProtoError(one.extendee_place, f"{one.extendee} is extended; proto3 extends options alone")
            field = one.field
            check_number(field)
            if field.number < _FIRST_EXTENSION:
                raise ProtoError(
                    field.place,
                    f"{field.name} has the number {field.number}; custom options begin at {_FIRST_EXTENSION}",
                )
            self._extendees[one.full_name] = extendee

    def _options(self, kind: str, options: Iterable[Option], scope: str) -> None:
        for option in check_options(kind, options):
            name = option.name[1 : option.name.index(")")]
            full_name = self._scopes.look_up(name, scope, option.place)
            if self._extendees.get(full_name) != f"google.protobuf.{kind}":
                raise ProtoError(option.place, f"({name}) is no option here")


def all_messages(messages: Iterable[Message]) -> Iterator[Message]:
    """Those, and those within them."""
    for message in messages:
        yield message
        yield from all_messages(message.messages)
