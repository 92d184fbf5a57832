"""What the pages show is run: each block of Python with its stated output, and the README's commands."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import io
import sys
import types
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.pages import PAGES, README, Block, anchors, blocks, links

by_name = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The current directory, importable; modules of its files are forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


@by_name
def test_the_code_runs_and_prints_what_is_said(page: Path, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType(f"page_{page.stem}")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    found = blocks(page)
    for block, following in zip(found, [*found[1:], None], strict=False):
        if block.language != "python":
            continue
        if block.file is not None:
            (directory / block.file).write_text(block.code)
            __import__(block.file.removesuffix(".py"))
            continue
        printed = run(block, page, module)
        if following is not None and following.language == "text":
            assert printed == following.code, f"{page.name}:{following.line}"
        else:
            assert printed == "", f"{page.name}:{block.line} prints, and the page does not say what"


def run(block: Block, page: Path, module: types.ModuleType) -> str:
    """Execute a block, and the tests that it defines, as pytest would; returns what it prints."""
    before = dict(vars(module))
    # Line numbers in a traceback are those of the page.
    code = compile("\n" * (block.line - 1) + block.code, str(page), "exec", dont_inherit=True)
    output = io.StringIO()
    with contextlib.redirect_stdout(output), warnings.catch_warnings():
        warnings.simplefilter("error")
        exec(code, vars(module))  # noqa: S102 -- our own pages
        for name, value in list(vars(module).items()):
            if name.startswith("test_") and before.get(name) is not value:
                outcome = value()
                if inspect.iscoroutine(outcome):
                    asyncio.run(outcome)
    return output.getvalue()


@by_name
def test_links_lead_somewhere(page: Path) -> None:
    assert [path for path, _ in links(page) if not path.exists()] == []
    assert [anchor for path, anchor in links(page) if anchor and anchor not in anchors(path)] == []


def test_every_page_can_be_reached_from_the_readme() -> None:
    reached = {README}
    pending = [README]
    while pending:
        found = {path for path, _ in links(pending.pop()) if path.suffix == ".md"} - reached
        reached |= found
        pending += found
    assert set(PAGES) <= reached
