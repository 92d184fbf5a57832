"""How soon a worker that died is replaced."""

from __future__ import annotations

import errno
import os
import signal
import socket

import pytest

from polywire.server.channel import Channel
from polywire.server.workers import Slot, Worker, Workers


def deaths(ages_s: list[float], *, ready: bool = True) -> list[float]:
    """The pauses before each replacement, for workers that die at these ages one after the other."""
    now = [100.0]
    slot = Slot([])
    parent = Workers([], on_started=lambda text: None, on_hangup=lambda: None, clock=lambda: now[0])
    pauses = []
    for age_s in ages_s:
        ours, theirs = socket.socketpair()
        channel = Channel(ours)
        worker = Worker(1, channel, born=now[0], ready=ready)
        now[0] += age_s
        parent._replace(slot, worker, -9)
        channel.close()
        theirs.close()
        assert slot.fork_at is not None
        pauses.append(slot.fork_at - now[0])
        now[0] = slot.fork_at
    return pauses


@pytest.mark.parametrize(
    ("ages_s", "pauses"),
    [([3600.0], [0.0]), ([1.0] * 9, [0.0, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0]),
     ([1.0, 1.0, 60.0, 1.0], [0.0, 1.0, 0.0, 1.0])],
)  # fmt: skip
def test_at_once_and_later_and_later_for_those_that_die_young(ages_s: list[float], pauses: list[float]) -> None:
    assert deaths(ages_s) == pauses


def test_one_that_never_served_counts_as_young_however_long_it_took() -> None:
    assert deaths([100.0, 100.0], ready=False) == [0.0, 1.0]


def test_a_machine_that_has_no_process_to_give_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> int:
        raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")

    monkeypatch.setattr(os, "fork", refuse)
    slot = Slot([])
    parent = Workers([], on_started=lambda text: None, on_hangup=lambda: None, clock=lambda: 100.0)
    with pytest.raises(BlockingIOError):
        parent._fork(slot)
    parent._started = True
    before = len(os.listdir("/proc/self/fd"))
    pauses = []
    for _ in range(3):
        assert parent._fork(slot) is None
        assert slot.fork_at is not None
        pauses.append(slot.fork_at - 100.0)
    assert pauses == [0.0, 1.0, 2.0]
    assert len(os.listdir("/proc/self/fd")) == before
    assert signal.SIGTERM not in signal.pthread_sigmask(signal.SIG_BLOCK, ())
