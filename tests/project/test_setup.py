"""`make setup` on a machine that lacks something says plainly what, and stops."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ("bash", "basename", "cat", "dirname", "env", "find", "id", "mktemp", "rm", "sed", "sha256sum", "tail", "touch")


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A fresh copy of what set-up needs, in a folder with a space in its name."""
    clone = tmp_path / "a clone"
    for name in ("scripts", "requirements"):
        shutil.copytree(ROOT / name, clone / name)
    for name in ("pyproject.toml", "setup.py", "Makefile"):
        shutil.copy(ROOT / name, clone / name)
    return clone


def setup(clone: Path, tools: dict[str, str], **environment: str) -> subprocess.CompletedProcess[str]:
    """Run set-up where only these commands exist."""
    folder = clone / "commands"
    folder.mkdir()
    for name in set(TOOLS) - set(tools):
        (folder / name).symlink_to(shutil.which(name) or name)
    for name, text in tools.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    return subprocess.run(
        ["bash", "scripts/setup.sh"],
        cwd=clone,
        env={"PATH": str(folder), "HOME": str(clone), **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def test_without_anything_it_names_all_that_is_missing(clone: Path) -> None:
    run = setup(clone, {})
    assert run.returncode == 1
    libraries = ("libnghttp2, 1.52 or later", "the headers of zlib")
    for missing in ("Python 3.11 or later", "a C compiler", *libraries, "sudo apt-get install"):
        assert missing in run.stderr
    assert not (clone / ".venv").exists()


def test_without_rights_it_does_not_try_to_install(clone: Path) -> None:
    tools = {
        "apt-get": "#!/bin/sh\ntouch apt-get-was-called\n",
        "id": "#!/bin/sh\necho 1000\n",
        "sudo": "#!/bin/sh\nexit 1\n",
    }
    run = setup(clone, tools)
    assert run.returncode == 1
    assert "rights" in run.stderr
    assert not (clone / "apt-get-was-called").exists()


def test_an_old_python_is_refused_by_name(clone: Path) -> None:
    run = setup(clone, {"oldpython": "#!/bin/sh\nexit 1\n"}, PYTHON="oldpython")
    assert run.returncode == 1
    assert "PYTHON=oldpython is not Python 3.11 or later" in run.stderr


def test_a_failed_installation_names_no_host(clone: Path) -> None:
    tools = {
        "apt-get": "#!/bin/sh\necho 'E: Failed to fetch https://user:secret@mirror.example/debian 404'\nexit 100\n"
    }
    if os.getuid() != 0:
        tools["sudo"] = '#!/bin/sh\n[ "$1" = -n ] && shift\nexec "$@"\n'
    run = setup(clone, tools)
    assert run.returncode == 1
    assert "apt-get could not install" in run.stderr
    assert "Failed to fetch (address)" in run.stderr
    assert "mirror.example" not in run.stderr + run.stdout


def test_help_names_every_target(clone: Path) -> None:
    text = subprocess.run(["make"], cwd=clone, capture_output=True, text=True, check=True).stdout
    targets = {
        target
        for line in (clone / "Makefile").read_text().splitlines()
        if line.startswith(".PHONY:")
        for target in line.split()[1:]
    }
    assert targets
    for target in targets:
        assert f"make {target} " in text
