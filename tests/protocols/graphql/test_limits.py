"""What a document may ask for. Each bomb is refused by the limit it breaks, before anything is called."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from graphql import GraphQLError, OperationDefinitionNode, build_schema, get_introspection_query, parse

from polywire import App
from polywire.protocols.graphql.limits import check_shapes, cost_of
from polywire.service.options import GraphqlOptions
from polywire.testing import TestClient
from tests.protocols.graphql.library import Library

SCHEMA = build_schema(
    """
    type Query {
      user(id: Int): User
      users(first: Int = 100): [User!]!
      tags: [String!]!
      page(pageSize: Int, after: ID): Page
      wide(limit: Int64): [User!]
    }
    type Page { items: [User!]! next: String }
    type User { id: Int! name: String friends(first: Int): [User!]! best: User }
    scalar Int64
    """
)


def fragments(count: int, body: str) -> str:
    """A chain: fragment f0 spreads f1, and so on. body: with {next} where the next one's name goes."""
    made = [f"fragment f{number} on User {body.replace('{next}', f'f{number + 1}')}" for number in range(count)]
    return " ".join([*made, f"fragment f{count} on User {{id}}"])


def nested(depth: int) -> str:
    return "{user" + "{best" * (depth - 2) + "{id}" + "}" * (depth - 1)


SHAPES = [
    ("{user{id}}", {"max_depth": 2}, None),
    ("{user{best{id}}}", {"max_depth": 2}, ("TOO_DEEP", "the operation is 3 deep, at most 2 are allowed")),
    ("{user{...{...{id}}}}", {"max_depth": 2}, None),
    ("{user{...f0}} " + fragments(3, "{best{...{next}}}"), {"max_depth": 5}, None),
    (
        "{user{...f0}} " + fragments(3, "{best{...{next}}}"),
        {"max_depth": 4},
        ("TOO_DEEP", "the operation is 5 deep, at most 4 are allowed"),
    ),
    (nested(100), {"max_depth": 100}, None),
    (nested(101), {"max_depth": 100}, ("TOO_DEEP", "the operation is 101 deep, at most 100 are allowed")),
    (
        "{user{...f0}} " + fragments(400, "{...{next}}"),
        {},
        ("TOO_DEEP", "the document is nested more than 150 deep"),
    ),
    ("{a b c}", {"max_breadth": 3}, None),
    ("{a b c{d}}", {"max_breadth": 3}, ("TOO_BROAD", "the operation has 4 fields, at most 3 are allowed")),
    (
        "{user{...f0}} " + fragments(100, "{...{next} ...{next}}"),
        {},
        ("TOO_BROAD", f"the operation has {2 + 2**101 - 2 + 2**100} fields, at most 1000 are allowed"),
    ),
    ("{a b: a c: a}", {"max_aliases": 2}, None),
    (
        "{a b: a c: a a}",
        {"max_aliases": 2},
        ("TOO_MANY_ALIASES", "the operation has 3 aliases and repeated fields, at most 2 are allowed"),
    ),
    ("{a ...{b}}", {"max_root_fields": 2}, None),
    (
        "{a ...F ...F} fragment F on Query {b}",
        {"max_root_fields": 2},
        ("TOO_MANY_ROOT_FIELDS", "the operation has 3 fields of the root, at most 2 are allowed"),
    ),
    (
        "query A {a} query B {b{c{d}}}",
        {"max_depth": 2},
        ("TOO_DEEP", "the operation is 3 deep, at most 2 are allowed"),
    ),
    # What is not valid is measured as far as it can be; validation tells the rest.
    ("{...F} fragment F on Query {a ...F}", {}, None),
    ("{...F} fragment F on Query {...G} fragment G on Query {a ...F}", {}, None),
    ("{...Nowhere}", {}, None),
    (get_introspection_query(), {"max_depth": 2}, None),
]


@pytest.mark.parametrize(("text", "options", "told"), SHAPES)
def test_shapes(text: str, options: dict[str, int], told: tuple[str, str] | None) -> None:
    document = parse(text)
    if told is None:
        check_shapes(document, GraphqlOptions(**options))  # type: ignore[arg-type]
        return
    with pytest.raises(GraphQLError) as caught:
        check_shapes(document, GraphqlOptions(**options))  # type: ignore[arg-type]
    assert caught.value.extensions == {"code": "RESOURCE_EXHAUSTED", "reason": told[0]}
    assert caught.value.message == told[1]


@pytest.mark.parametrize(
    ("text", "variables", "cost"),
    [
        ("{user{id name}}", {}, 3),
        ("{tags}", {}, 1),
        ("{users{id}}", {}, 1 + 100),
        ("{users(first: 3){id name}}", {}, 1 + 3 * 2),
        ("{users(first: 3){id friends{id}}}", {}, 1 + 3 * (2 + 10)),
        ("{users(first: 0){id}}", {}, 1),
        ("{users(first: -5){id}}", {}, 1),
        ("{page(pageSize: 7){items{id} next}}", {}, 1 + 1 + 7 + 1),
        ("{page{items{id friends{id}}}}", {}, 1 + 1 + 10 * (2 + 10)),
        ('{wide(limit: "5"){id}}', {}, 1 + 5),
        ('{wide(limit: "many"){id}}', {}, 1 + 10),
        ("{...F ...F} fragment F on Query {users(first: 2){id}}", {}, 2 * (1 + 2)),
        ("query($n: Int) {users(first: $n){id friends(first: $n){id}}}", {"n": 4}, 1 + 4 * (2 + 4)),
        ("query($n: Int) {users(first: $n){id}}", {}, 1 + 100),
        ("query($n: Int) {users(first: 2){friends(first: $n){id}}}", {"n": 3}, 1 + 2 * (1 + 3)),
        ("query($n: Int) {page(pageSize: $n){items{id}}}", {"n": 3}, 1 + 1 + 3),
        ("query($n: Int64) {wide(limit: $n){id}}", {"n": "6"}, 1 + 6),
        ("query($n: Int64) {wide(limit: $n){id}}", {"n": float("inf")}, 1 + 10),
        ("query($n: Int64) {wide(limit: $n){id}}", {"n": {"a": 1}}, 1 + 10),
        (get_introspection_query(), {}, 1),
    ],
)
def test_costs(text: str, variables: dict[str, Any], cost: int) -> None:
    document = parse(text)
    operation = document.definitions[0]
    assert isinstance(operation, OperationDefinitionNode)
    assert cost_of(SCHEMA, document, operation, 10).of(variables) == cost


def test_the_largest_lengths_can_be_told() -> None:
    huge = "9" * 4000
    text = f'{{wide(limit: "{huge}"){{friends(first: 99){{id}}}}}}'
    document = parse(text)
    operation = document.definitions[0]
    assert isinstance(operation, OperationDefinitionNode)
    assert 10 < len(str(cost_of(SCHEMA, document, operation, 10).of({}))) < 100


BOMBS = {
    "depth": ("{author(id: 1)" + "{friend" * 1000 + "{id}" + "}" * 1001, "TOO_DEEP"),
    "lists": ("{author(id: " + "[" * 1000 + "]" * 1000 + ") {id}}", "TOO_DEEP"),
    "aliases": ("{" + " ".join(f"a{number}: author(id: 1) {{id}}" for number in range(300)) + "}", "TOO_MANY_ALIASES"),
    "repeated": ("{" + "author(id: 1) {id} " * 500 + "}", "TOO_MANY_ALIASES"),
    "fragments": (
        "{author(id: 1) {...f0}} " + fragments(100, "{...{next} ...{next} id}").replace("User", "Author"),
        "TOO_BROAD",
    ),
    "chain": ("{author(id: 1) {...f0}} " + fragments(300, "{...{next}}").replace("User", "Author"), "TOO_DEEP"),
    "text": ("{authors {id}}" + " " * 100_000, "TOO_LONG"),
    "tokens": ("{" + "authors " * 5_001 + "}", "TOO_LONG"),
    "comments": ("#\n" * 5_001 + "{authors {id}}", "TOO_LONG"),
    "cost": ("{authors {books(first: 10001) {reviews {text}}}}", "TOO_COSTLY"),
    "schemas": (
        "{"
        + " ".join(f"a{n}: __schema {{types {{fields {{args {{name description}}}}}}}}" for n in range(50))
        + " "
        + " ".join(f"b{n}: __schema {{types {{fields {{args {{name description}}}}}}}}" for n in range(49))
        + "}",
        "TOO_MANY_ROOT_FIELDS",
    ),
    "schema": (
        "{__schema {" + " ".join(f"a{n}: types {{fields {{args {{name description}}}}}}" for n in range(100)) + "}}",
        "TOO_COSTLY",
    ),
}


@pytest.mark.parametrize("name", BOMBS)
async def test_bombs(name: str) -> None:
    text, reason = BOMBS[name]
    library = Library()
    async with TestClient(App(library)) as client:
        answer = await client.post("/graphql", json={"query": text})
        (error,) = answer.json()["errors"]
        assert error["extensions"] == {"code": "RESOURCE_EXHAUSTED", "reason": reason}
        assert await client.post("/graphql", json={"query": "{author(id: 1) {id}}"})
    assert not library.asked["books"]


async def test_a_cycle_of_fragments() -> None:
    text = "{author(id: 1) {...A}} fragment A on Author {friend {...B}} fragment B on Author {friend {...A}}"
    async with TestClient(App(Library())) as client:
        (error,) = (await client.post("/graphql", json={"query": text})).json()["errors"]
    assert error["message"] == "Cannot spread fragment 'A' within itself via 'B'."


async def test_the_cost_of_variables() -> None:
    text = "query($n: Int!) {authors {books(first: $n) {title}}}"
    async with TestClient(App(Library(), graphql=GraphqlOptions(max_cost=100))) as client:
        good = await client.post("/graphql", json={"query": text, "variables": {"n": 8}})
        assert "data" in good.json()
        bad = await client.post("/graphql", json={"query": text, "variables": {"n": 9}})
    (error,) = bad.json()["errors"]
    assert error == {
        "message": "the operation would answer 101 fields, at most 100 are allowed",
        "extensions": {"code": "RESOURCE_EXHAUSTED", "reason": "TOO_COSTLY"},
    }


@pytest.mark.parametrize(
    "text", ["{__schema {types {name}}}", '{...F} fragment F on Query {a: __type(name: "A") {name}}']
)
async def test_introspection_switched_off(text: str) -> None:
    async with TestClient(App(Library(), graphql=GraphqlOptions(introspection=False))) as client:
        (error,) = (await client.post("/graphql", json={"query": text})).json()["errors"]
        assert error["extensions"] == {"code": "PERMISSION_DENIED", "reason": "INTROSPECTION_OFF"}
        named = await client.post("/graphql", json={"query": "{__typename author(id: 1) {__typename}}"})
        assert named.json() == {"data": {"__typename": "Query", "author": {"__typename": "Author"}}}
        for wrong in ("{autor {id}}", "{author(id: 1) {nam}}", "{author(idd: 1) {id}}"):
            (error, *_) = (await client.post("/graphql", json={"query": wrong})).json()["errors"]
            assert "Did you mean" not in error["message"]


async def test_introspection() -> None:
    async with TestClient(App(Library())) as client:
        answer = await client.post("/graphql", json={"query": get_introspection_query()})
        assert "Author" in {one["name"] for one in answer.json()["data"]["__schema"]["types"]}
        wrong = await client.post("/graphql", json={"query": "{autor {id}}"})
    assert "Did you mean" in wrong.json()["errors"][0]["message"]


async def test_errors_are_bounded() -> None:
    async with TestClient(App(Library(), graphql=GraphqlOptions(max_errors=3))) as client:
        text = "{" + " ".join(f"wrong{number}" for number in range(50)) + "}"
        assert len((await client.post("/graphql", json={"query": text})).json()["errors"]) == 3
        fields = await client.post("/graphql", json={"query": "{a: broken b: broken c: broken d: broken}"})
        assert len(fields.json()["errors"]) == 3
        text = "query(" + " ".join(f"$v{number}: Int!" for number in range(9)) + ") {"
        text += " ".join(f"a{number}: authors(count: $v{number}) {{id}}" for number in range(9)) + "}"
        assert len((await client.post("/graphql", json={"query": text})).json()["errors"]) == 3


@pytest.mark.parametrize(
    "wrong",
    [
        {"max_depth": 0},
        {"max_depth": 101},
        {"max_breadth": 0},
        {"max_tokens": -1},
        {"max_cost": True},
        {"max_aliases": "many"},
        {"max_characters": float("inf")},
        {"list_size": 0},
        {"init_timeout_s": 0},
        {"automatic_documents": -1},
        {"only_documents": True},
        {"cache_control": "a\r\nb: c"},
        {"cache_control": ""},
    ],
)
def test_options_are_checked(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        replace(GraphqlOptions(), **wrong)
