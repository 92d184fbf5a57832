"""Conditions: the tables of RFC 9110 §13, and dates both ways."""

from __future__ import annotations

import email.utils

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polywire.http.conditional import (
    Outcome,
    Validators,
    evaluate,
    http_date,
    matches,
    parse_http_date,
    range_applies,
)
from polywire.wire.headers import Headers

NOW = 784_111_777
DATE = "Sun, 06 Nov 1994 08:49:37 GMT"
EARLIER, LATER = http_date(NOW - 1), http_date(NOW + 1)
CURRENT = Validators('"a"', NOW)
OK, SAME, FAILED = Outcome.PROCEED, Outcome.NOT_MODIFIED, Outcome.FAILED


@pytest.mark.parametrize(
    ("method", "fields", "outcome"),
    [
        ("GET", {}, OK),
        ("GET", {"if-match": '"a"'}, OK),
        ("GET", {"if-match": '"b", "a"'}, OK),
        ("GET", {"if-match": "*"}, OK),
        ("PUT", {"if-match": '"b"'}, FAILED),
        ("PUT", {"if-match": 'W/"a"'}, FAILED),
        ("PUT", {"if-match": "a"}, FAILED),
        ("PUT", {"if-match": ""}, FAILED),
        ("PUT", {"if-unmodified-since": DATE}, OK),
        ("PUT", {"if-unmodified-since": EARLIER}, FAILED),
        ("PUT", {"if-unmodified-since": "yesterday"}, OK),
        ("PUT", {"if-match": '"a"', "if-unmodified-since": EARLIER}, OK),
        ("GET", {"if-none-match": '"a"'}, SAME),
        ("HEAD", {"if-none-match": 'W/"a"'}, SAME),
        ("GET", {"if-none-match": "*"}, SAME),
        ("PUT", {"if-none-match": "*"}, FAILED),
        ("PUT", {"if-none-match": '"a"'}, FAILED),
        ("GET", {"if-none-match": '"b"'}, OK),
        ("GET", {"if-none-match": '"b'}, OK),
        ("GET", {"if-modified-since": DATE}, SAME),
        ("GET", {"if-modified-since": LATER}, SAME),
        ("GET", {"if-modified-since": EARLIER}, OK),
        ("GET", {"if-modified-since": "0"}, OK),
        ("PUT", {"if-modified-since": DATE}, OK),
        ("GET", {"if-none-match": '"b"', "if-modified-since": DATE}, OK),
        ("GET", {"if-match": '"a"', "if-none-match": '"a"'}, SAME),
        ("GET", {"if-match": '"b"', "if-none-match": '"a"'}, FAILED),
        ("GET", {"if-unmodified-since": EARLIER, "if-none-match": '"a"'}, FAILED),
        ("GET", {"if-unmodified-since": DATE, "if-modified-since": DATE}, SAME),
    ],
)
def test_precedence(method: str, fields: dict[str, str], outcome: Outcome) -> None:
    assert evaluate(method, Headers(fields.items()), CURRENT) is outcome


@pytest.mark.parametrize(
    ("fields", "outcome"),
    [
        ({"if-match": "*"}, FAILED),
        ({"if-match": '"a"'}, FAILED),
        ({"if-none-match": "*"}, OK),
        ({"if-unmodified-since": EARLIER}, OK),
    ],
)
def test_where_nothing_is_there_yet(fields: dict[str, str], outcome: Outcome) -> None:
    assert evaluate("PUT", Headers(fields.items()), None) is outcome


@pytest.mark.parametrize(
    ("header", "strong", "weak"),
    [
        ('"a"', True, True),
        ('W/"a"', False, True),
        ('"x,y", "a"', True, True),
        (' ,, "b"\t,"a"', True, True),
        ('"b" "a"', False, False),
        ('w/"a"', False, False),
        ('"b", a, "a"', False, False),
    ],
)
def test_lists_of_tags(header: str, strong: bool, weak: bool) -> None:
    assert matches(header, CURRENT, weak=False) is strong
    assert matches(header, CURRENT, weak=True) is weak


def test_a_weak_tag_of_ours_never_matches_strongly() -> None:
    current = Validators('W/"a"')
    assert not matches('W/"a"', current, weak=False)
    assert not matches('"a"', current, weak=False)
    assert matches('"a"', current, weak=True)


def test_repeated_fields_are_one_list() -> None:
    assert evaluate("GET", Headers([("if-none-match", '"b"'), ("if-none-match", '"a"')]), CURRENT) is SAME


@pytest.mark.parametrize(
    ("header", "applies"),
    [
        ('"a"', True),
        ('"b"', False),
        ('W/"a"', False),
        ('"a", "b"', False),
        (DATE, True),
        (EARLIER, False),
        (LATER, False),
        ("nonsense", False),
    ],
)
def test_if_range(header: str, applies: bool) -> None:
    assert range_applies(Headers([("if-range", header)]), CURRENT, NOW + 10) is applies


def test_a_date_of_this_very_second_says_too_little() -> None:
    assert not range_applies(Headers([("if-range", DATE)]), CURRENT, NOW + 0.9)
    assert range_applies(Headers(), CURRENT, NOW)


@pytest.mark.parametrize("text", [DATE, "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"])
def test_the_three_forms_of_a_date(text: str) -> None:
    assert parse_http_date(text) == NOW


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0",
        "Sun, 06 Nov 1994 08:49:37",
        "Sun, 06 Nov 1994 08:49:37 UTC",
        "Sun, 31 Feb 1994 08:49:37 GMT",
        "Sun, 06 Foo 1994 08:49:37 GMT",
        "Sun, 06 Nov 0000 08:49:37 GMT",
        "Sun, 06 Nov 1994 24:49:37 GMT",
        "Sun, ٠٦ Nov 1994 08:49:37 GMT",
        f"{DATE}\n",
    ],
)
def test_no_dates(text: str) -> None:
    assert parse_http_date(text) is None


@given(st.integers(0, 250_000_000_000))
def test_dates_go_out_and_come_back(unix_s: int) -> None:
    text = http_date(unix_s)
    assert text == email.utils.formatdate(unix_s, usegmt=True)
    assert parse_http_date(text) == unix_s


@given(st.text(max_size=60))
def test_nothing_raises(text: str) -> None:
    parse_http_date(text)
    for weak in (False, True):
        matches(text, CURRENT, weak=weak)
