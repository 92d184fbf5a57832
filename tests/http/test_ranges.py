"""`Range` fields against what they mean, said once more as slowly as can be."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polywire.http.ranges import MOST_PARTS, Part, parts_of


@pytest.mark.parametrize(
    ("header", "size", "parts"),
    [
        ("bytes=0-99", 1000, [(0, 100)]),
        ("bytes=0-0", 1000, [(0, 1)]),
        ("bytes=999-", 1000, [(999, 1000)]),
        ("bytes=500-5000", 1000, [(500, 1000)]),
        ("bytes=-1", 1000, [(999, 1000)]),
        ("bytes=-5000", 1000, [(0, 1000)]),
        ("Bytes = 0-1", 10, [(0, 2)]),
        ("bytes=0-1,5-6", 10, [(0, 2), (5, 7)]),
        ("bytes= 5-6 ,\t0-1,", 10, [(5, 7), (0, 2)]),
        ("bytes=0-1,20-30", 10, [(0, 2)]),
        ("bytes=0-4,3-6", 10, [(0, 7)]),
        ("bytes=0-1,2-3", 10, [(0, 4)]),
        ("bytes=8-9,0-1,1-8", 10, [(0, 10)]),
        ("bytes=0-99999999999999999999999", 10, [(0, 10)]),
    ],
)
def test_what_is_there(header: str, size: int, parts: list[tuple[int, int]]) -> None:
    assert parts_of(header, size) == parts


@pytest.mark.parametrize(
    ("header", "size"),
    [("bytes=1000-", 1000), ("bytes=1000-1001", 1000), ("bytes=-0", 1000), ("bytes=0-", 0), ("bytes=-0,2000-", 1000)],
)
def test_what_is_not_there(header: str, size: int) -> None:
    assert parts_of(header, size) == []


@pytest.mark.parametrize(
    "header",
    [
        "",
        "bytes",
        "bytes=",
        "bytes=,",
        "bytes=-",
        "bytes=x-y",
        "bytes=1",
        "bytes=5-4",
        "bytes=0-1,5-4",
        "bytes=0--1",
        "bytes=+0-1",
        "bytes=0x0-1",
        "bytes=٠-١",
        "bytes=0-1;2-3",
        "lines=0-1",
        "bytes=" + ",".join(f"{2 * n}-{2 * n}" for n in range(MOST_PARTS + 1)),
        f"bytes=0-{'9' * 5000}",
    ],
)
def test_what_is_ignored(header: str) -> None:
    assert parts_of(header, 1000) is None


def test_the_last_bytes_of_nothing_are_the_whole_of_it() -> None:
    assert parts_of("bytes=-5", 0) is None


def test_as_content_range_says_it() -> None:
    assert Part(500, 1000).content_range(2000) == "bytes 500-999/2000"


specs = st.one_of(
    st.tuples(st.integers(0, 60), st.integers(0, 60)).map(lambda pair: f"{min(pair)}-{max(pair)}"),
    st.integers(0, 60).map(lambda first: f"{first}-"),
    st.integers(0, 60).map(lambda length: f"-{length}"),
)


def slowly(spec: str, size: int) -> set[int]:
    first, _, last = spec.partition("-")
    if not first:
        return set(range(max(size - int(last), 0), size))
    return {place for place in range(size) if int(first) <= place <= (int(last) if last else size)}


@given(st.lists(specs, min_size=1, max_size=MOST_PARTS), st.integers(1, 50))
def test_exactly_the_bytes_that_were_asked_for(wanted: list[str], size: int) -> None:
    parts = parts_of(f"bytes={','.join(wanted)}", size)
    assert parts is not None
    covered = [place for part in parts for place in range(*part)]
    assert len(covered) == len(set(covered)), "a byte is sent twice"
    assert set(covered) == set().union(*(slowly(spec, size) for spec in wanted))
    assert all(0 <= part.start < part.end <= size for part in parts)
    ends = {part.end for part in parts}
    assert not ends & {part.start for part in parts}, "neighbours are one part"


@given(st.text(st.sampled_from("bytes=-,0123456789 \t;x"), max_size=80), st.integers(0, 1000))
def test_nothing_raises(header: str, size: int) -> None:
    for text in (header, f"bytes={header}"):
        parts = parts_of(text, size)
        assert parts is None or all(0 <= part.start < part.end <= size for part in parts)
