"""What travels beside a message: request headers and gRPC metadata in, response headers and trailers out."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from typing import Protocol


class Metadata(Protocol):
    """Received metadata: a multi-map of names in any case to text. Read-only; `wire.Headers` is one."""

    def get(self, name: str, default: str | None = None) -> str | None:
        """The text value; repeated ones joined by ", "."""

    def get_all(self, name: str) -> list[str]:
        """Every value, in order."""

    def get_binary(self, name: str) -> list[bytes]:
        """The values of a `-bin` name, decoded; one that is not base64 is left out."""

    def items(self) -> list[tuple[str, str]]:
        """(lower-case name, value) of each value."""

    def __contains__(self, name: str) -> bool: ...


class MutableMetadata:
    """Metadata to send: pairs in order, names lower-case; bytes for names that end in `-bin`, text for all others."""

    __slots__ = ("_pairs",)

    def __init__(self, pairs: Iterable[tuple[str, str | bytes]] = ()) -> None:
        self._pairs: list[tuple[str, str | bytes]] = []
        for name, value in pairs:
            self.add(name, value)

    def add(self, name: str, value: str | bytes) -> None:
        """Append a pair. Raises ValueError for bytes without `-bin`, text with it, and names and text HTTP refuses."""
        name = name.lower()
        if name.endswith("-bin") != isinstance(value, bytes):
            raise ValueError(f"metadata {name!r}: bytes go with names that end in -bin, text with all others")
        if not name or name.startswith(_RESERVED) or not set(name) <= _TOKEN or name in _FRAMING:
            raise ValueError(f"{name!r} is not a name for metadata")
        if isinstance(value, str) and not all(" " <= character <= "~" for character in value):
            raise ValueError(f"metadata {name!r}: text must be printable ASCII")
        self._pairs.append((name, value))

    def wire_items(self) -> tuple[tuple[bytes, bytes], ...]:
        """(name, value) as they stand on the wire, binary values in base64 without padding."""
        return tuple(
            (name.encode(), base64.b64encode(value).rstrip(b"=") if isinstance(value, bytes) else value.encode())
            for name, value in self._pairs
        )

    def items(self) -> list[tuple[str, str | bytes]]:
        return list(self._pairs)

    def __len__(self) -> int:
        return len(self._pairs)


_TOKEN = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-_.")
_FRAMING = frozenset(
    {
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "host",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
"""Written by the protocols and engines alone: metadata copied from a request must not frame the answer."""
_RESERVED = ("connect-", "grpc-")
"""Names that begin so are the protocols' own."""
_OF_THE_HOP = frozenset({"alt-svc", "date", "server", "vary", "via", "x-request-id"})
_STATUS = frozenset({"grpc-message", "grpc-status", "grpc-status-details-bin"})


def told_beside(fields: Metadata) -> dict[str, str]:
    """What a service has sent beside an error of its own accord, out of all fields of its answer.

    Without those that each hop writes anew: they would come twice where a handler lets an error of its client pass.
    """
    return {
        name: fields.get(name) or ""
        for name in sorted({name for name, _ in fields.items()})
        if name not in _FRAMING and name not in _OF_THE_HOP and not name.startswith(("content-", *_RESERVED))
    }


def error_pairs(metadata: Mapping[str, str] | None) -> list[tuple[str, str]]:
    """The metadata of an `RpcError` as fields to send: names in lower case, as HTTP/2 has them (RFC 9113 §8.2.1).

    Raises ValueError for the names of fields that frame the answer or carry its status.
    """
    pairs = [(name.lower(), value) for name, value in (metadata or {}).items()]
    for name, _ in pairs:
        if name in _FRAMING or name in _STATUS:
            raise ValueError(f"{name!r} is not a name for an error's metadata")
    return pairs
