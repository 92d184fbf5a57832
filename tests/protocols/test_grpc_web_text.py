"""gRPC-Web's text: base64 that may be padded between any two quanta, and however it is cut."""

from __future__ import annotations

import re
from base64 import b64decode, b64encode

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from polywire import Code
from polywire.errors import MALFORMED, MalformedInput
from polywire.protocols.grpc.web import TextSplitter, decode_text
from polywire.protocols.rpc.framing import frame, message_splitter
from polywire.protocols.streams import Splitter
from tests.protocols.test_splitters import LIMIT, PLACES, cut, every_cut_is_equal, split

QUANTUM = re.compile(rb"[A-Za-z0-9+/]{2}(?:==|[A-Za-z0-9+/](?:=|[A-Za-z0-9+/]))")
TEXTS = st.lists(st.sampled_from(list(b"Az0+/====\n")), max_size=24).map(bytes)


def quantum_by_quantum(text: bytes) -> bytes | None:
    """What RFC 4648 §4 says, the slow way."""
    quanta = [text[at : at + 4] for at in range(0, len(text), 4)]
    return b"".join(map(b64decode, quanta)) if all(map(QUANTUM.fullmatch, quanta)) else None


@given(TEXTS | st.lists(st.binary(max_size=7).map(b64encode), max_size=4).map(b"".join))
@example(b"AAAA=")
@example(b"AAAA====")
@example(b"AA==AAA=AAAA")
def test_decoding(text: bytes) -> None:
    expected = quantum_by_quantum(text)
    if expected is None:
        with pytest.raises(MalformedInput, match="not base64"):
            decode_text(text)
    else:
        assert decode_text(text) == expected


def texts() -> Splitter:
    return TextSplitter(message_splitter(LIMIT))


@given(st.lists(st.binary(max_size=LIMIT), max_size=5), PLACES, PLACES)
@example([b"a", b"bc"], [3], [1])
def test_messages(messages: list[bytes], encoded: list[int], places: list[int]) -> None:
    wire = b"".join(map(frame, messages))
    text = b"".join(map(b64encode, cut(wire, encoded)))
    found, error = every_cut_is_equal(texts, text, places)
    assert (found, error) == ([(0, message) for message in messages], None)


@given(TEXTS, PLACES)
def test_any_text_is_taken_alike_however_it_is_cut(text: bytes, places: list[int]) -> None:
    """What is told of text that is broken; how much came before it depends on where it was cut."""
    errors = [split(texts(), parts)[1] for parts in ([text], cut(text, places), cut(text, range(len(text))))]
    assert len({error is None for error in errors}) == 1
    if quantum_by_quantum(text) is not None:
        every_cut_is_equal(texts, text, places)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (b"AAA", "the body ends within a quantum of base64"),
        (b"AAAA====", "the body is not base64"),
        (b"AAAA", "the stream ends within a message's prefix"),
    ],
)
def test_what_is_wrong(text: bytes, told: str) -> None:
    assert split(texts(), [text]) == ([], (Code.INVALID_ARGUMENT, MALFORMED, told))


def test_nothing_comes_after_an_error() -> None:
    splitter = texts()
    assert splitter.feed(b"!!!!") == []
    assert isinstance(splitter.error, MalformedInput)
    assert splitter.feed(b64encode(frame(b"a"))) == []
    assert splitter.end() == []
    assert (splitter.waiting, splitter.is_clear) == (0, False)


def test_what_is_kept_is_counted() -> None:
    splitter = texts()
    assert splitter.feed(b64encode(frame(b"abcdef"))[:11]) == []
    assert splitter.unfinished == 6 + 3, "decoded, and of a quantum"
    assert not splitter.is_clear
