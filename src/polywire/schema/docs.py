"""What users wrote about their own classes and methods."""

from __future__ import annotations

import inspect
from typing import Any


def doc_of(thing: Any) -> str:
    """The first paragraph of a class's or function's own docstring; "" if it has none."""
    text = thing.__dict__.get("__doc__") if isinstance(thing, type) else thing.__doc__
    return inspect.cleandoc(text).split("\n\n")[0] if text else ""
