"""Parts of a representation that a caller asks for by `Range` (RFC 9110 §14)."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

MOST_PARTS: Final = 16
"""Of one request: more are ignored, which answers with the whole. Each costs a seek and a head (RFC 9110 §17.15)."""
_LONGEST_CHARS = 1024
_SPEC = re.compile(r"([0-9]*)-([0-9]*)")
_BLANK = " \t"


class Part(NamedTuple):
    """Bytes `start` to `end`, without that at `end`; never empty."""

    start: int
    end: int

    def content_range(self, size: int) -> str:
        """As `Content-Range` says it, of a representation of `size` bytes."""
        return f"bytes {self.start}-{self.end - 1}/{size}"


def parts_of(header: str, size: int) -> list[Part] | None:
    """The parts that a `Range` field names of a representation of `size` bytes, in its order; what overlaps is joined.

    None: answer as if there were no `Range`: the unit is no `bytes`, the field is malformed, or it names more than
    `MOST_PARTS` (RFC 9110 §14.2 lets a server ignore these). []: nothing of it is there, a 416.
    """
    unit, separator, specs = header.partition("=")
    if not separator or unit.strip(_BLANK).lower() != "bytes" or len(header) > _LONGEST_CHARS:
        return None
    found: list[Part] = []
    count = 0
    for text in specs.split(","):
        spec = text.strip(_BLANK)
        if not spec:
            continue  # an empty element of a list (RFC 9110 §5.6.1.2)
        count += 1
        match = _SPEC.fullmatch(spec)
        if match is None or count > MOST_PARTS:
            return None
        first, last = match.groups()
        if first:
            if last and int(last) < int(first):
                return None
            part = Part(int(first), min(int(last) + 1, size) if last else size)
        elif last:
            if int(last) and not size:
                # Satisfiable by §14.1.2, but no Content-Range can say it.
                return None
            part = Part(max(size - int(last), 0), size)
        else:
            return None
        if part.start < part.end:
            _join(found, part)
    return found if count else None


def _join(found: list[Part], part: Part) -> None:
    """Add a part, in the place of the first that it overlaps or touches."""
    place = len(found)
    for index in range(len(found) - 1, -1, -1):
        other = found[index]
        if part.start <= other.end and other.start <= part.end:
            part = Part(min(part.start, other.start), max(part.end, other.end))
            del found[index]
            place = index
    found.insert(place, part)
