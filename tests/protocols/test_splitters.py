"""Messages out of a stream of bytes: however it is cut, the same messages come out, and then the same error."""

from __future__ import annotations

import gzip
import time
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from polywire import Code, RpcError
from polywire.errors import MALFORMED, TOO_LARGE
from polywire.protocols.rest.lines import LineSplitter
from polywire.protocols.rpc.framing import frame, message_splitter
from polywire.protocols.streams import Splitter

LIMIT = 20
Outcome = tuple[list[Any], tuple[Code, str | None, str] | None]


def split(splitter: Splitter, parts: Iterable[bytes]) -> Outcome:
    """What a reader gets: it stops feeding at an error, and has had every message before it."""
    found: list[Any] = []
    for part in parts:
        found += splitter.feed(part)
        while splitter.waiting:
            found += splitter.feed(b"")
        if splitter.error is not None:
            break
    else:
        found += splitter.end()
    return found, told(splitter.error)


def told(error: Exception | None) -> tuple[Code, str | None, str] | None:
    assert error is None or isinstance(error, RpcError)
    return None if error is None else (Code(error.code), error.reason, error.message)


def cut(data: bytes, places: Sequence[int]) -> list[bytes]:
    """The data in parts, none of them empty."""
    edges = sorted({0, len(data), *(place % (len(data) + 1) for place in places)})
    return [data[start:end] for start, end in pairwise(edges)]


PLACES = st.lists(st.integers(0, 1 << 16), max_size=12)


def every_cut_is_equal(make: Callable[[], Splitter], data: bytes, places: Sequence[int]) -> Outcome:
    whole = split(make(), [data] if data else [])
    assert split(make(), cut(data, places)) == whole
    assert split(make(), cut(data, range(len(data)))) == whole, "byte by byte"
    return whole


# gRPC's length-prefixed messages

MESSAGES = st.lists(st.tuples(st.booleans(), st.binary(max_size=LIMIT)), max_size=5)
TAILS = st.sampled_from(
    [b"", b"\0", b"\0\0\0\0", b"\0\0\0\0\5abc", b"\2\0\0\0\1a", b"\0\0\0\0\x15", b"\1\xff\xff\xff\xff"]
)


def envelopes() -> Splitter:
    return message_splitter(LIMIT)


@given(MESSAGES, TAILS, PLACES)
@example([(False, b"")], b"", [])
@example([(False, b"a"), (True, b"b")], b"\2\0\0\0\1a", [6])
def test_envelopes(messages: list[tuple[int, bytes]], tail: bytes, places: list[int]) -> None:
    data = b"".join(bytes([flag]) + len(message).to_bytes(4) + message for flag, message in messages) + tail
    found, error = every_cut_is_equal(envelopes, data, places)
    assert found == messages, "what is good comes before what is wrong"
    assert (error is None) == (tail == b"")


@given(st.binary(max_size=200), PLACES)
def test_any_bytes_as_envelopes(data: bytes, places: list[int]) -> None:
    every_cut_is_equal(envelopes, data, places)


@pytest.mark.parametrize(
    ("tail", "code", "reason", "text"),
    [
        (b"\2\0\0\0\1a", Code.INVALID_ARGUMENT, MALFORMED, "compression flag"),
        (b"\0\0\0\0\x15", Code.RESOURCE_EXHAUSTED, TOO_LARGE, "larger than 20 bytes (21)"),
        (b"\0\0\0", Code.INVALID_ARGUMENT, MALFORMED, "ends within a message's prefix"),
        (b"\0\0\0\0\5abc", Code.INVALID_ARGUMENT, MALFORMED, "ends within a message"),
    ],
)
def test_what_is_wrong_with_envelopes(tail: bytes, code: Code, reason: str, text: str) -> None:
    found, error = split(envelopes(), [frame(b"good") + tail])
    assert found == [(False, b"good")]
    assert error is not None
    assert error[:2] == (code, reason)
    assert text in error[2]


def test_nothing_comes_after_an_error() -> None:
    splitter = envelopes()
    assert splitter.feed(frame(b"a") + b"\7" + frame(b"b")) == [(False, b"a")]
    assert splitter.error is not None
    assert splitter.end() == []


# Lines

CONTENT = st.binary(max_size=LIMIT + 2).map(lambda data: data.replace(b"\n", b"x"))


def lines() -> Splitter:
    return LineSplitter(LIMIT)


@given(st.lists(st.tuples(CONTENT, st.sampled_from([b"\n", b"\r\n"])), max_size=5), CONTENT, PLACES)
@example([(b"a", b"\r\n"), (b"", b"\n"), (b" \t", b"\r\n")], b"b", [2])
@example([(b"x" * LIMIT, b"\r\n"), (b"y" * (LIMIT + 1), b"\n"), (b"z", b"\n")], b"", [21, 22])
def test_lines(content: list[tuple[bytes, bytes]], last: bytes, places: list[int]) -> None:
    data = b"".join(line + end for line, end in content) + last
    found, error = every_cut_is_equal(lines, data, places)
    expected = []
    for line in data.split(b"\n"):
        if len(line.removesuffix(b"\r")) > LIMIT:
            assert error == (Code.RESOURCE_EXHAUSTED, TOO_LARGE, "a line is larger than 20 bytes")
            break
        if line.strip(b" \t\r"):
            expected.append(line.strip(b" \t\r"))
    else:
        assert error is None
    assert found == expected


def test_a_line_that_never_ends_is_refused_before_it_fills_memory() -> None:
    splitter = LineSplitter(LIMIT)
    for _ in range(LIMIT + 1):
        assert splitter.feed(b"x") == []
    assert splitter.feed(b"x") == []
    assert splitter.error is not None


def test_lines_may_be_blank_for_ever() -> None:
    splitter = LineSplitter(LIMIT)
    for _ in range(1000):
        assert splitter.feed(b"\r\n \n") == []
    assert splitter.error is None


@pytest.mark.parametrize("make", [message_splitter, LineSplitter], ids=["envelopes", "lines"])
def test_a_large_message_in_many_parts_takes_linear_time(make: Callable[[int], Splitter]) -> None:
    """Copied at every part it would be 128 GB."""
    size, step = 4 << 20, 64
    data = frame(b"x" * size) if make is message_splitter else b"x" * size + b"\n"
    parts = [data[at : at + step] for at in range(0, len(data), step)]
    began = time.process_time()
    found, error = split(make(size), parts)
    assert (len(found), error) == (1, None)
    assert time.process_time() - began < 5


@pytest.mark.parametrize(
    ("make", "tail"),
    [
        (message_splitter, b"\2\0\0\0\0"),
        (message_splitter, b""),
        (LineSplitter, b"x" * 22 + b"\n"),
        (LineSplitter, b""),
    ],
    ids=["envelopes-wrong", "envelopes", "lines-wrong", "lines"],
)
@given(st.data())
def test_many_messages_come_some_at_a_time(make: Callable[[int], Splitter], tail: bytes, data: st.DataObject) -> None:
    count = data.draw(st.integers(200, 800))
    message = frame(b"ab") if make is message_splitter else b"\nab\r\n"
    wire = message * count + tail
    splitter = make(LIMIT)
    sizes = [len(splitter.feed(wire))]
    assert splitter.unfinished == 0
    while splitter.waiting:
        assert splitter.error is None
        sizes.append(len(splitter.feed(b"")))
    assert max(sizes) <= 256
    assert sum(sizes) == count
    assert splitter.is_clear == (not tail)
    places = data.draw(PLACES)
    whole = split(make(LIMIT), [wire])
    assert split(make(LIMIT), cut(wire, places)) == whole
    impatient = make(LIMIT)
    found = [one for part in cut(wire, places) for one in impatient.feed(part)]
    while impatient.waiting:
        found += impatient.feed(b"")
    assert (found, told(impatient.error)) == whole, "fed before all was split"


def test_compressed_messages_are_given_as_they_are() -> None:
    packed = gzip.compress(b"abc", mtime=0)
    splitter = message_splitter(100)
    assert splitter.feed(b"\1" + len(packed).to_bytes(4) + packed + frame(b"d")) == [(True, packed), (False, b"d")]
