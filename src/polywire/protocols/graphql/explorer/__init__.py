"""The page at GraphQL's path: to write and run operations and read the schema; needs no other host.

Its modules are laid into one script, so that its policy can name that by its hash.
"""

from __future__ import annotations

import functools

from polywire.protocols import docs_page
from polywire.protocols.scripts import asset, joined

MODULES = ("dom", "language", "schema", "context", "editor", "answer", "transport", "docs", "history", "main")
"""Each imports those before it only."""


@functools.cache
def explorer_page() -> bytes:
    """The whole page, style and script inside."""
    page = asset(__name__, "page.html")
    return page.replace("/*style*/", _style(), 1).replace("/*script*/", _script(), 1).encode()


@functools.cache
def explorer_headers() -> tuple[tuple[str, str], ...]:
    """The headers to send with the page: its type, and a policy under which nothing but its own script runs."""
    return docs_page.page_headers(_style(), _script())


@functools.cache
def _style() -> str:
    """That of the page at `/docs`, and what is of this one."""
    return docs_page.asset("page.css") + asset(__name__, "page.css")


@functools.cache
def _script() -> str:
    return joined(__name__, MODULES)
