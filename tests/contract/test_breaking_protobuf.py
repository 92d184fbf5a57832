"""What breaks between two .proto files, whom, and where."""

from __future__ import annotations

from pathlib import Path

import pytest

from polywire.contract.breaking.changes import ORDER, Change
from polywire.contract.breaking.protobuf import proto_changes
from polywire.contract.folder import proto_set
from polywire.protofile import load

FIXTURES = Path(__file__).parent / "fixtures"


def breaking(changes: list[Change]) -> list[tuple[str, str, str]]:
    """(place, rule, whom it breaks)."""
    return [
        (change.place.partition(":")[2], change.rule, " ".join(whom for whom in ORDER if whom in change.breaks))
        for change in changes
        if change.breaks
    ]


def between(old: str, new: str) -> list[Change]:
    def whole(body: str) -> dict[str, str]:
        # The body begins in line 2.
        head = 'syntax = "proto3"; package p; import "google/api/annotations.proto";'
        return {"p.proto": f"{head}\n{body}"}

    return proto_changes(proto_set(whole(old)), proto_set(whole(new)))


SHAPES = {
    ("user_int64", "user_string"): [
        ("1:1", "package-changed", "wire code"),
        # GetUser: a wrapper then, the user itself now.
        ("8:7", "method-response-changed", "wire JSON code"),
        ("25:8", "field-renamed", "JSON code REST GraphQL"),
        ("25:8", "field-type-changed", "wire JSON code GraphQL"),
        # ListUsers
        ("14:7", "method-response-changed", "wire JSON code"),
        ("51:17", "field-renamed", "JSON code REST GraphQL"),
        ("51:17", "field-cardinality-changed", "wire JSON code GraphQL"),
        ("51:17", "field-type-changed", "wire JSON code GraphQL"),
        ("14:7", "method-streaming-changed", "wire code REST GraphQL"),
        ("17:7", "method-removed", "wire JSON code GraphQL"),
        # GetUserRequest.user_id
        ("21:9", "field-renamed", "JSON code REST GraphQL"),
        ("21:9", "field-type-changed", "wire JSON code GraphQL"),
        ("24:9", "message-removed", "code GraphQL"),
        # User.user_id
        ("29:9", "field-renamed", "JSON code REST GraphQL"),
        ("29:9", "field-type-changed", "wire JSON code GraphQL"),
        ("47:9", "field-renamed", "JSON code REST GraphQL"),
        ("50:9", "message-removed", "code GraphQL"),
        ("54:9", "message-removed", "code GraphQL"),
        # Status
        ("37:3", "enum-value-number-changed", "wire"),
        ("38:3", "enum-value-removed", "wire JSON code GraphQL"),
    ],
    ("user_string", "user"): [
        ("1:1", "package-changed", "wire code"),
        ("12:7", "route-removed", "REST"),
        ("18:10", "field-type-changed", "wire JSON code GraphQL"),
        ("22:10", "field-type-changed", "wire JSON code GraphQL"),
        # User.status has become age, and phone roles.
        ("25:10", "field-renamed", "JSON code REST GraphQL"),
        ("25:10", "field-type-changed", "JSON code GraphQL"),
        ("27:12", "field-renamed", "JSON code REST GraphQL"),
        ("27:12", "field-cardinality-changed", "JSON code GraphQL"),
        ("27:12", "field-oneof-changed", "code"),
        ("28:12", "field-removed", "wire JSON code GraphQL"),
        ("26:9", "oneof-removed", "code"),
        ("41:9", "field-presence-changed", "JSON code GraphQL"),
        ("32:6", "enum-removed", "code GraphQL"),
    ],
    ("user_int64", "user"): [
        ("1:1", "package-changed", "wire code"),
        ("8:7", "method-response-changed", "wire JSON code"),
        ("25:8", "field-renamed", "JSON code REST GraphQL"),
        ("25:8", "field-type-changed", "wire JSON code GraphQL"),
        ("14:7", "method-response-changed", "wire JSON code"),
        ("51:17", "field-renamed", "JSON code REST GraphQL"),
        ("51:17", "field-cardinality-changed", "wire JSON code GraphQL"),
        ("51:17", "field-type-changed", "wire JSON code GraphQL"),
        ("14:7", "method-streaming-changed", "wire code REST GraphQL"),
        ("14:7", "route-removed", "REST"),
        ("17:7", "method-removed", "wire JSON code GraphQL"),
        ("21:9", "field-renamed", "JSON code REST GraphQL"),
        # int64 to int32: cut on the wire, another form in JSON.
        ("21:9", "field-type-changed", "wire JSON code GraphQL"),
        ("24:9", "message-removed", "code GraphQL"),
        ("29:9", "field-renamed", "JSON code REST GraphQL"),
        ("29:9", "field-type-changed", "wire JSON code GraphQL"),
        ("32:10", "field-renamed", "JSON code REST GraphQL"),
        ("32:10", "field-type-changed", "JSON code GraphQL"),
        ("47:9", "field-renamed", "JSON code REST GraphQL"),
        ("50:9", "message-removed", "code GraphQL"),
        ("54:9", "message-removed", "code GraphQL"),
        ("35:6", "enum-removed", "code GraphQL"),
    ],
}


@pytest.mark.parametrize("pair", SHAPES, ids=" to ".join)
def test_the_three_shapes_of_user_service(pair: tuple[str, str]) -> None:
    old, new = (load([FIXTURES / f"{name}.proto"]) for name in pair)
    assert breaking(proto_changes(old, new)) == SHAPES[pair]


@pytest.mark.parametrize("name", ["user", "user_int64", "user_string"])
def test_nothing_breaks_against_oneself(name: str) -> None:
    assert proto_changes(load([FIXTURES / f"{name}.proto"]), load([FIXTURES / f"{name}.proto"])) == []


M = "message M {{ {} }}"
FIELDS = [
    ("int32 a = 1;", "int64 a = 1;", [("2:19", "field-type-changed", "JSON code GraphQL")]),
    ("int64 a = 1;", "int32 a = 1;", [("2:19", "field-type-changed", "wire JSON code GraphQL")]),
    ("int64 a = 1;", "uint64 a = 1;", [("2:19", "field-type-changed", "wire code GraphQL")]),
    ("uint32 a = 1;", "int64 a = 1;", [("2:20", "field-type-changed", "JSON code GraphQL")]),
    ("int32 a = 1;", "sint32 a = 1;", [("2:19", "field-type-changed", "wire code")]),
    ("sint64 a = 1;", "sint32 a = 1;", [("2:20", "field-type-changed", "wire JSON code GraphQL")]),
    ("fixed32 a = 1;", "sfixed32 a = 1;", [("2:21", "field-type-changed", "code GraphQL")]),
    ("int32 a = 1;", "bool a = 1;", [("2:19", "field-type-changed", "wire JSON code GraphQL")]),
    ("string a = 1;", "int32 a = 1;", [("2:20", "field-type-changed", "wire JSON code GraphQL")]),
    ("string a = 1;", "bytes a = 1;", [("2:20", "field-type-changed", "JSON code GraphQL")]),
    ("bytes a = 1;", "string a = 1;", [("2:19", "field-type-changed", "wire JSON code GraphQL")]),
    ("double a = 1;", "float a = 1;", [("2:20", "field-type-changed", "wire JSON code")]),
    ("string a = 1;", "M a = 1;", [("2:20", "field-type-changed", "wire JSON code GraphQL")]),
    ("string a = 1;", "string a = 2;", [("2:20", "field-number-changed", "wire")]),
    ("string a = 1;", "string b = 1;", [("2:20", "field-renamed", "JSON code REST GraphQL")]),
    ("string a = 1;", 'string a = 1 [json_name = "A"];', [("2:20", "field-json-name-changed", "JSON")]),
    ("string a = 1;", "optional string a = 1;", [("2:20", "field-presence-changed", "JSON code GraphQL")]),
    ("optional string a = 1;", "string a = 1;", [("2:29", "field-presence-changed", "JSON code GraphQL")]),
    ("string a = 1;", "repeated string a = 1;", [("2:20", "field-cardinality-changed", "JSON code GraphQL")]),
    ("repeated string a = 1;", "string a = 1;", [("2:29", "field-cardinality-changed", "wire JSON code GraphQL")]),
    ("int32 a = 1;", "repeated int32 a = 1;", [("2:19", "field-cardinality-changed", "wire JSON code GraphQL")]),
    ("int32 a = 1;", "map<int32, int32> a = 1;", [("2:19", "field-cardinality-changed", "wire JSON code GraphQL")]),
    ("map<int32, M> a = 1;", "map<string, M> a = 1;", [("2:27", "field-type-changed", "wire code GraphQL")]),
    (
        "map<int32, bool> a = 1;",
        "map<int32, string> a = 1;",
        [("2:30", "field-type-changed", "wire JSON code GraphQL")],
    ),
    ("string a = 1;", "", [("2:20", "field-removed", "wire JSON code GraphQL")]),
    ("string a = 1;", 'reserved 1; reserved "a";', [("2:20", "field-removed", "JSON code GraphQL")]),
    ("string a = 1;", "reserved 1 to 9;", [("2:20", "field-removed", "JSON code GraphQL")]),
    (
        "string a = 1; string b = 2;",
        "string b = 1;",
        [("2:20", "field-removed", "wire JSON code GraphQL"), ("2:34", "field-number-changed", "wire")],
    ),
    ("reserved 1;", "", [("2:9", "reservation-removed", "wire")]),
    ("reserved 4 to 6;", "reserved 5 to 9;", [("2:9", "reservation-removed", "wire")]),
    ('reserved "a";', "", [("2:9", "reservation-removed", "JSON")]),
    (
        "string a = 1; oneof o { string b = 2; }",
        "oneof o { string a = 1; string b = 2; }",
        [("2:20", "field-oneof-changed", "wire code")],
    ),
    (
        "oneof o { string a = 1; string b = 2; }",
        "string a = 1; oneof o { string b = 2; }",
        [("2:30", "field-oneof-changed", "code")],
    ),
    # Nobody is broken by these.
    ("", "string a = 1;", []),
    ("string a = 1;", "string a = 1; repeated M b = 2;", []),
    ("reserved 4 to 6;", "reserved 1 to 9;", []),
    ("string a_b = 1;", 'string a_b = 1 [json_name = "aB"];', []),
    ("string a = 1; string b = 2;", "string b = 2; string a = 1;", []),
]


@pytest.mark.parametrize(("old", "new", "expected"), FIELDS)
def test_fields(old: str, new: str, expected: list[tuple[str, str, str]]) -> None:
    assert breaking(between(M.format(old), M.format(new))) == expected


ENUMS = [
    ("A = 0; B = 1;", "A = 0; B = 2;", [("2:17", "enum-value-number-changed", "wire")]),
    ("A = 0; B = 1;", "A = 0;", [("2:17", "enum-value-removed", "wire JSON code GraphQL")]),
    ("A = 0; B = 1;", 'A = 0; reserved 1; reserved "B";', [("2:17", "enum-value-removed", "JSON code GraphQL")]),
    ("A = 0; B = 1;", "A = 0; C = 1;", [("2:17", "enum-value-renamed", "JSON code GraphQL")]),
    ("A = 0; reserved 1;", "A = 0;", [("2:6", "reservation-removed", "wire")]),
    ("A = 0;", "A = 0; B = 1;", []),
]


@pytest.mark.parametrize(("old", "new", "expected"), ENUMS)
def test_enums(old: str, new: str, expected: list[tuple[str, str, str]]) -> None:
    assert breaking(between(f"enum E {{ {old} }}", f"enum E {{ {new} }}")) == expected


TYPES = "message A { string a = 1; } message B { string a = 1; } message C { int32 a = 1; } "
METHODS = [
    ("rpc G(A) returns (A);", "", [("2:100", "method-removed", "wire JSON code GraphQL")]),
    ("rpc G(A) returns (A);", "rpc H(A) returns (A);", [("2:100", "method-removed", "wire JSON code GraphQL")]),
    ("rpc G(A) returns (A);", "rpc G(B) returns (A);", [("2:100", "method-request-changed", "code")]),
    ("rpc G(A) returns (A);", "rpc G(A) returns (C);", [("2:100", "method-response-changed", "wire JSON code")]),
    (
        "rpc G(A) returns (A);",
        "rpc G(stream A) returns (A);",
        [("2:100", "method-streaming-changed", "wire code REST")],
    ),
    (
        "rpc G(A) returns (stream A);",
        "rpc G(A) returns (A);",
        [("2:100", "method-streaming-changed", "wire code REST GraphQL")],
    ),
    (
        "rpc G(A) returns (A) { option idempotency_level = NO_SIDE_EFFECTS; }",
        "rpc G(A) returns (A);",
        [("2:100", "method-kind-changed", "JSON GraphQL")],
    ),
    (
        "rpc G(A) returns (A) { option (google.api.http) = { get: '/a/{a}' additional_bindings { get: '/b' } }; }",
        "rpc G(A) returns (A) { option (google.api.http) = { get: '/a/{b}' }; }",
        [("2:100", "route-removed", "REST")],
    ),
    ("rpc G(A) returns (A);", "rpc G(A) returns (A); rpc H(C) returns (C);", []),
    (
        # A query all along: both are imported as one.
        "rpc G(A) returns (A) { option (google.api.http) = { get: '/a' }; }",
        "rpc G(A) returns (A) { option idempotency_level = NO_SIDE_EFFECTS; option (google.api.http).get = '/a'; }",
        [],
    ),
    (
        "rpc G(A) returns (A) { option (google.api.http) = { get: '/a' }; }",
        "rpc G(A) returns (A) { option (google.api.http) = { post: '/a' }; }",
        [("2:100", "method-kind-changed", "JSON GraphQL"), ("2:100", "route-removed", "REST")],
    ),
]


@pytest.mark.parametrize(("old", "new", "expected"), METHODS)
def test_methods(old: str, new: str, expected: list[tuple[str, str, str]]) -> None:
    assert breaking(between(f"{TYPES}service S {{ {old} }}", f"{TYPES}service S {{ {new} }}")) == expected


def test_a_service_that_is_gone_takes_its_routes_along() -> None:
    old = "message A {}\nservice S {\n  // HTTP: GET /a\n  rpc G(A) returns (A);\n}"
    (change,) = between(old, "message A {}")
    assert (change.place, change.rule, change.now) == ("p.proto:3:9", "service-removed", "")
    assert change.breaks["REST"] == "GET /a is not found"


def test_what_is_new_is_told_and_breaks_nobody() -> None:
    new = "message A { string a = 1; } enum E { Z = 0; } service S { rpc G(A) returns (A); }"
    changes = between("message A {}", new)
    assert [(change.rule, change.place, change.breaks) for change in changes] == [
        ("field-added", "p.proto:2:20", {}),
        ("service-added", "p.proto:2:55", {}),
        ("enum-added", "p.proto:2:34", {}),
    ]


def test_messages_that_are_alike_within_differ_in_name_only() -> None:
    old = "message A { B b = 1; } message B { A a = 1; string s = 2; }"
    new = "message A { C b = 1; } message C { A a = 1; string s = 2; }"
    assert breaking(between(old, new)) == [
        ("2:15", "field-type-changed", "code GraphQL"),
        ("2:32", "message-removed", "code GraphQL"),
    ]


def test_routes_as_options_and_as_comments_are_the_same() -> None:
    forms = [
        "rpc G(A) returns (A) { option (google.api.http).get = '/a/{path=**}'; }",
        "rpc G(A) returns (A) { option (google.api.http) = { get: '/a/{path=**}' }; }",
        "\n// Says something.\n//\n// HTTP: GET /a/{path*}\nrpc G(A) returns (A);",
    ]
    for old in forms:
        for new in forms:
            assert between(f"{TYPES}service S {{ {old} }}", f"{TYPES}service S {{ {new} }}") == []
