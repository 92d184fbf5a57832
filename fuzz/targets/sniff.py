"""The first bytes of a connection."""

from __future__ import annotations

from fuzz.source import Source
from polywire.server.sniff import Spoken, spoken

SERVED = [frozenset({"http1", "http2"}), frozenset({"http1"}), frozenset({"http2"})]


def fuzz_one(data: bytes) -> None:
    source = Source(data)
    protocols = source.one_of(SERVED)
    first = source.rest()
    told = None
    for length in range(min(len(first), 40) + 1):
        answer = spoken(first[:length], protocols)
        assert answer is not None or length <= 13, "undecided for too long"
        assert told in (None, answer), "a later byte changed the answer"
        told = answer
    assert told is not Spoken.HTTP2 or "http2" in protocols
