from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from polywire.codec import request_binder
from polywire.errors import InvalidInput, MalformedInput
from polywire.schema.types import Cardinality, Constraints, Kind, MessageType, Route
from tests.codec.tables import (
    EVERYTHING,
    NOON,
    USER,
    Everything,
    Level,
    Status,
    User,
    field,
    listed,
    method,
    optional,
)


class Filter(msgspec.Struct):
    city: str
    ages: list[int] = []


class Search(msgspec.Struct):
    id: int
    filter: Filter | None = None
    page_size: int = 10
    tags: list[str] = []
    labels: dict[int, str] = {}


FILTER = MessageType("Filter", "t.Filter", Filter, (field("city", 1), listed("ages", 2, Kind.INT32)))
SEARCH = MessageType(
    "Search",
    "t.Search",
    Search,
    (
        field("id", 1, Kind.INT32, constraints=Constraints(ge=1)),
        optional("filter", 2, Kind.MESSAGE, message=FILTER),
        field("page_size", 3, Kind.INT32, default=10, explicit_presence=True),
        listed("tags", 4, constraints=Constraints(max_length=5)),
        field("labels", 5, Kind.STRING, cardinality=Cardinality.MAP, map_key=Kind.INT32, default_factory=dict),
    ),
)

search = request_binder(method(SEARCH, USER), Route("GET", "/s/{id}", ("id",)))
listing = request_binder(method(EVERYTHING, USER), Route("GET", "/e", ()))
create = request_binder(method(USER, USER), Route("POST", "/users", ()))
update = request_binder(method(USER, USER), Route("PUT", "/users/{id}", ("id",)))

GOOD: list[tuple[str, Search]] = [
    ("", Search(1)),
    ("page_size=5&unknown=1&page_size.x=3", Search(1, page_size=5)),
    ("filter.city=S%C3%A3o+Paulo&filter.ages=1&filter.ages=2", Search(1, Filter("São Paulo", [1, 2]))),
    ("tags=a&tags=&tags=b%26c", Search(1, tags=["a", "", "b&c"])),
    ("labels.7=x&labels.-1=y", Search(1, labels={7: "x", -1: "y"})),
    ("id=1", Search(1)),
    ("&&=&filter=x&tags.x=1", Search(1)),
]


@pytest.mark.parametrize(("query", "expected"), GOOD, ids=[case[0] for case in GOOD])
def test_path_and_query(query: str, expected: Search) -> None:
    assert search(["1"], query, b"") == expected


KINDS: list[tuple[str, dict[str, Any]]] = [
    ("flag=true", {"flag": True}),
    ("flag=1", {"flag": True}),
    ("flag=false", {}),
    ("small=-5", {"small": -5}),
    ("huge=18446744073709551615", {"huge": 2**64 - 1}),
    ("ratio=-1.5e3", {"ratio": -1500.0}),
    ("data=-_8", {"data": b"\xfb\xff"}),
    ("status=gone", {"status": Status.GONE}),
    ("status=GONE", {"status": Status.GONE}),
    ("level=20", {"level": Level.HIGH}),
    ("level=LOW", {"level": Level.LOW}),
    ("at=2026-01-31T12:00:00Z", {"at": NOON}),
    ("at=2026-01-31T13:00:00%2B01:00", {"at": NOON}),
    ("took=PT5S", {"took": timedelta(seconds=5)}),
    ("price=1.50", {"price": Decimal("1.50")}),
    ("day=2026-01-31", {"day": NOON.date()}),
    ("user.id=1&user.name=&user.email=", {"user": User(1, "", "")}),
]


@pytest.mark.parametrize(("query", "expected"), KINDS, ids=[case[0] for case in KINDS])
def test_kinds(query: str, expected: dict[str, Any]) -> None:
    assert listing([], query, b"") == Everything(**expected)


BAD = [
    ("x", "", "id", "expected an integer"),
    ("", "", "id", "expected an integer"),
    ("1.0", "", "id", "expected an integer"),
    ("+1", "", "id", "expected an integer"),
    ("01", "", "id", "expected an integer"),
    ("١", "", "id", "expected an integer"),
    ("99999999999999999999999", "", "id", "out of range"),
    ("4294967296", "", "id", "out of range"),
    ("0", "", "id", "must be at least 1"),
    ("1", "page_size=", "page_size", "expected an integer"),
    ("1", "page_size=1&page_size=2", "page_size", "given twice"),
    ("1", "id=2", "id", "differs from the value in the path"),
    ("1", "filter.ages=1", "filter.city", "required"),
    ("1", "filter.city=a&filter.ages=x", "filter.ages[0]", "expected an integer"),
    ("1", "tags=ok&tags=toolong", "tags[1]", "length of at most 5"),
    ("1", "labels.x=1", 'labels["x"]', "key: expected an integer"),
]


@pytest.mark.parametrize(("id_", "query", "path", "reason"), BAD, ids=[f"{c[0]}?{c[1]}" for c in BAD])
def test_bad_parameters(id_: str, query: str, path: str, reason: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        search([id_], query, b"")
    (violation,) = caught.value.details
    assert violation.field == path
    assert reason in violation.reason


BAD_KINDS = [
    "flag=yes",
    "flag=True",
    "ratio=nan",
    "ratio=inf",
    "ratio=1e999",
    "ratio=1_0",
    "single=1e39",
    "status=2",
    "level=11",
    "level=",
    "at=2026-01-31T12:00:00",
    "took=5",
    "price=NaN",
    "key=x",
    "day=31.01.2026",
    "data=!",
    "shape=x",
    "users=x",
    "scores.a=x",
]


@pytest.mark.parametrize("query", BAD_KINDS)
def test_bad_kinds(query: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        listing([], query, b"")
    assert caught.value.details[0].field.startswith(query.partition("=")[0].partition(".")[0])


def test_queries_that_cannot_be_read() -> None:
    with pytest.raises(MalformedInput, match="UTF-8"):
        search(["1"], "tags=%ff", b"")
    with pytest.raises(MalformedInput, match="more than 1000 fields"):
        search(["1"], "a&" * 1000, b"")
    with pytest.raises(MalformedInput, match="GET takes no body"):
        search(["1"], "", b"{}")


def test_bodies() -> None:
    alice = User(1, "Alice", "a@example.com")
    assert create([], "id=9", b'{"id":1,"name":"Alice","email":"a@example.com"}') == alice
    assert update(["1"], "", b'{"name":"Alice","email":"a@example.com"}') == alice
    assert update(["1"], "", b'{"id":"1","name":"Alice","email":"a@example.com"}') == alice


@pytest.mark.parametrize(
    ("id_", "body", "text"),
    [
        ("1", b'{"id":2,"name":"","email":""}', "id: differs from the value in the path"),
        ("1", b'{"name":"","name":"","email":""}', "name: given twice"),
        ("1", b"", "name: required"),
        ("x", b"{}", "id: expected an integer"),
        ("1", b"[]", "expected an object"),
    ],
)
def test_bad_bodies(id_: str, body: bytes, text: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        update([id_], "", body)
    assert str(caught.value) == text


def test_a_broken_body_is_malformed() -> None:
    for body in (b"{", b'{"name":"","email":""}x', b"\x00"):
        with pytest.raises(MalformedInput):
            update(["1"], "", body)
