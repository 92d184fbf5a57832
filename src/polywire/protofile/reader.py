"""Takes tokens one by one, and says what it wanted where something else stands."""

from __future__ import annotations

from typing import Final

from polywire.protofile.declarations import Place, ProtoError
from polywire.protofile.tokens import Token, string_value, tokens

_LONGEST_NUMBER: Final = 30
_MOST_PARTS: Final = 100
"""Of a dotted name."""


class Reader:
    """The tokens of one file. Only the next one is held: a file costs what it declares, whatever stands between."""

    def __init__(self, text: str, name: str) -> None:
        self._tokens = tokens(text, name)
        self._next = next(self._tokens)
        self._last = self._next
        """The one that was taken last."""

    def _take(self) -> Token:
        token = self._last = self._next
        if token.kind != "end":
            self._next = next(self._tokens)
        return token

    def _fail(self, expected: str, token: Token | None = None) -> ProtoError:
        token = token or self._next
        found = "the end of the file" if token.kind == "end" else repr(token.text[:40])
        return ProtoError(token.place, f"expected {expected}, found {found}")

    def _is(self, text: str) -> bool:
        return self._next.text == text and self._next.kind in ("symbol", "name")

    def _accept(self, text: str) -> bool:
        if self._is(text):
            self._take()
            return True
        return False

    def _expect(self, text: str) -> Token:
        if not self._is(text):
            raise self._fail(repr(text))
        return self._take()

    def _name(self, what: str) -> Token:
        if self._next.kind != "name":
            raise self._fail(what)
        return self._take()

    def _string(self) -> str:
        if self._next.kind != "string":
            raise self._fail("a string")
        parts = []
        while self._next.kind == "string":
            parts.append(string_value(self._take()))
        return "".join(parts)

    def _int(self, what: str, least: int, most: int) -> int:
        first = self._next
        sign = -1 if least < 0 and self._accept("-") else 1
        if self._next.kind != "int":
            raise self._fail(what)
        text = self._take().text
        base = 16 if text[:2] in ("0x", "0X") else 8 if len(text) > 1 and text[0] == "0" else 10
        if len(text) > _LONGEST_NUMBER:
            raise ProtoError(first.place, f"{what} is out of range")
        try:
            value = sign * int(text, base)
        except ValueError:
            raise ProtoError(first.place, f"{text!r} is no number") from None
        if not least <= value <= most:
            raise ProtoError(first.place, f"{what} must be from {least} to {most}, not {value}")
        return value

    def _dotted(self, what: str, *, absolute: bool = True) -> tuple[str, Place]:
        """A name with dots in it. absolute: one may stand in front."""
        place = self._next.place
        parts = [""] if absolute and self._accept(".") else []
        parts.append(self._name(what).text)
        while self._accept("."):
            if len(parts) == _MOST_PARTS:
                raise ProtoError(place, f"a name has more than {_MOST_PARTS} parts")
            parts.append(self._name(what).text)
        return ".".join(parts), place
