from __future__ import annotations

import base64
import hashlib
import re

import pytest

from polywire.protocols.docs_page import docs_headers, docs_page


def between(start: str, end: str) -> list[str]:
    return re.findall(f"{start}(.*?){end}", docs_page().decode(), re.DOTALL)


def test_the_policy_names_exactly_what_is_inline() -> None:
    policy = dict(docs_headers())["content-security-policy"]
    for kind in ("style", "script"):
        (text,) = between(f"<{kind}>", f"</{kind}>")
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy
    assert "unsafe" not in policy
    assert "default-src 'none'" in policy


def test_the_page_needs_no_other_host() -> None:
    page = docs_page().decode()
    assert not re.findall(r"https?://[a-z]", page)
    assert not re.findall(r'(?:src|href)="(?!openapi\.json|#|data:,)', page)
    assert "@import" not in page
    assert not re.findall(r"\burl\(", page)


@pytest.mark.parametrize(
    "sink", ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "Function("]
)
def test_text_never_becomes_markup(sink: str) -> None:
    assert sink not in docs_page().decode()


def test_nothing_inline_escapes_the_policy() -> None:
    page = docs_page().decode()
    assert not re.findall(r"<[^>]+\sstyle=", page)
    assert not re.findall(r"<[^>]+\son[a-z]+=", page)


def test_the_page_is_made_once() -> None:
    assert docs_page() is docs_page()
    assert docs_page().startswith(b"<!doctype html>")
    assert dict(docs_headers())["content-type"] == "text/html; charset=utf-8"
