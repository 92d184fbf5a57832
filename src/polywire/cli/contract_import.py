"""What `polywire contract import` does."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from polywire.cli.contract_folder import shown_place
from polywire.cli.terminal import BOLD, complain, paint, show_files, wants_color

REFUSED = 1


def import_files(paths: Sequence[Path], roots: Sequence[Path], folder: Path, force: bool) -> int:
    """Returns the exit code."""
    from polywire.contract.importer import import_proto
    from polywire.contract.write import CHANGED, NEW, UNCHANGED, replace_files
    from polywire.protofile import ProtoError

    roots = [*roots] or [path.parent for path in paths]
    try:
        imported = import_proto(paths, roots)
        modules = {name: text.encode() for name, text in imported.modules.items()}
        there = {name: (folder / name).read_bytes() for name in modules if (folder / name).is_file()}
        # A package's own __init__.py does for ours, which is empty.
        others = [name for name, text in there.items() if text != modules[name] and modules[name]]
        if others and not force:
            names = ", ".join(str(folder / name) for name in others)
            complain(
                f"{names} would be replaced\nnothing was written; --force replaces what is there, --to takes another"
            )
            return REFUSED
        states = {name: UNCHANGED if name in there and name not in others else NEW for name in modules}
        states |= dict.fromkeys(others, CHANGED)
        replace_files(folder, {name: modules[name] for name, state in states.items() if state != UNCHANGED})
    except ProtoError as error:
        complain(f"{_shown(str(error.place), roots)}: {error.problem}")
        return REFUSED
    except OSError as error:
        complain(f"{error.filename or folder}: {error.strerror}")
        return REFUSED
    show_files(folder, states)
    for note in imported.notes:
        label = paint("not said:", BOLD, color=wants_color(sys.stderr))
        print(f"{label} {_shown(note, roots)}", file=sys.stderr)
    return 0


def _shown(text: str, roots: Sequence[Path]) -> str:
    """A place within one of the roots, as seen from here."""
    name = text.partition(":")[0]
    root = next((root for root in roots if (root / name).is_file()), None)
    return shown_place(str(root / text)) if root is not None else text
