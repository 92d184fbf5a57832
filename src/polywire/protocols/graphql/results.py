# cython: annotation_typing=False
"""What calls gave for the objects that they were made for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from polywire.errors import RpcError
from polywire.protocols.graphql.leaves import WrongValue

if TYPE_CHECKING:
    from polywire.protocols.graphql.nodes import Output


class Slow(Exception):
    """Something is null or wrong where it may not be: `complete` knows where."""


class Failed:
    """What a call gave that gave no value."""

    __slots__ = ("error",)

    def __init__(self, error: RpcError | WrongValue) -> None:
        self.error = error


class Results:
    """Of one field, for the objects at one place of the query.

    The answer is made after others have run, who may have changed a list that a method gave: a result goes to the
    object that it was made for, or to none.
    """

    __slots__ = ("_by_id", "_objects", "_place", "left", "output", "values")

    def __init__(self, objects: list[Any], values: list[Any], output: Output | None = None) -> None:
        self._objects = objects
        self.values = values
        self.output = output
        """Of the field, where its calls give one value each."""
        self.left = len(values)
        """How many of those calls have not ended."""
        self._place = 0
        self._by_id: dict[int, Any] | None = None

    def take(self, one: Any) -> Any:
        """The next result, which must be of `one`. Raises Slow."""
        place = self._place
        if place == len(self._objects) or self._objects[place] is not one:
            raise Slow
        self._place = place + 1
        return self.values[place]

    def find(self, one: Any) -> Any:
        """The result of `one`, wherever it stands. Raises WrongValue."""
        if self._by_id is None:
            # The objects are kept, so that no other has the id of one.
            self._by_id = {id(each): value for each, value in zip(self._objects, self.values, strict=True)}
        if id(one) not in self._by_id:
            raise WrongValue("an object has come into a list while its fields were resolved")
        return self._by_id[id(one)]


NOTHING = Results([], [])
"""Of a field that no object has asked for."""
