"""RFC 6455 in bytes: what a peer may send, and what fails it, each whole, byte by byte and with bytes behind it."""

from __future__ import annotations

from itertools import chain
from typing import Any

import pytest

from polywire.wire.websocket import WebSocketEngine

from .websocket_cases import CHAPTERS, INVALID_CODES, RSV1_WITHOUT_A_MEANING, Case
from .websocket_peer import BINARY, CLOSE, LIMIT_BYTES, PING, PONG, TEXT, bytewise, frame, hear, masked


@pytest.mark.parametrize("case", [*chain(*CHAPTERS.values()), *RSV1_WITHOUT_A_MEANING], ids=str)
def test_what_a_server_hears(case: Case) -> None:
    expected = (case.found, case.failure)
    assert hear([case.wire]) == expected
    assert hear(bytewise(case.wire)) == expected
    if case.ends:
        assert hear([case.wire + frame(TEXT, b"after")]) == expected
        assert hear([case.wire, frame(TEXT, b"after")]) == expected
    else:
        assert hear([case.wire + frame(TEXT, b"after")]) == ([*case.found, "after"], None)
        assert hear([case.wire + frame(TEXT, b"after")[:-1]]) == expected


def test_no_case_is_there_twice() -> None:
    cases = [*chain(*CHAPTERS.values()), *RSV1_WITHOUT_A_MEANING]
    assert len({case.number for case in cases}) == len(cases)
    assert all(case.number.startswith(name.split()[0]) for name, found in CHAPTERS.items() for case in found)


@pytest.mark.parametrize(
    ("wire", "found", "failure"),
    [
        (bytes.fromhex("810548656c6c6f"), ["Hello"], None),
        (bytes.fromhex("010348656c80026c6f"), ["Hello"], None),
        (bytes.fromhex("890548656c6c6f8a0548656c6c6f"), [(PING, b"Hello"), (PONG, b"Hello")], None),
        (bytes.fromhex("827e0100") + bytes(256), [bytes(256)], None),
        (bytes.fromhex("827f0000000000010000") + bytes(65536), [bytes(65536)], None),
        (bytes.fromhex("818537fa213d7f9f4d5158"), [], 1002),
        (frame(CLOSE, b"\x03\xe8bye", mask=False), [(CLOSE, (1000, "bye"))], None),
    ],
)
def test_what_a_client_hears(wire: bytes, found: list[Any], failure: int | None) -> None:
    assert hear([wire], is_client=True) == (found, failure)
    assert hear(bytewise(wire), is_client=True) == (found, failure)


def test_a_fault_is_told_with_the_first_byte_that_shows_it() -> None:
    for first in (b"\xc1", b"\x83", b"\x09", b"\x80"):
        assert hear([first]).failure == 1002
    assert hear([b"\x81", b"\x05"]).failure == 1002
    assert hear([frame(BINARY, declared=LIMIT_BYTES + 1)[:13]]).failure is None
    assert hear([frame(BINARY, declared=LIMIT_BYTES + 1)[:14]]).failure == 1009


def test_what_a_server_says() -> None:
    engine = WebSocketEngine(1000)
    assert engine.encode("Hello") == bytes.fromhex("810548656c6c6f")
    assert engine.encode(b"") == bytes.fromhex("8200")
    assert engine.encode(bytes(125))[:2] == bytes.fromhex("827d")
    assert engine.encode(bytes(126))[:4] == bytes.fromhex("827e007e")
    assert engine.encode(bytes(65535))[:4] == bytes.fromhex("827effff")
    assert engine.encode(bytes(65536))[:10] == bytes.fromhex("827f0000000000010000")
    assert engine.encode_ping(b"Hello") == bytes.fromhex("890548656c6c6f")
    assert engine.encode_pong() == bytes.fromhex("8a00")
    assert engine.encode_close(1000, "bye") == bytes.fromhex("880503e8627965")
    assert engine.encode_close(1005) == bytes.fromhex("8800")


def test_a_client_masks_each_frame_with_a_key_of_its_own() -> None:
    engine = WebSocketEngine(1000, is_client=True)
    keys = set()
    for _ in range(20):
        wire = engine.encode("Hello, masked world")
        assert wire[:2] == bytes([0x81, 0x80 | 19])
        assert masked(wire[6:], wire[2:6]) == b"Hello, masked world"
        keys.add(wire[2:6])
    assert len(keys) == 20


@pytest.mark.parametrize("code", [code for code in INVALID_CODES if code != 1005])
def test_codes_that_nobody_sends_are_not_sent(code: int) -> None:
    with pytest.raises(ValueError, match="never sent"):
        WebSocketEngine(1000).encode_close(code)


def test_a_long_reason_is_cut_between_two_characters() -> None:
    wire = WebSocketEngine(1000).encode_close(1000, "é" * 100)
    assert wire == b"\x88\x7c\x03\xe8" + "é".encode() * 61


def test_what_cannot_be_sent() -> None:
    engine = WebSocketEngine(1000)
    with pytest.raises(TypeError, match="str or bytes, not bytearray"):
        engine.encode(bytearray(b"a"))  # type: ignore[arg-type]
    with pytest.raises(UnicodeEncodeError):
        engine.encode("\ud800")
    with pytest.raises(ValueError, match="125 bytes"):
        engine.encode_ping(bytes(126))


@pytest.mark.parametrize("limit", [0, -1, 2**31])
def test_limits_that_cannot_be(limit: int) -> None:
    with pytest.raises(ValueError, match="max_message_bytes"):
        WebSocketEngine(limit)


def test_nothing_is_kept_of_a_message_that_is_refused() -> None:
    engine = WebSocketEngine(LIMIT_BYTES)
    engine.receive_data(frame(BINARY, bytes(100_000), fin=False))
    assert engine.kept_bytes == 100_000
    engine.receive_data(b"\xff")
    assert engine.failure is not None
    assert engine.kept_bytes == 0
    assert engine.receive_data(frame(TEXT, b"a")) == []
