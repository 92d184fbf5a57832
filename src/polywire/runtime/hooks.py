"""What an app does around its life: hooks, sync or async."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from typing import Any


async def run_hooks(hooks: Iterable[Callable[[], Any]]) -> None:
    """Call each hook and await it where it is async. The first error ends the row and is raised."""
    for hook in hooks:
        outcome = hook()
        if inspect.isawaitable(outcome):
            await outcome
