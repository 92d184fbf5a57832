"""Who may import whom: the contracts stand in pyproject.toml.

import-linter follows chains of imports, but reads Python only; this module reads every source, Cython too, link by
link.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
LAYERS = next(contract["layers"] for contract in CONTRACTS if contract["type"] == "layers")
ALLOWED = {tuple(pair.split(" -> ")) for contract in CONTRACTS for pair in contract["ignore_imports"]}
SOURCES = sorted(path for suffix in ("py", "pyi", "pyx", "pxd") for path in ROOT.glob(f"src/polywire/*/**/*.{suffix}"))
IMPORT = re.compile(r"^\s*(?:from\s+([\w.]+)\s+c?import|c?import\s+([\w.]+))", re.MULTILINE)


def imported_by_cython(source: str) -> set[str]:
    return {first or second for first, second in IMPORT.findall(source)}


def imported_by_python(source: str) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.module, "imports are absolute"
            found.add(node.module)
    return found


def forbidden(module: str) -> set[str]:
    """What this module must not import: the rooms beside and above its own, and what the contracts name."""
    names: set[str] = set()
    for contract in CONTRACTS:
        if contract["type"] == "forbidden" and any(within(module, room) for room in contract["source_modules"]):
            names |= set(contract["forbidden_modules"])
    for depth, layer in enumerate(LAYERS):
        rooms = [f"polywire.{room.strip()}" for room in layer.split("|")]
        if any(within(module, room) for room in rooms):
            above = [f"polywire.{room.strip()}" for other in LAYERS[:depth] for room in other.split("|")]
            names |= {room for room in [*above, *rooms] if not within(module, room)}
    return names


def within(module: str, package: str) -> bool:
    return module == package or module.startswith(package + ".")


def test_python_modules_keep_the_directions() -> None:
    run = subprocess.run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports_command as m; m()", "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert "0 broken" in run.stdout


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT / "src")))
def test_every_link_keeps_the_directions(path: Path) -> None:
    module = ".".join(path.relative_to(ROOT / "src").with_suffix("").parts).removesuffix(".__init__")
    read = imported_by_python if path.suffix.startswith(".py") and path.suffix != ".pyx" else imported_by_cython
    found = {name for name in read(path.read_text()) if (module, name) not in ALLOWED}
    assert not {name for name in found for bad in forbidden(module) if within(name, bad)}
    assert "polywire" not in found, "the package itself is for users; rooms name each other"


def test_a_wrong_import_is_seen() -> None:
    cython = (
        "from cpython.bytes cimport PyBytes_Size\n    import asyncio\nfrom polywire.http.exchange import Exchange\n"
    )
    assert imported_by_cython(cython) == {"cpython.bytes", "asyncio", "polywire.http.exchange"}
    assert imported_by_python("def f():\n    import ssl, polywire.cli\n") == {"ssl", "polywire.cli"}
    assert {"asyncio", "polywire.http", "polywire.service", "polywire.schema"} <= forbidden("polywire.wire.http2")
    assert "polywire.wire" not in forbidden("polywire.wire.http2")
