"""What `polywire contract write` does."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from polywire.cli.applications import load_or_complain
from polywire.cli.contract_folder import contract_folder
from polywire.cli.terminal import BOLD, complain, paint, show_files, wants_color

if TYPE_CHECKING:
    from polywire.contract.write import NumbersChanged

REFUSED, USAGE_ERROR = 1, 2


def write_app(target: str | None, folder: Path | None, kinds: Sequence[str] | None, force: bool) -> int:
    """Returns the exit code."""
    from polywire.contract.breaking.contracts import ContractError, contract_changes
    from polywire.contract.folder import KINDS, contract_texts
    from polywire.contract.write import NotOurs, NumbersChanged, write_contract
    from polywire.protofile import ProtoError
    from polywire.schema.errors import SchemaError

    app = load_or_complain(target)
    if app is None:
        return USAGE_ERROR
    folder = folder or contract_folder(target)
    services = [service.type for service in app.services]
    try:
        texts = contract_texts(services, title=app.name, version=app.version)
        try:
            broken = [change for change in contract_changes(folder, texts) if change.breaks]
        except ContractError:
            # What cannot be read is written anew; only .proto files are read for what they say.
            broken = []
        wanted = contract_texts(
            services,
            title=app.name,
            version=app.version,
            kinds=kinds or KINDS,
            websocket_path=app.websocket_options.path,
        )
        states = write_contract(folder, wanted, force=force)
    except SchemaError as error:
        complain(f"{error}\nnothing was written")
    except ProtoError as error:
        complain(f"{folder / str(error.place)}: {error.problem}\nnothing was written; mend the file, or restore it")
    except NumbersChanged as error:
        _tell_numbers(error, folder)
    except NotOurs as error:
        names = ", ".join(str(folder / name) for name in error.names)
        complain(f"not written by this command: {names}\nnothing was written; --force replaces them")
    except OSError as error:
        complain(f"{error.filename or folder}: {error.strerror}")
    else:
        show_files(folder, states)
        if broken:
            label = paint("note:", BOLD, color=wants_color(sys.stderr))
            text = "a change that breaks" if len(broken) == 1 else f"{len(broken)} changes that break"
            print(f"{label} the contract now has {text} somebody; `check` named each", file=sys.stderr)
        return 0
    return REFUSED


def _tell_numbers(error: NumbersChanged, folder: Path) -> None:
    lines = [f"  {folder / change.place}: {change.subject}: {change.problem}" for change in error.changes]
    complain(
        "the application does not have the numbers of the contract, which clients in the field use:\n"
        + "\n".join(lines)
        + '\nnothing was written. Let the services read them: class ...(Service, lock=contract_lock("'
        + f'{folder.name}")), and give none by hand. To begin anew, remove {folder}'
    )
