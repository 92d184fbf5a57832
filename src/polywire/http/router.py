"""Paths to targets: a tree of segments in which a literal beats a variable."""

from __future__ import annotations

from typing import Final, Generic, TypeVar
from urllib.parse import unquote_to_bytes

from polywire.errors import METHOD_NOT_ALLOWED, NO_ROUTE, MalformedInput, NotFound, RpcError, Unimplemented

T = TypeVar("T")
_NONE: Final[list[str]] = []
"""The values of no variables; nobody changes them."""


class _Node(Generic[T]):
    __slots__ = ("literals", "rest", "targets", "variable")

    def __init__(self) -> None:
        self.literals: dict[str, _Node[T]] = {}
        self.variable: _Node[T] | None = None
        self.rest: dict[str, T] | None = None
        self.targets: dict[str, T] = {}


class Router(Generic[T]):
    """Templates such as `/v1/users/{id}` and `/files/{path*}`, by HTTP method. Built at start-up, then only read."""

    def __init__(self) -> None:
        self._root: _Node[T] = _Node()
        # Two short cuts, by verb: paths without variables, and paths of which only the last segment is one.
        self._static: dict[str, dict[str, T]] = {}
        self._last: dict[str, dict[str, T]] = {}

    def add(self, verb: str, template: str, target: T) -> None:
        """Raises ValueError where the same verb and shape of path is there already."""
        node = self._root
        segments = template[1:].split("/")
        for segment in segments:
            if segment.startswith("{") and segment.endswith("*}"):
                if node.rest is None:
                    node.rest = {}
                _claim(node.rest, verb, template, target)
                return
            if segment.startswith("{"):
                if node.variable is None:
                    node.variable = _Node()
                node = node.variable
            else:
                node = node.literals.setdefault(segment, _Node())
        _claim(node.targets, verb, template, target)
        if "{" not in template:
            self._static.setdefault(verb, {})[template] = target
        else:
            head, _, last = template.rpartition("/")
            if "{" not in head and last.startswith("{"):
                self._last.setdefault(verb, {})[head] = target

    def match(self, verb: str, path: str) -> tuple[T, list[str]]:
        """The target and the values of its variables, percent-decoded, in order.

        Raises NotFound for an unknown path; Unimplemented (METHOD_NOT_ALLOWED, its metadata carrying `allow`) for a
        known path without that verb; MalformedInput for broken percent-encoding.
        """
        found = self.find(verb, path)
        if found is None:
            raise self._missing(verb, path)
        return found

    def find(self, verb: str, path: str) -> tuple[T, list[str]] | None:
        """As `match`; None where there is nothing."""
        if not path.startswith("/"):
            return None
        static = self._static.get(verb)
        if static is not None:
            found = static.get(path)
            if found is not None:
                return found, _NONE
        heads = self._last.get(verb)
        if heads is not None:
            head, _, last = path.rpartition("/")
            found = heads.get(head)
            if found is not None and last:
                return found, [_decode(last)]
        values: list[str] = []
        targets = _find(self._root, path[1:].split("/"), 0, values, verb)
        return None if targets is None else (targets[verb], values)

    def allowed(self, path: str) -> list[str]:
        """Every verb that the path answers, sorted, with HEAD and OPTIONS; [] for an unknown path."""
        verbs: set[str] = set()
        if not path.startswith("/"):
            return []
        _collect(self._root, path[1:].split("/"), 0, verbs)
        if not verbs:
            return []
        if "GET" in verbs:
            verbs.add("HEAD")
        return sorted(verbs | {"OPTIONS"})

    def _missing(self, verb: str, path: str) -> RpcError:
        allowed = self.allowed(path)
        if not allowed:
            return NotFound("there is nothing at this path", reason=NO_ROUTE)
        allow = ", ".join(allowed)
        return Unimplemented(
            f"{verb[:16]} is not allowed here; allowed are {allow}",
            reason=METHOD_NOT_ALLOWED,
            metadata={"allow": allow},
        )


def _claim(targets: dict[str, T], verb: str, template: str, target: T) -> None:
    if verb in targets:
        raise ValueError(f"{verb} {template} is taken already by a path of the same shape")
    targets[verb] = target


def _find(node: _Node[T], segments: list[str], index: int, values: list[str], verb: str) -> dict[str, T] | None:
    if index == len(segments):
        return node.targets if verb in node.targets else None
    segment = segments[index]
    child = node.literals.get(segment)
    if child is not None:
        found = _find(child, segments, index + 1, values, verb)
        if found is not None:
            return found
    if node.variable is not None and segment:
        values.append(_decode(segment))
        found = _find(node.variable, segments, index + 1, values, verb)
        if found is not None:
            return found
        values.pop()
    if node.rest is not None and verb in node.rest:
        values.append(_decode("/".join(segments[index:])))
        return node.rest
    return None


def _collect(node: _Node[T], segments: list[str], index: int, verbs: set[str]) -> None:
    if node.rest is not None and index < len(segments):
        verbs.update(node.rest)
    if index == len(segments):
        verbs.update(node.targets)
        return
    child = node.literals.get(segments[index])
    if child is not None:
        _collect(child, segments, index + 1, verbs)
    if node.variable is not None and segments[index]:
        _collect(node.variable, segments, index + 1, verbs)


def _decode(segment: str) -> str:
    if "%" not in segment and segment.isascii():
        return segment
    try:
        return unquote_to_bytes(segment.encode("latin-1")).decode()
    except UnicodeDecodeError:
        raise MalformedInput("the path is not valid UTF-8") from None
