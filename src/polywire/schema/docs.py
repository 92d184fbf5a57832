"""What users wrote about their own classes and methods."""

from __future__ import annotations

import inspect
import re
from typing import Any, Final

LINT: Final = re.compile(r"[\s:;,.]*lint: allow ([a-z-]+(?:, *[a-z-]+)*)\.?")
"""What docs say to `polywire contract lint`: the rules that they silence, with what leads up to it."""


def doc_of(thing: Any) -> str:
    """The first paragraph of a class's or function's own docstring; "" if it has none."""
    text = thing.__dict__.get("__doc__") if isinstance(thing, type) else thing.__doc__
    return inspect.cleandoc(text).split("\n\n")[0] if text else ""


def without_lint(doc: str) -> str:
    """What docs say to people."""
    return LINT.sub(lambda found: "." if found.string[: found.start()].strip() else "", doc).strip()
