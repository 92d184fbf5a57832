"""The committed inputs, and mutations of them with a fixed seed for the runs without atheris."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from pathlib import Path

CORPORA = Path(__file__).parent / "corpora"
TELLING = [
    b"\0",
    b"\xff",
    b"\x7f",
    b"\x80",
    b"\r\n",
    b" ",
    b",",
    b";",
    b'"',
    b"%",
    b"0",
    b"9" * 20,
    b"\xff" * 9,
    b"\0" * 8,
]
"""Bytes at which parsers decide something."""


def corpus(target: str) -> list[bytes]:
    """The committed inputs of a target, in the order of their names."""
    return [path.read_bytes() for path in sorted((CORPORA / target).iterdir())]


def mutations(corpus: Sequence[bytes], count: int, seed: int) -> Iterator[bytes]:
    """The same `count` inputs for the same corpus and seed, each one to three steps from an entry or two."""
    chance = random.Random(seed)
    for _ in range(count):
        data = bytearray(chance.choice(corpus))
        for _ in range(chance.randint(1, 3)):
            at = chance.randint(0, len(data))
            match chance.randrange(6):
                case 0 if at < len(data):
                    data[at] ^= 1 << chance.randrange(8)
                case 1 if at < len(data):
                    data[at] = chance.randrange(256)
                case 2:
                    data[at:at] = chance.choice(TELLING)
                case 3:
                    del data[at : at + chance.randint(1, 8)]
                case 4:
                    data[at:at] = data[at : at + chance.randint(1, 40)]
                case _:
                    other = chance.choice(corpus)
                    data[at:] = other[chance.randint(0, len(other)) :]
        yield bytes(data)
