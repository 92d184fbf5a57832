"""ES modules of a package laid into one script, so that one address, or one hash, stands for all of them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from importlib import resources

_IMPORT = re.compile(r"^import .*;\n", re.MULTILINE)
_EXPORT = re.compile(r"^export ", re.MULTILINE)


def joined(package: str, modules: Iterable[str], *, exports: bool = False) -> str:
    """The text of `<module>.js` of each, without what ties them together.

    modules: each imports those before it only, one import a line; their names at the top level differ.
    exports: keep those of the last.
    """
    texts = [_IMPORT.sub("", asset(package, f"{name}.js")) for name in modules]
    kept = texts.pop() if exports else ""
    return "\n".join([*(_EXPORT.sub("", text) for text in texts), *([kept] if exports else [])])


def asset(package: str, name: str) -> str:
    """A text that comes with a package."""
    return resources.files(package).joinpath(name).read_text(encoding="utf-8")
