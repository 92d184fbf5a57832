"""Server-sent events as bytes, and what a reader by the standard makes of them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polywire.wire.sse import COMMENT, END_ID, event

LINES = st.text(st.characters(blacklist_characters="\r\n\0", blacklist_categories=["Cs"]))


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (event(b"{}"), b"data: {}\n\n"),
        (event(b""), b"data: \n\n"),
        (event(b"1", id="7"), b"id: 7\ndata: 1\n\n"),
        (event(b"1", name="tick"), b"event: tick\ndata: 1\n\n"),
        (event(b"{}", name="end", id=END_ID), b"event: end\nid: :end\ndata: {}\n\n"),
        (event(b"1", id="\u00e9"), b"id: \xc3\xa9\ndata: 1\n\n"),
        (COMMENT, b":\n\n"),
    ],
)
def test_bytes(made: bytes, expected: bytes) -> None:
    assert made == expected


def read(stream: str) -> list[dict[str, str]]:
    """The events of a stream, by the rules of WHATWG HTML \u00a79.2.6."""
    found: list[dict[str, str]] = []
    fields: dict[str, str] = {}
    for line in stream.split("\n")[:-1]:
        if not line:
            if "data" in fields:
                found.append(fields)
            fields = {}
        elif not line.startswith(":"):
            name, _, value = line.partition(":")
            fields[name] = value.removeprefix(" ")
    return found


@given(LINES, LINES, LINES)
def test_what_is_written_is_read(data: str, name: str, id: str) -> None:
    stream = COMMENT + event(data.encode(), name=name, id=id) + COMMENT + event(data.encode())
    assert read(stream.decode()) == [{"event": name, "id": id, "data": data}, {"data": data}]
