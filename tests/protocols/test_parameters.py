"""Metadata in layers: of a message, of the connection's parameters, of the handshake."""

from __future__ import annotations

import pytest

from polywire.errors import MalformedInput
from polywire.protocols.parameters import WithParameters, with_own
from polywire.wire.headers import Headers

HANDSHAKE = Headers([("authorization", "Bearer h"), ("x-a", "1"), ("x-a", "2"), ("x-bin", "AP8=")])


def test_a_message_says_it_first() -> None:
    layered = with_own(
        WithParameters(HANDSHAKE, {"x-token": "p", "x-a": "p"}), {"X-A": "own", "Y-Bin": "AQ==", "z": ""}
    )
    assert [layered.get(name) for name in ("x-a", "X-A", "x-token", "authorization", "none", "z")] == [
        "own",
        "own",
        "p",
        "Bearer h",
        None,
        "",
    ]
    assert layered.get("none", "default") == "default"
    assert [layered.get_all(name) for name in ("x-a", "x-token", "none")] == [["own"], ["p"], []]
    assert [layered.get_binary(name) for name in ("y-bin", "x-bin", "none")] == [[b"\x01"], [b"\x00\xff"], []]
    assert with_own(HANDSHAKE, {"y-bin": "?"}).get_binary("y-bin") == []
    assert [name in layered for name in ("X-A", "x-token", "authorization", "none")] == [True, True, True, False]
    assert layered.items() == [
        ("x-a", "own"),
        ("y-bin", "AQ=="),
        ("z", ""),
        ("authorization", "Bearer h"),
        ("x-bin", "AP8="),
        ("x-token", "p"),
    ]


def test_none_is_the_connections() -> None:
    assert with_own(HANDSHAKE, None) is HANDSHAKE
    assert with_own(HANDSHAKE, {}) is HANDSHAKE


def test_too_many_are_refused() -> None:
    assert with_own(HANDSHAKE, {str(number): "" for number in range(100)})
    with pytest.raises(MalformedInput, match="metadata has at most 100 names"):
        with_own(HANDSHAKE, {str(number): "" for number in range(101)})
