"""The targets, by name."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable

NAMES = sorted(module.name for module in pkgutil.iter_modules(__path__))


def load(name: str) -> Callable[[bytes], None]:
    """The `fuzz_one` of a target."""
    target: Callable[[bytes], None] = importlib.import_module(f"fuzz.targets.{name}").fuzz_one
    return target
