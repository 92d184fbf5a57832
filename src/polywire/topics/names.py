"""The template of a topic, and the names of its topics."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import quote

from polywire.errors import FieldViolation, InvalidInput
from polywire.schema.errors import SchemaError
from polywire.schema.names import upper_camel

ANY: Final = "*"
LONGEST_VALUE: Final = 200
"""Characters of a parameter."""
_SEGMENT: Final = re.compile(r"\{([a-z][a-z0-9_]*)\}|[a-z][a-z0-9_-]*")
_TAKEN: Final = frozenset({"after", "last", "limit", "wait_s", "data", "dedupe_id"})


class Template:
    """`prices.{symbol}`: segments between dots, fixed ones and parameters. Raises SchemaError."""

    def __init__(self, text: str) -> None:
        where = f"Topic({text!r})"
        self.text = text
        self.parameters: tuple[str, ...] = ()
        self._segments: list[tuple[str, bool]] = []
        """Text and whether it is a parameter's name."""
        for segment in text.split("."):
            found = _SEGMENT.fullmatch(segment)
            if found is None:
                raise SchemaError(where, f"{segment!r} is no segment", 'write it like "prices.{symbol}"')
            name = found[1]
            if name is None:
                self._segments.append((segment, False))
                continue
            if name in _TAKEN or name in self.parameters:
                raise SchemaError(where, f"the parameter {name!r} is taken", "give it another name")
            self.parameters += (name,)
            self._segments.append((name, True))
        if self._segments[0][1]:
            raise SchemaError(where, "it begins with a parameter", 'write it like "prices.{symbol}"')

    @property
    def service_name(self) -> str:
        return "".join(upper_camel(text.replace("-", "_")) for text, is_parameter in self._segments if not is_parameter)

    @property
    def path(self) -> str:
        """Of its REST routes."""
        return "/topics/" + "/".join(f"{{{text}}}" if parameter else text for text, parameter in self._segments)

    def topic(self, values: dict[str, str], *, may_be_pattern: bool = False) -> str:
        """The name of one topic; of a pattern where a value is `*` and that may be.

        What stands for something else in a name is percent-encoded in a value. Raises InvalidInput.
        """
        parts = []
        for text, is_parameter in self._segments:
            if not is_parameter:
                parts.append(text)
                continue
            value = values[text]
            if not 0 < len(value) <= LONGEST_VALUE:
                raise _refused(text, f"must have 1 to {LONGEST_VALUE} characters")
            if value == ANY:
                if not may_be_pattern:
                    raise _refused(text, "must name one topic; only subscriptions take a pattern")
                parts.append(ANY)
            elif value.isascii() and value.isalnum():
                parts.append(value)
            else:
                try:
                    parts.append(quote(value, safe="").replace(".", "%2E"))
                except UnicodeEncodeError:
                    raise _refused(text, "must be valid Unicode") from None
        return ".".join(parts)


def _refused(field: str, reason: str) -> InvalidInput:
    return InvalidInput(f"{field} {reason}", (FieldViolation(field, reason),))
