"""Texts must be UTF-8 (RFC 6455 §8.1), and the first byte that cannot be fails them, however they are cut."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from .websocket_peer import CONTINUATION, TEXT, bytewise, frame, hear

GOOD = [
    b"",
    b"Hello-\xc2\xb5@\xc3\x9f\xc3\xb6\xc3\xa4\xc3\xbc\xc3\xa0\xc3\xa1-UTF-8!!",
    "κόσμε".encode(),
    # The ends of each length (Kuhn, section 2), and what stands next to the surrogates and to the last character.
    b"\x00",
    b"\x7f",
    b"\xc2\x80",
    b"\xdf\xbf",
    b"\xe0\xa0\x80",
    b"\xef\xbf\xbf",
    b"\xf0\x90\x80\x80",
    b"\xed\x9f\xbf",
    b"\xee\x80\x80",
    b"\xef\xbf\xbd",
    b"\xf4\x8f\xbf\xbf",
    # Characters for nobody are characters all the same.
    b"\xef\xbf\xbe",
    b"\xf0\x9f\xbf\xbe",
    b"\xf4\x8f\xbf\xbe",
]
BAD = [
    # (what, how many bytes may come before it is sure)
    (b"\x80", 0),
    (b"\xbf", 0),
    (b"\x80\xbf\x80\xbf", 0),
    (b"a\xc2 b", 2),
    (b"\xe0\xa0 ", 2),
    (b"\xf0\x90\x80 ", 3),
    (b"\xfe", 0),
    (b"\xff", 0),
    # Longer than they need be (section 4).
    (b"\xc0\xaf", 0),
    (b"\xc1\xbf", 0),
    (b"\xe0\x80\xaf", 1),
    (b"\xe0\x9f\xbf", 1),
    (b"\xf0\x80\x80\xaf", 1),
    (b"\xf0\x8f\xbf\xbf", 1),
    (b"\xf8\x88\x80\x80\x80", 0),
    (b"\xfc\x84\x80\x80\x80\x80", 0),
    # Halves of pairs (section 5), and beyond the last character.
    (b"\xed\xa0\x80", 1),
    (b"\xed\xbf\xbf", 1),
    (b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80edited", 12),
    (b"\xf4\x90\x80\x80", 1),
    (b"\xf5\x80\x80\x80", 0),
]
CUT = [b"\xc2", b"\xe0\xa0", b"\xef\xbf", b"\xf0\x90\x80", b"\xf4", b"long enough for eight at a time\xe2\x82"]


@pytest.mark.parametrize("text", GOOD)
def test_texts(text: bytes) -> None:
    fragments = frame(TEXT, fin=False) + b"".join(frame(CONTINUATION, part, fin=False) for part in bytewise(text))
    for wire in (frame(TEXT, text), fragments + frame(CONTINUATION)):
        assert hear([wire]) == hear(bytewise(wire)) == ([text.decode()], None)


@pytest.mark.parametrize(("text", "sure"), BAD)
def test_what_is_none_fails_at_once(text: bytes, sure: int) -> None:
    assert hear([frame(TEXT, text)]) == ([], 1007)
    wire = frame(TEXT, text, declared=100)
    assert hear([wire]).failure == 1007, "more of the frame is to come, and cannot mend it"
    head = len(wire) - len(text)
    assert hear(bytewise(wire[: head + sure])).failure is None
    assert hear(bytewise(wire[: head + sure + 1])).failure == 1007
    fragments = [frame(TEXT, fin=False), *(frame(CONTINUATION, part, fin=False) for part in bytewise(text))]
    assert hear(fragments[: 1 + sure]).failure is None
    assert hear(fragments[: 2 + sure]).failure == 1007


@pytest.mark.parametrize("text", CUT)
def test_a_character_may_be_cut_between_fragments_but_not_at_the_end(text: bytes) -> None:
    assert hear([frame(TEXT, text)]) == ([], 1007)
    assert hear([frame(TEXT, text, fin=False)]) == ([], None)
    assert hear([frame(TEXT, text, fin=False), frame(CONTINUATION)]) == ([], 1007)
    assert hear([frame(TEXT, text, fin=False), frame(CONTINUATION, b"a")]) == ([], 1007)


@given(st.lists(st.binary(max_size=40), min_size=1, max_size=6))
def test_python_reads_the_same(parts: list[bytes]) -> None:
    wire = [frame(TEXT if place == 0 else CONTINUATION, part, fin=False) for place, part in enumerate(parts)]
    heard = hear([*wire, frame(CONTINUATION)])
    try:
        assert heard == ([b"".join(parts).decode()], None)
    except UnicodeDecodeError:
        assert heard == ([], 1007)


@given(st.text(max_size=60), st.integers(1, 9))
def test_texts_come_through_any_cut(text: str, size: int) -> None:
    raw = text.encode()
    parts = [raw[at : at + size] for at in range(0, len(raw), size)] or [b""]
    wire = [frame(TEXT if place == 0 else CONTINUATION, part, fin=False) for place, part in enumerate(parts)]
    assert hear([*wire, frame(CONTINUATION)]) == ([text], None)
