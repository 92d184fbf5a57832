"""What `polywire contract check` does."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from polywire.cli.applications import load_or_complain
from polywire.cli.contract_folder import contract_folder, load_protos, root_of, shown_place
from polywire.cli.terminal import BOLD, DIM, GREEN, RED, complain, paint, wants_color

if TYPE_CHECKING:
    from polywire.contract.breaking.changes import Change

BROKEN, USAGE_ERROR = 1, 2


def check_app(target: str | None, folder: Path | None, verbose: bool, as_json: bool) -> int:
    """Returns the exit code."""
    from polywire.contract.breaking.contracts import ContractError, contract_changes
    from polywire.contract.folder import contract_texts, proto_set
    from polywire.contract.python_places import PythonPlaces
    from polywire.protofile import ProtoError
    from polywire.schema.errors import SchemaError

    app = load_or_complain(target)
    if app is None:
        return USAGE_ERROR
    folder = folder or contract_folder(target)
    if not folder.is_dir():
        write = f"polywire contract write {target}" if target else "polywire contract write"
        complain(f"there is no contract in {folder}; `{write}` writes the first one")
        return USAGE_ERROR
    services = [service.type for service in app.services]
    try:
        texts = contract_texts(services, title=app.name, version=app.version)
        changes = contract_changes(folder, texts)
    except ProtoError as error:
        complain(f"{folder / str(error.place)}: {error.problem}")
    except (ContractError, SchemaError) as error:
        complain(f"{folder}/{error}" if isinstance(error, ContractError) else str(error))
    except OSError as error:
        complain(f"{error.filename or folder}: {error.strerror}")
    else:
        python = PythonPlaces(services).by_proto_place(proto_set(texts))
        return report(
            [
                replace(
                    change,
                    # What is new has no place in the old contract.
                    place=python.get(change.place, str(folder / change.place))
                    if change.now == change.place
                    else str(folder / change.place),
                    now=python.get(change.now, "") if change.now != change.place else "",
                )
                for change in changes
            ],
            str(folder),
            verbose,
            as_json,
            "`polywire contract write` brings the folder up to date",
        )
    return USAGE_ERROR


def check_protos(old: Path, new: Path, verbose: bool, as_json: bool) -> int:
    """Returns the exit code."""
    from polywire.contract.breaking.protobuf import proto_changes

    before, after = load_protos(old), load_protos(new)
    if before is None or after is None:
        return USAGE_ERROR
    old_root, new_root = root_of(old), root_of(new)
    return report(
        [
            replace(
                change,
                place=str((new_root if change.now == change.place else old_root) / change.place),
                now=str(new_root / change.now) if change.now and change.now != change.place else "",
            )
            for change in proto_changes(before, after)
        ],
        str(old),
        verbose,
        as_json,
    )


def report(changes: Sequence[Change], what: str, verbose: bool, as_json: bool, advice: str = "") -> int:
    """Print the changes; returns the exit code.

    what: was compared, as the user knows it. advice: what to do about changes that break nobody.
    """
    broken = [change for change in changes if change.breaks]
    fine = [change for change in changes if not change.breaks]
    shown = [*broken, *(fine if verbose else [])]
    if as_json:
        print(json.dumps([_object(change) for change in shown], indent=2, ensure_ascii=False))
        return BROKEN if broken else 0
    color = wants_color(sys.stdout)
    for change in shown:
        _print(change, color)
    harmless = f"{_count(len(fine), 'change')} that {'breaks' if len(fine) == 1 else 'break'} nobody"
    more = "" if verbose or not fine else f"; {harmless}: --verbose shows them"
    if broken:
        print(paint(_count(len(broken), "breaking change"), RED, color=color) + more)
        return BROKEN
    print(paint(f"nothing breaks against {what}", GREEN, color=color) + more)
    if fine and advice:
        print(advice)
    return 0


def _print(change: Change, color: bool) -> None:
    from polywire.contract.breaking.changes import ORDER

    rule = paint(f"[{change.rule}]", DIM, color=color)
    place = paint(shown_place(change.place), BOLD, color=color)
    print(f"{place}: {change.subject}: {change.problem} {rule}")
    for whom in ORDER:
        if whom in change.breaks:
            print(f"    {paint(f'{whom:8}', RED, color=color)} {change.breaks[whom]}")
    if change.now:
        print(f"    {paint('now', DIM, color=color)}      {shown_place(change.now)}")


def _object(change: Change) -> dict[str, object]:
    path, line, column = _split(change.place)
    return {
        "rule": change.rule,
        "file": path,
        "line": line,
        "column": column,
        "subject": change.subject,
        "problem": change.problem,
        "breaks": dict(change.breaks),
        "now": shown_place(change.now) or None,
    }


def _split(place: str) -> tuple[str, int, int | None]:
    """A place in Python has no column."""
    path, line, *column = shown_place(place).split(":")
    return path, int(line), int(column[0]) if column else None


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
