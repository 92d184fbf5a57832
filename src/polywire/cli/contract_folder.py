"""Which folder the contract of an application is in, how .proto files are read, and how places are shown."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from polywire.cli.load import demo_path, split_target
from polywire.cli.terminal import complain

if TYPE_CHECKING:
    from polywire.protofile import FileSet

NAME = "contract"


def contract_folder(target: str | None) -> Path:
    """`contract`, beside the module of an application that has been loaded; relative where that is below here."""
    where = str(demo_path()) if target is None else split_target(target)[0]
    if where.endswith(".py") or os.sep in where:
        module: str | None = where
    else:
        module = getattr(sys.modules.get(where), "__file__", None)
    return shown_path((Path(module).parent if module else Path.cwd()).absolute() / NAME)


def load_protos(path: Path) -> FileSet | None:
    """A .proto file, or a folder of them; None where they cannot be read, and then it has been said why."""
    from polywire.contract.folder import proto_paths
    from polywire.protofile import ProtoError, load

    try:
        paths = proto_paths(path) if path.is_dir() else [path]
        if paths:
            return load(paths, [root_of(path)])
        complain(f"there is no .proto file in {path}")
    except ProtoError as error:
        complain(f"{shown_place(str(root_of(path) / str(error.place)))}: {error.problem}")
    except OSError as error:
        complain(f"{error.filename or path}: {error.strerror}")
    return None


def root_of(path: Path) -> Path:
    """What the places of files that `load_protos` has read are relative to."""
    return path if path.is_dir() else path.parent


def shown_path(path: Path) -> Path:
    """Relative to the current directory where it is below it."""
    path = path.absolute()
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def shown_place(place: str) -> str:
    path, colon, rest = place.partition(":")
    return f"{shown_path(Path(path))}{colon}{rest}" if path else ""
