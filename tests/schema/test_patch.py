"""`Patch[User]`: unset, null and a value are three things."""

from __future__ import annotations

from typing import Annotated

import msgspec
import pytest

from polywire.schema import Int32, Message, Patch, message_type


class User(Message, package="user"):
    id: Int32
    name: Annotated[str, msgspec.Meta(min_length=1)]
    nick: str | None = None
    friend: User | None = None
    tags: list[str] = []


UserPatch = Patch[User]


def test_the_table() -> None:
    table = message_type(UserPatch)
    assert (table.name, table.full_name, table.generated) == ("UserPatch", "user.UserPatch", True)
    assert [(f.name, f.number) for f in table.fields] == [(f.name, f.number) for f in message_type(User).fields]
    assert all(f.explicit_presence and not f.required and f.default is msgspec.UNSET for f in table.fields)
    assert [f.nullable for f in table.fields] == [False, False, True, True, False]
    assert table.fields[3].type.message is message_type(User)
    assert Patch[User] is UserPatch


def test_unset_null_and_value() -> None:
    message_type(UserPatch)
    user = User(1, "Alice", "Al", User(2, "Bob"), ["a"])
    patch = msgspec.json.decode(b'{"name": "Alicia", "nick": null, "tags": []}', type=UserPatch)
    assert patch.changes() == {"name": "Alicia", "nick": None, "tags": []}
    assert patch.apply(user) == User(1, "Alicia", None, User(2, "Bob"), [])
    assert user.name == "Alice"
    assert msgspec.json.encode(patch) == b'{"name":"Alicia","nick":null,"tags":[]}'


@pytest.mark.parametrize("text", ['{"name": null}', '{"name": ""}', '{"id": 2147483648}', '{"tags": null}'])
def test_the_rules_of_the_field_hold(text: str) -> None:
    message_type(UserPatch)
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(text, type=UserPatch)
