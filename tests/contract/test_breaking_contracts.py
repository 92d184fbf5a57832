"""What breaks callers of REST and GraphQL, by the places in openapi.json and schema.graphql."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polywire.contract.breaking.changes import Change
from polywire.contract.breaking.contracts import ContractError, contract_changes
from polywire.contract.breaking.json_places import JsonPlaces
from polywire.contract.folder import contract_texts
from polywire.contract.write import write_contract
from polywire.protofile import ProtoError
from polywire.schema.types import Cardinality, Constraints, Field, Kind, Method, MethodKind, ServiceType, Type

from .tables import SHOP, field, message, method, of


def texts(*methods: Method) -> dict[str, str]:
    return contract_texts([ServiceType("S", "p", "p.S", methods)], title="s", version="1")


def named(method_: Method) -> Method:
    """As the reader makes it of a function with these parameters."""
    object.__setattr__(method_, "service", "p.S")
    object.__setattr__(method_, "arguments", tuple(one.name for one in method_.input.fields))
    object.__setattr__(method_, "graphql_name", method_.name[0].lower() + method_.name[1:])
    return method_


def get(request: Sequence[Field], response: Sequence[Field] = (), *routes: str, **options: Any) -> Method:
    """A query, or what `options` make of it."""
    input_, output = message("p.GetRequest", *request, generated=True), message("p.User", *response)
    return named(method("Get", input_, output, *(routes or ("GET /v1/users/{id}",)), **options))


def between(folder: Path, old: Method, new: Method) -> list[Change]:
    write_contract(folder, texts(old))
    return contract_changes(folder, texts(new))


def at(folder: Path, change: Change) -> str:
    """The line that a place names, from its column on."""
    name, line, column = change.place.split(":")
    return (folder / name).read_text().splitlines()[int(line) - 1][int(column) - 1 :]


ID = field("id", 1, Kind.INT32)
NAME = field("name", 2, Kind.STRING)
NAME_OPTIONAL = field("name", 2, Kind.STRING, required=False, nullable=True, explicit_presence=True)


def limit(default: int = 20, most: int = 100) -> Field:
    type_ = Type(Kind.INT32, constraints=Constraints(ge=1, le=most))
    return field("limit", 3, type_, required=False, default=default, explicit_presence=True)


REST = [
    ("a new parameter that is required", [ID], [ID, NAME], "parameter-required", '"get": {'),
    ("one that is required now", [ID, NAME_OPTIONAL], [ID, NAME], "parameter-required", "{"),
    ("one that is gone", [ID, NAME], [ID], "parameter-removed", "{"),
    ("another default", [ID, limit()], [ID, limit(default=50)], "default-changed", '"default": 20'),
    ("less is allowed", [ID, limit()], [ID, limit(most=50)], "constraint-changed", '"maximum": 100,'),
    ("another type", [ID, NAME], [ID, field("name", 2, Kind.INT32)], "schema-type", '"schema": {'),
]


@pytest.mark.parametrize(("old", "new", "rule", "line"), [row[1:] for row in REST], ids=[row[0] for row in REST])
def test_requests(tmp_path: Path, old: list[Field], new: list[Field], rule: str, line: str) -> None:
    changes = between(tmp_path, get(old), get(new))
    found = [one for one in changes if "REST" in one.breaks and one.rule == rule]
    assert found, changes
    assert found[0].place.startswith("openapi.json:")
    assert at(tmp_path, found[0]) == line


def test_more_is_allowed(tmp_path: Path) -> None:
    changes = between(tmp_path, get([ID, limit()]), get([ID, limit(most=200)]))
    assert [(change.rule, change.problem, change.breaks) for change in changes] == [
        ("constraint-changed", "maximum was 100 and is 200", {})
    ]


RESPONSES = [
    ([ID, NAME], [ID], "property-removed", '"name": {'),
    ([ID, NAME], [ID, NAME_OPTIONAL], "schema-null", '"name": {'),
    ([ID], [field("id", 1, Kind.STRING)], "schema-type", '"id": {'),
    (
        [field("id", 1, Kind.INT32, cardinality=Cardinality.LIST)],
        [field("id", 1, Kind.STRING, cardinality=Cardinality.LIST)],
        "schema-type",
        '"items": {',
    ),
]


@pytest.mark.parametrize(("old", "new", "rule", "line"), RESPONSES)
def test_responses(tmp_path: Path, old: list[Field], new: list[Field], rule: str, line: str) -> None:
    changes = between(tmp_path, get([ID], old), get([ID], new))
    (change,) = [one for one in changes if "REST" in one.breaks]
    assert (change.rule, at(tmp_path, change)) == (rule, line)


def test_a_field_that_is_new_in_a_response_breaks_nobody(tmp_path: Path) -> None:
    assert [one for one in between(tmp_path, get([ID], [ID]), get([ID], [ID, NAME])) if one.breaks] == []


def test_routes_and_statuses(tmp_path: Path) -> None:
    old = get([ID], [], "GET /v1/users/{id}", "GET /users/{id}")
    new = get([ID], [], "GET /v1/users/{id}", status=203)
    changes = [one for one in between(tmp_path, old, new) if one.breaks]
    assert [(one.rule, at(tmp_path, one)) for one in changes] == [
        ("status-changed", '"200": {'),
        ("route-removed", '"get": {'),
    ]
    assert changes[1].subject == "GET /users/{id}"


def test_the_names_of_path_parameters_are_nobodys_business(tmp_path: Path) -> None:
    new = get([field("user_id", 1, Kind.INT32)], [], "GET /v1/users/{user_id}")
    rest = [one for one in between(tmp_path, get([ID]), new) if "REST" in one.breaks]
    assert rest == []


def test_bodies(tmp_path: Path) -> None:
    options: dict[str, Any] = {"kind": MethodKind.MUTATION}
    old = get([ID, NAME_OPTIONAL], [], "PATCH /v1/users/{id}", **options)
    new = get([ID, NAME], [], "PATCH /v1/users/{id}", **options)
    changes = [one for one in between(tmp_path, old, new) if "REST" in one.breaks]
    assert [(one.rule, at(tmp_path, one)) for one in changes] == [
        ("body-required", '"requestBody": {'),
        ("property-required", '"name": {'),
        ("schema-null", '"name": {'),
    ]


def test_enums_and_nested_messages(tmp_path: Path) -> None:
    inner_old = message("p.Address", field("street", 1, Kind.STRING), field("zip", 2, Kind.STRING))
    inner_new = message("p.Address", field("street", 1, Kind.STRING), reserved=(2,), reserved_names=("zip",))
    old, new = (get([ID], [field("address", 1, of(inner), explicit_presence=True)]) for inner in (inner_old, inner_new))
    changes = [one for one in between(tmp_path, old, new) if one.breaks]
    assert [(one.rule, one.subject, sorted(one.breaks)) for one in changes] == [
        ("field-removed", "p.Address.zip", ["JSON", "code"]),
        ("property-removed", "Address.zip", ["REST"]),
        ("graphql-field-removed", "Address.zip", ["GraphQL"]),
    ]
    assert at(tmp_path, changes[2]) == "zip: String!"


def test_graphql(tmp_path: Path) -> None:
    changes = between(tmp_path, get([ID, NAME_OPTIONAL], [NAME]), get([ID, NAME], [NAME_OPTIONAL]))
    graphql = [one for one in changes if "GraphQL" in one.breaks]
    assert [(one.rule, one.subject, at(tmp_path, one)) for one in graphql] == [
        ("graphql-arg-changed-kind", "Query.get(name:)", "name: String): User"),
        ("graphql-field-changed-kind", "User.name", "name: String!"),
    ]
    assert all("GraphQL" not in one.breaks for one in changes if one.place.startswith("p.proto"))


def test_from_query_to_mutation(tmp_path: Path) -> None:
    old = get([ID], [NAME])
    new = get([ID], [NAME], "POST /v1/users/{id}", kind=MethodKind.MUTATION)
    changes = [one for one in between(tmp_path, old, new) if one.breaks]
    assert [one.rule for one in changes] == ["method-kind-changed", "route-removed", "graphql-field-removed"]


def test_files_that_are_not_there_are_not_compared(tmp_path: Path) -> None:
    write_contract(tmp_path, texts(get([ID, NAME])))
    (tmp_path / "openapi.json").unlink()
    (tmp_path / "schema.graphql").unlink()
    (change,) = contract_changes(tmp_path, texts(get([ID])))
    assert (change.rule, sorted(change.breaks)) == ("field-removed", ["GraphQL", "JSON", "code", "wire"])


def test_a_contract_agrees_with_itself(tmp_path: Path) -> None:
    own = contract_texts([SHOP], title="shop", version="1", kinds=["proto", "openapi"])
    write_contract(tmp_path, own)
    assert contract_changes(tmp_path, own) == []


BROKEN = [
    ("p.proto", 'syntax = "proto3";\nmessage M {', ProtoError, "p.proto:2:12: expected a field's type, found the end"),
    ("openapi.json", '{"a": ]', ContractError, "openapi.json:1:7: Expecting value"),
    ("openapi.json", "[]", ContractError, "openapi.json:1:1: it is not as `polywire contract write` writes it"),
    ("openapi.json", '{"paths": {"/v1/users/{id}": {"get": 3}}}', ContractError, "openapi.json:1:1: it is not as"),
    ("openapi.json", "[" * 100_000, ContractError, "openapi.json:1:1: "),
    ("schema.graphql", "type Query {", ContractError, "schema.graphql:1:13: Syntax Error: Expected Name, found <EOF>"),
]


@pytest.mark.parametrize(("name", "text", "error", "message_"), BROKEN)
def test_broken_files(tmp_path: Path, name: str, text: str, error: type[Exception], message_: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(error) as caught:
        contract_changes(tmp_path, texts(get([ID])))
    assert str(caught.value).startswith(message_)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(JSON, st.sampled_from([None, 1, 2]))
def test_places_in_json(value: Any, indent: int | None) -> None:
    text = json.dumps(value, indent=indent, ensure_ascii=False)
    places = JsonPlaces(text)
    lines = text.split("\n")

    def check(value: Any, path: tuple[str, ...]) -> None:
        members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        for key, inner in members:
            line, column = map(int, places.of((*path, str(key))).split(":"))
            there = lines[line - 1][column - 1 :]
            written = json.dumps(key if isinstance(value, dict) else inner, indent=indent, ensure_ascii=False)
            assert there.startswith(written.split("\n")[0])
            check(inner, (*path, str(key)))

    check(value, ())
