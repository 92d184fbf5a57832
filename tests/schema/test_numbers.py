"""Numbers by declaration, by hand and by contract."""

import enum
from typing import Annotated, Any

import pytest

from polywire.schema import ContractLock, FieldNumber, Message, SchemaError, message_type, union_type
from polywire.schema.numbers import assign


@pytest.mark.parametrize(
    ("names", "explicit", "locked", "reserved", "numbers", "kept_free"),
    [
        ("abc", {}, {}, [], [1, 2, 3], []),
        ("", {}, {}, [], [], []),
        ("abc", {"b": 7}, {}, [], [1, 7, 2], []),
        ("abc", {"b": 1}, {}, [], [2, 1, 3], []),
        ("ab", {}, {"a": 1, "b": 2}, [], [1, 2], []),
        ("ba", {}, {"a": 1, "b": 2}, [], [2, 1], []),
        ("cab", {}, {"a": 1, "b": 2}, [], [3, 1, 2], []),
        ("ac", {}, {"a": 1, "b": 2}, [], [1, 3], [2]),
        ("ac", {}, {"a": 1}, [5, 2], [1, 6], [2, 5]),
        ("ac", {"c": 9}, {"a": 1}, [], [1, 9], []),
        ("a", {"a": 1}, {"a": 1}, [], [1], []),
        ("ab", {}, {"a": 18_999}, [], [18_999, 20_000], []),
    ],
)
def test_assign(
    names: str,
    explicit: dict[str, int],
    locked: dict[str, int],
    reserved: list[int],
    numbers: list[int],
    kept_free: list[int],
) -> None:
    lock = ContractLock({"m": locked}, {"m": tuple(reserved)}) if locked or reserved else None
    assert assign("m", names, explicit, lock, "here") == (dict(zip(names, numbers, strict=True)), tuple(kept_free))


@pytest.mark.parametrize(
    ("explicit", "locked", "reserved", "text"),
    [
        ({"a": 2}, {"a": 1}, (), "number 2 here and 1 in the contract; keep 1"),
        ({"a": 3}, {}, (3,), "belonged to something removed"),
        ({"a": 2}, {"gone": 2}, (), "belonged to something removed"),
        ({"a": 4, "b": 4}, {}, (), "'a' and 'b' both have number 4"),
        ({"a": 1}, {"b": 1}, (), "both have number 1"),
        ({"a": -1}, {}, (), "cannot have number -1"),
    ],
)
def test_assign_refuses(explicit: dict[str, int], locked: dict[str, int], reserved: Any, text: str) -> None:
    with pytest.raises(SchemaError, match=text):
        assign("m", "ab", explicit, ContractLock({"m": locked}, {"m": reserved}), "here")


def test_a_contract_covers_messages_enums_and_unions() -> None:
    class Status(enum.Enum):
        NEW = "new"
        OLD = "old"

    class Shape(Message, union=True):
        pass

    class Dot(Shape):
        pass

    class Line(Shape):
        pass

    class Order(Message):
        total: int
        status: Status
        shape: Shape
        note: Annotated[str, FieldNumber(12)] = ""

    lock = ContractLock(
        {
            "shop.Order": {"status": 1, "customer": 2, "total": 4},
            "shop.Status": {"OLD": 1, "BROKEN": 2},
            "shop.Shape": {"line": 1, "dot": 3},
        },
        {"shop.Order": (9,), "shop.Shape": (2,)},
    )
    order = message_type(Order, "shop", lock=lock)
    assert {f.name: f.number for f in order.fields} == {"total": 4, "status": 1, "shape": 13, "note": 12}
    assert order.reserved == (2, 9)
    status = order.fields[1].type.enum
    assert status is not None
    assert ({v.name: v.number for v in status.values}, status.reserved) == ({"NEW": 3, "OLD": 1}, (2,))
    shape = union_type(Shape)
    assert ({m.name: m.number for m in shape.members}, shape.reserved) == ({"dot": 3, "line": 1}, (2,))
