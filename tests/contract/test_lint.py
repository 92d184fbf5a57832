"""What `contract lint` finds, in services and in .proto files, and how it is silenced."""

from __future__ import annotations

from pathlib import Path

import pytest

from polywire import Int32, Message, Service, mutation, query
from polywire.contract.folder import contract_texts
from polywire.contract.lint import RULES, lint_protos, lint_services
from polywire.protofile import load
from polywire.schema.docs import without_lint


class Book(Message):
    id: Int32


class Books(Message):
    books: list[Book]


class Shelf(Service, package="lint"):
    @query("GET /v1/books")
    async def all_books(self) -> list[Book]:
        return []

    @query("GET /v1/pages")
    async def pages(self) -> Books:
        return Books([])

    @query("GET /v1/some-books")
    async def some_books(self, limit: Int32 = 20) -> list[Book]:
        return []

    @query("GET /v1/colours")
    async def colours(self) -> list[str]:
        """There are seven. lint: allow unbounded-list"""
        return []

    @mutation("POST /v1/books/createBook", "POST /v1/search")
    async def create_book(self) -> None: ...

    @query("GET /v1/a/{a}/b/{b}/c/{c}/d")
    async def deep(self, a: str, b: str, c: str) -> Book:
        return Book(1)

    @query("GET /v1/a/{a}/b/{b}/c")
    async def not_so_deep(self, a: str, b: str) -> Book:
        return Book(1)

    @query
    async def delete_book(self, id: Int32) -> None: ...


def test_services() -> None:
    found = lint_services([Shelf.__polywire__])
    assert [(one.rule, one.subject.rpartition("/")[2]) for one in found] == [
        ("unbounded-list", "AllBooks"),
        ("unbounded-list", "Pages"),
        ("verb-in-path", "CreateBook"),
        ("deep-nesting", "Deep"),
        ("effect-in-get", "DeleteBook"),
    ]
    assert all(one.place.rpartition(":")[0] == __file__ for one in found)
    assert {one.rule for one in found} <= RULES.keys()


def test_only_the_proto_says_what_is_silenced() -> None:
    for name, text in contract_texts([Shelf.__polywire__], title="shelf", version="1").items():
        assert "There are seven" in text, name
        assert ("lint: allow" in text) == name.endswith(".proto"), name


@pytest.mark.parametrize(
    ("doc", "said"),
    [
        ("", ""),
        ("lint: allow deep-nesting", ""),
        ("All of them.", "All of them."),
        ("All of them: lint: allow unbounded-list.", "All of them."),
        ("All of them. lint: allow unbounded-list, verb-in-path", "All of them."),
        ("All of them.\nlint: allow unbounded-list\nAnd more.", "All of them.\nAnd more."),
    ],
)
def test_docs_for_people(doc: str, said: str) -> None:
    assert without_lint(doc) == said


PROTO = """syntax = "proto3";
package lint;
import "google/api/annotations.proto";
enum Kind { A = 0; }
// Anything goes. lint: allow enum-zero
enum Free { B = 0; }
message list_request {}
message Things { repeated Thing things = 1; }
message Thing { string Name = 1; }
message One { int32 page_size = 1; }
service Store {
  rpc List(list_request) returns (Things) {
    option (google.api.http) = { get: "/v1/getThings" };
  }
  rpc Page(One) returns (Things);
  rpc removeAll(One) returns (Thing) { option idempotency_level = NO_SIDE_EFFECTS; }
}
"""


def test_protos(tmp_path: Path) -> None:
    file = tmp_path / "lint.proto"
    file.write_text(PROTO)
    assert [(one.rule, one.place) for one in lint_protos(load([file]))] == [
        ("verb-in-path", "lint.proto:12:7"),
        ("unbounded-list", "lint.proto:12:7"),
        ("effect-in-get", "lint.proto:16:7"),
        ("name-style", "lint.proto:16:7"),
        ("enum-zero", "lint.proto:4:13"),
        ("name-style", "lint.proto:7:9"),
        ("name-style", "lint.proto:9:24"),
    ]


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_is_in_the_help(rule: str) -> None:
    from polywire.cli.contract_commands import lint_

    assert rule in (lint_.help or "")
