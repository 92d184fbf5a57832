"""Several files as a whole: imports followed, every name looked up, and what protoc would refuse refused."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from polywire.protofile.builtin import BUILTIN
from polywire.protofile.declarations import Enum, Field, File, Import, Message, Place, ProtoError
from polywire.protofile.parser import MAX_NUMBER, SCALARS, parse

_PROTOBUF_OWN = range(19_000, 20_000)
_MOST_FILES = 1000
_MOST_BYTES = 4 * 1024 * 1024


def load(paths: Sequence[Path], roots: Sequence[Path] = ()) -> FileSet:
    """Files and all that they import. Raises ProtoError; OSError where one of `paths` cannot be read.

    roots: where imports are looked for; default: the folder of each path.
    """
    roots = [root.absolute() for root in roots] or list(dict.fromkeys(path.absolute().parent for path in paths))
    files: dict[str, File] = {}
    wanted = [_name_within(path.absolute(), roots) for path in paths]
    for path, name in zip(paths, wanted, strict=True):
        _read(name, path, roots, files, (), None)
    return FileSet(files, wanted)


def _name_within(path: Path, roots: Sequence[Path]) -> str:
    for root in roots:
        if path.is_relative_to(root):
            return path.relative_to(root).as_posix()
    return path.name


def _read(
    name: str, path: Path | None, roots: Sequence[Path], files: dict[str, File], way: tuple[str, ...], by: Import | None
) -> None:
    if name in way:
        assert by is not None
        raise ProtoError(
            by.place, f"files import each other in a circle: {' -> '.join([*way[way.index(name) :], name])}"
        )
    if name in files:
        return
    if len(files) >= _MOST_FILES:
        raise ProtoError(Place(name, 1, 1), f"more than {_MOST_FILES} files are imported")
    file = parse(_text(name, path, by), name)
    for one in file.imports:
        found = None
        if one.name not in BUILTIN:
            found = _find(one, roots)
        _read(one.name, found, roots, files, (*way, name), one)
    files[name] = file


def _find(one: Import, roots: Sequence[Path]) -> Path:
    parts = one.name.split("/")
    if one.name.startswith("/") or ".." in parts or "" in parts:
        raise ProtoError(one.place, f"{one.name!r:.100} is no path within the roots")
    for root in roots:
        candidate = root.joinpath(*parts)
        if candidate.is_file():
            return candidate
    raise ProtoError(one.place, f"there is no file {one.name!r:.100} beneath {', '.join(map(str, roots))}; give --root")


def _text(name: str, path: Path | None, by: Import | None) -> str:
    if path is None:
        return BUILTIN[name]
    place = Place(name, 1, 1) if by is None else by.place
    if path.stat().st_size > _MOST_BYTES:
        raise ProtoError(place, f"{name} is larger than {_MOST_BYTES} bytes")
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ProtoError(place, f"{name} is not UTF-8 (byte {error.start})") from None


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
        self._owner: dict[str, str] = {}
        self._packages: set[str] = set()
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
        return self._owner[full_name]

    # Names

    def _declare(self, file: File) -> None:
        parts = file.package.split(".") if file.package else []
        for count in range(1, len(parts) + 1):
            self._packages.add(".".join(parts[:count]))
        for enum in file.enums:
            self._declare_enum(enum, file)
        for message in file.messages:
            self._declare_message(message, file)
        for service in file.services:
            self._claim(service.full_name, service.place, file)
            names: set[str] = set()
            for method in service.methods:
                if method.name in names:
                    raise ProtoError(method.place, f"{service.name} has two methods {method.name}")
                names.add(method.name)

    def _claim(self, full_name: str, place: Place, file: File) -> None:
        if full_name in self._owner:
            raise ProtoError(place, f"{full_name} is declared in {self._owner[full_name]} too")
        self._owner[full_name] = file.name

    def _declare_enum(self, enum: Enum, file: File) -> None:
        self._claim(enum.full_name, enum.place, file)
        self.enums[enum.full_name] = enum
        if not enum.values:
            raise ProtoError(enum.place, f"the enum {enum.name} has no value")
        if enum.values[0].number != 0:
            raise ProtoError(enum.values[0].place, f"the first value of {enum.name} must be 0 in proto3")
        scope = enum.full_name.rpartition(".")[0]
        numbers: dict[int, str] = {}
        for value in enum.values:
            # Values are siblings of their enum (C++ scoping).
            self._claim(f"{scope}.{value.name}" if scope else value.name, value.place, file)
            other = numbers.setdefault(value.number, value.name)
            if other != value.name and not enum.allow_alias:
                raise ProtoError(
                    value.place, f"{value.name} has the number of {other}; say option allow_alias = true if it is meant"
                )
            _check_reserved(value.name, value.number, value.place, enum)

    def _declare_message(self, message: Message, file: File) -> None:
        self._claim(message.full_name, message.place, file)
        self.messages[message.full_name] = message
        for enum in message.enums:
            self._declare_enum(enum, file)
        for inner in message.messages:
            self._declare_message(inner, file)
        for oneof in message.oneofs:
            self._claim(f"{message.full_name}.{oneof.name}", oneof.place, file)
        numbers: dict[int, str] = {}
        json_names: dict[str, str] = {}
        for field in message.fields:
            self._claim(f"{message.full_name}.{field.name}", field.place, file)
            if field.number in _PROTOBUF_OWN:
                raise ProtoError(field.place, "numbers 19000 to 19999 are protobuf's own")
            other = numbers.setdefault(field.number, field.name)
            if other != field.name:
                raise ProtoError(field.place, f"{field.name} has the number {field.number} of {other}")
            _check_reserved(field.name, field.number, field.place, message)
            json_name = field.json_name or _json_name(field.name)
            other = json_names.setdefault(json_name, field.name)
            if other != field.name:
                raise ProtoError(field.place, f"{field.name} and {other} are both {json_name!r} in JSON")
        _check_ranges(message)

    # Types

    def _resolve(self, file: File) -> None:
        visible = set(self._visible(file))
        for message in file.messages:
            self._resolve_message(message, visible)
        for service in file.services:
            for method in service.methods:
                ends = []
                for name, place in ((method.input, method.input_place), (method.output, method.output_place)):
                    full_name = self._look_up(name, service.full_name, visible, place or method.place)
                    if full_name not in self.messages:
                        raise ProtoError(place or method.place, f"{name} is no message")
                    ends.append(full_name)
                self.ends[id(method)] = (ends[0], ends[1])

    def _visible(self, file: File) -> Iterator[str]:
        yield file.name
        for one in file.imports:
            yield from self._public(one.name)

    def _public(self, name: str) -> Iterator[str]:
        yield name
        for one in self.files[name].imports:
            if one.is_public:
                yield from self._public(one.name)

    def _resolve_message(self, message: Message, visible: set[str]) -> None:
        for inner in message.messages:
            self._resolve_message(inner, visible)
        for field in message.fields:
            if field.type in SCALARS:
                continue
            place = field.type_place or field.place
            full_name = self._look_up(field.type, message.full_name, visible, place)
            if full_name not in self.messages and full_name not in self.enums:
                raise ProtoError(place, f"{field.type} is no type")
            self.types[id(field)] = full_name

    def _look_up(self, name: str, scope: str, visible: set[str], place: Place) -> str:
        """By protobuf's rule: the innermost scope that has the first part of the name decides."""
        if name.startswith("."):
            return self._seen(name[1:], visible, place)
        first, _, rest = name.partition(".")
        while True:
            head = f"{scope}.{first}" if scope else first
            is_type = head in self.messages or head in self.enums
            if rest and (head in self.messages or head in self._packages):
                return self._seen(f"{head}.{rest}", visible, place)
            if not rest and is_type:
                return self._seen(head, visible, place)
            if not scope:
                raise ProtoError(place, f"{name} is not declared")
            scope = scope.rpartition(".")[0]

    def _seen(self, full_name: str, visible: set[str], place: Place) -> str:
        if full_name not in self.messages and full_name not in self.enums:
            raise ProtoError(place, f"{full_name} is not declared")
        if self._owner[full_name] not in visible:
            raise ProtoError(place, f"{full_name} is declared in {self._owner[full_name]}, which is not imported")
        return full_name


def _check_reserved(name: str, number: int, place: Place, table: Message | Enum) -> None:
    if any(start <= number <= end for start, end in table.reserved):
        raise ProtoError(place, f"{name} has the number {number}, which is reserved")
    if name in table.reserved_names:
        raise ProtoError(place, f"the name {name} is reserved")


def _check_ranges(message: Message) -> None:
    end = 0
    for start, last in sorted(message.reserved):
        if start <= end:
            raise ProtoError(message.place, f"{message.name} reserves {start} twice")
        end = min(last, MAX_NUMBER)


def _json_name(name: str) -> str:
    """protoc's: underscores go, the letter after one is raised."""
    head, *rest = name.split("_")
    return head + "".join(part[:1].upper() + part[1:] for part in rest)


def all_messages(messages: Iterable[Message]) -> Iterator[Message]:
    """Those, and those within them."""
    for message in messages:
        yield message
        yield from all_messages(message.messages)
