"""The text of a .proto file in tokens, each with its place and the comment before it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from polywire.protofile.declarations import Place, ProtoError

MOST_BYTES: Final = 4 * 1024 * 1024
_TOKEN = re.compile(
    r"""
    (?P<space>[ \t\r\f\v]+)
  | (?P<newline>\n)
  | (?P<line>//[^\n]*)
  | (?P<block>/\*.*?\*/)
  | (?P<name>[A-Za-z_][A-Za-z0-9_]*)
  | (?P<float>(?:[0-9]+\.[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?f?|[0-9]+[eE][+-]?[0-9]+f?)
  | (?P<int>0[xX][0-9A-Fa-f]+|[0-9]+)
  | (?P<string>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')
  | (?P<symbol>[{}()\[\]<>;=,.:/+-])
    """,
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(r"\\(?:([0-7]{1,3})|[xX]([0-9A-Fa-f]{1,2})|u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|(.))", re.DOTALL)
_SIMPLE = {"n": "\n", "r": "\r", "t": "\t", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}


@dataclass(slots=True)
class Token:
    kind: str
    """`name`, `int`, `float`, `string`, `symbol`, or `end`."""
    text: str
    place: Place
    doc: str = ""
    """The comment that stands right before it."""


def tokens(text: str, file: str) -> list[Token]:
    """Every token, the last one of kind `end`. Raises ProtoError for what is none, and for a file beyond 4 MiB."""
    if len(text) > MOST_BYTES:
        raise ProtoError(Place(file, 1, 1), f"the file is larger than {MOST_BYTES} characters")
    found: list[Token] = []
    line, start, at = 1, 0, 0
    comment: list[str] = []
    blank = False
    while at < len(text):
        match = _TOKEN.match(text, at)
        place = Place(file, line, at - start + 1)
        if match is None:
            if text.startswith("/*", at):
                raise ProtoError(place, "a comment has no end")
            if text[at] in "\"'":
                raise ProtoError(place, "a string has no end on its line")
            raise ProtoError(place, f"{text[at]!r} means nothing here")
        kind, written = str(match.lastgroup), match.group()
        at = match.end()
        if kind == "newline":
            line, start = line + 1, at
            if blank:
                comment = []
            blank = True
        elif kind == "line":
            # A comment behind something on its line is not about what follows.
            if blank or not found:
                comment.append(written[2:].removeprefix(" ").rstrip())
            blank = False
        elif kind == "block":
            comment = _block(written)
            line += written.count("\n")
            if "\n" in written:
                start = at - (len(written) - written.rindex("\n") - 1)
            blank = False
        elif kind != "space":
            found.append(Token(kind, written, place, "\n".join(comment).strip()))
            comment, blank = [], False
    found.append(Token("end", "", Place(file, line, at - start + 1)))
    return found


def _block(written: str) -> list[str]:
    lines = written[2:-2].strip("*").splitlines()
    return [re.sub(r"^\s*\*? ?", "", line).rstrip() for line in lines]


def string_value(token: Token) -> str:
    """What a string literal says. Raises ProtoError for an escape that is none."""

    def replace(match: re.Match[str]) -> str:
        octal, hexadecimal, short, long, simple = match.groups()
        if octal:
            return chr(int(octal, 8) & 0xFF)
        for digits in (hexadecimal, short, long):
            if digits:
                code = int(digits, 16)
                if code > 0x10FFFF:
                    raise ProtoError(token.place, "an escape is beyond Unicode")
                return chr(code)
        return _SIMPLE.get(simple, simple)

    return _ESCAPE.sub(replace, token.text[1:-1])
