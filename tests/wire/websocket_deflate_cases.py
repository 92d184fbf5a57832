"""9 compression (RFC 7692): what a client offers, and compressed messages in bytes, whole and in fragments."""

from __future__ import annotations

import json
import random
import zlib
from typing import NamedTuple

from .websocket_cases import Made, numbered
from .websocket_peer import BINARY, CONTINUATION, LIMIT_BYTES, PING, RSV1, RSV2, TEXT, deflated, fragments, frame

NAME = "permessage-deflate"
_NONE_KEPT = f"{NAME}; server_no_context_takeover; client_no_context_takeover"


class Handshake(NamedTuple):
    number: str
    offers: str
    """A client's Sec-WebSocket-Extensions."""
    keeps: bool
    """Whether the server would keep contexts."""
    said: str | None
    """What it answers; None: nothing."""


HANDSHAKES = [
    Handshake(f"9.1.{place}", *row)
    for place, row in enumerate(
        [
            (NAME, False, _NONE_KEPT),
            (f"{NAME}; client_max_window_bits", False, _NONE_KEPT),
            (f"{NAME}; client_no_context_takeover; client_max_window_bits", False, _NONE_KEPT),
            (f"{NAME}; client_max_window_bits=9", False, f"{_NONE_KEPT}; client_max_window_bits=9"),
            (f"{NAME}; server_max_window_bits=9", False, f"{_NONE_KEPT}; server_max_window_bits=9"),
            (
                f"{NAME}; server_max_window_bits=15; server_no_context_takeover",
                False,
                f"{_NONE_KEPT}; server_max_window_bits=15",
            ),
            (f"{NAME}; server_max_window_bits=8, {NAME}", False, _NONE_KEPT),
            (f"{NAME}; server_max_window_bits=8", False, None),
            ("x-webkit-deflate-frame", False, None),
            (NAME, True, f"{NAME}; server_max_window_bits=12"),
            (
                f"{NAME}; client_max_window_bits",
                True,
                f"{NAME}; server_max_window_bits=12; client_max_window_bits=12",
            ),
            (
                f"{NAME}; client_max_window_bits=15; server_max_window_bits=9",
                True,
                f"{NAME}; server_max_window_bits=9; client_max_window_bits=12",
            ),
            (
                f"{NAME}; client_max_window_bits=9; client_no_context_takeover",
                True,
                f"{NAME}; client_no_context_takeover; server_max_window_bits=12; client_max_window_bits=9",
            ),
            (
                f"{NAME}; server_no_context_takeover",
                True,
                f"{NAME}; server_no_context_takeover; server_max_window_bits=12",
            ),
            (f"{NAME}; server_no_context_takeover=1", True, None),
            (f"{NAME}; client_max_window_bits=16", True, None),
        ],
        1,
    )
]


def text_of(size: int) -> bytes:
    """JSON as it is sent, cut: what is like what came before, and what is not."""
    rng = random.Random(size)
    made = bytearray()
    while len(made) < size:
        made += json.dumps(
            {"id": rng.randrange(10**9), "name": "".join(rng.choices("abcdef", k=9)), "tags": ["x"]}
        ).encode()
    return bytes(made[:size])


def noise_of(size: int) -> bytes:
    return random.Random(size).randbytes(size)


SIZES = (16, 64, 256, 1024, 4096, 8192, 16384, 32768, 65536, 131072)
FRAGMENTS = (1, 256, 1024, 32768)


def cut(payload: bytes, fragment: int) -> list[bytes]:
    return [payload[at : at + fragment] for at in range(0, len(payload), fragment)]


def _message(size: int, fragment: int) -> Made:
    payload = text_of(size)
    parts = cut(deflated(payload), fragment)
    return "6", f"{size} bytes in {len(parts)} frames", fragments(TEXT, parts, rsv=RSV1), [payload.decode()]


def _packed(what: str, payload: str, found: str) -> Made:
    return "7.2.3", what, frame(TEXT, bytes.fromhex(payload), rsv=RSV1), [found]


def _level(level: int, payload: bytes) -> Made:
    return "7.2.1", f"level {level}", frame(BINARY, deflated(payload, level), rsv=RSV1), [payload]


HELLO = deflated(b"Hello" * 20)
COMPRESSED = [
    *numbered(
        "9.2",
        [
            _packed("a block", "f248cdc9c90700", "Hello"),
            _packed("a block that is not compressed", "000500faff48656c6c6f00", "Hello"),
            _packed("a block that says it is the last", "f348cdc9c9070000", "Hello"),
            _packed("two blocks", "f24805000000ffffcac9c90700", "Hello"),
            _packed("nothing", "00", ""),
            _packed("nothing, in a last block", "030000", ""),
            *(_level(level, payload) for level in (0, 1, 6, 9) for payload in (text_of(5000), noise_of(5000))),
        ],
    ),
    *numbered("9.3", [_message(size, 1 << 20) for size in SIZES]),
    *numbered("9.4", [_message(size, fragment) for size in (4096, 131072) for fragment in FRAGMENTS]),
    *numbered(
        "9.5",
        [
            (
                "6",
                "one that is and one that is not",
                frame(TEXT, HELLO, rsv=RSV1) + frame(TEXT, b"plain"),
                ["Hello" * 20, "plain"],
            ),
            (
                "6.1",
                "a ping in between",
                frame(TEXT, HELLO[:5], fin=False, rsv=RSV1) + frame(PING, b"p") + frame(CONTINUATION, HELLO[5:]),
                [(PING, b"p"), "Hello" * 20],
            ),
            ("6", "many of them", frame(TEXT, HELLO, rsv=RSV1) * 100, ["Hello" * 20] * 100),
            (
                "7.2.3.3",
                "as many bytes as may be",
                frame(BINARY, deflated(bytes(LIMIT_BYTES)), rsv=RSV1),
                [bytes(LIMIT_BYTES)],
            ),
            (
                "7.2.3.3",
                "as many that cannot be compressed",
                frame(BINARY, deflated(noise_of(LIMIT_BYTES)), rsv=RSV1),
                [noise_of(LIMIT_BYTES)],
            ),
        ],
    ),
    *numbered(
        "9.6",
        [
            ("6", "a ping that is compressed", frame(PING, HELLO, rsv=RSV1), [], 1002),
            ("6", "RSV2 as well", frame(TEXT, HELLO, rsv=RSV1 | RSV2), [], 1002),
            (
                "6.1",
                "a later fragment that says so",
                frame(TEXT, HELLO, fin=False, rsv=RSV1) + frame(0, rsv=RSV1),
                [],
                1002,
            ),
            ("6.1", "only a later one that says so", frame(TEXT, fin=False) + frame(0, HELLO, rsv=RSV1), [], 1002),
            ("7.2.2", "not a byte", frame(TEXT, b"", rsv=RSV1), [], 1007),
            ("7.2.2", "nonsense", frame(TEXT, b"\xff\xff\xff", rsv=RSV1), [], 1007),
            ("7.2.2", "what is not compressed", frame(TEXT, b"Hello", rsv=RSV1), [], 1007),
            ("7.2.2", "cut off", frame(TEXT, deflated(text_of(500))[:-3], rsv=RSV1), [], 1007),
            ("7.2.2", "zlib's own head", frame(TEXT, zlib.compress(b"Hello"), rsv=RSV1), [], 1007),
            ("7.2.2", "ends without end", frame(TEXT, bytes.fromhex("030003000300") * 50, rsv=RSV1), [], 1007),
            ("8.1", "no UTF-8 inside", frame(TEXT, deflated(b"\xed\xa0\x80"), rsv=RSV1), [], 1007),
            ("10.4", "a byte too many", frame(BINARY, deflated(bytes(LIMIT_BYTES + 1)), rsv=RSV1), [], 1009),
            ("10.4", "a bomb", frame(BINARY, deflated(bytes(100_000_000)), rsv=RSV1), [], 1009),
            (
                "10.4",
                "a bomb in fragments",
                fragments(BINARY, cut(deflated(bytes(100_000_000)), 1000), rsv=RSV1),
                [],
                1009,
            ),
            ("10.4", "longer than can be unpacked", frame(BINARY, declared=2 * LIMIT_BYTES, rsv=RSV1), [], 1009),
        ],
    ),
]
