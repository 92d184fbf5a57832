"""Lock files carry versions and hashes, never an address."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LOCKS = [*sorted((ROOT / "requirements").glob("*.txt")), ROOT / "conformance" / "autobahn.txt"]


@pytest.mark.parametrize("path", LOCKS, ids=lambda path: path.name)
def test_every_entry_is_a_version_with_hashes(path: Path) -> None:
    entries = re.sub(r"\s*\\\n\s*", " ", path.read_text()).strip().splitlines()
    assert entries
    for entry in entries:
        assert re.fullmatch(r"[\w.-]+(\[[\w,-]+\])?==\S+( ; [^#]+?)?( --hash=sha256:[0-9a-f]{64})+", entry), entry


def test_the_locks_are_there() -> None:
    assert [path.name for path in LOCKS] == ["bench.txt", "dev.txt", "fuzz.txt", "autobahn.txt"]
