"""The committed contract of the demo: what is written now is what is there, and nothing breaks anybody."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from polywire.cli.commands import cli
from tests.docs.pages import ROOT

CONTRACT = ROOT / "examples" / "atlas" / "contract"
APP = str(ROOT / "examples" / "atlas" / "app.py") + ":app"


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_it_is_what_would_be_written(tmp_path: Path) -> None:
    result = CliRunner().invoke(cli, ["contract", "write", APP, "--to", str(tmp_path / "now")])
    assert result.exit_code == 0, result.output
    written = {path.name: path.read_text() for path in (tmp_path / "now").iterdir()}
    kept = {path.name: path.read_text() for path in CONTRACT.iterdir()}
    assert written == kept, "run polywire contract write examples/atlas/app.py:app"


@pytest.mark.parametrize("command", ["check", "lint"])
def test_nothing_is_found(command: str) -> None:
    result = CliRunner().invoke(cli, ["contract", command, APP])
    assert result.exit_code == 0, result.output
