"""Annotations that are strings: this whole module has them."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING

import msgspec
import pytest

from polywire.schema import Int32, Kind, Message, SchemaError, message_type

if TYPE_CHECKING:
    from decimal import Decimal


class Node(Message):
    value: Int32
    next: Node | None = None
    others: list[Later] = []


class Later(Message):
    date: datetime.date
    node: Node | None = None


class Outer(Message):
    inner: Inner

    class Inner(Message):
        text: str


def test_cycles_and_names_defined_later() -> None:
    node, later = message_type(Node), message_type(Later)
    assert node.fields[0].type.kind is Kind.INT32
    assert node.fields[1].type.message is node
    assert node.fields[2].type.message is later
    assert later.fields[1].type.message is node
    text = b'{"value": 1, "next": {"value": 2}, "others": [{"date": "2024-01-01"}]}'
    assert msgspec.json.decode(text, type=Node) == Node(1, Node(2), [Later(datetime.date(2024, 1, 1))])


def test_classes_inside_functions_and_classes() -> None:
    class Before(Message):
        text: str

    class Local(Message):
        before: Before
        itself: list[Local]
        after: After | None = None

    class After(Message):
        local: Local | None = None

    table = message_type(Local)
    assert [f.type.message and f.type.message.cls for f in table.fields] == [Before, Local, After]
    assert msgspec.json.decode(b'{"before": {"text": ""}, "itself": []}', type=Local) == Local(Before(""), [])
    assert message_type(Outer).fields[0].type.kind is Kind.MESSAGE


class OnlyTyped(Message):
    price: Decimal


class Misspelt(Message):
    price: list[Strin]  # type: ignore[name-defined]  # noqa: F821


class NoType(Message):
    price: "1 +"  # type: ignore[valid-type]  # noqa: F722


@pytest.mark.parametrize(
    ("cls", "text"),
    [
        (OnlyTyped, "test_annotations.OnlyTyped.price: .*'Decimal'.*import it outside `if TYPE_CHECKING`"),
        (Misspelt, "test_annotations.Misspelt.price: .*'Strin'.*not defined"),
        (NoType, "test_annotations.NoType.price: .*cannot be evaluated"),
    ],
)
def test_what_cannot_be_resolved_says_so(cls: type[Message], text: str) -> None:
    with pytest.raises(SchemaError, match=text):
        message_type(cls)
