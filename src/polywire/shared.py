"""`Shared`: one value on its way to many callers, and what it has been encoded to so far."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, Final

MOST_ENCODINGS: Final = 16


class Shared:
    """A stream's item that many streams send alike: encoded once for each format, not once for each caller.

    Whoever encodes it keeps the outcome in it, under a key that nobody else uses; it must not depend on the caller.
    What does not know of it takes `value`.
    """

    __slots__ = ("_encodings", "value")

    def __init__(self, value: Any) -> None:
        self.value = value
        self._encodings: dict[Hashable, Any] = {}

    def encoded(self, key: Hashable, encode: Callable[[Any], Any]) -> Any:
        """What `encode` makes of the value; of the first call with that key. Raises what it raises, and tries again."""
        found = self._encodings.get(key)
        if found is None:
            found = encode(self.value)
            if len(self._encodings) < MOST_ENCODINGS:
                self._encodings[key] = found
        return found
