"""A committed contract held against what its services are now."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from polywire.contract.breaking.changes import GRAPHQL as GRAPHQL_USERS
from polywire.contract.breaking.changes import REST, Change
from polywire.contract.breaking.graphql import SdlError, sdl_changes
from polywire.contract.breaking.json_places import JsonPlaces
from polywire.contract.breaking.protobuf import proto_changes
from polywire.contract.breaking.rest import rest_changes
from polywire.contract.folder import GRAPHQL, OPENAPI, proto_paths, proto_set
from polywire.protofile import FileSet, load

NUMBERS = frozenset({"field-number-changed", "enum-value-number-changed", "reservation-removed"})
_REMOVED = frozenset({"field-removed", "enum-value-removed"})
_ROUTES = frozenset({"route-removed", "route-added"})


class ContractError(Exception):
    """A file of the contract cannot be read; `str` begins with its place."""


def contract_changes(folder: Path, texts: Mapping[str, str]) -> list[Change]:
    """Every difference between the files in a folder and those that would be written now; places are beneath `folder`.

    A file that the folder lacks is not compared. Where it has openapi.json or schema.graphql, these speak for callers
    of REST and GraphQL, and the .proto files for the others.

    Raises ProtoError, ContractError, OSError.
    """
    changes: list[Change] = []
    if paths := proto_paths(folder):
        changes += proto_changes(load(paths, [folder]), proto_set(texts))
    if (folder / OPENAPI).is_file():
        changes = [change for change in _without(changes, REST) if change.rule not in _ROUTES]
        changes += _rest(_read(folder / OPENAPI), json.loads(texts[OPENAPI]))
    if (folder / GRAPHQL).is_file():
        changes = list(_without(changes, GRAPHQL_USERS))
        try:
            changes += sdl_changes(_read(folder / GRAPHQL), texts[GRAPHQL], GRAPHQL)
        except SdlError as error:
            raise ContractError(str(error)) from None
    return changes


def number_changes(old: FileSet, new: FileSet) -> list[Change]:
    """The changes by which a number comes to mean something else: a service that reads its contract makes none."""
    return [
        change
        for change in proto_changes(old, new)
        if change.rule in NUMBERS or (change.rule in _REMOVED and "wire" in change.breaks)
    ]


def _without(changes: Iterable[Change], audience: str) -> Iterable[Change]:
    """The changes without what they say to some; one that breaks nobody else is left out."""
    for change in changes:
        breaks = {whom: why for whom, why in change.breaks.items() if whom != audience}
        if breaks or not change.breaks:
            yield replace(change, breaks=breaks)


def _rest(text: str, new: dict[str, Any]) -> list[Change]:
    try:
        old = json.loads(text)
    except json.JSONDecodeError as error:
        raise ContractError(f"{OPENAPI}:{error.lineno}:{error.colno}: {error.msg}") from None
    except (RecursionError, ValueError) as error:
        raise ContractError(f"{OPENAPI}:1:1: {error}") from None
    try:
        return rest_changes(old, new, JsonPlaces(text), OPENAPI)
    except (KeyError, TypeError, AttributeError, ValueError, IndexError, StopIteration):
        raise ContractError(f"{OPENAPI}:1:1: it is not as `polywire contract write` writes it") from None


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ContractError(f"{path.name}:1:1: it is not UTF-8 (byte {error.start})") from None
