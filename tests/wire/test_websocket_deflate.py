"""permessage-deflate (RFC 7692): what is agreed on, compressed messages in bytes, broken ones and bombs."""

from __future__ import annotations

import os
import zlib

import pytest

from polywire.wire.websocket import WebSocketEngine
from polywire.wire.websocket_deflate import DeflateParameters, agreed, answer, offer

from .websocket_cases import Case
from .websocket_deflate_cases import COMPRESSED, HANDSHAKES, Handshake
from .websocket_peer import BINARY, LIMIT_BYTES, RSV1, TEXT, bytewise, deflated, frame, hear

NONE_KEPT = DeflateParameters()
KEPT = DeflateParameters(12, True, 15, True)
BOTH = [NONE_KEPT, KEPT]
ONE_WAY = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"


@pytest.mark.parametrize(
    ("offers", "said", "parameters"),
    [
        ("permessage-deflate", ONE_WAY, NONE_KEPT),
        ("permessage-deflate; client_max_window_bits", ONE_WAY, NONE_KEPT),
        ("permessage-deflate;server_no_context_takeover ;client_no_context_takeover", ONE_WAY, NONE_KEPT),
        ("x-webkit-deflate-frame, permessage-deflate", ONE_WAY, NONE_KEPT),
        (
            'permessage-deflate; server_max_window_bits="9"',
            f"{ONE_WAY}; server_max_window_bits=9",
            DeflateParameters(own_window_bits=9),
        ),
        (
            "permessage-deflate; server_max_window_bits=8, permessage-deflate; client_max_window_bits=10",
            f"{ONE_WAY}; client_max_window_bits=10",
            DeflateParameters(peer_window_bits=10),
        ),
        ("permessage-deflate; unknown, permessage-deflate", ONE_WAY, NONE_KEPT),
    ],
)
def test_what_a_server_agrees_to(offers: str, said: str, parameters: DeflateParameters) -> None:
    assert answer(offers, keep_context=False) == (said, parameters)


@pytest.mark.parametrize(
    ("offers", "said", "parameters"),
    [
        ("permessage-deflate", "permessage-deflate; server_max_window_bits=12", KEPT),
        (
            "permessage-deflate; client_max_window_bits",
            "permessage-deflate; server_max_window_bits=12; client_max_window_bits=12",
            DeflateParameters(12, True, 12, True),
        ),
        (
            "permessage-deflate; server_no_context_takeover; server_max_window_bits=15",
            "permessage-deflate; server_no_context_takeover; server_max_window_bits=12",
            DeflateParameters(12, False, 15, True),
        ),
        (
            "permessage-deflate; client_no_context_takeover; client_max_window_bits=9; server_max_window_bits=10",
            "permessage-deflate; client_no_context_takeover; server_max_window_bits=10; client_max_window_bits=9",
            DeflateParameters(10, True, 9, False),
        ),
    ],
)
def test_what_a_server_that_keeps_contexts_agrees_to(offers: str, said: str, parameters: DeflateParameters) -> None:
    assert answer(offers, keep_context=True) == (said, parameters)


@pytest.mark.parametrize(
    "offers",
    [
        "",
        "permessage-bzip2",
        "permessage-deflate; server_max_window_bits=8",
        "permessage-deflate; server_max_window_bits",
        "permessage-deflate; server_max_window_bits=16",
        "permessage-deflate; server_max_window_bits=09",
        "permessage-deflate; server_max_window_bits=1000000000000000000000",
        "permessage-deflate; client_max_window_bits=7",
        "permessage-deflate; server_no_context_takeover=1",
        "permessage-deflate; client_no_context_takeover; client_no_context_takeover",
        "permessage-deflate; level=9",
        "permessage-deflate; =",
        "; permessage-deflate",
        ", ".join(["x"] * 16 + ["permessage-deflate"]),
        "permessage-deflate" + "; a" * 5000 + ";",
    ],
)
def test_what_no_server_agrees_to(offers: str) -> None:
    assert answer(offers, keep_context=False) is None
    assert answer(offers, keep_context=True) is None


@pytest.mark.parametrize("keep_context", [False, True])
def test_a_client_and_a_server_of_ours_agree(keep_context: bool) -> None:
    made = answer(offer(keep_context), keep_context)
    assert made is not None
    own, keeps, peer, peer_keeps = made[1]
    assert agreed(made[0], keep_context) == (peer, peer_keeps, own, keeps)
    assert agreed("", keep_context) is None


@pytest.mark.parametrize(
    ("said", "keep_context"),
    [
        ("permessage-deflate", False),
        ("permessage-deflate", True),
        ("permessage-bzip2", False),
        (f"{ONE_WAY}, {ONE_WAY}", False),
        (f"{ONE_WAY}; server_max_window_bits=12", False),
        (f"{ONE_WAY}; server_no_context_takeover", False),
        ("permessage-deflate; server_no_context_takeover=1", False),
        ("permessage-deflate; server_max_window_bits=12; client_max_window_bits=8", True),
        ("permessage-deflate; server_max_window_bits=12; client_max_window_bits", True),
        ("permessage-deflate; server_max_window_bits=12; level=9", True),
        ("?", True),
    ],
)
def test_what_a_client_does_not_agree_to(said: str, keep_context: bool) -> None:
    with pytest.raises(ValueError, match=r"server|offered|parameter|value|written"):
        agreed(said, keep_context)


@pytest.mark.parametrize("parameters", BOTH, ids=["none kept", "kept"])
@pytest.mark.parametrize("case", COMPRESSED, ids=str)
def test_what_a_server_unpacks(parameters: DeflateParameters, case: Case) -> None:
    expected = (case.found, case.failure)
    assert hear([case.wire], deflate=parameters) == expected
    assert hear(bytewise(case.wire), deflate=parameters) == expected
    after = frame(TEXT, b"after")
    assert hear([case.wire, after], deflate=parameters) == (
        [*case.found, *([] if case.ends else ["after"])],
        case.failure,
    )


@pytest.mark.parametrize("handshake", HANDSHAKES, ids=str)
def test_what_a_server_answers(handshake: Handshake) -> None:
    made = answer(handshake.offers, handshake.keeps)
    assert (made and made[0]) == handshake.said


def test_a_message_may_refer_to_the_one_before_where_contexts_are_kept() -> None:
    first, second = (
        frame(TEXT, bytes.fromhex("f248cdc9c90700"), rsv=RSV1),
        frame(TEXT, bytes.fromhex("f200110000"), rsv=RSV1),
    )
    assert hear([first, second], deflate=KEPT) == (["Hello", "Hello"], None)
    assert hear([first, frame(TEXT, b"plain"), second], deflate=KEPT) == (["Hello", "plain", "Hello"], None)
    assert hear([first, second], deflate=NONE_KEPT) == (["Hello"], 1007)


def test_what_ended_with_a_last_block_may_be_referred_to() -> None:
    first, second = (
        frame(TEXT, bytes.fromhex("f348cdc9c9070000"), rsv=RSV1),
        frame(TEXT, bytes.fromhex("f200110000"), rsv=RSV1),
    )
    assert hear([first, second], deflate=KEPT) == (["Hello", "Hello"], None)


def test_nothing_is_compressed_where_that_is_not_agreed() -> None:
    assert hear([frame(TEXT, deflated(b"a"), rsv=RSV1)]) == ([], 1002)
    assert WebSocketEngine(1000).encode("a" * 500)[0] == 0x81


@pytest.mark.parametrize("parameters", BOTH)
def test_the_limit_is_that_of_what_is_unpacked(parameters: DeflateParameters) -> None:
    for level in (0, 9):
        good = frame(BINARY, deflated(bytes(LIMIT_BYTES), level), rsv=RSV1)
        assert hear([good], deflate=parameters) == ([bytes(LIMIT_BYTES)], None)
    worst = os.urandom(LIMIT_BYTES)
    assert hear([frame(BINARY, deflated(worst, 0), rsv=RSV1)], deflate=parameters) == ([worst], None)
    bomb = frame(BINARY, deflated(bytes(LIMIT_BYTES + 1)), rsv=RSV1)
    assert hear([bomb], deflate=parameters) == ([], 1009)
    much = frame(BINARY, deflated(bytes(50_000_000)), rsv=RSV1)
    assert hear([much], deflate=parameters) == ([], 1009)
    assert hear([frame(BINARY, declared=2 * LIMIT_BYTES, rsv=RSV1)], deflate=parameters) == ([], 1009)


def test_many_bombs_in_one_read_are_unpacked_one_call_after_the_other() -> None:
    size = 1_000_000
    wire = frame(BINARY, deflated(bytes(size)), rsv=RSV1) * 20
    assert len(wire) < 32_768
    engine = WebSocketEngine(size, deflate=NONE_KEPT)
    found = [engine.receive_data(wire)]
    while engine.waiting:
        found.append(engine.receive_data(b""))
    assert max(sum(map(len, messages)) for messages in found) <= 2 * size
    assert sum(map(len, found)) == 20


def test_last_blocks_that_unpack_to_nothing_count_for_the_window_that_each_has_copied() -> None:
    engine = WebSocketEngine(LIMIT_BYTES, deflate=DeflateParameters(peer_keeps_context=True))
    for _ in range(40_000 // LIMIT_BYTES + 1):
        engine.receive_data(frame(BINARY, deflated(os.urandom(LIMIT_BYTES)), rsv=RSV1))
    nothing = frame(BINARY, b"\x03\x00" * 8 + b"\x00", rsv=RSV1)
    assert len(engine.receive_data(nothing * 100)) <= 1024 * 1024 // (8 * 32_000)
    assert engine.waiting


@pytest.mark.parametrize("bits", range(9, 16))
@pytest.mark.parametrize("keeps", [False, True])
def test_what_we_write_keeps_within_the_window_that_was_agreed(bits: int, keeps: bool) -> None:
    noise = os.urandom(600)
    messages = [b"small", noise * 3, b"ab" * 2000, noise + bytes(40_000) + noise, b"ab" * 2000, b"x" * 64, b"x" * 63]
    sender = WebSocketEngine(LIMIT_BYTES, deflate=DeflateParameters(bits, keeps))
    reader = zlib.decompressobj(wbits=-bits)
    for message in messages:
        wire = sender.encode(message)
        assert wire[0] in (0x82, 0xC2)
        head = {126: 4, 127: 10}.get(wire[1], 2)
        if wire[0] == 0x82:
            assert wire[head:] == message
            continue
        if not keeps:
            reader = zlib.decompressobj(wbits=-bits)
        assert reader.decompress(wire[head:] + b"\0\0\xff\xff") == message
    assert sender.encode(b"x" * 64)[0] == 0xC2
    assert sender.encode(b"x" * 63)[0] == 0x82, "so little is not worth it"


def test_connections_share_their_state_and_nothing_else() -> None:
    text = "what one says is not what another hears " * 10
    one, two = (WebSocketEngine(LIMIT_BYTES, deflate=NONE_KEPT) for _ in range(2))
    first = one.encode(text)
    assert one.encode("another " * 30) != first
    assert two.encode(text) == first == one.encode(text)
    assert hear([frame(TEXT, b"\xff\xff", rsv=RSV1)], deflate=NONE_KEPT) == ([], 1007)
    assert hear([frame(TEXT, deflated(text.encode()), rsv=RSV1)], deflate=NONE_KEPT) == ([text], None)
