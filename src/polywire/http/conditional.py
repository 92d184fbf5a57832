"""Requests that depend on what the caller has already (RFC 9110 §13), and the dates and tags they are made with."""

from __future__ import annotations

import calendar
import enum
import re
import time
from collections.abc import Iterator
from typing import Final, NamedTuple, Protocol

_ETAG = re.compile(r'(W/)?"([\x21\x23-\x7e\x80-\xff]*)"')
_BLANK = " \t"
_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_TIME = r"(?P<hour>\d\d):(?P<minute>\d\d):(?P<second>\d\d)"
_DATES = (
    re.compile(rf"[A-Z][a-z]{{2}}, (?P<day>\d\d) (?P<month>[A-Z][a-z]{{2}}) (?P<year>\d{{4}}) {_TIME} GMT", re.ASCII),
    re.compile(rf"[A-Z][a-z]{{5,8}}, (?P<day>\d\d)-(?P<month>[A-Z][a-z]{{2}})-(?P<year>\d\d) {_TIME} GMT", re.ASCII),
    re.compile(rf"[A-Z][a-z]{{2}} (?P<month>[A-Z][a-z]{{2}}) (?P<day>[\d ]\d) {_TIME} (?P<year>\d{{4}})", re.ASCII),
)
"""IMF-fixdate, RFC 850, asctime: a recipient takes all three (RFC 9110 §5.6.7)."""


class Fields(Protocol):
    """A request's fields; `wire.Headers` is one."""

    def get(self, name: str, default: str | None = None, /) -> str | None: ...


class Validators(NamedTuple):
    """What tells one state of a representation from another (RFC 9110 §8.8).

    etag: with its quotes, `W/` before them where it is weak; None: there is none.
    modified_s: Unix time in whole seconds; None: not known.
    """

    etag: str | None
    modified_s: int | None = None


class Outcome(enum.Enum):
    """What a request's conditions come to."""

    PROCEED = enum.auto()
    NOT_MODIFIED = enum.auto()
    """304: the caller has it already."""
    FAILED = enum.auto()
    """412."""


def evaluate(method: str, fields: Fields, current: Validators | None) -> Outcome:
    """The conditions of a request, in the order of RFC 9110 §13.2.2. Call it only where the answer were a success.

    current: of the representation that is there now; None: there is none (`If-None-Match: *` then holds).
    What is malformed fails in `If-Match`, matches nothing in `If-None-Match`, and is ignored where it is a date.
    """
    safe = method in ("GET", "HEAD")
    modified_s = None if current is None else current.modified_s
    if_match = fields.get("if-match")
    if if_match is not None:
        if not matches(if_match, current, weak=False):
            return Outcome.FAILED
    elif modified_s is not None:
        bound = _date(fields.get("if-unmodified-since"))
        if bound is not None and modified_s > bound:
            return Outcome.FAILED
    if_none_match = fields.get("if-none-match")
    if if_none_match is not None:
        if matches(if_none_match, current, weak=True):
            return Outcome.NOT_MODIFIED if safe else Outcome.FAILED
    elif safe and modified_s is not None:
        bound = _date(fields.get("if-modified-since"))
        if bound is not None and modified_s <= bound:
            return Outcome.NOT_MODIFIED
    return Outcome.PROCEED


def matches(header: str, current: Validators | None, *, weak: bool) -> bool:
    """Whether `*` or a list of entity tags names what is there now.

    weak: tags that differ by `W/` alone are equal; otherwise none that is weak equals any (RFC 9110 §8.8.3.2).
    """
    if header.strip(_BLANK) == "*":
        return current is not None
    if current is None or current.etag is None:
        return False
    if weak:
        wanted = current.etag.removeprefix("W/")
        return any(tag == wanted for _, tag in _tags(header))
    return any(not is_weak and tag == current.etag for is_weak, tag in _tags(header))


def range_applies(fields: Fields, current: Validators, now_s: float) -> bool:
    """Whether `If-Range`, where there is one, lets `Range` be looked at (RFC 9110 §13.1.5).

    A tag must equal by strong comparison, a date exactly; a date that is not a second in the past at now_s (Unix time)
    may stand for two states of the representation, and does not do.
    """
    header = fields.get("if-range")
    if header is None:
        return True
    if '"' in header:
        match = _ETAG.fullmatch(header.strip(_BLANK))
        return match is not None and match[1] is None and match[0] == current.etag
    modified_s = current.modified_s
    return modified_s is not None and _date(header) == modified_s and now_s - modified_s >= 1


def http_date(unix_s: int) -> str:
    """An IMF-fixdate, `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110 §5.6.7)."""
    year, month, day, hour, minute, second, weekday, *_ = time.gmtime(unix_s)
    return f"{_DAYS[weekday]}, {day:02} {_MONTHS[month - 1]} {year:04} {hour:02}:{minute:02}:{second:02} GMT"


def parse_http_date(text: str) -> int | None:
    """Unix time in seconds of a date in any of the three forms of RFC 9110 §5.6.7; None for anything else."""
    for form in _DATES:
        match = form.fullmatch(text)
        if match is None:
            continue
        if match["month"] not in _MONTHS:
            return None
        day, year = int(match["day"]), int(match["year"])
        month = _MONTHS.index(match["month"]) + 1
        if form is _DATES[1]:
            this_year = time.gmtime().tm_year
            year += this_year - this_year % 100
            if year > this_year + 50:
                year -= 100
        hour, minute, second = int(match["hour"]), int(match["minute"]), int(match["second"])
        if year < 1 or hour > 23 or minute > 59 or second > 60 or not 1 <= day <= calendar.monthrange(year, month)[1]:
            return None
        return calendar.timegm((year, month, day, hour, minute, second))
    return None


def _date(text: str | None) -> int | None:
    return None if text is None else parse_http_date(text.strip(_BLANK))


def _tags(header: str) -> Iterator[tuple[bool, str]]:
    """(is weak, the tag with its quotes) of each in the list; ends where it is malformed."""
    position, length = 0, len(header)
    while True:
        while position < length and header[position] in " \t,":
            position += 1
        match = _ETAG.match(header, position)
        if match is None:
            return
        yield match[1] is not None, f'"{match[2]}"'
        position = match.end()
        rest = header[position : position + 64].lstrip(_BLANK)
        if rest and rest[0] != ",":
            return
