"""RFC 6455 in bytes: what a peer may send, and what fails it, each whole, byte by byte and with bytes behind it."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest

from polywire.wire.websocket import WebSocketEngine

from .websocket_peer import (
    BINARY,
    CLOSE,
    CONTINUATION,
    LIMIT_BYTES,
    PING,
    PONG,
    RSV1,
    RSV2,
    RSV3,
    TEXT,
    bytewise,
    close,
    frame,
    hear,
    masked,
)


class Row(NamedTuple):
    section: str
    what: str
    wire: bytes
    found: list[Any]
    failure: int | None = None


def of_size(opcode: int, size: int) -> Row:
    what = b"*" * size
    return Row(
        "5.2", f"{size} bytes of opcode {opcode}", frame(opcode, what), [what.decode() if opcode == TEXT else what]
    )


SIZES = (0, 1, 7, 8, 9, 125, 126, 127, 128, 65535, 65536, 131072)
FRAMING = [
    *(of_size(opcode, size) for opcode in (TEXT, BINARY) for size in SIZES),
    Row("5.7", "a masked text", bytes.fromhex("818537fa213d7f9f4d5158"), ["Hello"]),
    Row("5.2", "two messages at once", frame(TEXT, b"a") + frame(BINARY, b"b"), ["a", b"b"]),
    Row("5.2", "2 bytes for 125", frame(TEXT, b"*" * 125, length_bytes=2), [], 1002),
    Row("5.2", "2 bytes for none", frame(BINARY, length_bytes=2), [], 1002),
    Row("5.2", "8 bytes for 65535", frame(TEXT, b"*" * 65535, length_bytes=8), [], 1002),
    Row("5.2", "the length's first bit", frame(BINARY, declared=1 << 63, length_bytes=8), [], 1002),
    Row("5.1", "a frame that is not masked", frame(TEXT, b"Hello", mask=False), [], 1002),
    Row("5.1", "a ping that is not masked", frame(TEXT, b"a") + frame(PING, mask=False), ["a"], 1002),
    Row("5.3", "a key of zeros", b"\x81\x85\0\0\0\0Hello", ["Hello"]),
]

CONTROL = [
    Row("5.5.2", "an empty ping", frame(PING), [(PING, b"")]),
    Row("5.5.2", "a ping of bytes", frame(PING, b"\0\xff\xfe\xfd"), [(PING, b"\0\xff\xfe\xfd")]),
    Row("5.5.2", "the longest ping", frame(PING, b"\xfe" * 125), [(PING, b"\xfe" * 125)]),
    Row("5.5", "a ping that is too long", frame(PING, b"\xfe" * 126), [], 1002),
    Row("5.5", "a ping with a length of 8 bytes", frame(PING, length_bytes=8), [], 1002),
    Row("5.5.3", "a pong that nobody asked for", frame(PONG, b"hi") + frame(TEXT, b"a"), [(PONG, b"hi"), "a"]),
    Row("5.5.2", "ten pings", frame(PING, b"p") * 10, [(PING, b"p")] * 10),
    *(
        Row("5.5", f"a fragment of opcode {opcode}", frame(opcode, fin=False), [], 1002)
        for opcode in (CLOSE, PING, PONG)
    ),
    *(
        Row("5.5", f"a long control frame of opcode {opcode}", frame(opcode, b"\x03\xe8" + b"*" * 124), [], 1002)
        for opcode in (CLOSE, PING, PONG)
    ),
]

RESERVED = [
    *(
        Row(
            "5.2",
            f"reserved bits {rsv >> 4} of opcode {opcode}",
            frame(TEXT, b"a") + frame(opcode, rsv=rsv),
            ["a"],
            1002,
        )
        for opcode in (TEXT, BINARY, CLOSE, PING, PONG)
        for rsv in (RSV1, RSV2, RSV3, RSV1 | RSV2, RSV1 | RSV3, RSV2 | RSV3, RSV1 | RSV2 | RSV3)
    ),
    Row("5.2", "a reserved bit of a fragment", frame(TEXT, fin=False) + frame(CONTINUATION, rsv=RSV1), [], 1002),
    *(
        Row("5.2", f"opcode {opcode}", frame(TEXT, b"a") + frame(opcode, payload), ["a"], 1002)
        for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)
        for payload in (b"", b"x")
    ),
]

FRAGMENTS = [
    Row("5.4", "two fragments", frame(TEXT, b"ab", fin=False) + frame(CONTINUATION, b"cd"), ["abcd"]),
    Row("5.4", "bytes in two", frame(BINARY, b"\xff", fin=False) + frame(CONTINUATION, b"\0"), [b"\xff\0"]),
    Row(
        "5.4",
        "empty fragments",
        frame(TEXT, fin=False) + frame(CONTINUATION, fin=False) * 3 + frame(CONTINUATION),
        [""],
    ),
    Row(
        "5.4",
        "an empty one in the middle",
        frame(TEXT, b"a", fin=False) + frame(CONTINUATION, fin=False) + frame(CONTINUATION, b"b"),
        ["ab"],
    ),
    Row(
        "5.4",
        "pings in between",
        frame(TEXT, b"a", fin=False)
        + frame(PING, b"p")
        + frame(CONTINUATION, b"b", fin=False)
        + frame(PONG)
        + frame(0, b"c"),
        [(PING, b"p"), (PONG, b""), "abc"],
    ),
    Row(
        "5.4", "a close in between", frame(TEXT, b"a", fin=False) + close(1000) + frame(0, b"b"), [(CLOSE, (1000, ""))]
    ),
    Row("5.4", "a ping in two", frame(PING, b"a", fin=False) + frame(CONTINUATION, b"b"), [], 1002),
    Row("5.4", "nothing to continue", frame(CONTINUATION, b"a"), [], 1002),
    Row("5.4", "nothing to continue, more to come", frame(CONTINUATION, b"a", fin=False), [], 1002),
    Row("5.4", "nothing left to continue", frame(TEXT, b"a") + frame(CONTINUATION), ["a"], 1002),
    Row("5.4", "a text within a text", frame(TEXT, b"a", fin=False) + frame(TEXT, b"b"), [], 1002),
    Row("5.4", "bytes within a text", frame(TEXT, b"a", fin=False) + frame(BINARY, b"b", fin=False), [], 1002),
    Row(
        "5.4",
        "many fragments",
        frame(TEXT, b"a", fin=False) + frame(0, b"b", fin=False) * 5000 + frame(0),
        ["a" + "b" * 5000],
    ),
]

VALID_CODES = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999]
INVALID_CODES = [0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535]
CLOSING = [
    Row("7.1.5", "no code", close(), [(CLOSE, (1005, ""))]),
    Row("5.5.1", "half a code", frame(CLOSE, b"\x03"), [], 1002),
    Row("5.5.1", "a reason", close(1000, "schön".encode()), [(CLOSE, (1000, "schön"))]),
    Row("5.5.1", "the longest reason", close(1000, b"*" * 123), [(CLOSE, (1000, "*" * 123))]),
    Row("5.5.1", "a reason that is too long", close(1000, b"*" * 124), [], 1002),
    Row("5.5.1", "a reason that is not UTF-8", close(1000, b"\xce\xba\xe1\xbd\xb9\xcf\x83\xed\xa0\x80"), [], 1007),
    Row("5.5.1", "a reason cut within a character", close(1000, b"a\xc3"), [], 1007),
    Row(
        "5.5.1",
        "what comes after it",
        close(1000) + frame(TEXT, b"a") + frame(PING) + close(1000),
        [(CLOSE, (1000, ""))],
    ),
    Row("5.5.1", "nonsense after it", close(1000) + b"\xff\xff\xff", [(CLOSE, (1000, ""))]),
    *(Row("7.4.2", f"code {code}", close(code), [(CLOSE, (code, ""))]) for code in VALID_CODES),
    *(Row("7.4.2", f"code {code}", close(code), [], 1002) for code in INVALID_CODES),
    *(Row("7.4.2", f"code {code} and a reason", close(code, b"why"), [], 1002) for code in INVALID_CODES),
]

LIMITS = [
    Row("10.4", "as long as may be", frame(BINARY, bytes(LIMIT_BYTES)), [bytes(LIMIT_BYTES)]),
    Row("10.4", "one byte more", frame(BINARY, bytes(LIMIT_BYTES + 1))[:14], [], 1009),
    Row("10.4", "as long as can be said", frame(TEXT, declared=(1 << 63) - 1), [], 1009),
    Row("10.4", "one byte more, in fragments", frame(2, bytes(LIMIT_BYTES), fin=False) + frame(0, b"a"), [], 1009),
    Row("10.4", "said to be long, of a fragment", frame(2, b"a", fin=False) + frame(0, declared=LIMIT_BYTES), [], 1009),
    Row("10.4", "empty fragments without end", frame(TEXT, fin=False) + frame(0, fin=False) * 16384, [], 1009),
]

ROWS = FRAMING + CONTROL + RESERVED + FRAGMENTS + CLOSING + LIMITS
NAMES = [f"{row.section} {row.what}" for row in ROWS]


@pytest.mark.parametrize("row", ROWS, ids=NAMES)
def test_what_a_server_hears(row: Row) -> None:
    expected = (row.found, row.failure)
    assert hear([row.wire]) == expected
    assert hear(bytewise(row.wire)) == expected
    if row.failure is not None or (row.found and row.found[-1][:1] == (CLOSE,)):
        assert hear([row.wire + frame(TEXT, b"after")]) == expected
        assert hear([row.wire, frame(TEXT, b"after")]) == expected
    else:
        assert hear([row.wire + frame(TEXT, b"after")]) == ([*row.found, "after"], None)
        assert hear([row.wire + frame(TEXT, b"after")[:-1]]) == expected


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
