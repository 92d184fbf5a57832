"""What a terminal shows: colour where there is one, messages to standard error."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TextIO

BOLD, DIM, RED, GREEN, CYAN = "1", "2", "31", "32", "36"
_STATES = {"new": GREEN, "changed": CYAN, "unchanged": DIM, "removed": RED}


def wants_color(stream: TextIO) -> bool:
    """Whether `stream` is a terminal that takes colour (https://no-color.org)."""
    return stream.isatty() and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"


def paint(text: str, style: str, *, color: bool) -> str:
    return f"\x1b[{style}m{text}\x1b[0m" if color else text


def show_files(folder: Path, states: Mapping[str, str]) -> None:
    """A table of files and what became of them: `new`, `changed`, `unchanged` or `removed`."""
    color = wants_color(sys.stdout)
    width = max((len(str(folder / name)) for name in states), default=0)
    for name, state in states.items():
        print(f"{folder / name!s:{width}}  {paint(state, _STATES[state], color=color)}")


def complain(message: str) -> None:
    """An error for the person at the keyboard, on standard error."""
    label = paint("error:", RED, color=wants_color(sys.stderr))
    print(f"{label} {message}", file=sys.stderr, flush=True)
