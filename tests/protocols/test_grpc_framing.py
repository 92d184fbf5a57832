"""Tables of what gRPC's texts and frames mean."""

from __future__ import annotations

import gzip
import struct

import pytest

from polywire import Code, RpcError
from polywire.protocols.grpc.status import percent_decode, percent_encode
from polywire.protocols.grpc.timeout import timeout_s
from polywire.protocols.rpc.framing import (
    accepted_coding,
    check_coding,
    frame,
    frame_compressed,
    read_prefix,
    unframe_one,
)

GZIP = "gzip"
NONE = None


def flagged(flag: int, message: bytes, length: int | None = None) -> bytes:
    return struct.pack(">BI", flag, len(message) if length is None else length) + message


@pytest.mark.parametrize(
    ("body", "coding", "message"),
    [
        (flagged(0, b""), NONE, b""),
        (flagged(0, b"abc"), NONE, b"abc"),
        (flagged(0, b"abc"), GZIP, b"abc"),
        (flagged(1, gzip.compress(b"abc")), GZIP, b"abc"),
        (flagged(1, gzip.compress(b"")), GZIP, b""),
        (flagged(0, b"x" * 100), NONE, b"x" * 100),
        (flagged(1, gzip.compress(b"x" * 100)), GZIP, b"x" * 100),
        (frame(b"abc"), NONE, b"abc"),
        (frame_compressed("gzip", b"abc"), GZIP, b"abc"),
    ],
)
def test_one_message(body: bytes, coding: str | None, message: bytes) -> None:
    assert unframe_one(body, 100, coding) == message


@pytest.mark.parametrize(
    ("body", "coding", "code", "reason"),
    [
        (b"", NONE, Code.UNIMPLEMENTED, None),
        (b"\0", NONE, Code.INVALID_ARGUMENT, "MALFORMED"),
        (b"\0\0\0\0", NONE, Code.INVALID_ARGUMENT, "MALFORMED"),
        (flagged(0, b"abc", 4), NONE, Code.INVALID_ARGUMENT, "MALFORMED"),
        (flagged(2, b"abc"), NONE, Code.INVALID_ARGUMENT, "MALFORMED"),
        (flagged(0x80, b"abc"), NONE, Code.INVALID_ARGUMENT, "MALFORMED"),
        (flagged(0, b"x" * 101), NONE, Code.RESOURCE_EXHAUSTED, "TOO_LARGE"),
        (flagged(0, b"", 0xFFFFFFFF), NONE, Code.RESOURCE_EXHAUSTED, "TOO_LARGE"),
        (flagged(0, b"a") + flagged(0, b"b"), NONE, Code.UNIMPLEMENTED, None),
        (flagged(0, b"a") + b"\0", NONE, Code.UNIMPLEMENTED, None),
        (flagged(1, b"abc"), NONE, Code.INTERNAL, None),
        (flagged(1, b"abc"), "identity", Code.INTERNAL, None),
        (flagged(1, b"abc"), GZIP, Code.INVALID_ARGUMENT, "MALFORMED"),
        (flagged(1, gzip.compress(b"abc")[:-1]), GZIP, Code.INVALID_ARGUMENT, "MALFORMED"),
        (flagged(1, gzip.compress(b"x" * 101)), GZIP, Code.RESOURCE_EXHAUSTED, "TOO_LARGE"),
        (flagged(1, gzip.compress(b"x" * 50_000)), GZIP, Code.RESOURCE_EXHAUSTED, "TOO_LARGE"),
    ],
)
def test_what_is_not_one_message(body: bytes, coding: str | None, code: Code, reason: str | None) -> None:
    with pytest.raises(RpcError) as caught:
        unframe_one(body, 100, coding)
    assert (caught.value.code, caught.value.reason) == (code, reason)


def test_a_length_is_refused_before_its_message_comes() -> None:
    with pytest.raises(RpcError, match="larger than 100 bytes"):
        read_prefix(flagged(0, b"", 101), 100)
    assert read_prefix(flagged(1, b"", 100), 100) == (True, 100)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1H", 3600.0),
        ("2M", 120.0),
        ("3S", 3.0),
        ("100m", 0.1),
        ("5u", 5e-6),
        ("7n", 7e-9),
        ("0S", 0.0),
        ("99999999H", 99999999 * 3600.0),
        ("00000001S", 1.0),
        ("100000000S", None),
        ("S", None),
        ("", None),
        ("1", None),
        ("1s", None),
        ("1h", None),
        ("-1S", None),
        ("+1S", None),
        (" 1S", None),
        ("1 S", None),
        ("1S ", None),
        ("1_0S", None),
        ("1.5S", None),
        ("٣S", None),
        ("²S", None),
        ("1SS", None),
    ],
)
def test_timeouts(text: str, seconds: float | None) -> None:
    if seconds is not None:
        assert timeout_s(text) == pytest.approx(seconds)
        return
    with pytest.raises(RpcError) as caught:
        timeout_s(text)
    assert caught.value.code is Code.INVALID_ARGUMENT


@pytest.mark.parametrize(
    ("message", "encoded"),
    [
        ("", b""),
        ("no user 7", b"no user 7"),
        ("a:b/c?d=e&f+g~", b"a:b/c?d=e&f+g~"),
        ("100%", b"100%25"),
        ("%41", b"%2541"),
        ("naïve", b"na%C3%AFve"),
        ("a\r\nb\0", b"a%0D%0Ab%00"),
        ("\x7f", b"%7F"),
        ("😀", b"%F0%9F%98%80"),
    ],
)
def test_percent_encoding(message: str, encoded: bytes) -> None:
    assert percent_encode(message) == encoded
    assert percent_decode(encoded.decode()) == message


@pytest.mark.parametrize(
    ("text", "message"), [("100%", "100%"), ("%zz", "%zz"), ("%4", "%4"), ("%FF", "\ufffd"), ("a+b", "a+b")]
)
def test_what_is_badly_encoded_is_kept(text: str, message: str) -> None:
    assert percent_decode(text) == message


def test_half_a_character_does_not_break_an_error() -> None:
    assert percent_encode("\ud800") == b"?"


@pytest.mark.parametrize("coding", ["identity", "gzip", "zstd", "br"])
def test_codings_that_are_known(coding: str) -> None:
    check_coding(coding, "grpc-encoding", "grpc-accept-encoding")


@pytest.mark.parametrize("coding", ["", "deflate", "snappy", "GZIP", "gzip, identity", "x" * 1000])
def test_other_codings_are_refused_and_named(coding: str) -> None:
    with pytest.raises(RpcError, match="is not supported") as caught:
        check_coding(coding, "grpc-encoding", "grpc-accept-encoding")
    assert caught.value.code is Code.UNIMPLEMENTED
    assert caught.value.metadata == {"grpc-accept-encoding": "identity,gzip,zstd,br"}
    assert len(caught.value.message) < 120


@pytest.mark.parametrize(
    ("accepted", "coding"),
    [
        ("gzip", "gzip"),
        ("identity,gzip", "gzip"),
        ("identity, gzip ", "gzip"),
        ("br, gzip", "br"),
        ("deflate,zstd;q=1", "zstd"),
        ("deflate", None),
        ("", None),
    ],
)
def test_the_first_coding_that_both_know(accepted: str, coding: str | None) -> None:
    assert accepted_coding(accepted) == coding
