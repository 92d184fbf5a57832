"""Single cases of the protobuf codec: broken bytes, refused values, limits."""

from __future__ import annotations

import enum
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest

from polywire.codec import WrongResult
from polywire.codec._protobuf import ProtobufCodec
from polywire.errors import InvalidInput, MalformedInput
from polywire.schema.types import MessageType
from tests.codec.tables import (
    BOUNDED,
    EVERYTHING,
    NODE,
    NOON,
    USER,
    USERS,
    Bounded,
    Circle,
    Everything,
    Level,
    Node,
    Square,
    Status,
    User,
    Users,
    nested,
)

everything = ProtobufCodec(EVERYTHING)
user = ProtobufCodec(USER)

MALFORMED = [
    ("cut varint", b"\x08", 1),
    ("cut varint after a byte", b"\x08\x80", 1),
    ("varint of eleven bytes", b"\x10" + b"\x80" * 10 + b"\x01", 1),
    ("cut tag", b"\x80", 0),
    ("tag beyond 32 bits", b"\xff\xff\xff\xff\x7f\x00", 0),
    ("field number 0", b"\x00\x00", 0),
    ("field number 0 with a length", b"\x02\x01a", 0),
    ("length beyond the end", b"\x3a\x05ab", 1),
    ("huge length", b"\x3a\xff\xff\xff\xff\x0f", 1),
    ("length of 63 bits", b"\x3a\xff\xff\xff\xff\xff\xff\xff\xff\x7f", 1),
    ("length of six bytes", b"\x3a\x81\x80\x80\x80\x80\x00a", 1),
    ("cut double", b"\x31\x00\x00", 1),
    ("cut float", b"\xb5\x01\x00\x00", 2),
    ("text is not UTF-8", b"\x3a\x02a\xff", 3),
    ("text has a surrogate", b"\x3a\x03\xed\xa0\x80", 2),
    ("wire type 6", b"\x0e", 1),
    ("wire type 7 of an unknown field", b"\xa7\x06", 2),
    ("end of a group", b"\x0c", 1),
    ("open group", b"\xa3\x06\x08\x01", 4),
    ("end of another group", b"\xa3\x06\xac\x06", 4),
    ("cut in a submessage", b"\x5a\x01\x08", 3),
    ("submessage beyond its parent", b"\x9a\x01\x03\x12\x05a", 4),
    ("packed run cut within a number", b"\x92\x01\x01\x80", 3),
    ("map entry cut", b"\xa2\x01\x02\x0a\x05", 4),
]


@pytest.mark.parametrize(("name", "data", "offset"), MALFORMED, ids=[case[0] for case in MALFORMED])
def test_malformed(name: str, data: bytes, offset: int) -> None:
    with pytest.raises(MalformedInput) as caught:
        everything.decode(data)
    assert str(caught.value).endswith(f"at byte {offset}")


def test_every_cut_of_a_message_is_judged() -> None:
    encoded = ProtobufCodec(USERS).encode(Users([User(1, "Alice", "a@example.com", 30)] * 3))
    for end in range(len(encoded)):
        try:
            ProtobufCodec(USERS).decode(encoded[:end])
        except MalformedInput:
            continue
        assert end % (len(encoded) // 3) == 0


INVALID = [
    ("unknown enum number", EVERYTHING, b"\x48\x63", "status", "unknown value 99 of Status"),
    ("decimal", EVERYTHING, b"\x7a\x03abc", "price", "expected a decimal number"),
    ("decimal NaN", EVERYTHING, b"\x7a\x03NaN", "price", "expected a decimal number"),
    ("uuid", EVERYTHING, b"\x82\x01\x01x", "key", "expected a UUID"),
    ("date", EVERYTHING, b"\x8a\x01\x0a2026-02-30", "day", "no such date"),
    ("timestamp nanos", EVERYTHING, b"\x6a\x06\x10\x80\x94\xeb\xdc\x03", "at", "nanos of a timestamp"),
    ("timestamp range", EVERYTHING, b"\x6a\x07\x08\x80\x80\xea\xde\xff\x7f", "at", "timestamp out of range"),
    ("duration signs", EVERYTHING, b"\x72\x0d\x08\x01\x10" + b"\xff" * 9 + b"\x01", "took", "one sign"),
    ("in a list", EVERYTHING, b"\x9a\x01\x00" * 2 + b"\x9a\x01\x02\x08\x01\x48\x63", "status", "unknown value 99"),
    ("below ge", BOUNDED, b"\x12\x01A\x20\x01", "age", "must be at least 1"),
    ("above le", BOUNDED, b"\x08\x97\x01\x12\x01A\x20\x01", "age", "must be at most 150"),
    ("pattern", BOUNDED, b"\x08\x01\x12\x01a\x20\x01", "code", "must match"),
    ("length", BOUNDED, b"\x08\x01\x12\x05AAAAA\x20\x01", "code", "length of at most 4"),
    ("element", BOUNDED, b"\x08\x01\x12\x01A\x1a\x02ab\x1a\x01a\x20\x01", "tags[1]", "length of at least 2"),
    ("items", BOUNDED, b"\x08\x01\x12\x01A" + b"\x1a\x02ab" * 3 + b"\x20\x01", "tags", "length of at most 2"),
    ("required enum", BOUNDED, b"\x08\x01\x12\x01A", "status", "required"),
    ("unspecified enum", BOUNDED, b"\x08\x01\x12\x01A\x20\x00", "status", "required"),
]


@pytest.mark.parametrize(
    ("name", "message", "data", "path", "reason"),
    INVALID,
    ids=[case[0] for case in INVALID],
)
def test_invalid(name: str, message: MessageType, data: bytes, path: str, reason: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        ProtobufCodec(message).decode(data)
    (violation,) = caught.value.details
    assert violation.field == path
    assert reason in violation.reason


LENIENT = [
    ("negative int32 in ten bytes", b"\x10" + b"\xff" * 9 + b"\x01", {"small": -1}),
    ("varint beyond 64 bits is truncated", b"\x10\x87" + b"\x80" * 8 + b"\x02", {"small": 7}),
    ("int32 is truncated", b"\x10\x81\x80\x80\x80\x10", {"small": 1}),
    ("bool is any varint but 0", b"\x08\x80\x02", {"flag": True}),
    ("numbers packed", b"\x92\x01\x02\x01\x02", {"numbers": [1, 2]}),
    ("numbers one by one", b"\x90\x01\x01\x90\x01\x02", {"numbers": [1, 2]}),
    ("both ways at once", b"\x90\x01\x01\x92\x01\x02\x02\x03", {"numbers": [1, 2, 3]}),
    ("wrong wire type is unknown", b"\x12\x01a", {}),
    ("unknown group", b"\xa3\x06\x08\x01\xab\x06\xac\x06\xa4\x06\x08\x01", {"flag": True}),
    ("last one wins", b"\x10\x01\x10\x02", {"small": 2}),
    ("overlong varint", b"\x10\x82\x80\x00", {"small": 2}),
    ("unspecified enum is absent", b"\x48\x01\x48\x00", {"status": None}),
    ("empty oneof is absent", b"\x62\x00", {"shape": None}),
    ("last member wins", b"\x62\x02\x0a\x00\x62\x04\x12\x02\x08\x05", {"shape": Square(5)}),
    ("map entry without key and value", b"\xa2\x01\x00", {"scores": {"": 0}}),
    ("map entry with an unknown field", b"\xa2\x01\x07\x0a\x01a\x10\x01\x18\x01", {}),
    ("last entry wins", b"\xa2\x01\x05\x0a\x01a\x10\x01\xa2\x01\x05\x0a\x01a\x10\x02", {"scores": {"a": 2}}),
    (
        "submessages are merged",
        b"\x5a\x07\x08\x01\x12\x01a\x1a\x00\x5a\x05\x12\x00\x1a\x01b\x5a\x02\x20\x07",
        {"user": User(1, "", "b", 7)},
    ),
]


@pytest.mark.parametrize(("name", "data", "expected"), LENIENT, ids=[case[0] for case in LENIENT])
def test_lenient(name: str, data: bytes, expected: dict[str, Any]) -> None:
    assert everything.decode(data) == Everything(**expected)


class Text(str):
    pass


class Number(enum.IntEnum):
    ONE = 1


WRONG = [
    ({"flag": 1}, "flag: expected bool, got int"),
    ({"small": True}, "small: expected int, got bool"),
    ({"small": 1.0}, "small: expected int, got float"),
    ({"small": 2**31}, "small: out of range for a 32-bit integer"),
    ({"big_number": 2**63}, "big_number: out of range for a 64-bit integer"),
    ({"unsigned": -1}, "unsigned: out of range for an unsigned 32-bit integer"),
    ({"unsigned": 2**32}, "unsigned: out of range for an unsigned 32-bit integer"),
    ({"huge": -1}, "huge: out of range for an unsigned 64-bit integer"),
    ({"huge": 2**64}, "huge: out of range for an unsigned 64-bit integer"),
    ({"ratio": "1"}, "ratio: expected float, got str"),
    ({"ratio": False}, "ratio: expected float, got bool"),
    ({"ratio": 10**400}, "ratio: out of range for a float"),
    ({"text": b"x"}, "text: expected str, got bytes"),
    ({"text": None}, "text: expected a value, got None"),
    ({"text": "\ud800"}, "text: has a lone surrogate"),
    ({"data": "x"}, "data: expected bytes, got str"),
    ({"status": "active"}, "status: expected Status, got str"),
    ({"level": 10}, "level: expected Level, got int"),
    ({"user": {}}, "user: expected User, got dict"),
    ({"user": User("1", "", "")}, "user.id: expected int, got str"),
    ({"shape": User(1, "", "")}, "shape: expected one of Circle, Square, got User"),
    ({"shape": Circle("1")}, "radius: expected float, got str"),
    ({"at": datetime(2026, 1, 1)}, "at: expected a datetime with an offset"),
    ({"at": NOON.date()}, "at: expected datetime, got date"),
    ({"took": 5}, "took: expected timedelta, got int"),
    ({"took": timedelta(days=4_000_000)}, "took: duration out of range"),
    ({"price": 1.5}, "price: expected Decimal, got float"),
    ({"price": Decimal("NaN")}, "price: expected a finite decimal"),
    ({"key": "x"}, "key: expected UUID, got str"),
    ({"day": NOON}, "day: expected date, got datetime"),
    ({"numbers": 5}, "numbers: expected list, got int"),
    ({"numbers": {1: 2}}, "numbers: expected list, got dict"),
    ({"numbers": [1, "2"]}, "numbers[1]: expected int, got str"),
    ({"users": [User(1, "", ""), User(1, 2, "")]}, "users[1].name: expected str, got int"),
    ({"users": [User(1, "", ""), None]}, "users[1]: expected User, got NoneType"),
    ({"scores": [("a", 1)]}, "scores: expected dict, got list"),
    ({"scores": {1: 1}}, 'scores["1"]: expected str, got int'),
    ({"scores": {"a": "1"}}, 'scores["a"]: expected int, got str'),
]


@pytest.mark.parametrize(("given", "text"), WRONG, ids=[case[1] for case in WRONG])
def test_wrong_results_are_named(given: dict[str, Any], text: str) -> None:
    with pytest.raises(WrongResult, match=r"^Everything") as caught:
        everything.encode(Everything(**given))
    assert text in str(caught.value)


@pytest.mark.parametrize("value", [None, {"id": 1}, Users([])])
def test_a_result_of_another_class_is_wrong(value: Any) -> None:
    with pytest.raises(WrongResult, match=r"^User: expected User, got "):
        user.encode(value)


def test_results_keep_their_constraints() -> None:
    with pytest.raises(WrongResult, match=r"^Bounded.age: must be at least 1$"):
        ProtobufCodec(BOUNDED).encode(Bounded(0, "A", [], Status.ACTIVE))
    with pytest.raises(WrongResult, match=r"^Bounded.tags: must have a length of at most 2$"):
        ProtobufCodec(BOUNDED).encode(Bounded(1, "A", ["aa"] * 3, Status.ACTIVE))


def test_an_unset_attribute_is_wrong() -> None:
    half = User(1, "", "")
    del half.name
    with pytest.raises(WrongResult, match=r"User.name: not set"):
        user.encode(half)


def test_subclasses_and_related_types_are_taken() -> None:
    class Admin(User):
        secret: str = "x"

    assert user.encode(Admin(1, "a", "b")) == user.encode(User(1, "a", "b"))
    given = Everything(small=Number.ONE, ratio=2, text=Text("t"), numbers=(1, 2))
    assert everything.decode(everything.encode(given)) == Everything(small=1, ratio=2.0, text="t", numbers=[1, 2])


def test_presence() -> None:
    assert everything.encode(Everything()) == b""
    assert user.encode(User(0, "", "", 0, False)) == b"\x20\x00\x28\x00"
    assert user.decode(b"") == User(0, "", "", None, True)
    assert everything.encode(Everything(ratio=-0.0)) == b"\x31" + b"\x00" * 7 + b"\x80"
    assert everything.encode(Everything(small=-1)) == b"\x10" + b"\xff" * 9 + b"\x01"


def test_one_of_everything() -> None:
    given = Everything(
        status=Status.GONE,
        level=Level.HIGH,
        user=User(1, "Alice", "a@example.com"),
        shape=Circle(1.5),
        at=NOON.astimezone(timezone(timedelta(hours=5))),
        took=timedelta(seconds=-1.5),
        price=Decimal("1.50"),
        day=NOON.date(),
        names={-1: "x"},
        data=b"\x00" * 5000,
    )
    assert everything.decode(everything.encode(given)) == given


def test_depth_is_limited_both_ways() -> None:
    codec = ProtobufCodec(NODE)
    assert codec.decode(codec.encode(nested(100))) == nested(100)
    with pytest.raises(WrongResult, match="nested deeper than 100"):
        codec.encode(nested(101))
    data = codec.encode(nested(100))
    deeper = b"\x0a" + bytes([len(data) & 127 | 128, len(data) >> 7]) + data
    with pytest.raises(MalformedInput, match="nested deeper than 100"):
        codec.decode(deeper)
    with pytest.raises(MalformedInput, match="nested deeper than 100"):
        codec.decode(b"\x13" * 200_000)


def test_many_occurrences_of_one_submessage_cost_little() -> None:
    head = b"\x0a" + b"\x80\x80\x40" + b"\x12\xfc\xff\x3f" + b"x" * (1024 * 1024 - 4)
    assert ProtobufCodec(NODE).decode(head + b"\x0a\x00" * 500_000) == Node(Node())


def test_only_bytes_are_decoded() -> None:
    for wrong in (bytearray(), "", None):
        with pytest.raises(TypeError):
            user.decode(wrong)  # type: ignore[arg-type]
