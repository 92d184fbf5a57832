"""The committed contract as a lock: the numbers that its .proto files gave.

What reads those files is loaded when there are some: most services have none, and start sooner.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from polywire.schema.errors import SchemaError
from polywire.schema.names import upper_snake
from polywire.schema.numbers import ContractLock

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

    from polywire.protofile import FileSet
    from polywire.protofile.declarations import Enum, Message

_MOST = 10_000
"""Reserved numbers of one message or enum."""


def contract_lock(folder: str | Path) -> ContractLock:
    """The numbers of the contract in a folder of .proto files, for `class UserService(Service, lock=...)`.

    So a field keeps its number wherever it stands in its class, a new one takes the next that was never used, and those
    of removed ones stay reserved: `polywire contract write` writes what this reads.

    folder: relative to the module that calls this. Where there is none yet, nothing is locked.

    Raises SchemaError, with file, line and column, for files that cannot be read.
    """
    path = Path(folder)
    if path.is_absolute():
        return lock_of(path)
    module = sys._getframe(1).f_globals
    file = module.get("__file__")
    if file is not None and not Path(file).exists() and (package := module.get("__package__")):
        # In an archive. What few need is loaded when it is needed.
        from importlib import resources

        return lock_of(resources.files(package).joinpath(*path.parts))
    return lock_of((Path(file).parent if file else Path.cwd()) / path)


def lock_of(folder: Traversable) -> ContractLock:
    """As `contract_lock`, of a folder that is named whole."""
    from polywire.protofile import ProtoError, load_folder

    try:
        return lock_from(load_folder(folder))
    except ProtoError as error:
        raise SchemaError(
            f"{folder}/{error.place}", error.problem, "mend the file, or restore it from version control"
        ) from None


def lock_from(files: FileSet) -> ContractLock:
    """The numbers that some files give, by the names that Python has for them."""
    from polywire.protofile.resolve import all_messages

    numbers: dict[str, dict[str, int]] = {}
    reserved: dict[str, tuple[int, ...]] = {}
    retired: dict[str, tuple[str, ...]] = {}
    wanted = [files.files[name] for name in files.wanted]
    messages = [message for file in wanted for message in all_messages(file.messages)]
    enums = [enum for file in wanted for enum in file.enums] + [enum for message in messages for enum in message.enums]
    for message in messages:
        numbers[message.full_name] = {field.name: field.number for field in message.fields}
        reserved[message.full_name] = _expanded(message)
        retired[message.full_name] = tuple(message.reserved_names)
    for enum in enums:
        numbers[enum.full_name] = {
            enum_value_name(enum, value.name): value.number for value in enum.values if value.number != 0
        }
        reserved[enum.full_name] = _expanded(enum)
        retired[enum.full_name] = tuple(enum_value_name(enum, name) for name in enum.reserved_names)
    return ContractLock(numbers, reserved, retired)


def enum_value_name(enum: Enum, proto_name: str) -> str:
    """`ACTIVE` for `STATUS_ACTIVE` of Status."""
    return proto_name.removeprefix(f"{upper_snake(enum.name)}_")


def _expanded(table: Message | Enum) -> tuple[int, ...]:
    from polywire.protofile import ProtoError

    found: list[int] = []
    for start, end in table.reserved:
        if end - start >= _MOST - len(found):
            raise ProtoError(table.place, f"{table.name} reserves more than {_MOST} numbers")
        found += range(start, end + 1)
    return tuple(sorted(found))
