"""The text of a .proto file in tokens, each with its place and the comments about it."""

from __future__ import annotations

import re
from collections.abc import Iterator
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
  | (?P<string>"(?:[^"\\\n]|\\[^\n])*"|'(?:[^'\\\n]|\\[^\n])*')
  | (?P<symbol>[{}()\[\]<>;=,.:+-]|/(?!\*))
    """,
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(r"\\(?:([0-7]{1,3})|[xX]([0-9A-Fa-f]{1,2})|u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|(.))")
_SIMPLE = {"n": "\n", "r": "\r", "t": "\t", "a": "\a", "b": "\b", "f": "\f", "v": "\v"} | {one: one for one in "\\?'\""}
_WORD = re.compile(r"[A-Za-z0-9_]")


@dataclass(slots=True)
class Token:
    kind: str
    """`name`, `int`, `float`, `string`, `symbol`, or `end`."""
    text: str
    place: Place
    doc: str = ""
    """The comment that stands right before it."""
    remark: str = ""
    """The comment that stands behind it on its line."""


def tokens(text: str, file: str) -> Iterator[Token]:
    """One token after the other, the last one of kind `end`. Raises ProtoError for what is none, and beyond 4 MiB."""
    if len(text) > MOST_BYTES:
        raise ProtoError(Place(file, 1, 1), f"the file is larger than {MOST_BYTES} characters")
    line, start, at = 1, 0, 0
    if text.startswith("\ufeff"):
        # Some editors mark UTF-8 so; protoc reads over it as well.
        start = at = 1
    token: Token | None = None
    comment: list[str] = []
    blank = True
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise _unreadable(text, at, Place(file, line, at - start + 1))
        kind, written = str(match.lastgroup), match.group()
        at, before = match.end(), at
        if kind == "space":
            continue
        if kind == "newline":
            line, start = line + 1, at
            if blank:
                comment = []
            blank = True
        elif kind == "line":
            if token is not None and not blank:
                token.remark = written[2:].strip()
            else:
                comment.append(written[2:].removeprefix(" ").rstrip())
            blank = False
        elif kind == "block":
            if "/*" in written[2:]:
                raise ProtoError(Place(file, line, before - start + 1), "a comment begins within a comment")
            lines = _block(written)
            if token is not None and not blank and len(lines) == 1:
                token.remark = lines[0].strip()
            else:
                comment = lines
            if "\n" in written:
                line += written.count("\n")
                start = at - (len(written) - written.rindex("\n") - 1)
            blank = False
        else:
            if kind in ("int", "float") and _WORD.match(text, at):
                raise ProtoError(Place(file, line, at - start + 1), "a number ends where a name begins")
            if token is not None:
                yield token
            token = Token(kind, written, Place(file, line, before - start + 1), "\n".join(comment).strip())
            comment, blank = [], False
    if token is not None:
        yield token
    yield Token("end", "", Place(file, line, at - start + 1))


def _unreadable(text: str, at: int, place: Place) -> ProtoError:
    if text.startswith("/*", at):
        return ProtoError(place, "a comment has no end")
    if text[at] in "\"'":
        return ProtoError(place, "a string has no end on its line")
    return ProtoError(place, f"{text[at]!r} means nothing here")


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
        if simple not in _SIMPLE:
            raise ProtoError(token.place, f"{match[0]!r:.10} is no escape")
        return _SIMPLE[simple]

    return _ESCAPE.sub(replace, token.text[1:-1])
