"""Range, the conditions of RFC 9110 §13, and dates."""

from __future__ import annotations

from itertools import pairwise

from fuzz.source import Source
from polywire.http.conditional import Validators, evaluate, http_date, matches, parse_http_date, range_applies
from polywire.http.ranges import MOST_PARTS, parts_of
from polywire.wire.headers import Headers

SIZES = [0, 1, 10, 1000, 2**40]
NAMES = ["if-match", "if-none-match", "if-modified-since", "if-unmodified-since", "if-range"]
ETAGS = [None, '"a"', 'W/"a"', '""', '"a b,c"']
METHODS = ["GET", "HEAD", "PUT"]


def fuzz_one(data: bytes) -> None:
    source = Source(data)
    size = source.one_of(SIZES)
    name, method = source.one_of(NAMES), source.one_of(METHODS)
    current = Validators(source.one_of(ETAGS), source.one_of([None, 0, 784111777]))
    text = source.text()
    ranges(text, size)
    ranges("bytes=" + text, size)
    for there in (current, None):
        evaluate(method, Headers([(name, text)]), there)
        if matches(text, there, weak=False):
            assert matches(text, there, weak=True), "strong equality is weak equality too"
    range_applies(Headers([("if-range", text)]), current, 1e9)
    moment = parse_http_date(text)
    if moment is not None and moment >= -62135596800:
        assert parse_http_date(http_date(moment)) == moment


def ranges(text: str, size: int) -> None:
    parts = parts_of(text, size)
    if parts is None:
        return
    assert len(parts) <= MOST_PARTS
    assert all(0 <= part.start < part.end <= size for part in parts)
    ordered = sorted(parts)
    assert all(one.end < other.start for one, other in pairwise(ordered)), "parts that touch"
    again = "bytes=" + ",".join(f"{part.start}-{part.end - 1}" for part in parts)
    assert not parts or parts_of(again, size) == parts
