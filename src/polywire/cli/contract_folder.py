"""Which folder the contract of an application is in, and how its places are shown."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from polywire.cli.load import demo_path, split_target

NAME = "contract"


def contract_folder(target: str | None) -> Path:
    """`contract`, beside the module of an application that has been loaded; relative where that is below here."""
    where = str(demo_path()) if target is None else split_target(target)[0]
    if where.endswith(".py") or os.sep in where:
        module: str | None = where
    else:
        module = getattr(sys.modules.get(where), "__file__", None)
    return shown_path((Path(module).parent if module else Path.cwd()).absolute() / NAME)


def shown_path(path: Path) -> Path:
    """Relative to the current directory where it is below it."""
    path = path.absolute()
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def shown_place(place: str) -> str:
    path, colon, rest = place.partition(":")
    return f"{shown_path(Path(path))}{colon}{rest}" if path else ""
