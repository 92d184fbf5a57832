"""Names as protobuf derives them: of fields in JSON, of map entries, and of enum values without their prefix."""

from __future__ import annotations


def json_name(name: str) -> str:
    """`userId` for `user_id`: underscores go, the letter after one is raised."""
    head, *rest = name.split("_")
    return head + "".join(part[:1].upper() + part[1:] for part in rest)


def entry_name(field: str) -> str:
    """The message that protoc makes of the entries of a map."""
    return "".join(part[:1].upper() + part[1:] for part in field.split("_")) + "Entry"


def short_value_name(enum: str, value: str) -> str:
    """`Active` for `STATUS_ACTIVE` of Status. Generators of code make such names, so they may not clash."""
    return "".join(part.capitalize() for part in _without_prefix(enum, value).split("_"))


def _without_prefix(enum: str, value: str) -> str:
    prefix = enum.replace("_", "").lower()
    at = 0
    for index, letter in enumerate(value):
        if at == len(prefix):
            return value[index:].lstrip("_") or value
        if letter == "_":
            continue
        if letter.lower() != prefix[at]:
            return value
        at += 1
    return value
