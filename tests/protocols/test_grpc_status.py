"""Errors to trailers and back."""

from __future__ import annotations

import base64

import pytest
from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2

from polywire import Code, FieldViolation, InvalidInput, MalformedInput, Message, NotFound, RpcError, Unknown
from polywire.protocols.grpc.status import read_status, status_pairs
from polywire.protocols.rpc.details import Packed
from polywire.wire.headers import Headers


class Hint(Message, package="test"):
    text: str


def told(error: RpcError) -> Headers:
    return Headers([(name.decode(), value.decode()) for name, value in status_pairs(error, "test.Service")])


@pytest.mark.parametrize("code", list(Code)[1:])
def test_every_code_comes_back_as_its_class(code: Code) -> None:
    error = read_status(told(RpcError("100% é", code=code, reason="WHY")))
    assert error is not None
    assert type(error).__name__.upper() == code.name.replace("_", "")
    assert (error.code, error.message, error.reason, error.details) == (code, "100% é", "WHY", ())
    assert error.metadata is None


def test_details_come_back() -> None:
    violations = (FieldViolation("a.b", "is bad"), FieldViolation("c[0]", "too"))
    error = read_status(told(NotFound("x", details=[violations[0], Hint("y"), violations[1]])))
    assert isinstance(error, NotFound)
    assert error.reason is None
    assert error.details == (*violations, Packed("type.googleapis.com/test.Hint", b"\x0a\x01y"))


def test_input_errors_come_back_as_what_they_were() -> None:
    malformed = read_status(told(MalformedInput("not JSON")))
    assert type(malformed) is MalformedInput
    assert malformed.message == "not JSON"
    invalid = read_status(told(InvalidInput("bad", (FieldViolation("a", "b"),))))
    assert type(invalid) is InvalidInput
    assert invalid.details == (FieldViolation("a", "b"),)


def test_metadata_comes_back() -> None:
    fields = Headers([("content-type", "application/grpc"), ("grpc-status", "5"), ("retry-after", "3"), ("x", "1")])
    error = read_status(fields)
    assert error is not None
    assert error.metadata == {"retry-after": "3", "x": "1"}


def test_ok_is_no_error() -> None:
    assert read_status(Headers([("grpc-status", "0")])) is None


@pytest.mark.parametrize("number", [None, "", "17", "-1", "00", "x", "٣", "5 "])
def test_a_status_that_nobody_knows_is_unknown(number: str | None) -> None:
    error = read_status(Headers([] if number is None else [("grpc-status", number)]))
    assert type(error) is Unknown


BROKEN_INFO = status_pb2.Status(code=5, details=[any_pb2.Any(type_url="x/google.rpc.ErrorInfo", value=b"\x0a\x09")])


@pytest.mark.parametrize(
    ("packed", "details"),
    [
        ("é", ()),
        ("A", ()),
        ("@@@@", ()),
        ("/////w", ()),  # no protobuf
        ("GgMKAf8", ()),  # a type_url that is no UTF-8
        (base64.b64encode(BROKEN_INFO.SerializeToString()).decode(), (Packed("x/google.rpc.ErrorInfo", b"\x0a\x09"),)),
    ],
)
def test_broken_details_take_nothing_of_the_rest(packed: str, details: tuple[Packed, ...]) -> None:
    fields = [("grpc-status", "5"), ("grpc-message", "gone"), ("grpc-status-details-bin", packed)]
    error = read_status(Headers(fields))
    assert isinstance(error, NotFound)
    assert (error.message, error.reason, error.details) == ("gone", None, details)


def test_what_each_hop_writes_anew_is_not_told_beside_an_error() -> None:
    """It would come twice, and as if from here, where a handler lets its client's error pass."""
    hop = [("date", "Sat, 21 Nov 2026 05:00:00 GMT"), ("server", "other"), ("x-request-id", "r-1"), ("trailer", "a")]
    error = read_status(Headers([("grpc-status", "5"), ("content-type", "application/grpc"), *hop, ("x-hint", "a")]))
    assert error is not None
    assert error.metadata == {"x-hint": "a"}


def test_google_reads_what_is_told() -> None:
    error = NotFound("x é", reason="WHY", details=[FieldViolation("a", "b"), Hint("y")])
    packed = told(error)["grpc-status-details-bin"]
    assert "=" not in packed
    status = status_pb2.Status.FromString(base64.b64decode(packed + "=" * (-len(packed) % 4)))
    assert (status.code, status.message, len(status.details)) == (5, "x é", 3)
    info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    assert status.details[0].Unpack(info)
    assert status.details[1].Unpack(bad)
    assert (info.reason, info.domain) == ("WHY", "test.Service")
    assert [(v.field, v.description) for v in bad.field_violations] == [("a", "b")]
    assert status.details[2].type_url == "type.googleapis.com/test.Hint"


def test_without_reason_and_details_there_is_no_packed_status() -> None:
    assert told(NotFound("x")).names() == ["grpc-status", "grpc-message"]
    assert told(NotFound()).names() == ["grpc-status"]


def test_an_error_fits_into_the_trailers_that_clients_take() -> None:
    violations = [FieldViolation(f"field{n}", "is wrong " * 20) for n in range(1000)]
    pairs = dict(status_pairs(NotFound("é" * 100_000, reason="LONG", details=violations), "a.B"))
    assert sum(len(name) + len(value) for name, value in pairs.items()) < 8192
    error = read_status(Headers([(name.decode(), value.decode()) for name, value in pairs.items()]))
    assert isinstance(error, NotFound)
    assert error.message == "é" * 499 + "…"
    assert (error.reason, error.details) == ("LONG", ())
