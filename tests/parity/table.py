"""The README's table of the parity matrix: `python -m tests.parity.table` writes it there."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from polywire.schema.types import Shape
from tests.parity.dialects import DRIVERS
from tests.parity.test_matrix import ROWS
from tests.parity.test_streams import ROWS as STREAM_ROWS

README = Path(__file__).parents[2] / "README.md"
BEGIN = "<!-- parity: made by `python -m tests.parity.table`, checked by tests/parity/test_table.py -->"
END = "<!-- /parity -->"
SHORT = {Shape.SERVER_STREAM: "server", Shape.CLIENT_STREAM: "client", Shape.BIDI_STREAM: "bidirectional"}


def table() -> str:
    """Each row is tested over each protocol, or the test run would have failed: hence no cell but a tick.

    A cell is empty where the protocol carries none of the row's shapes; SSE has no client streams.
    """
    names = [driver.name for driver in DRIVERS]
    lines = [f"| shape | outcome | {' | '.join(names)} |", f"|---|---|{'---|' * len(names)}"]
    lines += [_line("unary", (Shape.UNARY,), title) for title in ROWS]
    for row in sorted(STREAM_ROWS, key=lambda row: -len(row.shapes)):
        every = len(row.shapes) == len(SHORT)
        shape = "every stream" if every else " and ".join(SHORT[shape] for shape in row.shapes) + " stream"
        lines.append(_line(shape, row.shapes, row.title))
    return "\n".join(lines)


def _line(shape: str, shapes: Iterable[Shape], title: str) -> str:
    cells = ["✓" if driver.shapes.intersection(shapes) else "" for driver in DRIVERS]
    return f"| {shape} | {title} | {' | '.join(cells)} |"


def readme_with_table(text: str) -> str:
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{table()}\n{END}{after}"


if __name__ == "__main__":
    README.write_text(readme_with_table(README.read_text()))
