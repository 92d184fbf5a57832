"""The channel between a parent and a worker: whole messages, bounded, never waiting."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from polywire.server import channel as channels
from polywire.server.channel import Channel, ChannelError, Message


@pytest.fixture
def link() -> Iterator[tuple[Channel, socket.socket]]:
    ours, theirs = socket.socketpair()
    channel = Channel(ours)
    yield channel, theirs
    channel.close()
    theirs.close()


def test_messages_arrive_whole_however_they_are_cut(link: tuple[Channel, socket.socket]) -> None:
    channel, raw = link
    sender, wire = socket.socketpair()
    with wire:
        other = Channel(sender)
        assert other.send("a", b"x" * 300, id=7)
        assert other.send("b")
        data = wire.recv(4096)
        other.close()
    found: list[Message] = []
    for at in range(len(data)):
        raw.send(data[at : at + 1])
        found += channel.receive()
    assert found == [Message("a", 7, b"x" * 300), Message("b")]


def test_what_the_other_end_does_not_take_is_held_and_bounded(
    link: tuple[Channel, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    channel, raw = link
    monkeypatch.setattr(channels, "MAX_UNSENT_BYTES", 1_000_000)
    taken = 0
    while channel.send("a", bytes(100_000)):
        taken += 1
    assert channel.wants_write
    assert taken < 40
    receiver = Channel(raw.dup())
    got = 0
    while got < taken:
        channel.flush()
        got += len(receiver.receive())
    assert not channel.wants_write
    receiver.close()


def test_a_message_that_is_too_long_is_not_sent(
    link: tuple[Channel, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(channels, "MAX_MESSAGE_BYTES", 100)
    assert not link[0].send("a", bytes(200))


def test_what_was_sent_before_the_end_is_heard(link: tuple[Channel, socket.socket]) -> None:
    channel, raw = link
    other = Channel(raw.dup())
    other.send("last")
    other.close()
    raw.close()
    assert channel.receive() == [Message("last")]
    with pytest.raises(ChannelError, match="closed"):
        channel.receive()


@pytest.mark.parametrize(
    ("data", "message"),
    [(b"\xff\xff\xff\xff", "a message of 4294967295 bytes"), (b"\0\0\0\1\xc1", "not a message"),
     (b"\0\0\0\2\x91\x05", "not a message")],
)  # fmt: skip
def test_what_is_no_message_is_refused(link: tuple[Channel, socket.socket], data: bytes, message: str) -> None:
    link[1].send(data)
    with pytest.raises(ChannelError, match=message):
        link[0].receive()


def test_nothing_is_sent_on_a_closed_channel(link: tuple[Channel, socket.socket]) -> None:
    link[0].close()
    assert not link[0].send("a")
