"""What a page of Markdown holds: its code blocks, links and marked tables."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
PAGES = (README, *sorted((ROOT / "docs").glob("*.md")))

_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_FILE = re.compile(r"# (\w+\.py)\n")


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block. line: of its first line of code, from 1."""

    language: str
    code: str
    line: int

    @property
    def file(self) -> str | None:
        """The file that the block says it is, by a first line such as `# users.py`."""
        found = _FILE.match(self.code)
        return found[1] if found else None


def blocks(page: Path) -> list[Block]:
    text = page.read_text()
    return [Block(found[1], found[2], text.count("\n", 0, found.start()) + 2) for found in _BLOCK.finditer(text)]


def prose(page: Path) -> str:
    """The page without its blocks."""
    return _BLOCK.sub("", page.read_text())


def links(page: Path) -> list[tuple[Path, str]]:
    """What the page links to in this project: (file, anchor or "")."""
    found = [link.partition("#") for link in _LINK.findall(prose(page)) if "://" not in link]
    return [((page.parent / path).resolve() if path else page, anchor) for path, _, anchor in found]


def anchors(page: Path) -> set[str]:
    """The anchors of the page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def table(page: Path, mark: str) -> list[list[str]]:
    """The cells of the rows of the table between `<!-- mark… -->` and `<!-- /mark -->`, without its head."""
    found = re.search(rf"<!-- {mark}\b.*?-->\n(.*?)<!-- /{mark} -->", page.read_text(), re.DOTALL)
    assert found is not None, f"{page.name} has no table {mark!r}"
    rows = [re.split(r"(?<!\\)\|", line.strip())[1:-1] for line in found[1].strip().splitlines()]
    return [[cell.strip().replace(r"\|", "|") for cell in row] for row in rows[2:]]
