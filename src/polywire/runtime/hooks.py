"""What an app does around its life: hooks, sync or async."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Iterable
from typing import Any

logger = logging.getLogger("polywire")


async def run_hooks(hooks: Iterable[Callable[[], Any]]) -> None:
    """Call each hook and await it where it is async. The first error ends the row and is raised."""
    for hook in hooks:
        outcome = hook()
        if inspect.isawaitable(outcome):
            await outcome


async def run_every_hook(hooks: Iterable[Callable[[], Any]]) -> None:
    """As `run_hooks`, but an error does not keep the others from running: what is open must be closed.

    The first error is raised at the end; the later ones are logged.
    """
    first: Exception | None = None
    for hook in hooks:
        try:
            await run_hooks([hook])
        except Exception as error:
            if first is None:
                first = error
            else:
                logger.exception("a hook failed after another one")
    if first is not None:
        raise first
