"""`Tracked`: an item of a stream with its position, from which a caller that was cut off goes on."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Tracked(Generic[T]):
    """One item of a stream and its position: yield them from `AsyncIterator[Tracked[Price]]`.

    id: what `call.resume_after` gives back when the caller returns: `Last-Event-ID` over SSE (WHATWG HTML §9.2).
    One line of printable text without blanks around it, for it comes back in a header field; not empty and not starting
    with `:`, which is polywire's own. Protocols that have no place for it send the value alone.

    Raises ValueError for an id that cannot be sent.
    """

    __slots__ = ("id", "value")

    def __init__(self, id: str, value: T) -> None:
        if type(id) is not str or not id or id[0] == ":" or not id.isprintable() or id[0] == " " or id[-1] == " ":
            raise ValueError(
                f"{id!r} is no position: it must be one line of printable text, not empty, without blanks around it, "
                "and not start with ':'"
            )
        self.id = id
        self.value = value

    def __repr__(self) -> str:
        return f"Tracked({self.id!r}, {self.value!r})"

    def __eq__(self, other: Any) -> bool:
        return isinstance(other, Tracked) and (self.id, self.value) == (other.id, other.value)

    __hash__ = None  # type: ignore[assignment]
