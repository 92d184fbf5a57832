"""Where in a text of JSON its parts stand."""

from __future__ import annotations

import bisect
import json
import re
from typing import Final

_TOKEN = re.compile(r'\s*(?:(?P<string>"(?:[^"\\]|\\.)*")|(?P<symbol>[{}\[\],:])|(?P<scalar>[^\s{}\[\],:"]+))')
_DEEPEST: Final = 200

Path = tuple[str, ...]


class JsonPlaces:
    """Line and column of every member and item, by the keys and indices that lead to it. text: whole, valid JSON.

    Raises ValueError where it is nested more than 200 deep.
    """

    def __init__(self, text: str) -> None:
        self._lines = [0, *(match.end() for match in re.finditer("\n", text))]
        self._at: dict[Path, int] = {(): 0}
        self._tokens = _TOKEN.finditer(text)
        self._value((), next(self._tokens))

    def of(self, path: Path) -> str:
        """`12:3`, of the part, or of the nearest one around it that is there."""
        while path not in self._at:
            path = path[:-1]
        offset = self._at[path]
        line = bisect.bisect_right(self._lines, offset)
        return f"{line}:{offset - self._lines[line - 1] + 1}"

    def _value(self, path: Path, token: re.Match[str]) -> None:
        if len(path) > _DEEPEST:
            raise ValueError(f"JSON is more than {_DEEPEST} deep")
        if token["symbol"] == "{":
            self._members(path)
        elif token["symbol"] == "[":
            self._items(path)

    def _members(self, path: Path) -> None:
        for token in self._tokens:
            if token["symbol"] == "}":
                return
            if token["string"] is not None:
                inner = (*path, json.loads(token["string"]))
                self._at[inner] = token.start("string")
                next(self._tokens)
                self._value(inner, next(self._tokens))

    def _items(self, path: Path) -> None:
        count = 0
        for token in self._tokens:
            if token["symbol"] == "]":
                return
            if token["symbol"] != ",":
                inner = (*path, str(count))
                self._at[inner] = token.start(str(token.lastgroup))
                self._value(inner, token)
                count += 1
