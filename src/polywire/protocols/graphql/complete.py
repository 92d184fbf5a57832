"""Makes the answer of what was resolved, with every error in its place (GraphQL §6.4.3, §6.4.4).

This is the careful way, taken where something went wrong; `fast` makes the same of results that are as they must be.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec import UNSET

from polywire.errors import Internal, RpcError
from polywire.protocols.graphql.execution import Failed, Results
from polywire.protocols.graphql.leaves import WrongValue
from polywire.protocols.graphql.nodes import Attribute, Entry, Introspected, Node, Output, Resolved, TypeName, child_of

Path = tuple[str | int, ...]
Report = Callable[[RpcError | WrongValue, Path, Entry], None]


class _Null(Exception):
    """A value that may not be null is: the nearest one around it that may be, is instead."""


class Completion:
    """One answer. results: of each slot.

    report: told of each error, its path and the field it is of.
    """

    def __init__(self, results: list[Results], report: Report) -> None:
        self._results = results
        self._report = report

    def data(self, root: Node) -> dict[str, Any] | None:
        try:
            return self._object(root, None, ())
        except _Null:
            return None

    def _object(self, node: Node, value: Any, path: Path) -> dict[str, Any]:
        shown: dict[str, Any] = {}
        null: _Null | None = None
        for entry in node.entries:
            # To the end even where a part is null: every error is told.
            try:
                shown[entry.key] = self._entry(entry, value, (*path, entry.key))
            except _Null as found:
                null = found
        if null is not None:
            raise null
        return shown

    def _entry(self, entry: Entry, value: Any, path: Path) -> Any:
        if isinstance(entry, TypeName):
            return entry.name
        if isinstance(entry, Introspected):
            return self._results[entry.slot].find(value)
        if isinstance(entry, Resolved):
            return self._resolved(entry, value, path)
        assert isinstance(entry, Attribute)
        return self._value(entry.output, getattr(value, entry.attribute, None), path, entry)

    def _resolved(self, entry: Resolved, parent: Any, path: Path) -> Any:
        try:
            value = self._results[entry.slot].find(parent)
        except WrongValue as error:
            value = Failed(error)
        return self._value(entry.output, value, path, entry)

    def _value(self, output: Output, value: Any, path: Path, entry: Entry) -> Any:
        try:
            if isinstance(value, Failed):
                raise value.error
            if (value is None and output.takes_none) or (value is UNSET and output.takes_unset):
                return None
            if output.check is not None:
                output.check(value)
            if output.is_list:
                return self._list(output, value, path, entry)
            return self._single(output, value, path)
        except _Null:
            pass
        except (RpcError, WrongValue) as error:
            self._report(error, path, entry)
        except Exception as error:
            self._report(WrongValue(f"{type(error).__name__}: {error}"), path, entry)
        if output.nullable:
            return None
        raise _Null

    def _list(self, output: Output, value: Any, path: Path, entry: Entry) -> list[Any]:
        if type(value) is not list:
            raise WrongValue(f"expected list, got {type(value).__name__}")
        shown = []
        null = False
        for index, item in enumerate(value):
            place = (*path, index)
            try:
                shown.append(self._single(output, item, place))
            except (RpcError, WrongValue) as error:
                self._report(error, place, entry)
                null = True
            except _Null:
                null = True
        if null:
            raise _Null
        return shown

    def _single(self, output: Output, value: Any, path: Path) -> Any:
        if output.leaf is not None:
            return output.leaf(value)
        child = child_of(output, value)
        if child is None:
            expected = " or ".join(cls.__name__ for cls in output.children)
            raise WrongValue(f"expected {expected}, got {type(value).__name__}")
        return self._object(child, value, path)


def told(error: RpcError | WrongValue) -> RpcError:
    """What the caller is told of it."""
    return error if isinstance(error, RpcError) else Internal("internal error")
