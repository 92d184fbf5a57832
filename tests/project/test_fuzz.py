"""Every fuzz target over its committed corpus and some mutations of it; `make fuzz` goes on from there."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from itertools import pairwise

import pytest

from fuzz.corpus import CORPORA, corpus, mutations
from fuzz.targets import NAMES, load

MOST_BYTES = 300_000
COMPILED = [
    "grpc_framing",
    "headers",
    "http1",
    "http2",
    "http2_client",
    "json_reader",
    "parameters",
    "protobuf",
    "websocket",
]


@pytest.mark.parametrize("target", NAMES)
def test_nothing_is_found_near_the_corpus(target: str) -> None:
    fuzz_one, inputs = load(target), corpus(target)
    fuzz_one(b"")
    for data in [*inputs, *mutations(inputs, 600, seed=3)]:
        try:
            fuzz_one(data)
        except BaseException as error:
            error.add_note(f"input: {data!r}")
            raise


@pytest.fixture
def frozen() -> Iterator[None]:
    """What the other tests have left is not looked at by the garbage collector, which would take long."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


def blocks_after(target: str) -> int:
    """Memory blocks in use after one more round over a corpus."""
    fuzz_one = load(target)
    for data in corpus(target):
        fuzz_one(data)
    gc.collect()
    return sys.getallocatedblocks()


@pytest.mark.parametrize("target", COMPILED)
def test_nothing_is_kept(target: str, frozen: None) -> None:
    """A reference too many in a compiled parser, also on the way of an error, would show in every round."""
    for _ in range(5):
        blocks_after(target)
    counts = [blocks_after(target) for _ in range(5)]
    growth = [later - earlier for earlier, later in pairwise(counts)]
    assert min(growth) <= 1, growth  # the number itself is one


def test_every_target_has_a_corpus_and_all_are_small() -> None:
    folders = sorted(path.name for path in CORPORA.iterdir())
    assert folders == NAMES
    assert sum(path.stat().st_size for path in CORPORA.glob("*/*")) < MOST_BYTES
    assert all(corpus(target) for target in NAMES)


def test_mutations_are_the_same_each_time() -> None:
    inputs = corpus("http1")
    first = list(mutations(inputs, 50, seed=1))
    assert first == list(mutations(inputs, 50, seed=1))
    assert len(set(first) - set(inputs)) > 40
