"""Single cases of the two JSON profiles."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from polywire.codec import WrongResult
from polywire.codec.json import Profile, json_reader, json_writer
from polywire.errors import InvalidInput, MalformedInput
from tests.codec.tables import (
    BOUNDED,
    EVERYTHING,
    NODE,
    NOON,
    USER,
    Circle,
    Everything,
    Level,
    Square,
    Status,
    User,
    nested,
)
from tests.codec.test_protobuf import WRONG

PLAIN, PROTO, BOTH = (Profile.PLAIN,), (Profile.PROTO,), (Profile.PLAIN, Profile.PROTO)
KEY = UUID("12345678-1234-5678-1234-567812345678")


def cases(table: list[tuple[Any, ...]]) -> Any:
    rows = [(profile, *rest) for profiles, *rest in table for profile in profiles]
    return [pytest.param(*row, id=f"{row[0].value}-{str(row[1])[:40]}") for row in rows]


READ = [
    (BOTH, '{"small": 42}', {"small": 42}),
    (BOTH, '{"small": "42"}', {"small": 42}),
    (BOTH, '{"small": "-1"}', {"small": -1}),
    (BOTH, '{"small": 1.0}', {"small": 1}),
    (BOTH, '{"small": 1e2}', {"small": 100}),
    (PROTO, '{"small": "1e2"}', {"small": 100}),
    (BOTH, '{"small": -2147483648}', {"small": -(2**31)}),
    (BOTH, '{"big_number": -9223372036854775808}', {"big_number": -(2**63)}),
    (BOTH, '{"big_number": "9223372036854775807"}', {"big_number": 2**63 - 1}),
    (PROTO, '{"bigNumber": "7"}', {"big_number": 7}),
    (PLAIN, '{"bigNumber": 7}', {}),
    (BOTH, '{"huge": 18446744073709551615}', {"huge": 2**64 - 1}),
    (BOTH, '{"ratio": 3}', {"ratio": 3.0}),
    (BOTH, '{"ratio": -0.0}', {"ratio": -0.0}),
    (BOTH, '{"ratio": 123456789012345678901234567890}', {"ratio": 1.2345678901234568e29}),
    (BOTH, '{"ratio": 0.1e-5, "single": 1.1}', {"ratio": 1e-6, "single": 1.100000023841858}),
    (PROTO, '{"ratio": "1.5"}', {"ratio": 1.5}),
    (BOTH, '{"text": "a\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\ud83d\\ude00é"}', {"text": 'a"\\/\b\f\n\r\té😀é'}),
    (BOTH, '{"te\\u0078t": "x"}', {"text": "x"}),
    (BOTH, '{"data": "+/8="}', {"data": b"\xfb\xff"}),
    (BOTH, '{"data": "-_8"}', {"data": b"\xfb\xff"}),
    (PLAIN, '{"status": "gone", "level": 20}', {"status": Status.GONE, "level": Level.HIGH}),
    (BOTH, '{"status": "GONE"}', {"status": Status.GONE}),
    (PROTO, '{"status": "STATUS_GONE", "level": "LEVEL_LOW"}', {"status": Status.GONE, "level": Level.LOW}),
    (PROTO, '{"status": 2}', {"status": Status.GONE}),
    (PROTO, '{"status": 0, "level": "LEVEL_UNSPECIFIED"}', {}),
    (BOTH, '{"user": null, "status": null}', {}),
    (PROTO, '{"text": null, "numbers": null, "scores": null}', {}),
    (PLAIN, '{"shape": {"radius": 1, "x": {"type": 3}, "type": "Circle"}}', {"shape": Circle(1.0)}),
    (PLAIN, '{"shape": {"type": "Square", "side": 2}}', {"shape": Square(2)}),
    (PROTO, '{"shape": {"circle": null, "x": 1, "square": {"side": 2}}}', {"shape": Square(2)}),
    (PROTO, '{"shape": {}}', {}),
    (BOTH, '{"at": "2026-01-31T12:00:00Z"}', {"at": NOON}),
    (BOTH, '{"at": "2026-01-31T14:30:00.123456789+02:30"}', {"at": NOON.replace(microsecond=123456)}),
    (PLAIN, '{"took": "PT1.5S"}', {"took": timedelta(seconds=1.5)}),
    (PLAIN, '{"took": "-P1DT2H3M"}', {"took": -timedelta(days=1, hours=2, minutes=3)}),
    (PROTO, '{"took": "-1.5s"}', {"took": timedelta(seconds=-1.5)}),
    (BOTH, '{"price": "1.50"}', {"price": Decimal("1.50")}),
    (PLAIN, '{"price": 0.1}', {"price": Decimal("0.1")}),
    (BOTH, f'{{"key": "{KEY}", "day": "2026-01-31"}}', {"key": KEY, "day": date(2026, 1, 31)}),
    (BOTH, '{"names": {"-5": "x"}}', {"names": {-5: "x"}}),
    (BOTH, ' { "unknown" : [ { "a" : null } , true , "x" , -1e5 ] } ', {}),
    (BOTH, "", {}),
    (BOTH, " \n", {}),
]


@pytest.mark.parametrize(("profile", "text", "expected"), cases(READ))
def test_reads(profile: Profile, text: str, expected: dict[str, Any]) -> None:
    assert json_reader(EVERYTHING, profile).decode(text.encode()) == Everything(**expected)


MALFORMED = [
    (BOTH, b"{", 1),
    (BOTH, b"[1, 2", 5),
    (BOTH, b'{"small": 1,}', 12),
    (BOTH, b'{"small" 1}', 9),
    (BOTH, b"{small: 1}", 1),
    (BOTH, b'{"small": 01}', 10),
    (BOTH, b'{"small": 1.}', 10),
    (BOTH, b'{"small": .5}', 10),
    (BOTH, b'{"small": +1}', 10),
    (BOTH, b'{"small": 0x10}', 11),
    (BOTH, b'{"ratio": NaN}', 10),
    (BOTH, b'{"ratio": -Infinity}', 10),
    (BOTH, b'{"flag": tru}', 9),
    (BOTH, b'{"flag": True}', 9),
    (BOTH, b'{"text": "a', 11),
    (BOTH, b'{"text": "a\nb"}', 11),
    (BOTH, b'{"text": "\\x41"}', 10),
    (BOTH, b'{"text": "\\ud800"}', 10),
    (BOTH, b'{"text": "\\udc00\\ud800"}', 10),
    (BOTH, b'{"text": "\\u12"}', 10),
    (BOTH, b'{"text": "\xff"}', 10),
    (BOTH, b'{"unknown": "\xed\xa0\x80"}', 13),
    (BOTH, b'{"text": "a\\', 11),
    (BOTH, b"{}{}", 2),
    (BOTH, b"{}\x00", 2),
    (BOTH, b"\xef\xbb\xbf{}", 0),
    (BOTH, b"{'text': 1}", 1),
    (BOTH, b"// no\n{}", 0),
    (BOTH, b'{"unknown": ' + b"[" * 101, 112),
    (BOTH, b"[" * 100_000, 100),
    (BOTH, b'{"a":' * 100_000, 505),
]


@pytest.mark.parametrize(("profile", "data", "offset"), cases(MALFORMED))
def test_malformed(profile: Profile, data: bytes, offset: int) -> None:
    with pytest.raises(MalformedInput) as caught:
        json_reader(EVERYTHING, profile).decode(data)
    assert str(caught.value).endswith(f" at byte {offset}")


INVALID = [
    (BOTH, "[]", "", "expected an object"),
    (BOTH, "null", "", "expected an object"),
    (BOTH, '{"flag": "true"}', "flag", "expected a boolean, got a string"),
    (BOTH, '{"flag": 1}', "flag", "expected a boolean, got a number"),
    (BOTH, '{"small": 1.5}', "small", "expected an integer, got a fraction"),
    (BOTH, '{"small": "1.5"}', "small", "expected an integer"),
    (PLAIN, '{"small": "1.0"}', "small", "expected an integer, got a string"),
    (BOTH, '{"small": " 1"}', "small", "expected an integer, got a string"),
    (BOTH, '{"small": "+1"}', "small", "expected an integer, got a string"),
    (BOTH, '{"small": "01"}', "small", "expected an integer, got a string"),
    (BOTH, '{"small": ""}', "small", "expected an integer, got a string"),
    (BOTH, '{"small": "1_0"}', "small", "expected an integer, got a string"),
    (BOTH, '{"small": true}', "small", "expected an integer, got a boolean"),
    (BOTH, '{"small": 2147483648}', "small", "out of range for a 32-bit integer"),
    (BOTH, '{"small": -2147483649}', "small", "out of range for a 32-bit integer"),
    (BOTH, f'{{"big_number": {2**70}}}', "big_number", "out of range for a 64-bit integer"),
    (BOTH, '{"big_number": 9223372036854775808}', "big_number", "out of range for a 64-bit integer"),
    (BOTH, '{"big_number": 1e19}', "big_number", "out of range for a 64-bit integer"),
    (BOTH, '{"unsigned": -1}', "unsigned", "out of range for an unsigned 32-bit integer"),
    (BOTH, '{"huge": 18446744073709551616}', "huge", "out of range for an unsigned 64-bit integer"),
    (BOTH, '{"ratio": 1e999}', "ratio", "out of range for a float"),
    (BOTH, '{"single": 1e39}', "single", "out of range for a float"),
    (PLAIN, '{"ratio": "1.5"}', "ratio", "expected a number, got a string"),
    (PROTO, '{"ratio": "NaN"}', "ratio", "expected a finite number, got a string"),
    (PROTO, '{"ratio": "Infinity"}', "ratio", "expected a finite number, got a string"),
    (BOTH, '{"text": 1}', "text", "expected a string, got a number"),
    (PLAIN, '{"text": null}', "text", "expected a value, got null"),
    (BOTH, '{"data": "a"}', "data", "expected base64"),
    (BOTH, '{"data": "a!bc"}', "data", "expected base64"),
    (BOTH, '{"status": "x"}', "status", "expected one of"),
    (PLAIN, '{"status": 1}', "status", "expected a string, got a number"),
    (PROTO, '{"status": 99}', "status", "expected one of STATUS_ACTIVE, STATUS_GONE"),
    (BOTH, '{"user": 1}', "user", "expected an object, got a number"),
    (BOTH, '{"user": {"id": "x"}}', "user.id", "expected an integer, got a string"),
    (PLAIN, '{"user": {"id": 1}}', "user.name", "required"),
    (BOTH, '{"users": [{"id": 1, "name": "", "email": ""}, {"id": []}]}', "users[1].id", "expected an integer"),
    (BOTH, '{"numbers": [1, null]}', "numbers[1]", "expected a value, got null"),
    (BOTH, '{"numbers": {}}', "numbers", "expected an array, got an object"),
    (BOTH, '{"scores": {"a": "b"}}', 'scores["a"]', "expected an integer, got a string"),
    (BOTH, '{"scores": {"a": 1, "a": 2}}', 'scores["a"]', "given twice"),
    (BOTH, '{"names": {"x": ""}}', 'names["x"]', "key: expected an integer"),
    (BOTH, '{"small": 1, "small": 1}', "small", "given twice"),
    (PROTO, '{"bigNumber": 1, "big_number": 1}', "big_number", "given twice"),
    (PLAIN, '{"shape": {"radius": 1}}', "shape", '"type": expected one of Circle, Square'),
    (PLAIN, '{"shape": {"type": "Other"}}', "shape", '"type": expected one of Circle, Square'),
    (PROTO, '{"shape": {"circle": {}, "square": {}}}', "shape", "more than one of circle, square"),
    (BOTH, '{"at": "2026-01-31T12:00:00"}', "at", "expected a timestamp"),
    (BOTH, '{"at": "2026-01-31T12:00:00.5"}', "at", "expected an offset"),
    (BOTH, '{"at": "2026-02-30T12:00:00Z"}', "at", "no such date or time"),
    (BOTH, '{"at": "2026-01-31T12:00:60Z"}', "at", "no such date or time"),
    (BOTH, '{"at": "0001-01-01T00:00:00+01:00"}', "at", "timestamp out of range"),
    (BOTH, '{"at": 1}', "at", "expected a string, got a number"),
    (BOTH, '{"took": "1"}', "took", "expected a duration"),
    (BOTH, '{"price": "1_0"}', "price", "expected a decimal number"),
    (BOTH, '{"price": "NaN"}', "price", "expected a decimal number"),
    (BOTH, '{"price": "1e99999"}', "price", "expected a decimal number"),
    (BOTH, '{"key": "x"}', "key", "expected a UUID"),
    (BOTH, '{"day": "2026-1-1"}', "day", "expected a date"),
]


@pytest.mark.parametrize(("profile", "text", "path", "reason"), cases(INVALID))
def test_invalid(profile: Profile, text: str, path: str, reason: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        json_reader(EVERYTHING, profile).decode(text.encode())
    (violation,) = caught.value.details
    assert violation.field == path
    assert reason in violation.reason
    assert path in caught.value.message


def test_required_fields() -> None:
    for text in (b"", b"{}"):
        with pytest.raises(InvalidInput, match=r"^id: required$"):
            json_reader(USER, Profile.PLAIN).decode(text)
        assert json_reader(USER, Profile.PROTO).decode(text) == User(0, "", "", None, True)
        with pytest.raises(InvalidInput, match=r"^age: must be at least 1$"):
            json_reader(BOUNDED, Profile.PROTO).decode(text)


@pytest.mark.parametrize("profile", Profile)
def test_depth_is_limited(profile: Profile) -> None:
    text = json_writer(NODE, profile).encode(nested(100))
    assert json_reader(NODE, profile).decode(text) == nested(100)
    with pytest.raises(MalformedInput, match="nested deeper than 100"):
        json_reader(NODE, profile).decode(b'{"next":' + text + b"}")
    with pytest.raises(WrongResult, match="nested deeper than 100"):
        json_writer(NODE, profile).encode(nested(101))


WRITE = [
    (BOTH, {"text": 'a"\\\n\x01é😀\x7f/'}, b'"text":"a\\"\\\\\\n\\u0001\xc3\xa9\xf0\x9f\x98\x80\x7f/"'),
    (BOTH, {"text": "x" * 7 + "\x00" + "y" * 20 + '"' * 600}, b'xxxxxxx\\u0000yyyyyyyyyyyyyyyyyyyy\\"\\"'),
    (PLAIN, {"big_number": -(2**63)}, b'"big_number":-9223372036854775808'),
    (PROTO, {"big_number": -(2**63)}, b'"bigNumber":"-9223372036854775808"'),
    (PROTO, {"huge": 2**64 - 1}, b'"huge":"18446744073709551615"'),
    (BOTH, {"ratio": 1.5e300, "single": 1.100000023841858}, b'"ratio":1.5e+300'),
    (BOTH, {"single": 1.100000023841858}, b'"single":1.1'),
    (BOTH, {"single": 3.4028234663852886e38}, b'"single":3.4028234663852886e+38'),
    (BOTH, {"ratio": 2}, b'"ratio":2.0'),
    (BOTH, {"data": b"\xfb\xff"}, b'"data":"+/8="'),
    (PLAIN, {"status": Status.GONE, "level": Level.LOW}, b'"status":"gone","level":10'),
    (PROTO, {"status": Status.GONE, "level": Level.LOW}, b'"status":"STATUS_GONE","level":"LEVEL_LOW"'),
    (PLAIN, {"shape": Square(2)}, b'"shape":{"type":"Square","side":2}'),
    (PROTO, {"shape": Square(2)}, b'"shape":{"square":{"side":2}}'),
    (BOTH, {"at": NOON.astimezone(timezone(timedelta(hours=-5)))}, b'"at":"2026-01-31T12:00:00Z"'),
    (BOTH, {"at": datetime(1, 1, 1, 0, 0, 0, 1000, UTC)}, b'"at":"0001-01-01T00:00:00.001Z"'),
    (BOTH, {"at": NOON.replace(microsecond=1)}, b'"at":"2026-01-31T12:00:00.000001Z"'),
    (PLAIN, {"took": timedelta(days=1, seconds=1, milliseconds=5)}, b'"took":"P1DT1.005S"'),
    (PLAIN, {"took": timedelta(0)}, b'"took":"PT0S"'),
    (PROTO, {"took": timedelta(seconds=-0.5)}, b'"took":"-0.500s"'),
    (BOTH, {"price": Decimal("1.50"), "key": KEY}, b'"price":"1.50","key":"12345678-1234-5678-1234-567812345678"'),
    (BOTH, {"scores": {"a": 1}, "names": {-1: "x"}}, b'"scores":{"a":1},"names":{"-1":"x"}'),
]


@pytest.mark.parametrize(("profile", "given", "part"), cases(WRITE))
def test_writes(profile: Profile, given: dict[str, Any], part: bytes) -> None:
    assert part in json_writer(EVERYTHING, profile).encode(Everything(**given))


def test_defaults_are_written_in_plain_and_left_out_in_proto() -> None:
    assert json_writer(USER, Profile.PLAIN).encode(User(0, "", "")) == (
        b'{"id":0,"name":"","email":"","age":null,"active":true}'
    )
    assert json_writer(USER, Profile.PROTO).encode(User(0, "", "")) == b'{"active":true}'
    assert json_writer(EVERYTHING, Profile.PROTO).encode(Everything()) == b"{}"


@pytest.mark.parametrize("profile", Profile)
@pytest.mark.parametrize(("given", "text"), WRONG, ids=[case[1] for case in WRONG])
def test_wrong_results_are_named(profile: Profile, given: dict[str, Any], text: str) -> None:
    with pytest.raises(WrongResult, match=r"^Everything") as caught:
        json_writer(EVERYTHING, profile).encode(Everything(**given))
    assert text in str(caught.value)


@pytest.mark.parametrize("profile", Profile)
@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_numbers_without_a_json_form_are_wrong(profile: Profile, number: float) -> None:
    with pytest.raises(WrongResult, match=r"^Everything.ratio: NaN and infinities have no JSON form$"):
        json_writer(EVERYTHING, profile).encode(Everything(ratio=number))


def test_only_declared_fields_leave() -> None:
    class Admin(User):
        secret: str = "x"

    assert b"secret" not in json_writer(USER, Profile.PLAIN).encode(Admin(1, "a", "b"))
