from __future__ import annotations

from polywire.http.exchange import Exchange
from polywire.runtime.call import UNKNOWN_PEER
from polywire.testing import MemorySink
from polywire.wire.headers import HeaderBlock

NONE = HeaderBlock()
CANCEL = 8


class Observed:
    """An exchange and the statuses that its observer was told."""

    def __init__(self) -> None:
        self.statuses: list[int] = []
        self.exchange = Exchange(MemorySink("GET", "/"), UNKNOWN_PEER, self.observe)

    def observe(self, exchange: Exchange) -> None:
        self.statuses.append(exchange.status)


async def test_a_peer_that_leaves_an_answer_unread_is_not_observed_again() -> None:
    """HTTP/2: it resets the stream while the answer waits for its credit."""
    observed = Observed()
    observed.exchange.respond(200, NONE, b"hello")
    observed.exchange.on_gone()
    assert observed.statuses == [200]


async def test_nor_is_one_that_leaves_a_stream_after_its_end() -> None:
    observed = Observed()
    observed.exchange.start(200, NONE)
    observed.exchange.write(b"hello")
    observed.exchange.finish()
    observed.exchange.on_gone()
    assert observed.statuses == [200]


async def test_one_that_leaves_before_is_observed_once() -> None:
    observed = Observed()
    observed.exchange.on_gone()
    observed.exchange.respond(200, NONE, b"hello")
    assert observed.statuses == [499]


async def test_one_that_leaves_a_stream_midway_keeps_its_status() -> None:
    observed = Observed()
    observed.exchange.start(200, NONE)
    observed.exchange.on_gone()
    assert observed.statuses == [200]


async def test_one_that_we_break_off_midway_keeps_its_status() -> None:
    observed = Observed()
    observed.exchange.start(200, NONE)
    observed.exchange.reset(CANCEL)
    observed.exchange.on_gone()
    assert observed.statuses == [200]


async def test_one_that_we_break_off_before_its_answer_counts_as_failed() -> None:
    observed = Observed()
    observed.exchange.reset(CANCEL)
    assert observed.statuses == [500]


async def test_one_that_is_broken_off_after_its_end_is_not_observed_again() -> None:
    for leaves in (True, False):
        observed = Observed()
        if leaves:
            observed.exchange.on_gone()
        else:
            observed.exchange.respond(200, NONE, b"")
        observed.exchange.reset(CANCEL)
        assert observed.statuses == [499 if leaves else 200]
