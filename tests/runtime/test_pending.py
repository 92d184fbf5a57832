from __future__ import annotations

import pytest

from polywire import App, Service, Unavailable, query
from polywire.errors import OVERLOADED
from polywire.runtime.pending import PendingBytes


def test_more_than_there_is_is_refused_and_not_counted() -> None:
    pending = PendingBytes(10)
    pending.hold(6)
    with pytest.raises(Unavailable) as caught:
        pending.hold(5)
    assert caught.value.reason == OVERLOADED
    assert pending.held_bytes == 6
    pending.hold(4)
    pending.release(6)
    assert pending.held_bytes == 4


def test_the_option_must_be_above_zero() -> None:
    class Thing(Service, package="pending"):
        @query
        async def thing(self) -> None: ...

    with pytest.raises(ValueError, match="max_pending_bytes"):
        App(Thing(), max_pending_bytes=0)
