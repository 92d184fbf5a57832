"""Options: `name = value`, the value a word, a number, a string or a message in text format."""

from __future__ import annotations

from typing import Any, Final

from polywire.protofile.declarations import Option, ProtoError
from polywire.protofile.reader import Reader

_DEEPEST: Final = 32
_LARGEST: Final = 2**64 - 1


class OptionReader(Reader):
    def _option_statement(self) -> Option:
        self._expect("option")
        option = self._option()
        self._expect(";")
        return option

    def _bracketed(self) -> tuple[Option, ...]:
        if not self._accept("["):
            return ()
        options = [self._option()]
        while self._accept(","):
            options.append(self._option())
        self._expect("]")
        return tuple(options)

    def _option(self) -> Option:
        place = self._next.place
        parts = [self._option_part()]
        while self._accept("."):
            if len(parts) == _DEEPEST:
                raise ProtoError(place, f"an option's name has more than {_DEEPEST} parts")
            parts.append(self._option_part())
        self._expect("=")
        value_place, kind = self._next.place, self._next.kind
        value = self._aggregate(1) if self._is("{") else self._constant()
        return Option(".".join(parts), value, place, value_place, kind == "string")

    def _option_part(self) -> str:
        if not self._accept("("):
            return self._name("an option's name").text
        name, _ = self._dotted("an extension's name")
        self._expect(")")
        return f"({name.removeprefix('.')})"

    def _constant(self) -> Any:
        if self._next.kind == "string":
            return self._string()
        sign = -1 if self._accept("-") else 1
        number = self._next
        if number.kind == "int":
            return sign * self._int("a number", 0, _LARGEST)
        if number.kind == "float":
            return sign * float(self._take().text.rstrip("f"))
        if number.kind == "name":
            text = self._take().text
            if text in ("inf", "nan"):
                return sign * float(text)
            if sign < 0:
                raise self._fail("a number", number)
            return {"true": True, "false": False}.get(text, text)
        raise self._fail("a value", number)

    # Text format (https://protobuf.dev/reference/protobuf/textformat-spec)

    def _aggregate(self, depth: int) -> dict[str, Any]:
        """A message, `{ get: "/v1/users" }`."""
        if depth > _DEEPEST:
            raise ProtoError(self._next.place, f"values are more than {_DEEPEST} deep")
        close = ">" if self._accept("<") else "}"
        if close == "}":
            self._expect("{")
        value: dict[str, Any] = {}
        while not self._accept(close):
            name = self._text_name()
            if not self._accept(":") and not (self._is("{") or self._is("<") or self._is("[")):
                raise self._fail("':'")
            item = self._text_value(depth)
            if name not in value:
                value[name] = item
            else:
                known = value[name]
                if not isinstance(known, list):
                    known = value[name] = [known]
                known += item if isinstance(item, list) else [item]
            if not self._accept(","):
                self._accept(";")
        return value

    def _text_name(self) -> str:
        if not self._accept("["):
            return self._name("a field's name").text
        name = self._dotted("a name", absolute=False)[0]
        if self._accept("/"):
            name += "/" + self._dotted("a name", absolute=False)[0]
        self._expect("]")
        return f"[{name}]"

    def _text_value(self, depth: int) -> Any:
        if self._is("{") or self._is("<"):
            return self._aggregate(depth + 1)
        if not self._accept("["):
            return self._constant()
        items: list[Any] = []
        if self._accept("]"):
            return items
        while True:
            items.append(self._aggregate(depth + 1) if self._is("{") or self._is("<") else self._constant())
            if not self._accept(","):
                self._expect("]")
                return items
