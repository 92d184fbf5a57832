"""What a .proto file declares, as it stands in the text."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Place:
    """Where in a file; lines and columns count from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


class ProtoError(Exception):
    """A file cannot be read, or does not hold together. `str` is `user.proto:12:3: what is wrong`."""

    def __init__(self, place: Place, problem: str) -> None:
        super().__init__(f"{place}: {problem}")
        self.place = place
        self.problem = problem


@dataclass(frozen=True, slots=True)
class Option:
    """`option name = value;`, or one in brackets. An extension's name keeps its parentheses: `(google.api.http)`."""

    name: str
    value: Any
    """bool, int, float, str (of an identifier as well), or a dict for `{ ... }`, in which what repeats is a list."""
    place: Place
    value_place: Place | None = None
    is_quoted: bool = False
    """Whether the value is a string, and not an identifier."""


def option_of(options: tuple[Option, ...], name: str) -> Any:
    return next((one.value for one in options if one.name == name), None)


@dataclass(slots=True)
class Field:
    name: str
    number: int
    type: str
    """As written: `int32`, `User`, `.shop.User`. Of a map, the type of its values. `FileSet` has what it means."""
    place: Place
    label: str = ""
    """`optional`, `repeated` or nothing."""
    map_key: str | None = None
    options: tuple[Option, ...] = ()
    oneof: str | None = None
    doc: str = ""
    type_place: Place | None = None

    def option(self, name: str) -> Any:
        return option_of(self.options, name)

    @property
    def json_name(self) -> str | None:
        name = self.option("json_name")
        return name if isinstance(name, str) else None


@dataclass(slots=True)
class Oneof:
    name: str
    place: Place
    options: tuple[Option, ...] = ()
    doc: str = ""


@dataclass(slots=True)
class EnumValue:
    name: str
    number: int
    place: Place
    options: tuple[Option, ...] = ()
    doc: str = ""


@dataclass(slots=True)
class Enum:
    name: str
    full_name: str
    place: Place
    values: list[EnumValue] = field(default_factory=list)
    reserved: list[tuple[int, int]] = field(default_factory=list)
    """Ranges, both ends included."""
    reserved_names: list[str] = field(default_factory=list)
    options: tuple[Option, ...] = ()
    doc: str = ""

    @property
    def allow_alias(self) -> bool:
        return option_of(self.options, "allow_alias") is True


@dataclass(slots=True)
class Message:
    name: str
    full_name: str
    place: Place
    fields: list[Field] = field(default_factory=list)
    """In the order of the text, those of oneofs where they stand."""
    oneofs: list[Oneof] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)
    enums: list[Enum] = field(default_factory=list)
    reserved: list[tuple[int, int]] = field(default_factory=list)
    """Ranges, both ends included."""
    reserved_names: list[str] = field(default_factory=list)
    extensions: list[Extension] = field(default_factory=list)
    options: tuple[Option, ...] = ()
    doc: str = ""


@dataclass(slots=True)
class Extension:
    """A field that is added to another message; proto3 has them as custom options alone."""

    field: Field
    full_name: str
    extendee: str
    """As written."""
    extendee_place: Place


@dataclass(slots=True)
class Method:
    name: str
    input: str
    output: str
    place: Place
    client_streaming: bool = False
    server_streaming: bool = False
    options: tuple[Option, ...] = ()
    doc: str = ""
    input_place: Place | None = None
    output_place: Place | None = None

    def option(self, name: str) -> Any:
        return option_of(self.options, name)


@dataclass(slots=True)
class Service:
    name: str
    full_name: str
    place: Place
    methods: list[Method] = field(default_factory=list)
    options: tuple[Option, ...] = ()
    doc: str = ""


@dataclass(slots=True)
class Import:
    name: str
    place: Place
    is_public: bool = False


@dataclass(slots=True)
class File:
    name: str
    package: str = ""
    imports: list[Import] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)
    enums: list[Enum] = field(default_factory=list)
    services: list[Service] = field(default_factory=list)
    extensions: list[Extension] = field(default_factory=list)
    options: tuple[Option, ...] = ()
    package_place: Place | None = None
    doc: str = ""
