"""docs/contracts.md: its commands, given one after another, say and write what the page shows."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.pages import ROOT, Block, blocks

PAGE = ROOT / "docs" / "contracts.md"


def only(language: str) -> Block:
    (block,) = [block for block in blocks(PAGE) if block.language == language]
    return block


def contract(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "polywire.cli", "contract", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for block in blocks(PAGE):
        if block.file is not None:
            (tmp_path / block.file).write_text(block.code)
    return tmp_path


def test_the_way_of_it(folder: Path) -> None:
    first, *_ = (block for block in blocks(PAGE) if block.language == "sh")
    for line in first.code.splitlines():
        _, _, *arguments = shlex.split(line, comments=True)
        done = contract(folder, *arguments)
        assert (done.returncode, done.stderr) == (0, ""), line


def test_a_field_is_replaced(folder: Path) -> None:
    assert contract(folder, "write", "users.py:app").returncode == 0
    users = folder / "users.py"
    users.write_text(users.read_text().replace("email: str", "city: str"))
    checked = contract(folder, "check", "users.py:app")
    assert (checked.returncode, checked.stdout) == (1, only("text").code)
    assert contract(folder, "write", "users.py:app").returncode == 0
    assert only("proto").code in (folder / "contract" / "user.proto").read_text()


def test_the_lint_is_silenced(folder: Path) -> None:
    assert contract(folder, "lint", "colours.py:app").returncode == 0
    colours = folder / "colours.py"
    colours.write_text(colours.read_text().replace("lint: allow", "allowed:"))
    assert contract(folder, "lint", "colours.py:app").returncode == 1
