"""What has changed between two JSON Schemas, for who sends such values and for who reads them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from polywire.contract.breaking.json_places import Path
from polywire.contract.json_schema import REF_PREFIX

_LEAST: Final = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
_MOST: Final = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")
_OTHER: Final = ("pattern", "multipleOf", "format")


@dataclass(frozen=True, slots=True)
class Difference:
    rule: str
    path: Path
    """In the old document."""
    subject: str
    """The named schema that it is in, or ""."""
    member: str
    problem: str
    why: str
    """"" where it breaks nobody."""


class SchemaComparison:
    """Of the schemas in two documents, which may refer to the components of theirs."""

    def __init__(self, old: dict[str, Any], new: dict[str, Any]) -> None:
        self._old = old.get("components", {}).get("schemas", {})
        self._new = new.get("components", {}).get("schemas", {})
        self._seen: set[tuple[str, str, str]] = set()

    def differences(self, old: Any, new: Any, path: Path, way: str) -> Iterator[Difference]:
        """way: `request` or `response`. Each pair of named schemas is looked at once for each way."""
        yield from self._compare(old, new, path, "", "", way)

    def _compare(self, old: Any, new: Any, path: Path, subject: str, member: str, way: str) -> Iterator[Difference]:
        (old, old_null), (new, new_null) = _without_null(old), _without_null(new)
        if old_null != new_null:
            if new_null:
                yield Difference(
                    "schema-null", path, subject, member, "it may be null now", _if(way == "response", "null may come")
                )
            else:
                why = _if(way == "request", "requests with null are refused")
                yield Difference("schema-null", path, subject, member, "it may no longer be null", why)
        if "default" in old or "default" in new:
            yield from _default(old, new, path, subject, member, way)
        names = old.get("$ref", ""), new.get("$ref", "")
        if any(names):
            if (*names, way) in self._seen:
                return
            self._seen.add((*names, way))
            if names[0]:
                subject, member = names[0].removeprefix(REF_PREFIX), ""
                path = ("components", "schemas", subject)
            old, new = self._old.get(subject, old), self._new.get(names[1].removeprefix(REF_PREFIX), new)
        yield from self._resolved(old, new, path, subject, member, way)

    def _resolved(self, old: Any, new: Any, path: Path, subject: str, member: str, way: str) -> Iterator[Difference]:
        was, is_ = _type(old), _type(new)
        if was != is_:
            why = "requests of before are refused" if way == "request" else "readers do not expect it"
            yield Difference("schema-type", path, subject, member, f"it was {was} and is {is_}", why)
            return
        yield from _enum(old, new, path, subject, member, way)
        if way == "request":
            yield from _constraints(old, new, path, subject, member)
        yield from self._members(old, new, path, subject, member, way)
        for keyword in ("items", "additionalProperties"):
            if isinstance(old.get(keyword), dict) and isinstance(new.get(keyword), dict):
                yield from self._compare(old[keyword], new[keyword], (*path, keyword), subject, f"{member}[]", way)
        yield from self._alternatives(old, new, path, subject, member, way)

    def _members(self, old: Any, new: Any, path: Path, subject: str, member: str, way: str) -> Iterator[Difference]:
        before, after = old.get("properties", {}), new.get("properties", {})
        required, was_required = set(new.get("required", ())), set(old.get("required", ()))
        for name, schema in before.items():
            at, what = (*path, "properties", name), f"{member}.{name}".removeprefix(".")
            if name not in after:
                why = "what clients send in it is ignored" if way == "request" else "readers find nothing"
                yield Difference("property-removed", at, subject, what, f"{name} is gone from the {way}", why)
                continue
            if way == "request" and name in required - was_required:
                why = "requests without it are refused"
                yield Difference("property-required", at, subject, what, f"{name} is required now", why)
            if way == "response" and name in was_required - required:
                yield Difference("property-required", at, subject, what, f"{name} is no longer required", "")
            yield from self._compare(schema, after[name], at, subject, what, way)
        for name in after:
            if name in before:
                continue
            what = f"{member}.{name}".removeprefix(".")
            if way == "request" and name in required:
                problem, why = f"{name} is new, and required", "requests without it are refused"
                yield Difference("property-required", path, subject, what, problem, why)
            else:
                yield Difference("property-added", path, subject, what, f"{name} is new in the {way}", "")

    def _alternatives(
        self, old: Any, new: Any, path: Path, subject: str, member: str, way: str
    ) -> Iterator[Difference]:
        for keyword in ("oneOf", "allOf"):
            before, after = old.get(keyword, []), new.get(keyword, [])
            names = [one.get("$ref", str(index)) for index, one in enumerate(after)]
            for index, one in enumerate(before):
                at, name = (*path, keyword, str(index)), one.get("$ref", str(index))
                if name in names:
                    yield from self._compare(one, after[names.index(name)], at, subject, member, way)
                else:
                    problem = f"{name.removeprefix(REF_PREFIX)} is gone"
                    why = _if(way == "request", "requests with it are refused")
                    yield Difference("alternative-removed", at, subject, member, problem, why)


def _default(old: Any, new: Any, path: Path, subject: str, member: str, way: str) -> Iterator[Difference]:
    was, is_ = old.get("default", "none"), new.get("default", "none")
    if was != is_:
        problem = f"its default was {was} and is {is_}"
        why = _if(way == "request", "who leaves it out gets something else")
        yield Difference("default-changed", (*path, "default"), subject, member, problem, why)


def _enum(old: Any, new: Any, path: Path, subject: str, member: str, way: str) -> Iterator[Difference]:
    before, after = old.get("enum", []), new.get("enum", [])
    for value in before:
        if value not in after:
            problem = f"the value {value} is gone"
            why = _if(way == "request", "requests with it are refused")
            yield Difference("enum-value-removed", (*path, "enum"), subject, member, problem, why)
    for value in after:
        if value not in before:
            yield Difference("enum-value-added", (*path, "enum"), subject, member, f"the value {value} is new", "")


def _constraints(old: Any, new: Any, path: Path, subject: str, member: str) -> Iterator[Difference]:
    for keyword in (*_LEAST, *_MOST, *_OTHER):
        was, is_ = old.get(keyword), new.get(keyword)
        if was == is_:
            continue
        sign = 1 if keyword in _LEAST else -1
        tighter = is_ is not None and (was is None or keyword in _OTHER or sign * (is_ - was) > 0)
        problem = f"{keyword} was {'none' if was is None else was} and is {'none' if is_ is None else is_}"
        why = _if(tighter, "some requests of before are refused")
        yield Difference("constraint-changed", (*path, keyword), subject, member, problem, why)


def _without_null(schema: Any) -> tuple[dict[str, Any], bool]:
    """A schema, and whether it takes null as well."""
    if isinstance(schema.get("type"), list) and "null" in schema["type"]:
        rest = [name for name in schema["type"] if name != "null"]
        return {**schema, "type": rest[0] if len(rest) == 1 else rest}, True
    alternatives = schema.get("anyOf", [])
    if {"type": "null"} in alternatives:
        (rest,) = [one for one in alternatives if one != {"type": "null"}]
        return {**schema, **rest}, True
    return schema, False


def _type(schema: Any) -> str:
    type_ = schema.get("type")
    if type_ is None:
        return "one of several" if "oneOf" in schema else "anything"
    return " or ".join(type_) if isinstance(type_, list) else str(type_)


def _if(breaks: bool, why: str) -> str:
    return why if breaks else ""
