from __future__ import annotations

import pytest

from polywire import Service
from polywire.runtime.call import UNKNOWN_PEER, Call
from polywire.runtime.metadata import Metadata, MutableMetadata, error_pairs
from polywire.service import query
from polywire.wire.headers import Headers
from tests.runtime.harness import running


def received(*pairs: tuple[str, str]) -> Metadata:
    return Headers(pairs)


def test_names_are_found_in_any_case() -> None:
    metadata = received(("x-tenant", "acme"), ("x-tenant", "other"))
    assert metadata.get("x-tenant") == metadata.get("X-Tenant") == "acme, other"
    assert metadata.get_all("X-Tenant") == ["acme", "other"]
    assert "X-TENANT" in metadata
    assert "x-nothing" not in metadata
    assert metadata.get("x-nothing") is None
    assert metadata.get("x-nothing", "default") == "default"
    assert metadata.get_all("x-nothing") == []
    assert metadata.items() == [("x-tenant", "acme"), ("x-tenant", "other")]


@pytest.mark.parametrize(
    ("lines", "values"),
    [
        (["AAEC"], [b"\0\1\2"]),
        (["/w=="], [b"\xff"]),
        (["/w"], [b"\xff"]),
        (["AAEC,/w", "/w=="], [b"\0\1\2", b"\xff", b"\xff"]),
        (["AAEC , /w"], [b"\0\1\2", b"\xff"]),
        ([""], [b""]),
        (["a"], []),
        (["!!!!"], []),
        (["é"], []),
        (["AAEC,?,/w"], [b"\0\1\2", b"\xff"]),
        ([], []),
    ],
)
def test_binary_values(lines: list[str], values: list[bytes]) -> None:
    metadata = received(*[("trace-bin", line) for line in lines])
    assert metadata.get_binary("Trace-Bin") == values


def test_what_may_be_a_credential_is_not_shown() -> None:
    assert repr(received(("authorization", "Bearer secret"), ("a", "1"))) == "Headers(['authorization', 'a'])"


def test_what_is_sent_stands_in_order() -> None:
    metadata = MutableMetadata([("X-Cost", "3")])
    metadata.add("x-cost", "4")
    metadata.add("trace-bin", b"\xff")
    metadata.add("etag", '"~ 1"')
    assert len(metadata) == 4
    assert metadata.items() == [("x-cost", "3"), ("x-cost", "4"), ("trace-bin", b"\xff"), ("etag", '"~ 1"')]
    assert metadata.wire_items() == (
        (b"x-cost", b"3"),
        (b"x-cost", b"4"),
        (b"trace-bin", b"/w"),
        (b"etag", b'"~ 1"'),
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("x-trace", b"bytes"),
        ("x-trace-bin", "text"),
        ("", "x"),
        (":status", "200"),
        ("grpc-status", "0"),
        ("Grpc-Message", "x"),
        ("connect-content-encoding", "gzip"),
        ("x trace", "x"),
        ("x\r\ny", "x"),
        ("x:y", "x"),
        ("é", "x"),
        ("x", "a\r\nb"),
        ("x", "a\0b"),
        ("x", "é"),
        ("x", "\t"),
        ("Content-Length", "5"),
        ("content-type", "text/html"),
        ("content-encoding", "gzip"),
        ("transfer-encoding", "chunked"),
        ("connection", "close"),
        ("keep-alive", "5"),
        ("upgrade", "h2c"),
        ("te", "trailers"),
        ("trailer", "x"),
        ("host", "example.com"),
        ("proxy-connection", "close"),
    ],
)
def test_what_would_break_the_message_is_refused(name: str, value: str | bytes) -> None:
    metadata = MutableMetadata()
    with pytest.raises(ValueError, match="metadata"):
        metadata.add(name, value)
    assert len(metadata) == 0


def test_metadata_of_errors_goes_out_in_lower_case() -> None:
    assert error_pairs({"Retry-After": "3", "x": "Y"}) == [("retry-after", "3"), ("x", "Y")]
    assert error_pairs(None) == []


@pytest.mark.parametrize("name", ["Content-Length", "transfer-encoding", "content-type", "grpc-status", "grpc-message"])
def test_metadata_of_errors_cannot_frame_the_answer(name: str) -> None:
    with pytest.raises(ValueError, match=name.lower()):
        error_pairs({"retry-after": "3", name: "5"})


class Nothing(Service):
    @query
    async def nothing(self) -> None: ...


@pytest.mark.parametrize(
    ("sent", "taken"),
    [
        ("abc-1.2_3:/+=@", True),
        ("x" * 128, True),
        ("x" * 129, False),
        ("", False),
        ("a b", False),
        ('a"b', False),
        ("a\x7fb", False),
        ("é", False),
        ("${jndi:ldap}", False),
    ],
)
async def test_a_request_id_is_taken_over_where_it_is_sound(sent: str, taken: bool) -> None:
    async with running(Nothing()) as bench:
        call = bench.make("nothing", headers=[("x-request-id", sent)]).call
        assert (call.request_id == sent) is taken
        assert call.request_id == call.request_id
        assert call.request_id != bench.make("nothing").call.request_id


async def test_a_call_has_its_metadata_when_somebody_asks() -> None:
    async with running(Nothing()) as bench:
        call: Call = bench.make("nothing", headers=[("a", "1")]).call
        assert call.metadata.get("a") == "1"
        assert call._response_metadata is None
        assert call._trailers is None
        call.response_metadata.add("b", "2")
        call.trailers.add("c", "3")
        assert call.response_metadata.items() == [("b", "2")]
        assert call.trailers.items() == [("c", "3")]
        assert call.peer is UNKNOWN_PEER
        assert (call.protocol, call.method.name) == ("test", "Nothing")
