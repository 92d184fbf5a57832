"""Users' code is checked as strictly as ours, and mistakes in it are found (each `type: ignore` must be needed)."""

from pathlib import Path

import pytest

mypy_api = pytest.importorskip("mypy.api")


def test_a_service_is_typed(tmp_path: Path) -> None:
    sample = Path(__file__).with_name("typed_sample.py")
    source = Path(__file__).parents[2] / "src"
    config = tmp_path / "mypy.ini"
    config.write_text(f"[mypy]\nstrict = true\nmypy_path = {source}\nfollow_imports = silent\n")
    output, errors, status = mypy_api.run(["--config-file", str(config), "--cache-dir", str(tmp_path), str(sample)])
    assert (status, errors) == (0, ""), output
