"""How plans run: what is called, how often, side by side or not, and what comes of errors."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Any

import pytest
from graphql import build_client_schema, get_introspection_query

from polywire import App, Code, Service, current_call, mutation
from polywire.protocols.graphql.schema import GraphqlRefusal
from polywire.service.options import GraphqlOptions
from polywire.testing import TestClient
from tests.protocols.graphql.engine import problems, serving
from tests.protocols.graphql.library import Author, Library


async def test_a_batched_field_is_asked_for_once_whatever_the_length() -> None:
    library = Library()
    async with serving(library) as engine:
        data = await engine.data("{authors(count: 100) {id books {id reviews {text}}}}")
    assert len(data["authors"]) == 100
    assert data["authors"][42]["books"][1] == {"id": "421", "reviews": [{"text": "of 421"}]}
    assert library.asked == {"authors": 1, "books": 1, "reviews": 1}


async def test_each_field_is_a_call_of_its_method() -> None:
    library = Library()
    async with serving(library) as engine:
        await engine.data("{author(id: 3) {motto books {title}}}")
        assert library.methods == ["library.Library/GetAuthor", "library.Library/Motto", "library.Library/Books"]
        counted = {(one.method, one.protocol): sum(one.codes) for one in engine.runtime.metrics.snapshot().methods}
    assert counted["library.Library/Motto", "graphql"] == counted["graphql/query", "graphql"] == 1


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("{author(id: 1001) {id}}", Code.NOT_FOUND),
        ("{author(id: 1001) {id} ok: author(id: 1) {id}}", Code.OK),
        ("{author(id: 1) {motto}}", Code.OK),
    ],
)
async def test_an_operation_counts_by_its_first_error_where_nothing_came_of_it(text: str, code: Code) -> None:
    async with serving(Library()) as engine:
        await engine.run(text)
        (counts,) = [one for one in engine.runtime.metrics.snapshot().methods if one.method == "graphql/query"]
    assert [Code(number) for number, count in enumerate(counts.codes) if count] == [code]


async def test_what_methods_want_sent_beside_the_answer_is() -> None:
    class Session(Service):
        @mutation
        async def sign_in(self) -> None:
            current_call().response_metadata.add("set-cookie", "session=1")

    async with TestClient(App(Session())) as client:
        answer = await client.post("/graphql", json={"query": "mutation {signIn}"})
    assert answer.json() == {"data": {"signIn": True}}
    assert answer.headers.get("set-cookie") == "session=1"


async def test_fields_that_suspend_run_side_by_side() -> None:
    library = Library()
    async with serving(library) as engine:
        _, response = engine.begin('{a: slow(name: "a") b: slow(name: "b") authors {late}}')
        assert library.waiting == 5
        assert not response.done()
        library.gate.set()
        data = json.loads(await response)["data"]
    assert data == {"a": "a", "b": "b", "authors": [{"late": 0}, {"late": 1}, {"late": 2}]}


async def test_what_never_suspends_is_answered_at_once() -> None:
    async with serving(Library()) as engine:
        _, response = engine.begin("{authors {id books {reviews {text}}}}")
        assert response.done()
        assert not engine.runtime.suspended


async def test_mutations_run_one_after_the_other() -> None:
    library = Library()
    async with serving(library) as engine:
        data = await engine.data('mutation {a: add(title: "A") {title} b: add(title: "B") {scores genre}}')
    assert library.methods == ["library.Library/Add", "added A", "library.Library/Add", "added B"]
    assert data == {"a": {"title": "A"}, "b": {"scores": {"a": 1}, "genre": "POEMS"}}


async def test_a_method_without_a_result_is_true_or_null() -> None:
    async with serving(Library()) as engine:
        answer = await engine.run("mutation {a: burn(id: 1) b: burn(id: 13)}")
    assert answer["data"] == {"a": True, "b": None}
    assert problems(answer) == {("NOT_FOUND", ("b",))}


async def test_an_error_tells_its_place_code_reason_and_request() -> None:
    async with serving(Library()) as engine:
        answer = await engine.run("query Q($id: ID!) {\n  who: author(id: $id) {name}}", id=1001)
    ((error,), data) = answer["errors"], answer["data"]
    assert data == {"who": None}
    assert error.pop("extensions").keys() == {"code", "reason", "requestId"}
    assert error == {"message": "no author 1001", "locations": [{"line": 2, "column": 3}], "path": ["who"]}


async def test_null_goes_up_to_where_it_may_be() -> None:
    async with serving(Library()) as engine:
        answer = await engine.run("{authors {id motto} all: authors {born} two: authors(count: 2) {born}}")
    assert answer["data"]["authors"][1] == {"id": "1", "motto": None}
    assert answer["data"]["all"] is None
    assert answer["data"]["two"] == [{"born": 1900}, {"born": 1901}]
    assert problems(answer) == {("NOT_FOUND", ("authors", 1, "motto")), ("NOT_FOUND", ("all", 2, "born"))}


async def test_results_of_the_wrong_type_are_internal_and_say_nothing(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.CRITICAL, "polywire"):
        async with serving(Library()) as engine:
            answer = await engine.run("{wrong {id name} broken authors {short}}")
    assert answer["data"] == {"wrong": None, "broken": None, "authors": None}
    assert {code for code, _ in problems(answer)} == {"INTERNAL"}
    assert {error["message"] for error in answer["errors"]} == {"internal error"}
    assert ("INTERNAL", ("wrong", "id")) in problems(answer)
    assert ("INTERNAL", ("authors", 2, "short")) in problems(answer)


@pytest.mark.parametrize(
    ("text", "variables", "field"),
    [
        ("{author(id: -1) {id}}", {}, "id"),
        ('{author(id: "x") {id}}', {}, "id"),
        ("query($n: Int) {authors(count: $n) {id}}", {"n": None}, "count"),
        ('{seek(what: {text: ""}) {id}}', {}, "what.text"),
        ("query($w: SoughtInput!) {seek(what: $w) {id}}", {"w": {"text": "a", "limit": 101}}, "what.limit"),
        ("{authors {books(first: 0) {id}}}", {}, "first"),
    ],
)
async def test_arguments_are_held_to_their_constraints(text: str, variables: dict[str, Any], field: str) -> None:
    library = Library()
    async with serving(library) as engine:
        answer = await engine.run(text, **variables)
    details = answer["errors"][0]["extensions"]
    assert details["code"] == "INVALID_ARGUMENT"
    assert details["details"][0]["field"] == field
    assert "seek" not in library.asked
    assert "books" not in library.asked


@pytest.mark.parametrize(
    ("text", "variables"),
    [
        ("{nothing}", {}),
        ("{author(id: 1)}", {}),
        ("query($n: Int!) {authors(count: $n) {id}}", {}),
        ("query($n: Int!) {authors(count: $n) {id}}", {"n": "1"}),
        ("query($n: Int!) {authors(count: $n) {id}}", {"n": 2**31}),
        ("query($w: SoughtInput!) {seek(what: $w) {id}}", {"w": {"text": "a", "more": 1}}),
        ("{", {}),
        ("subscription {watch(count: 1) {id} b: watch(count: 1) {id}}", {}),
    ],
)
async def test_what_is_refused_before_anything_runs(text: str, variables: dict[str, Any]) -> None:
    library = Library()
    async with serving(library) as engine:
        with pytest.raises(GraphqlRefusal):
            engine.begin(text, variables)
    assert not library.asked


async def test_cancelled_everything_under_way_stops() -> None:
    library = Library()
    async with serving(library) as engine:
        execution, response = engine.begin("{authors {late}}")
        assert len(engine.runtime.suspended) == 3
        execution.cancel()
        assert problems(json.loads(await response)) >= {("CANCELLED", ("authors", 0, "late"))}
        assert not engine.runtime.suspended


async def test_the_deadline_is_each_fields_own() -> None:
    async with serving(Library()) as engine:
        _, response = engine.begin('{slow(name: "a") author(id: 1) {name}}', timeout_s=0.02)
        answer = json.loads(await response)
    assert answer["data"] == {"slow": None, "author": {"name": "Author 1"}}
    assert problems(answer) == {("DEADLINE_EXCEEDED", ("slow",))}


async def test_a_list_that_changes_meanwhile_gives_nobody_what_is_anothers() -> None:
    library = Library()
    async with serving(library) as engine:
        _, response = engine.begin("{shelved {id late}}")
        library.shelf.insert(0, Author(9, "Nine"))
        library.gate.set()
        answer = json.loads(await response)
    assert answer["data"] == {"shelved": None}
    assert problems(answer) == {("INTERNAL", ("shelved", 0, "late"))}
    async with serving(library) as engine:
        library.gate.clear()
        _, response = engine.begin("{shelved {id late}}")
        library.shelf.reverse()
        library.gate.set()
        found = json.loads(await response)["data"]["shelved"]
    assert [int(one["id"]) for one in found] == [one["late"] for one in found]


async def test_a_string_that_utf_8_cannot_carry_is_an_error_of_its_field() -> None:
    library = Library()
    library.shelf[1].name = "\ud800"
    async with serving(library) as engine:
        answer = await engine.run("{shelved {name} author(id: 1) {name}}")
    assert answer["data"] == {"shelved": None, "author": {"name": "Author 1"}}
    assert problems(answer) == {("INTERNAL", ("shelved", 1, "name"))}


async def test_the_selection_beneath_a_field_is_told() -> None:
    library = Library()
    async with serving(library) as engine:
        await engine.data(
            "query($n: Int!) {author(id: 1) {name ...F}}"
            "fragment F on Author {b: books(first: $n) {title reviews {text}}}",
            n=3,
        )
    selection = library.selections["author"]
    assert list(selection) == ["name", "books"]
    assert "reviews" in selection["books"]
    assert list(library.selections["books"]) == ["title", "reviews"]


async def test_each_item_of_a_stream_is_a_response() -> None:
    async with serving(Library()) as engine:
        stream = engine.subscribe("subscription($n: Int!) {watch(count: $n) {id motto}}", n=3)
        assert await stream.over is None
        answers = [stream.responses.get_nowait() for _ in range(3)]
    assert [answer["data"]["watch"] for answer in answers] == [
        {"id": "0", "motto": "motto 0"},
        {"id": "1", "motto": None},
        {"id": "2", "motto": "motto 2"},
    ]
    assert problems(answers[1]) == {("NOT_FOUND", ("watch", "motto"))}


async def test_a_tracked_item_is_its_value() -> None:
    async with serving(Library()) as engine:
        stream = engine.subscribe("subscription {watchTracked {id}}")
        assert await stream.over is None
        assert stream.responses.get_nowait() == {"data": {"watchTracked": {"id": "1"}}}


async def test_an_item_waits_for_what_is_beneath_the_one_before() -> None:
    library = Library()
    async with serving(library) as engine:
        stream = engine.subscribe("subscription {watch(count: 2) {late}}")
        assert library.waiting == 1
        assert stream.responses.empty()
        library.gate.set()
        assert await stream.over is None
        assert [stream.responses.get_nowait()["data"]["watch"]["late"] for _ in range(2)] == [0, 1]


async def test_a_full_transport_holds_the_stream() -> None:
    async with serving(Library()) as engine:
        stream = engine.subscribe("subscription {watch(count: 2) {id}}", is_full=True)
        assert stream.responses.qsize() == 1
        stream.drained.set()
        assert await stream.over is None
        assert stream.responses.qsize() == 2


async def test_a_cancelled_stream_stops_what_is_beneath_its_item() -> None:
    library = Library()
    async with serving(library) as engine:
        stream = engine.subscribe("subscription {watch(count: 2) {late}}")
        stream.call.cancel()
        error = await stream.over
        assert error is not None
        await asyncio.sleep(0)
        assert not engine.runtime.suspended
    assert stream.responses.empty()


async def test_the_arguments_of_what_is_selected_are_told() -> None:
    library = Library()
    async with serving(library) as engine:
        await engine.data(
            "query($n: Int) {author(id: 1) {a: books(first: $n) {id} b: books(first: 1) {id} c: books {id}}}", n=3
        )
    selected = library.selections["author"].get("books")
    assert selected.arguments == [{"first": 3}, {"first": 1}, {}]
    assert library.selections["author"].get("motto") is None


async def test_resolvers_within_resolvers_as_deep_as_can_be_asked() -> None:
    library = Library()
    text = "id"
    for depth in range(98):
        text = f"self {{{text}}}" if depth % 2 else f"selves {{{text}}}"
    async with serving(library, graphql=GraphqlOptions(max_depth=100, list_size=1)) as engine:
        answer = await engine.data(f"{{author(id: 1) {{{text}}}}}")
    depth = 0
    found = answer["author"]
    while "id" not in found:
        found = found.get("self") or found["selves"][0]
        depth += 1
    assert (depth, found) == (98, {"id": "1"})


async def test_a_mutation_whose_caller_leaves_goes_no_further() -> None:
    library = Library()
    async with serving(library) as engine:
        execution, response = engine.begin('mutation {a: add(title: "A") {title} b: add(title: "B") {title}}')
        execution.cancel()
        assert problems(json.loads(await response)) == {("CANCELLED", ("a",)), ("CANCELLED", ("b",))}
    assert library.asked["add"] == 1


async def test_results_are_held_to_their_constraints() -> None:
    async with serving(Library()) as engine:
        assert await engine.data("{marks {best all code}}") == {"marks": {"best": 5, "all": [1, 2], "code": "ABC"}}
        answer = await engine.run(
            "{a: marks(above: true) {best} b: marks(above: true) {all} c: marks(above: true) {code}}"
        )
    assert answer["data"] == {"a": None, "b": None, "c": {"code": "ABC"}}
    assert problems(answer) == {("INTERNAL", ("a", "best")), ("INTERNAL", ("b", "all"))}


async def test_a_method_that_gives_nothing_where_it_says_something_is_wrong() -> None:
    async with serving(Library()) as engine:
        answer = await engine.run("{nobody {id}}")
    assert answer["data"] == {"nobody": None}
    assert problems(answer) == {("INTERNAL", ("nobody",))}


async def test_no_name_of_a_query_gets_into_the_way_of_its_plan() -> None:
    names = ["o", "r", "x", "v", "e1", "n1", "type", "list", "give_up", "None", "lambda", "_class_", "builtins"]
    async with serving(Library()) as engine:
        data = await engine.data(f"{{author(id: 1) {{{' '.join(f'{name}: name' for name in names)}}}}}")
    assert data == {"author": dict.fromkeys(names, "Author 1")}


@pytest.mark.parametrize("text", ['"', "\\", "'", "{0}", "%s", "\n", "\u2028", "'" * 3, "😀"])
async def test_no_text_of_a_query_is_code(text: str) -> None:
    library = Library()
    async with serving(library) as engine:
        library.gate.set()
        literal = json.dumps(text, ensure_ascii=False)
        assert await engine.data(f"{{slow(name: {literal})}}") == {"slow": text}
        assert await engine.data("query($t: String!) {slow(name: $t)}", t=text) == {"slow": text}


async def test_the_schema_can_be_asked_for() -> None:
    async with serving(Library()) as engine:
        text = (
            "query($n: String!, $no: Boolean!) {__type(name: $n) {name fields {name} kind @skip(if: $no)} __typename}"
        )
        found = (await engine.data(text, n="Marks", no=True))["__type"]
        assert found == {"name": "Marks", "fields": [{"name": "best"}, {"name": "all"}, {"name": "code"}]}
        assert (await engine.data(text, n="None", no=True)) == {"__type": None, "__typename": "Query"}
        schema = await engine.data(get_introspection_query())
        assert schema == await engine.data(get_introspection_query())
        assert build_client_schema(schema).query_type.name == "Query"
