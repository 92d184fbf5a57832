from __future__ import annotations

import gzip
import random
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polywire.errors import TOO_LARGE, MalformedInput, ResourceExhausted
from polywire.http.compression import choose_coding, compress, decompress

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd


@pytest.mark.parametrize(
    ("header", "coding"),
    [
        ("gzip", "gzip"),
        ("zstd", "zstd"),
        ("gzip, deflate, br, zstd", "zstd"),
        ("gzip;q=1.0, zstd;q=0.5", "gzip"),
        ("gzip;q=0", None),
        ("*", "zstd"),
        ("*;q=0", None),
        ("identity;q=1, gzip;q=0.5", None),
        ("br", "br"),
        ("gzip, br", "gzip"),
        ("deflate", None),
        ("", None),
        ("X-GZIP", "gzip"),
        ("gzip;q=nonsense", None),
        ("zstd;q=0, *", "gzip"),
    ],
)
def test_chooses_by_weight(header: str, coding: str | None) -> None:
    assert choose_coding(header) == coding


@pytest.mark.parametrize("coding", ["gzip", "zstd", "br"])
@given(data=st.binary(max_size=5000))
def test_round_trip(coding: str, data: bytes) -> None:
    assert decompress(coding, compress(coding, data), len(data)) == data


@pytest.mark.parametrize("coding", ["gzip", "zstd", "br"])
def test_an_empty_body_is_an_empty_one(coding: str) -> None:
    """Clients name a coding for a message that is empty, and have nothing to compress (Connect, Unary-Request)."""
    spent: list[int] = []
    assert decompress(coding, b"", 0, spent.append) == b""
    assert spent == []


@pytest.mark.parametrize("coding", ["gzip", "zstd", "br"])
def test_a_bomb_is_stopped_at_the_limit(coding: str) -> None:
    bomb = compress(coding, bytes(50_000_000))
    with pytest.raises(ResourceExhausted) as caught:
        decompress(coding, bomb, 100_000)
    assert caught.value.reason == TOO_LARGE


@pytest.mark.parametrize("coding", ["gzip", "zstd", "br"])
@pytest.mark.parametrize("cut", [1, 5, -1])
def test_cut_short_is_malformed(coding: str, cut: int) -> None:
    with pytest.raises(MalformedInput):
        decompress(coding, compress(coding, b"hello world" * 100)[:cut], 10_000)


@pytest.mark.parametrize("coding", ["gzip", "zstd", "br"])
@given(data=st.binary(min_size=1, max_size=200))
def test_garbage_is_malformed(coding: str, data: bytes) -> None:
    with pytest.raises(MalformedInput):
        decompress(coding, b"\x00" + data, 10_000)


def test_members_one_after_another_are_one_body() -> None:
    assert decompress("gzip", gzip.compress(b"a") + gzip.compress(b"b"), 10) == b"ab"
    assert decompress("zstd", zstd.compress(b"a") + zstd.compress(b"b"), 10) == b"ab"


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
def test_members_are_bounded(coding: str) -> None:
    """Each costs far more than its few bytes: 4 MiB of empty ones took ten seconds."""
    empty = compress(coding, b"")
    assert decompress(coding, empty * 1000, 10) == b""
    with pytest.raises(MalformedInput, match="more than 1000"):
        decompress(coding, empty * 1001, 10)


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
def test_what_follows_many_members_is_not_copied_for_each(coding: str) -> None:
    """1000 members of nothing before 4 MiB held the loop for 0.2 s (gzip) and 0.7 s (zstd): gigabytes were copied."""
    most = 0

    class Watched(bytes):
        def __getitem__(self, key: Any) -> Any:
            nonlocal most
            found = super().__getitem__(key)
            most = max(most, len(found))
            return found

    noise = random.Random(1).randbytes(1_000_000)
    body = Watched(compress(coding, b"") * 999 + compress(coding, noise))
    assert decompress(coding, body, 4_000_000) == noise
    assert 0 < most <= 64 * 1024


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
@pytest.mark.parametrize("around", [-2, -1, 0, 1, 2, 9])
def test_members_that_end_where_a_piece_does(coding: str, around: int) -> None:
    first = compress(coding, b"")
    while len(first) < 64 * 1024 - 4000:
        first += compress(coding, random.Random(len(first)).randbytes(3000))
    for length in range(4000):
        member = compress(coding, random.Random(2).randbytes(length))
        if len(first) + len(member) == 64 * 1024 + around:
            break
    body = first + member + compress(coding, b"the end")
    assert decompress(coding, body, 200_000).endswith(b"the end")
    with pytest.raises(MalformedInput):
        decompress(coding, body[:-1], 200_000)
