"""What a WebSocket's peer may send, in bytes, and what comes of it: numbered by what is tried.

1 framing, 2 pings and pongs, 3 reserved bits, 4 opcodes, 5 fragmentation, 6 UTF-8, 7 closing, 8 limits and sizes.
9, compression, is in websocket_deflate_cases.py. They are what the Autobahn suite is known for, and more.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

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
    fragments,
    frame,
)


class Case(NamedTuple):
    number: str
    section: str
    """Of RFC 6455."""
    what: str
    wire: bytes
    """Of a client."""
    found: list[Any]
    """Messages as str and bytes, control frames as (opcode, payload), of a close as (8, (code, reason))."""
    failure: int | None = None
    """The code that it is closed with."""

    @property
    def ends(self) -> bool:
        return self.failure is not None or (self.found and self.found[-1][:1] == (CLOSE,))

    def __str__(self) -> str:
        return f"{self.number} (§{self.section}) {self.what}"


Made = tuple[str, str, bytes, list[Any]] | tuple[str, str, bytes, list[Any], int]


def numbered(chapter: str, made: Iterable[Made]) -> list[Case]:
    return [Case(f"{chapter}.{place}", *row) for place, row in enumerate(made, 1)]


def _of_size(opcode: int, size: int) -> Made:
    what = b"*" * size
    found = what.decode() if opcode == TEXT else what
    return "5.2", f"{size} bytes of opcode {opcode}", frame(opcode, what), [found]


A = frame(TEXT, b"a")
SIZES = (0, 1, 7, 8, 9, 125, 126, 127, 128, 65535, 65536, 131072)
FRAMING = [
    *numbered("1.1", [_of_size(TEXT, size) for size in SIZES]),
    *numbered("1.2", [_of_size(BINARY, size) for size in SIZES]),
    *numbered(
        "1.3",
        [
            ("5.7", "a masked text", bytes.fromhex("818537fa213d7f9f4d5158"), ["Hello"]),
            ("5.3", "a key of zeros", b"\x81\x85\0\0\0\0Hello", ["Hello"]),
            ("5.2", "two messages at once", A + frame(BINARY, b"b"), ["a", b"b"]),
            ("5.2", "bytes of every value", frame(BINARY, bytes(range(256))), [bytes(range(256))]),
            ("5.1", "a frame that is not masked", frame(TEXT, b"Hello", mask=False), [], 1002),
            ("5.1", "a ping that is not masked", A + frame(PING, mask=False), ["a"], 1002),
            ("5.1", "a close that is not masked", A + close(1000, mask=False), ["a"], 1002),
        ],
    ),
    *numbered(
        "1.4",
        [
            ("5.2", "2 bytes of length for 125", frame(TEXT, b"*" * 125, length_bytes=2), [], 1002),
            ("5.2", "2 bytes of length for none", frame(BINARY, length_bytes=2), [], 1002),
            ("5.2", "8 bytes of length for 65535", frame(TEXT, b"*" * 65535, length_bytes=8), [], 1002),
            ("5.2", "8 bytes of length for 1", frame(BINARY, b"*", length_bytes=8), [], 1002),
            ("5.2", "the length's first bit", frame(BINARY, declared=1 << 63, length_bytes=8), [], 1002),
        ],
    ),
]

PINGS = numbered(
    "2",
    [
        ("5.5.2", "an empty ping", frame(PING), [(PING, b"")]),
        ("5.5.2", "a ping of text", frame(PING, b"Hello, world!"), [(PING, b"Hello, world!")]),
        ("5.5.2", "a ping of bytes", frame(PING, b"\0\xff\xfe\xfd"), [(PING, b"\0\xff\xfe\xfd")]),
        ("5.5.2", "the longest ping", frame(PING, b"\xfe" * 125), [(PING, b"\xfe" * 125)]),
        ("5.5", "a ping that is too long", frame(PING, b"\xfe" * 126), [], 1002),
        ("5.5", "a ping with a length of 8 bytes", frame(PING, length_bytes=8), [], 1002),
        ("5.5.3", "a pong that nobody asked for", frame(PONG) + A, [(PONG, b""), "a"]),
        ("5.5.3", "such a pong with a payload", frame(PONG, b"hi") + A, [(PONG, b"hi"), "a"]),
        ("5.5.3", "and a ping behind it", frame(PONG, b"no") + frame(PING, b"p"), [(PONG, b"no"), (PING, b"p")]),
        (
            "5.5.2",
            "ten pings",
            b"".join(frame(PING, b"%d" % n) for n in range(10)),
            [(PING, b"%d" % n) for n in range(10)],
        ),
        ("5.5", "a pong that is too long", frame(PONG, b"x" * 126), [], 1002),
    ],
)

_RESERVED = (RSV3, RSV2, RSV2 | RSV3, RSV1, RSV1 | RSV3, RSV1 | RSV2, RSV1 | RSV2 | RSV3)
RESERVED = [
    *numbered(
        "3.1",
        [
            ("5.2", f"reserved bits {rsv >> 4} of opcode {opcode}", A + frame(opcode, rsv=rsv), ["a"], 1002)
            for opcode in (CLOSE, PING, PONG)
            for rsv in _RESERVED
        ],
    ),
    # Where compression has been agreed on, RSV1 of the first frame of a message has a meaning.
    *numbered(
        "3.2",
        [
            ("5.2", f"reserved bits {rsv >> 4} of opcode {opcode}", A + frame(opcode, b"b", rsv=rsv), ["a"], 1002)
            for opcode in (TEXT, BINARY)
            for rsv in _RESERVED
            if rsv != RSV1
        ],
    ),
    *numbered(
        "3.3",
        [
            ("5.2", f"reserved bits {rsv >> 4} of a fragment", frame(TEXT, fin=False) + frame(0, rsv=rsv), [], 1002)
            for rsv in _RESERVED
        ],
    ),
]
RSV1_WITHOUT_A_MEANING = numbered(
    "3.4",
    [("5.2", f"RSV1 of opcode {opcode}", A + frame(opcode, b"b", rsv=RSV1), ["a"], 1002) for opcode in (TEXT, BINARY)],
)

OPCODES = numbered(
    "4",
    [
        ("5.2", f"opcode {opcode} of {len(payload)} bytes", A + frame(opcode, payload), ["a"], 1002)
        for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)
        for payload in (b"", b"x")
    ],
)

_ONE = frame(TEXT, b"a", fin=False)
_LAST = frame(CONTINUATION, b"b")
FRAGMENTATION = [
    *numbered(
        "5.1",
        [
            ("5.4", "two fragments", frame(TEXT, b"ab", fin=False) + frame(CONTINUATION, b"cd"), ["abcd"]),
            ("5.4", "bytes in two", frame(BINARY, b"\xff", fin=False) + frame(CONTINUATION, b"\0"), [b"\xff\0"]),
            ("5.4", "empty fragments", frame(TEXT, fin=False) + frame(0, fin=False) * 3 + frame(0), [""]),
            ("5.4", "an empty one in the middle", _ONE + frame(CONTINUATION, fin=False) + _LAST, ["ab"]),
            ("5.4", "many fragments", _ONE + frame(0, b"b", fin=False) * 5000 + frame(0), ["a" + "b" * 5000]),
            ("5.4", "a message of fragments behind another", (_ONE + _LAST) * 2, ["ab", "ab"]),
            ("5.4", "a ping in between", _ONE + frame(PING, b"p") + _LAST, [(PING, b"p"), "ab"]),
            ("5.4", "a pong in between", _ONE + frame(PONG, b"p") + _LAST, [(PONG, b"p"), "ab"]),
            (
                "5.4",
                "pings between all of them",
                _ONE + frame(PING, b"1") + frame(0, b"-", fin=False) + frame(PING, b"2") + _LAST,
                [(PING, b"1"), (PING, b"2"), "a-b"],
            ),
            ("5.4", "a close in between", _ONE + close(1000) + _LAST, [(CLOSE, (1000, ""))]),
        ],
    ),
    *numbered(
        "5.2",
        [
            ("5.4", "a ping in two", frame(PING, b"a", fin=False) + _LAST, [], 1002),
            ("5.4", "a pong in two", frame(PONG, b"a", fin=False) + _LAST, [], 1002),
            ("5.4", "a close in two", frame(CLOSE, b"\x03", fin=False) + frame(CONTINUATION, b"\xe8"), [], 1002),
            ("5.4", "nothing to continue", _LAST, [], 1002),
            ("5.4", "nothing to continue, more to come", frame(CONTINUATION, b"a", fin=False) + _LAST, [], 1002),
            ("5.4", "nothing left to continue", A + _LAST, ["a"], 1002),
            ("5.4", "nothing left to continue, and a text", _LAST + A, [], 1002),
            ("5.4", "a text within a text", _ONE + A, [], 1002),
            ("5.4", "bytes within a text", _ONE + frame(BINARY, b"b", fin=False), [], 1002),
            ("5.4", "a text within bytes", frame(BINARY, b"a", fin=False) + A, [], 1002),
        ],
    ),
]

_KOSME = b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5"
TEXTS = [
    b"Hello-\xc2\xb5@\xc3\x9f\xc3\xb6\xc3\xa4\xc3\xbc\xc3\xa0\xc3\xa1-UTF-8!!",
    _KOSME,
    # The ends of each length (Kuhn, section 2), and what stands next to the surrogates and to the last character.
    *(b"\x00", b"\x7f", b"\xc2\x80", b"\xdf\xbf", b"\xe0\xa0\x80", b"\xef\xbf\xbf", b"\xf0\x90\x80\x80"),
    *(b"\xed\x9f\xbf", b"\xee\x80\x80", b"\xef\xbf\xbd", b"\xf4\x8f\xbf\xbf"),
    # Characters for nobody are characters all the same.
    *(b"\xef\xbf\xbe", b"\xf0\x9f\xbf\xbe", b"\xf4\x8f\xbf\xbe"),
]
NO_TEXTS = [
    # (what, how many bytes may come before it is sure)
    *((b"\x80", 0), (b"\xbf", 0), (b"\x80\xbf\x80\xbf", 0), (b"\xfe", 0), (b"\xff", 0), (b"\xfe\xfe\xff\xff", 0)),
    *((b"a\xc2 b", 2), (b"\xe0\xa0 ", 2), (b"\xf0\x90\x80 ", 3)),
    # Longer than they need be (section 4).
    *((b"\xc0\xaf", 0), (b"\xc1\xbf", 0), (b"\xe0\x80\xaf", 1), (b"\xe0\x9f\xbf", 1), (b"\xf0\x80\x80\xaf", 1)),
    *((b"\xf0\x8f\xbf\xbf", 1), (b"\xf8\x88\x80\x80\x80", 0), (b"\xfc\x84\x80\x80\x80\x80", 0)),
    # Halves of pairs (section 5), whole pairs, and beyond the last character.
    *((b"\xed\xa0\x80", 1), (b"\xed\xbf\xbf", 1), (b"\xed\xa0\x80\xed\xb0\x80", 1)),
    (_KOSME + b"\xed\xa0\x80edited", 12),
    *((b"\xf4\x90\x80\x80", 1), (b"\xf5\x80\x80\x80", 0), (b"\xf7\xbf\xbf\xbf", 0)),
]
CUT_TEXTS = [b"\xc2", b"\xe0\xa0", b"\xef\xbf", b"\xf0\x90\x80", b"\xf4", b"long enough for eight at a time\xe2\x82"]
UTF8 = [
    *numbered("6.1", [("8.1", f"{text!r}", frame(TEXT, text), [text.decode()]) for text in TEXTS]),
    *numbered(
        "6.2", [("8.1", f"{text!r} byte by byte", fragments(TEXT, bytewise(text)), [text.decode()]) for text in TEXTS]
    ),
    *numbered("6.3", [("8.1", f"{text!r} is none", frame(TEXT, text), [], 1007) for text, _ in NO_TEXTS]),
    *numbered(
        "6.4", [("8.1", f"{text!r} byte by byte", fragments(TEXT, bytewise(text)), [], 1007) for text, _ in NO_TEXTS]
    ),
    # At once: what is to come of the frame, or of the message, never comes.
    *numbered(
        "6.5",
        [
            ("8.1", f"{text!r} in the middle of a frame", frame(TEXT, text, declared=100_000), [], 1007)
            for text, _ in NO_TEXTS
        ],
    ),
    *numbered(
        "6.6",
        [
            ("8.1", f"{text!r} in a fragment", _ONE + frame(CONTINUATION, text, fin=False), [], 1007)
            for text, _ in NO_TEXTS
        ],
    ),
    *numbered("6.7", [("8.1", f"{text!r} is cut off", frame(TEXT, text), [], 1007) for text in CUT_TEXTS]),
    *numbered(
        "6.8", [("8.1", f"{text!r} is cut off in fragments", _ONE + frame(0, text), [], 1007) for text in CUT_TEXTS]
    ),
    *numbered("6.9", [("8.1", f"{text!r} as bytes", frame(BINARY, text), [text]) for text, _ in NO_TEXTS]),
]

VALID_CODES = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999]
INVALID_CODES = [0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535]
_BYE = [(CLOSE, (1000, ""))]
CLOSING = [
    *numbered(
        "7.1",
        [
            ("5.5.1", "a message before it", A + close(1000), ["a", *_BYE]),
            ("5.5.1", "two closes", close(1000) * 2, _BYE),
            ("5.5.1", "a ping behind it", close(1000) + frame(PING), _BYE),
            ("5.5.1", "a text behind it", close(1000) + A, _BYE),
            ("5.5.1", "nonsense behind it", close(1000) + b"\xff\xff\xff", _BYE),
            ("5.5.1", "the rest of a message behind it", _ONE + close(1000) + _LAST, _BYE),
        ],
    ),
    *numbered(
        "7.2",
        [
            ("7.1.5", "no code", close(), [(CLOSE, (1005, ""))]),
            ("5.5.1", "half a code", frame(CLOSE, b"\x03"), [], 1002),
            ("5.5.1", "a code", close(1000), _BYE),
            ("5.5.1", "a reason", close(1000, "schön".encode()), [(CLOSE, (1000, "schön"))]),
            ("5.5.1", "the longest reason", close(1000, b"*" * 123), [(CLOSE, (1000, "*" * 123))]),
            ("5.5.1", "a reason that is too long", close(1000, b"*" * 124), [], 1002),
        ],
    ),
    *numbered(
        "7.3",
        [
            ("5.5.1", f"{text!r} as a reason is not UTF-8", close(1000, text), [], 1007)
            for text in [text for text, _ in NO_TEXTS] + CUT_TEXTS
        ],
    ),
    *numbered("7.4", [("7.4.2", f"code {code}", close(code), [(CLOSE, (code, ""))]) for code in VALID_CODES]),
    *numbered("7.5", [("7.4.2", f"code {code}", close(code), [], 1002) for code in INVALID_CODES]),
    *numbered("7.6", [("7.4.2", f"code {code} and a reason", close(code, b"why"), [], 1002) for code in INVALID_CODES]),
]


def _large(opcode: int, size: int, fragment: int) -> Made:
    payload = (b"0123456789abcdef" * (size // 16 + 1))[:size]
    parts = [payload[at : at + fragment] for at in range(0, size, fragment)]
    found = payload.decode() if opcode == TEXT else payload
    return "5.4", f"{size} bytes of opcode {opcode} in {len(parts)} frames", fragments(opcode, parts), [found]


LIMITS = [
    *numbered(
        "8.1",
        [
            ("10.4", "as long as may be", frame(BINARY, bytes(LIMIT_BYTES)), [bytes(LIMIT_BYTES)]),
            ("10.4", "one byte more", frame(BINARY, bytes(LIMIT_BYTES + 1))[:14], [], 1009),
            ("10.4", "as long as can be said", frame(TEXT, declared=(1 << 63) - 1), [], 1009),
            ("10.4", "one byte more, in fragments", frame(2, bytes(LIMIT_BYTES), fin=False) + frame(0, b"a"), [], 1009),
            ("10.4", "said of a fragment", frame(2, b"a", fin=False) + frame(0, declared=LIMIT_BYTES), [], 1009),
            ("10.4", "empty fragments without end", frame(TEXT, fin=False) + frame(0, fin=False) * 16384, [], 1009),
        ],
    ),
    *numbered("8.2", [_large(opcode, LIMIT_BYTES, 1 << bits) for opcode in (TEXT, BINARY) for bits in range(6, 18)]),
    *numbered(
        "8.3",
        [
            ("5.2", f"{size} bytes, a hundred times", frame(BINARY, bytes(size)) * 100, [bytes(size)] * 100)
            for size in (0, 16, 64, 256, 1024)
        ],
    ),
]

CHAPTERS = {
    "1 framing": FRAMING,
    "2 pings and pongs": PINGS,
    "3 reserved bits": RESERVED,
    "4 opcodes": OPCODES,
    "5 fragmentation": FRAGMENTATION,
    "6 UTF-8": UTF8,
    "7 closing": CLOSING,
    "8 limits and sizes": LIMITS,
}
