"""Files from the disk, and those that they import."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from polywire.protofile.builtin import BUILTIN
from polywire.protofile.declarations import File, Import, Place, ProtoError
from polywire.protofile.parser import parse
from polywire.protofile.resolve import FileSet
from polywire.protofile.tokens import MOST_BYTES

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

_MOST_FILES: Final = 1000
_DEEPEST: Final = 32


def load(paths: Sequence[Path], roots: Sequence[Path] = ()) -> FileSet:
    """Files and all that they import. Raises ProtoError; OSError where one of `paths` cannot be read.

    roots: where imports are looked for; default: the folder of each path.
    """
    roots = [root.absolute() for root in roots] or list(dict.fromkeys(path.absolute().parent for path in paths))
    loading = _Loading(lambda one: _text(one.name, _found(one, roots), one.place))
    wanted = [_name_within(path.absolute(), roots) for path in paths]
    for path, name in zip(paths, wanted, strict=True):
        if name not in loading.files:
            loading.load(name, _text(name, path, Place(name, 1, 1)))
    return FileSet(loading.files, wanted)


def load_texts(texts: Mapping[str, str]) -> FileSet:
    """Files by name, which import each other and protobuf's own. Raises ProtoError."""

    def read(one: Import) -> str:
        if one.name not in texts:
            raise ProtoError(one.place, f"there is no file {one.name!r:.100}")
        return texts[one.name]

    loading = _Loading(read)
    for name, text in texts.items():
        if name not in loading.files:
            loading.load(name, text)
    return FileSet(loading.files, list(texts))


def load_folder(folder: Traversable) -> FileSet:
    """Every .proto file beneath a folder, which may be one in an archive; imports are looked for there alone.

    Raises ProtoError, OSError. A folder that is not there has no files.
    """
    return load_texts(dict(_texts(folder, "", 0)) if folder.is_dir() else {})


def _texts(folder: Traversable, prefix: str, depth: int) -> Iterator[tuple[str, str]]:
    if depth > _DEEPEST:
        raise ProtoError(Place(prefix, 1, 1), f"folders are more than {_DEEPEST} deep")
    for one in sorted(folder.iterdir(), key=lambda one: one.name):
        name = prefix + one.name
        if one.is_dir():
            yield from _texts(one, f"{name}/", depth + 1)
        elif name.endswith(".proto"):
            yield name, _text(name, one, Place(name, 1, 1))


def _name_within(path: Path, roots: Sequence[Path]) -> str:
    for root in roots:
        if path.is_relative_to(root):
            return path.relative_to(root).as_posix()
    return path.name


class _Loading:
    def __init__(self, read: Callable[[Import], str]) -> None:
        self._read = read
        self.files: dict[str, File] = {}
        """Each after those that it imports."""

    def load(self, name: str, text: str) -> None:
        """Depth first, by a stack of our own: a chain of imports may be longer than Python's."""
        first = parse(text, name)
        way: dict[str, tuple[File, Iterator[Import]]] = {name: (first, iter(first.imports))}
        while way:
            file, imports = way[next(reversed(way))]
            one = next(imports, None)
            if one is None:
                self.files[file.name] = file
                way.popitem()
            elif one.name in way:
                circle = " -> ".join([*list(way)[list(way).index(one.name) :], one.name])
                raise ProtoError(one.place, f"files import each other in a circle: {circle:.500}")
            elif one.name not in self.files:
                if len(self.files) + len(way) >= _MOST_FILES:
                    raise ProtoError(one.place, f"more than {_MOST_FILES} files are imported")
                found = parse(BUILTIN.get(one.name) or self._read(one), one.name)
                way[one.name] = found, iter(found.imports)


def _found(one: Import, roots: Sequence[Path]) -> Path:
    parts = one.name.split("/")
    if not {"", ".", ".."}.isdisjoint(parts) or not one.name.isprintable() or "\\" in one.name:
        raise ProtoError(one.place, f"{one.name!r:.100} is no path within the roots")
    for root in roots:
        candidate = root.joinpath(*parts)
        try:
            if candidate.is_file():
                return candidate
        except OSError:
            continue
    where = ", ".join(map(str, roots))
    raise ProtoError(one.place, f"there is no file {one.name!r:.100} beneath {where}; give --root")


def _text(name: str, path: Traversable, place: Place) -> str:
    with path.open("rb") as file:
        data = file.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise ProtoError(place, f"{name} is larger than {MOST_BYTES} bytes")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        before = data[: error.start]
        column = error.start - before.rfind(b"\n")
        raise ProtoError(Place(name, before.count(b"\n") + 1, column), "the file is not UTF-8") from None
