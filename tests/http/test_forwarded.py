"""Forwarded and X-Forwarded-*: whom the trusted proxies speak for, and what a client cannot make them say."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polywire.http.forwarded import Client, TrustedNetworks, authority_host, forwarded_client, x_forwarded_client
from polywire.wire.headers import Headers

TRUSTED = TrustedNetworks(["10.0.0.0/8", "fd00::/8", "unix"])


def forwarded(*values: str) -> Client | None:
    return forwarded_client(Headers([("forwarded", value) for value in values]), TRUSTED)


def x_forwarded(for_: str | None = None, proto: str | None = None, host: str | None = None) -> Client | None:
    given = {"x-forwarded-for": for_, "x-forwarded-proto": proto, "x-forwarded-host": host}
    return x_forwarded_client(Headers([(name, value) for name, value in given.items() if value is not None]), TRUSTED)


@pytest.mark.parametrize(
    ("value", "client"),
    [
        ("for=192.0.2.7", Client("192.0.2.7", 0, None, None)),
        ("For=192.0.2.7;Proto=HTTPS;Host=example.org", Client("192.0.2.7", 0, "https", "example.org")),
        ('for="[2001:DB8::7]:4711"', Client("2001:db8::7", 4711, None, None)),
        ('for="192.0.2.7:80";by=203.0.113.43', Client("192.0.2.7", 80, None, None)),
        ('for="\\1\\92.0.2.7"', Client("192.0.2.7", 0, None, None)),
        ("for=unknown", Client("", 0, None, None)),
        ("for=_hidden", Client("_hidden", 0, None, None)),
        ('for="_hidden:_port"', Client("_hidden", 0, None, None)),
        ("for=192.0.2.7, for=10.0.0.1", Client("192.0.2.7", 0, None, None)),
        ("for=192.0.2.7;proto=https ,\tfor=10.0.0.1;proto=http", Client("192.0.2.7", 0, "https", None)),
        ('for=192.0.2.7;proto=http, for="[fd00::1]";proto=https', Client("192.0.2.7", 0, "http", None)),
        ("for=1.1.1.1, for=192.0.2.7", Client("192.0.2.7", 0, None, None)),
        ("for=1.1.1.1, for=unknown", Client("", 0, None, None)),
        ("for=10.0.0.2, for=10.0.0.1", Client("10.0.0.2", 0, None, None)),
        ("proto=https", Client(None, 0, "https", None)),
        (";for=192.0.2.7;;, ,", Client("192.0.2.7", 0, None, None)),
        ('for=192.0.2.7;ext="a,b;c\\"d"', Client("192.0.2.7", 0, None, None)),
    ],
)
def test_forwarded(value: str, client: Client) -> None:
    assert forwarded(value) == client


@pytest.mark.parametrize(
    "value",
    [
        "", ",", "for", "for=", "for=192.0.2.7 x", "for=192.0.2.7;for=192.0.2.8", 'for="192.0.2.7', "for=[::1]",
        'for="::1"', "for=192.0.2.256", "for=192.0.2.7.1", 'for="192.0.2.7:65536"', 'for="[::1"', "for=example.org",
        "for=192.0.2.7;proto=gopher", 'for=192.0.2.7;host="a b"', 'for=192.0.2.7;host="a/b"', "for = 192.0.2.7",
        'for="[fe80::1%eth0]"',
    ],
)  # fmt: skip
def test_malformed_is_ignored_whole(value: str) -> None:
    assert forwarded(value) is None


def test_lines_of_the_client_are_not_looked_at() -> None:
    assert forwarded('for="', "for=192.0.2.7") == Client("192.0.2.7", 0, None, None)
    assert forwarded("for=192.0.2.7", "for=10.0.0.1") == Client("192.0.2.7", 0, None, None)


@pytest.mark.parametrize(
    ("given", "client"),
    [
        (("192.0.2.7",), Client("192.0.2.7", 0, None, None)),
        (("192.0.2.7", "https", "example.org:8443"), Client("192.0.2.7", 0, "https", "example.org:8443")),
        (("2001:DB8::7",), Client("2001:db8::7", 0, None, None)),
        (("[2001:db8::7]:80",), Client("2001:db8::7", 80, None, None)),
        (("192.0.2.7:4711",), Client("192.0.2.7", 4711, None, None)),
        (("192.0.2.7, 10.0.0.1", "https"), Client("192.0.2.7", 0, "https", None)),
        (("1.1.1.1, 192.0.2.7, 10.0.0.1", "http, https, http"), Client("192.0.2.7", 0, "https", None)),
        (("<script>, 192.0.2.7, ::ffff:10.0.0.1",), Client("192.0.2.7", 0, None, None)),
        (("10.0.0.3,10.0.0.1",), Client("10.0.0.3", 0, None, None)),
        ((None, "https"), Client(None, 0, "https", None)),
        ((None, None, "example.org"), Client(None, 0, None, "example.org")),
        (("unknown",), Client("", 0, None, None)),
    ],
)
def test_x_forwarded(given: tuple[str | None, ...], client: Client) -> None:
    assert x_forwarded(*given) == client


@pytest.mark.parametrize(
    "given",
    [
        (None,), ("",), ("192.0.2.7, ",), ("example.org",), ("192.0.2.7 10.0.0.1",), ("1:2",), ("192.0.2.7", "ftp"),
        ("192.0.2.7", "https, https"), ("192.0.2.7", "https", "a b"), ("192.0.2.7", "https", "user@a"),
        ("fe80::1%<script>",), ("[fe80::1%1]:80",),
    ],
)  # fmt: skip
def test_x_forwarded_that_is_malformed_is_ignored_whole(given: tuple[str | None, ...]) -> None:
    assert x_forwarded(*given) is None


@given(st.text(alphabet='for=;,"\\ \t[]:.0129abx_-%', max_size=60))
def test_a_client_cannot_move_what_a_proxy_appends(client: str) -> None:
    """X-Forwarded-For is one list; of Forwarded, where the proxy adds a line of its own."""
    assert x_forwarded(f"{client}, 192.0.2.7, 10.0.0.1") == Client("192.0.2.7", 0, None, None)
    assert forwarded(client, "for=192.0.2.7") == Client("192.0.2.7", 0, None, None)
    found = forwarded(client)
    assert found is None or found.scheme in (None, "http", "https")


def test_networks() -> None:
    for address, trusted in {
        "10.1.2.3": True,
        "11.1.2.3": False,
        "::ffff:10.1.2.3": True,
        "fd00::1": True,
        "fd00::1%eth0": True,
        "unix": False,
        "": False,
        "example.org": False,
    }.items():
        assert TRUSTED.has(address) is trusted
    with pytest.raises(ValueError, match="is no network"):
        TrustedNetworks(["10.0.0.0/33"])


def test_host_of_an_authority() -> None:
    hosts = {"A.b:80": "a.b", "a.b.": "a.b", "a.b.:1": "a.b", "[::1]:80": "[::1]", "[::1]": "[::1]", "a:": "a", "": ""}
    assert {authority: authority_host(authority) for authority in hosts} == hosts
