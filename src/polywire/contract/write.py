"""The files of a contract, put into its folder."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from polywire.contract.breaking.changes import Change
from polywire.contract.breaking.contracts import number_changes
from polywire.contract.folder import PROTO_HEAD, proto_paths, proto_set
from polywire.protofile import load

_HEAD = PROTO_HEAD.encode()

NEW, CHANGED, UNCHANGED, REMOVED = "new", "changed", "unchanged", "removed"


class NumbersChanged(Exception):
    """The services do not have the numbers of the contract that is there; `changes` names them."""

    def __init__(self, changes: list[Change]) -> None:
        super().__init__(f"{len(changes)} numbers are not those of the contract")
        self.changes = changes


class NotOurs(Exception):
    """Files that somebody else wrote would be replaced; `names` has them."""

    def __init__(self, names: list[str]) -> None:
        super().__init__(", ".join(names))
        self.names = names


def write_contract(folder: Path, texts: Mapping[str, str], *, force: bool = False) -> dict[str, str]:
    """Brings a folder to these texts; returns what became of each file: NEW, CHANGED, UNCHANGED or REMOVED.

    If there are .proto files among the texts, those that were written for a package which is gone are removed.
    Every text is on the disk before the first file is replaced, and each is replaced whole. Numbers are compared first:
    a service that does not read this folder as its lock could give other ones, or give again that of something removed.
    Then nothing is written, for the contract would say what the service does not keep.

    force: replace .proto files without our first line as well.

    Raises ProtoError for a folder whose files cannot be read, NumbersChanged, NotOurs, OSError; then nothing has
    changed, but for an OSError while files are replaced.
    """
    present = {name: path.read_bytes() for name, path in _present(folder, texts)}
    wanted = {name: text.encode() for name, text in texts.items()}
    gone: list[str] = []
    if any(name.endswith(".proto") for name in texts):
        if paths := proto_paths(folder):
            changes = number_changes(load(paths, [folder]), proto_set(texts))
            if changes:
                raise NumbersChanged(changes)
        foreign = [name for name, data in present.items() if name.endswith(".proto") and not data.startswith(_HEAD)]
        if not force and (others := [name for name in foreign if wanted.get(name, present[name]) != present[name]]):
            raise NotOurs(others)
        gone = [name for name in present if name not in wanted and name not in foreign]
    states = {
        name: NEW if name not in present else UNCHANGED if present[name] == data else CHANGED
        for name, data in wanted.items()
    }
    replace_files(folder, {name: wanted[name] for name, state in states.items() if state != UNCHANGED})
    for name in gone:
        (folder / name).unlink()
        states[name] = REMOVED
    return states


def _present(folder: Path, texts: Mapping[str, str]) -> Iterator[tuple[str, Path]]:
    paths = {folder / name for name in texts}
    for path in sorted({*proto_paths(folder), *(path for path in paths if path.is_file())}):
        yield path.relative_to(folder).as_posix(), path


def replace_files(folder: Path, files: Mapping[str, bytes]) -> None:
    """Put each file into its place whole, when all of them are on the disk. Raises OSError."""
    staged: list[tuple[str, Path]] = []
    try:
        for name, data in files.items():
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            descriptor, path = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
            staged.append((path, target))
            with open(descriptor, "wb") as file:
                file.write(data)
                # mkstemp makes it the owner's only.
                os.fchmod(file.fileno(), 0o644)
        while staged:
            os.replace(*staged[0])
            staged.pop(0)
    finally:
        for path, _ in staged:
            with contextlib.suppress(OSError):
                os.unlink(path)
