"""What arguments and variables become, and how a value that does not fit is refused."""

from __future__ import annotations

import datetime
import decimal
import enum
import uuid
from typing import Annotated, Any

import pytest
from msgspec import Meta

from polywire import ID, Int32, Message, Patch, Service, UInt64, mutation, query
from tests.protocols.graphql.engine import problems, serving


class Size(enum.Enum):
    SMALL = "s"
    LARGE = "l"


class Shape(Message, union=True):
    pass


class BigCircle(Shape):
    radius: float


class Square(Shape):
    side_length: Annotated[float, Meta(gt=0)]


class Wish(Message):
    name: str
    shape: Shape | None = None
    sizes: list[Size] = []
    more: list[Wish] = []
    counts: dict[str, int] = {}


class Taker(Service):
    @query
    async def kinds(
        self,
        number: Int32 = 1,
        wide: int = 2,
        unsigned: UInt64 = 3,
        id: Annotated[Int32, ID] = 4,
        when: datetime.datetime | None = None,
        price: decimal.Decimal = decimal.Decimal("1.5"),
        key: uuid.UUID | None = None,
        raw: bytes = b"",
        size: Size = Size.SMALL,
    ) -> str:
        return repr(
            (number, wide, unsigned, id, when and when.isoformat(), str(price), key and key.hex, raw, size.name)
        )

    @mutation
    async def wish(self, wish: Wish, twice: bool = False) -> str:
        return repr(wish)

    @mutation
    async def alone(self, wish: Wish) -> str:
        return repr(wish)

    @mutation
    async def change(self, patch: Patch[Wish]) -> str:
        return repr(patch.changes())


DEFAULTS = "(1, 2, 3, 4, None, '1.5', None, b'', 'SMALL')"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("", DEFAULTS),
        ("(number: 7, wide: 42, id: 9)", "(7, 42, 3, 9, None, '1.5', None, b'', 'SMALL')"),
        ('(wide: "9007199254740993", id: "9")', "(1, 9007199254740993, 3, 9, None, '1.5', None, b'', 'SMALL')"),
        ('(unsigned: "18446744073709551615")', "(1, 2, 18446744073709551615, 4, None, '1.5', None, b'', 'SMALL')"),
        (
            '(when: "2026-01-31T12:00:00Z", price: "0.10", key: "12345678123456781234567812345678", raw: "+/8=")',
            "(1, 2, 3, 4, '2026-01-31T12:00:00+00:00', '0.10', "
            "'12345678123456781234567812345678', b'\\xfb\\xff', 'SMALL')",
        ),
        ("(size: LARGE, price: null, when: null)", "(1, 2, 3, 4, None, '1.5', None, b'', 'LARGE')"),
    ],
)
async def test_every_kind(arguments: str, expected: str) -> None:
    async with serving(Taker()) as engine:
        assert await engine.data(f"{{kinds{arguments}}}") == {"kinds": expected}


WISH = Wish("a", Square(2.0), [Size.LARGE], [Wish("b", BigCircle(1.0))], {"x": 1})


@pytest.mark.parametrize("field", ["wish", "alone"])
async def test_messages_in_messages_from_the_query_and_from_variables(field: str) -> None:
    literal = (
        '{name: "a", shape: {square: {sideLength: 2}}, sizes: LARGE, counts: {x: 1}, more: {name: "b", shape: $s}}'
    )
    given = {"name": "a", "shape": {"square": {"sideLength": 2}}, "sizes": ["LARGE"], "counts": {"x": 1}}
    circle = {"bigCircle": {"radius": 1}}
    async with serving(Taker()) as engine:
        text = f"mutation($s: ShapeInput) {{{field}(wish: {literal})}}"
        assert await engine.data(text, s=circle) == {field: repr(WISH)}
        text = f"mutation($w: WishInput!) {{{field}(wish: $w)}}"
        assert await engine.data(text, w=given | {"more": [{"name": "b", "shape": circle}]}) == {field: repr(WISH)}


async def test_what_is_unset_null_or_given_in_a_patch_is_told_apart() -> None:
    async with serving(Taker()) as engine:
        assert await engine.data("mutation {change(patch: {shape: null})}") == {"change": "{'shape': None}"}
        assert await engine.data('mutation {change(patch: {name: "x"})}') == {"change": "{'name': 'x'}"}
        answer = await engine.run("mutation {change(patch: {name: null})}")
    assert problems(answer) == {("INVALID_ARGUMENT", ("change",))}


@pytest.mark.parametrize(
    ("text", "variables", "field"),
    [
        ("{kinds(wide: 99999999999999999999999)}", {}, "wide"),
        ("query($n: Int64) {kinds(wide: $n)}", {"n": 2**70}, "wide"),
        ("query($n: Int64) {kinds(wide: $n)}", {"n": {"a": [1.5]}}, "wide"),
        ("{kinds(wide: true)}", {}, "wide"),
        ("{kinds(wide: 4.5)}", {}, "wide"),
        ('{kinds(id: "x")}', {}, "id"),
        ('{kinds(when: "2026-01-31T12:00:00")}', {}, "when"),
        ('{kinds(price: "NaN")}', {}, "price"),
        ('mutation {alone(wish: {name: "a", more: {name: "b", shape: {square: {sideLength: 0}}}})}', {}, "sideLength"),
        ('mutation($c: JSON) {alone(wish: {name: "a", counts: $c})}', {"c": {"x": "y"}}, 'wish.counts["x"]'),
        ('mutation($c: JSON) {alone(wish: {name: "a", counts: $c})}', {"c": {"x": 2**70}}, 'wish.counts["x"]'),
    ],
)
async def test_what_does_not_fit_is_told_by_the_name_that_the_caller_gave_it(
    text: str, variables: dict[str, Any], field: str
) -> None:
    async with serving(Taker()) as engine:
        answer = await engine.run(text, **variables)
    (error,) = answer["errors"]
    assert error["extensions"]["code"] == "INVALID_ARGUMENT"
    assert error["extensions"]["details"][0]["field"].endswith(field)
    assert answer["data"] == {error["path"][0]: None}
