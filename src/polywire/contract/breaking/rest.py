"""What has changed between two OpenAPI documents as `openapi.openapi` writes them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from polywire.contract.breaking.changes import REST, Change
from polywire.contract.breaking.json_places import JsonPlaces, Path
from polywire.contract.breaking.json_schema import SchemaComparison

_VERBS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
_Operations = dict[tuple[str, str], tuple[Path, dict[str, Any]]]


def rest_changes(old: dict[str, Any], new: dict[str, Any], places: JsonPlaces, file: str) -> list[Change]:
    """Every difference that callers of REST see, each once. places: of the old text, which is called `file`."""
    found = _Comparison(old, new, places, file).changes()
    return list({(change.place, change.problem): change for change in found}.values())


class _Comparison:
    def __init__(self, old: dict[str, Any], new: dict[str, Any], places: JsonPlaces, file: str) -> None:
        self._old = _operations(old)
        self._new = _operations(new)
        self._places = places
        self._file = file
        self._schemas = SchemaComparison(old, new)

    def changes(self) -> Iterator[Change]:
        for key, (path, before) in self._old.items():
            subject = f"{path[2].upper()} {path[1]}"
            found = self._new.get(key)
            if found is None:
                why = "the path is not found, or does not know the verb"
                yield self._change("route-removed", path, subject, f"the route {subject} is gone", why)
            else:
                yield from self._operation(path, before, found[1], subject)
        for key, (path, _) in self._new.items():
            if key not in self._old:
                subject = f"{path[2].upper()} {path[1]}"
                yield self._change("route-added", path[:2], subject, f"the route {subject} is new", "")

    def _operation(self, path: Path, old: dict[str, Any], new: dict[str, Any], subject: str) -> Iterator[Change]:
        yield from self._parameters(path, old, new, subject)
        yield from self._body(path, old.get("requestBody"), new.get("requestBody"), subject)
        was, is_ = _success(old), _success(new)
        if was != is_:
            at = (*path, "responses", was)
            yield self._change(
                "status-changed", at, subject, f"its status was {was} and is {is_}", "clients look at the status"
            )
        before, after = _content(old["responses"].get(was)), _content(new["responses"].get(is_))
        yield from self._media((*path, "responses", was), before, after, subject, "response")

    def _parameters(self, path: Path, old: dict[str, Any], new: dict[str, Any], subject: str) -> Iterator[Change]:
        before = {_key(one, index): one for index, one in enumerate(old.get("parameters", []))}
        after = {_key(one, index): one for index, one in enumerate(new.get("parameters", []))}
        for index, (key, one) in enumerate(before.items()):
            at, what = (*path, "parameters", str(index)), f"{subject} ?{one['name']}"
            found = after.get(key)
            if found is None:
                problem = f"the parameter {one['name']} is gone"
                yield self._change("parameter-removed", at, what, problem, "what clients send in it is ignored")
                continue
            if found.get("required") and not one.get("required"):
                problem = f"the parameter {one['name']} is required now"
                yield self._change("parameter-required", at, what, problem, "requests without it are refused")
            yield from self._schema((*at, "schema"), _schema_of(one), _schema_of(found), what, "request")
        for key, one in after.items():
            if key not in before:
                what, name = f"{subject} ?{one['name']}", one["name"]
                if one.get("required"):
                    problem = f"the parameter {name} is new, and required"
                    yield self._change("parameter-required", path, what, problem, "requests without it are refused")
                else:
                    yield self._change("parameter-added", path, what, f"the parameter {name} is new", "")

    def _body(self, path: Path, old: Any, new: Any, subject: str) -> Iterator[Change]:
        at = (*path, "requestBody")
        if new and new.get("required") and not (old and old.get("required")):
            yield self._change("body-required", at, subject, "it needs a body now", "requests without one are refused")
        elif old and not new:
            yield self._change("body-removed", at, subject, "it takes no body any more", "what clients send is ignored")
        yield from self._media(at, _content(old), _content(new), subject, "request")

    def _media(self, path: Path, old: dict[str, Any], new: dict[str, Any], subject: str, way: str) -> Iterator[Change]:
        for media, before in old.items():
            at = (*path, "content", media)
            if media not in new:
                if new:
                    problem = f"its {way} is {', '.join(new)} and no longer {media}"
                    why = "clients send another form" if way == "request" else "clients read another form"
                    yield self._change("media-type-removed", at, subject, problem, why)
                continue
            schemas = before.get("schema", {}), new[media].get("schema", {})
            yield from self._schema((*at, "schema"), *schemas, subject, way)

    def _schema(self, path: Path, old: Any, new: Any, subject: str, way: str) -> Iterator[Change]:
        for one in self._schemas.differences(old, new, path, way):
            about = ".".join(part for part in (one.subject or subject, one.member) if part)
            yield self._change(one.rule, one.path, about, one.problem, one.why)

    def _change(self, rule: str, path: Path, subject: str, problem: str, why: str) -> Change:
        place = f"{self._file}:{self._places.of(path)}"
        return Change(rule, place, subject, problem, {REST: why} if why else {})


def _operations(document: dict[str, Any]) -> _Operations:
    """By verb and path; the names of parameters make no other path."""
    return {
        (verb, re.sub(r"\{[^}]*\}", "{}", path)): (("paths", path, verb), item[verb])
        for path, item in document.get("paths", {}).items()
        for verb in _VERBS
        if verb in item
    }


def _key(parameter: dict[str, Any], index: int) -> tuple[str, str]:
    """A parameter of the path goes by where it stands."""
    return parameter["in"], str(index) if parameter["in"] == "path" else parameter["name"]


def _schema_of(parameter: dict[str, Any]) -> Any:
    if "schema" in parameter:
        return parameter["schema"]
    return next((media.get("schema", {}) for media in _content(parameter).values()), {})


def _content(part: Any) -> dict[str, Any]:
    content: dict[str, Any] = (part or {}).get("content", {})
    return content


def _success(operation: dict[str, Any]) -> str:
    return next((status for status in operation["responses"] if status.startswith("2")), "200")
