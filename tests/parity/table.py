"""The README's table of the parity matrix: `python -m tests.parity.table` writes it there."""

from __future__ import annotations

from pathlib import Path

from tests.parity.drivers import DRIVERS
from tests.parity.test_matrix import ROWS

README = Path(__file__).parents[2] / "README.md"
BEGIN = "<!-- parity: made by `python -m tests.parity.table`, checked by tests/parity/test_table.py -->"
END = "<!-- /parity -->"


def table() -> str:
    """Each row is tested over each protocol, or the test run would have failed: hence no cell but a tick."""
    names = [driver.name for driver in DRIVERS]
    lines = [f"| unary call | {' | '.join(names)} |", f"|---|{'---|' * len(names)}"]
    lines += [f"| {title} | {' | '.join('✓' for _ in names)} |" for title in ROWS]
    return "\n".join(lines)


def readme_with_table(text: str) -> str:
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{table()}\n{END}{after}"


if __name__ == "__main__":
    README.write_text(readme_with_table(README.read_text()))
