"""What travels beside a message: request headers and gRPC metadata in, response headers and trailers out."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Mapping
from typing import Protocol


class HeaderSource(Protocol):
    """Received fields: `wire.Headers`, or any other multi-map of text."""

    def get(self, name: str, default: str | None = None) -> str | None: ...
    def get_all(self, name: str) -> list[str]: ...
    def items(self) -> list[tuple[str, str]]: ...


class Metadata:
    """Received metadata: lower-case names to text, and for names that end in `-bin` to bytes. Read-only."""

    __slots__ = ("_source",)

    def __init__(self, source: HeaderSource) -> None:
        self._source = source

    def get(self, name: str, default: str | None = None) -> str | None:
        """The text value; repeated ones joined by ", "."""
        value = self._source.get(name)
        return self._source.get(name.lower(), default) if value is None else value

    def get_all(self, name: str) -> list[str]:
        return self._source.get_all(name.lower())

    def get_binary(self, name: str) -> list[bytes]:
        """The values of a `-bin` field: split at commas, then decoded, padding or not (gRPC over HTTP/2, Requests).

        A value that is not base64 is left out.
        """
        values = []
        for line in self._source.get_all(name.lower()):
            for part in line.split(","):
                text = part.strip()
                try:
                    values.append(base64.b64decode(text + "=" * (-len(text) % 4), validate=True))
                except (binascii.Error, ValueError):
                    continue
        return values

    def items(self) -> list[tuple[str, str]]:
        return self._source.items()

    def __contains__(self, name: str) -> bool:
        return bool(self._source.get_all(name.lower()))

    def __repr__(self) -> str:
        # Names only: values may be credentials.
        return f"Metadata({sorted({name for name, _ in self.items()})})"


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
        if not name or name.startswith((":", "grpc-")) or not set(name) <= _TOKEN or name in _FRAMING:
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


def error_pairs(metadata: Mapping[str, str] | None) -> list[tuple[str, str]]:
    """The metadata of an `RpcError` as fields to send: names in lower case, as HTTP/2 has them (RFC 9113 §8.2.1)."""
    return [(name.lower(), value) for name, value in (metadata or {}).items()]
