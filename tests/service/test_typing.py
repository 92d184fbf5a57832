"""Users' code is checked as strictly as ours, and mistakes in it are found (each `type: ignore` must be needed)."""

from pathlib import Path

import pytest

mypy_api = pytest.importorskip("mypy.api")


def test_a_service_is_typed(tmp_path: Path) -> None:
    samples = [str(path) for path in Path(__file__).parents[1].joinpath("typing").glob("*.py")]
    assert samples
    source = Path(__file__).parents[2] / "src"
    config = tmp_path / "mypy.ini"
    config.write_text(
        f"[mypy]\nstrict = true\nmypy_path = {source}\nexplicit_package_bases = true\nfollow_imports = silent\n"
    )
    output, errors, status = mypy_api.run(["--config-file", str(config), "--cache-dir", str(tmp_path), *samples])
    assert (status, errors) == (0, ""), output
