"""How many WebSockets an address may open and keep, and how fast; time is given."""

from __future__ import annotations

import pytest

from polywire.errors import ResourceExhausted
from polywire.http import rates
from polywire.http.gate import SocketGate, holder
from polywire.http.rates import Bucket, Buckets


def test_a_bucket_gives_so_many_at_once_and_a_second() -> None:
    bucket = Bucket(2, 0.0)
    assert [bucket.take(0.0) for _ in range(3)] == [True, True, False]
    assert [bucket.take(0.5) for _ in range(2)] == [True, False]
    assert [bucket.take(100.0) for _ in range(3)] == [True, True, False]


def test_less_than_one_a_second_is_one_at_once() -> None:
    bucket = Bucket(0.1, 0.0)
    assert [bucket.take(now) for now in (0.0, 9.0, 10.0, 19.0, 20.0)] == [True, False, True, False, True]


def test_buckets_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rates, "MOST_KEYS", 2)
    buckets = Buckets(1)
    assert [buckets.take(key, 0.0) for key in "abab"] == [True, True, False, False]
    assert buckets.take("c", 0.0)
    assert len(buckets._buckets) == 2
    assert [buckets.take(key, 0.0) for key in "bca"] == [False, False, True]


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("/run/app.sock", "/run/app.sock"),
        ("", ""),
    ],
)
def test_whose_an_address_is(address: str, key: str) -> None:
    assert holder(address) == key


def test_so_many_of_one_address() -> None:
    gate = SocketGate(2, None)
    keys = [gate.enter("2001:db8::1", 0.0), gate.enter("2001:db8::2", 0.0)]
    with pytest.raises(ResourceExhausted, match="more than 2 WebSockets of one address") as caught:
        gate.enter("2001:db8::3", 0.0)
    assert (caught.value.reason, caught.value.metadata) == ("TOO_MANY_SOCKETS", {"retry-after": "1"})
    gate.enter("2001:db8:0:1::1", 0.0)
    gate.leave(keys.pop())
    gate.enter("2001:db8::3", 0.0)
    assert gate.open == {"2001:db8::/64": 2, "2001:db8:0:1::/64": 1}


def test_so_many_a_second() -> None:
    gate = SocketGate(None, 1)
    gate.leave(gate.enter("192.0.2.7", 0.0))
    with pytest.raises(ResourceExhausted) as caught:
        gate.enter("192.0.2.7", 0.5)
    assert caught.value.reason == "TOO_FAST"
    gate.leave(gate.enter("192.0.2.7", 1.5))
    assert gate.open == {}
