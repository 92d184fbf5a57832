"""What a client says once for a connection, where it cannot set header fields: browsers cannot, on a WebSocket."""

from __future__ import annotations

from typing import Any

import msgspec

from polywire.codec.text import bytes_from_text
from polywire.errors import MalformedInput
from polywire.runtime.metadata import Metadata

_MOST = 100
"""Parameters of one connection."""


class WithParameters:
    """Received metadata: that of the request, and where it has no such name the connection's parameters.

    So what looks at `call.metadata.get("authorization")` need not know how it came.
    """

    __slots__ = ("_metadata", "_parameters")

    def __init__(self, metadata: Metadata, parameters: dict[str, str]) -> None:
        """parameters: by names in lower case."""
        self._metadata = metadata
        self._parameters = parameters

    def get(self, name: str, default: str | None = None) -> str | None:
        value = self._metadata.get(name)
        return self._parameters.get(name.lower(), default) if value is None else value

    def get_all(self, name: str) -> list[str]:
        values = self._metadata.get_all(name)
        if not values and name.lower() in self._parameters:
            return [self._parameters[name.lower()]]
        return values

    def get_binary(self, name: str) -> list[bytes]:
        return self._metadata.get_binary(name)

    def items(self) -> list[tuple[str, str]]:
        given = [(name, value) for name, value in self._parameters.items() if name not in self._metadata]
        return [*self._metadata.items(), *given]

    def __contains__(self, name: str) -> bool:
        return name in self._metadata or name.lower() in self._parameters


class WithOwn:
    """The metadata of one message on a connection, and where it has no such name that of the connection."""

    __slots__ = ("_metadata", "_own")

    def __init__(self, metadata: Metadata, own: dict[str, str]) -> None:
        """own: by names in lower case."""
        self._metadata = metadata
        self._own = own

    def get(self, name: str, default: str | None = None) -> str | None:
        value = self._own.get(name.lower())
        return self._metadata.get(name, default) if value is None else value

    def get_all(self, name: str) -> list[str]:
        value = self._own.get(name.lower())
        return self._metadata.get_all(name) if value is None else [value]

    def get_binary(self, name: str) -> list[bytes]:
        value = self._own.get(name.lower())
        if value is None:
            return self._metadata.get_binary(name)
        try:
            return [bytes_from_text(value)]
        except ValueError:
            return []

    def items(self) -> list[tuple[str, str]]:
        inherited = [(name, value) for name, value in self._metadata.items() if name not in self._own]
        return [*self._own.items(), *inherited]

    def __contains__(self, name: str) -> bool:
        return name.lower() in self._own or name in self._metadata


def with_own(metadata: Metadata, told: dict[str, str] | None) -> Metadata:
    """`told`: of one message; None for none. Raises MalformedInput for too many."""
    if not told:
        return metadata
    if len(told) > _MOST:
        raise MalformedInput(f"metadata has at most {_MOST} names")
    return WithOwn(metadata, {name.lower(): value for name, value in told.items()})


def with_parameters(metadata: Metadata, told: Any) -> Metadata:
    """`told`, as it was decoded from JSON: an object, of which the texts count; None for none.

    Raises MalformedInput for anything else, and for too many.
    """
    if told is None:
        return metadata
    if not isinstance(told, dict) or len(told) > _MOST:
        raise MalformedInput(f"connection parameters are an object of at most {_MOST} texts")
    return WithParameters(metadata, {name.lower(): value for name, value in told.items() if isinstance(value, str)})


def parameters_from_text(metadata: Metadata, text: str | None) -> Metadata:
    """As `with_parameters`, of JSON."""
    if text is None:
        return metadata
    try:
        told = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        raise MalformedInput("the connection parameters are not JSON") from None
    return with_parameters(metadata, told)
