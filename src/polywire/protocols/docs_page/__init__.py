"""The page at `/docs`: reads `openapi.json` beside it, shows every operation and tries it; needs no other host."""

from __future__ import annotations

import base64
import functools
import hashlib
from importlib import resources

CONTENT_TYPE = "text/html; charset=utf-8"


@functools.cache
def docs_page() -> bytes:
    """The whole page, style and script inside."""
    page = asset("page.html")
    return page.replace("/*style*/", asset("page.css"), 1).replace("/*script*/", asset("page.js"), 1).encode()


@functools.cache
def docs_headers() -> tuple[tuple[str, str], ...]:
    """The headers to send with the page."""
    return page_headers(asset("page.css"), asset("page.js"))


def page_headers(style: str, script: str) -> tuple[tuple[str, str], ...]:
    """Of a page with these inside: its type, and a policy under which nothing but its own script runs.

    The policy names style and script by their hashes (CSP Level 3 §6.7.3), so that text from the contract could not
    run even if it were ever written as markup.
    """
    policy = "; ".join(
        (
            "default-src 'none'",
            f"style-src {_hash(style)}",
            f"script-src {_hash(script)}",
            "connect-src 'self'",
            "img-src data:",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        )
    )
    return (
        ("content-type", CONTENT_TYPE),
        ("content-security-policy", policy),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("cache-control", "no-cache"),
    )


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def asset(name: str) -> str:
    return resources.files(__name__).joinpath(name).read_text(encoding="utf-8")
