"""Answers about header texts, remembered by the text: clients repeat theirs with every request."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TypeVar

R = TypeVar("R")

ENTRIES = 512
LONGEST_TEXT = 256
"""Longer texts are looked at anew: nobody sends them twice but to fill memory."""


def text_cached(function: Callable[[str], R]) -> Callable[[str], R]:
    """`function`, remembering its results for up to 512 texts of up to 256 characters. Errors are not remembered."""
    remembered = functools.lru_cache(maxsize=ENTRIES)(function)

    @functools.wraps(function)
    def look(text: str) -> R:
        return remembered(text) if len(text) <= LONGEST_TEXT else function(text)

    return look
