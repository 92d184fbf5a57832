"""Texts must be UTF-8 (RFC 6455 §8.1), and the first byte that cannot be fails them, however they are cut."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from .websocket_cases import CUT_TEXTS, NO_TEXTS
from .websocket_peer import CONTINUATION, TEXT, bytewise, frame, hear


@pytest.mark.parametrize(("text", "sure"), NO_TEXTS)
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


@pytest.mark.parametrize("text", CUT_TEXTS)
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
