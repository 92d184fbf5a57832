"""What a caller selects beneath a field: `call.selection`, so that a resolver fetches no more, or all of it at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

Arguments = Callable[[dict[str, Any]], dict[str, Any]]
"""From the variables: the arguments that a field is given."""


class Selected:
    """The fields selected beneath a field: what `call.selection` shows."""

    __slots__ = ("_arguments", "_fields", "_has_arguments", "_variables")

    def __init__(
        self,
        fields: dict[str, Selected],
        arguments: tuple[Arguments, ...] = (),
        variables: dict[str, Any] | None = None,
    ) -> None:
        self._fields = fields
        self._arguments = arguments
        self._variables = variables or {}
        self._has_arguments: bool = bool(arguments) or any(one._has_arguments for one in fields.values())

    def with_variables(self, variables: dict[str, Any]) -> Selected:
        """For one run of the query."""
        return Selected(self._fields, self._arguments, variables) if variables and self._has_arguments else self

    def merged(self, other: Selected) -> Selected:
        """What either of two has."""
        fields = dict(self._fields)
        for name, one in other._fields.items():
            known = fields.get(name)
            fields[name] = one if known is None else known.merged(one)
        return Selected(fields, self._arguments + other._arguments)

    @property
    def arguments(self) -> list[dict[str, Any]]:
        return [of(self._variables) for of in self._arguments]

    def get(self, name: str) -> Selected | None:
        one = self._fields.get(name)
        return None if one is None else one.with_variables(self._variables)

    def __contains__(self, name: object) -> bool:
        return name in self._fields

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def __getitem__(self, name: str) -> Selected:
        return self._fields[name].with_variables(self._variables)

    def __repr__(self) -> str:
        return f"{{{' '.join(name + (f' {sub!r}' if sub._fields else '') for name, sub in self._fields.items())}}}"
