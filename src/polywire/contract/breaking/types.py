"""What becomes of a value when its type in protobuf is changed."""

from __future__ import annotations

from typing import Final

from polywire.contract.breaking.changes import CODE, GRAPHQL, JSON, WIRE

ENUM, MESSAGE = "enum", "message"
"""The kinds of a named type, beside the names of the scalars."""

_VARINT: Final = {"int32": 32, "int64": 64, "uint32": 32, "uint64": 64, "bool": 1, ENUM: 32}
_ZIGZAG: Final = {"sint32": 32, "sint64": 64}
_FIXED: Final = ({"fixed32", "sfixed32"}, {"fixed64", "sfixed64"})
_WIRE_TYPES: Final = {
    **dict.fromkeys([*_VARINT, *_ZIGZAG], "VARINT"),
    **dict.fromkeys(["fixed32", "sfixed32", "float"], "I32"),
    **dict.fromkeys(["fixed64", "sfixed64", "double"], "I64"),
    **dict.fromkeys(["string", "bytes", MESSAGE], "LEN"),
}
_JSON_FORMS: Final = {
    **dict.fromkeys(["int32", "uint32", "sint32", "fixed32", "sfixed32", "float", "double"], "a number"),
    **dict.fromkeys(["int64", "uint64", "sint64", "fixed64", "sfixed64"], "a number in a string"),
    "bool": "true or false",
    "string": "a string",
    "bytes": "a string in base64",
    ENUM: "the name of a value",
    MESSAGE: "an object",
}
_GRAPHQL_TYPES: Final = {
    **dict.fromkeys(["int32", "sint32", "sfixed32"], "Int"),
    **dict.fromkeys(["int64", "sint64", "sfixed64"], "Int64"),
    **dict.fromkeys(["uint32", "fixed32"], "UInt32"),
    **dict.fromkeys(["uint64", "fixed64"], "UInt64"),
    **dict.fromkeys(["float", "double"], "Float"),
    "bool": "Boolean",
    "string": "String",
}


def type_breaks(before: str, after: str) -> dict[str, str]:
    """Whom a change from one kind to another breaks, and why; both are a scalar's name, ENUM or MESSAGE."""
    breaks = {}
    if wire := _wire(before, after):
        breaks[WIRE] = wire
    was, now = _JSON_FORMS[before], _JSON_FORMS[after]
    if was != now:
        breaks[JSON] = f"it was {was} and is {now}"
    elif _bits(after) < _bits(before):
        breaks[JSON] = f"numbers beyond {_bits(after)} bits are refused"
    breaks[CODE] = "the generated field has another type"
    if (old := _GRAPHQL_TYPES.get(before, before)) != (new := _GRAPHQL_TYPES.get(after, after)):
        breaks[GRAPHQL] = f"it was {old} and is {new}"
    return breaks


def _wire(before: str, after: str) -> str:
    if before in _VARINT and after in _VARINT:
        if after == "bool":
            return "every number but 0 is read as true"
        if _bits(after) < _bits(before):
            return "numbers of more than 32 bits lose their upper half"
        if before.startswith("u") != after.startswith("u") and not (before in ("bool", ENUM) or _widens(before, after)):
            return "numbers with the highest bit are read with another sign"
        return ""
    if before in _ZIGZAG and after in _ZIGZAG:
        return "numbers of more than 32 bits lose their upper half" if _bits(after) < _bits(before) else ""
    if any(before in group and after in group for group in _FIXED) or (before, after) == ("string", "bytes"):
        return ""
    if (before, after) == ("bytes", "string"):
        return "bytes that are no UTF-8 are refused"
    was, now = _WIRE_TYPES[before], _WIRE_TYPES[after]
    if was == now:
        return "the bytes are the same in form and are taken for something else"
    return f"the wire type was {was} and is {now}: each side passes over what the other sends"


def _widens(before: str, after: str) -> bool:
    """`uint32` to `int64`: every number fits."""
    return before == "uint32" and after == "int64"


def _bits(kind: str) -> int:
    return 64 if kind.endswith("64") or kind == "double" else 1 if kind == "bool" else 32
