"""Values of options that click has no type for: a number of workers, and settings by their names."""

from __future__ import annotations

import dataclasses
import difflib
import math
import os
import types
import typing
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

_QUOTA = Path("/sys/fs/cgroup/cpu.max")


class WorkersType(click.ParamType):  # type: ignore[type-arg,unused-ignore]  # generic in some versions
    """A number from 1, or `auto`: one for each processor."""

    name = "N|auto"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if value == "auto":
            return processors()
        try:
            count = int(value)
        except ValueError:
            count = 0
        if not 1 <= count <= 1024:
            self.fail(f"{value!r} is neither a number from 1 to 1024 nor 'auto'.", param, ctx)
        return count


def processors(quota: Path = _QUOTA) -> int:
    """How many processors this process may keep busy: those it may run on, or fewer where a container's share is less.

    quota: the control group's `cpu.max` (cgroup v2), as seen from within a container.
    """
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        share, period = quota.read_text().split()
        return max(1, min(count, math.ceil(int(share) / int(period))))
    except (OSError, ValueError):  # no such file, or "max": no quota
        return count


def settings_of(pairs: Iterable[str], taken: Iterable[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """`name=value` texts as fields of ServerSettings and of HttpLimits. Raises ValueError, which says what is wrong.

    taken: fields that have an option of their own.
    """
    from polywire.server.settings import ServerSettings
    from polywire.wire.limits import HttpLimits

    taken = {*taken, "limits"}
    known = {
        name: (cls, hint)
        for cls in (ServerSettings, HttpLimits)
        for name, hint in typing.get_type_hints(cls).items()
        if name in {field.name for field in dataclasses.fields(cls)}
    }
    found: dict[type, dict[str, Any]] = {ServerSettings: {}, HttpLimits: {}}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals:
            raise ValueError(f"--set {pair}: write NAME=VALUE")
        if name in taken:
            raise ValueError(f"--set {name}: it has an option of its own, see --help")
        if name not in known:
            names = sorted(known.keys() - taken)
            close = difflib.get_close_matches(name, names, n=1)
            hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(names)}"
            raise ValueError(f"--set {name}: no such setting; {hint}")
        cls, hint = known[name]
        try:
            found[cls][name] = _value(text, hint)
        except ValueError:
            raise ValueError(f"--set {name}: {text!r} is not {_wanted(hint)}") from None
    return found[ServerSettings], found[HttpLimits]


def _value(text: str, hint: Any) -> Any:
    kinds = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    if types.NoneType in kinds and text.lower() == "none":
        return None
    kind = next(kind for kind in kinds if kind is not types.NoneType)
    if kind is bool:
        return {"true": True, "false": False}[text.lower()] if text.lower() in ("true", "false") else _refuse()
    if kind in (int, float):
        number = int(text, 0) if kind is int else float(text)  # also 0o660
        # No setting has a meaning below zero, and a limit that is not a number limits nothing.
        return number if number >= 0 and math.isfinite(number) else _refuse()
    if kind is str:
        return text
    collection = typing.get_origin(kind)
    return collection(part for part in text.split(",") if part)


def _refuse() -> Any:
    raise ValueError


def _wanted(hint: Any) -> str:
    kinds = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    names = {int: "a whole number from 0", float: "a number from 0", bool: "true or false", types.NoneType: "none"}
    return " or ".join(names.get(kind, "a text") for kind in kinds)
