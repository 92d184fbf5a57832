"""What a caller may say beside the arguments, for a block of calls: time, metadata, compression, patience."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Literal

from polywire.runtime.metadata import Metadata, MutableMetadata
from polywire.wire.headers import Headers

Pairs = tuple[tuple[bytes, bytes], ...]
MetadataLike = Mapping[str, str | bytes] | Iterable[tuple[str, str | bytes]]
"""Text by name; bytes where the name ends in `-bin`."""
Compression = Literal["gzip", "identity"]

_MOST_S = 1e8


class Received:
    """What came beside the answer of the last call in a block of `call_options`; empty before it came."""

    __slots__ = ("metadata", "trailers")

    def __init__(self) -> None:
        self.metadata: Metadata = Headers()
        """Sent before the answer."""
        self.trailers: Metadata = Headers()
        """Sent after it, with gRPC's own fields."""


@dataclass(frozen=True, slots=True)
class CallOptions:
    """What is None was not said; the next wider options decide."""

    timeout_s: float | None = None
    metadata: Pairs = ()
    compression: Compression | None = None
    wait_for_ready: bool | None = None
    received: Received | None = None

    def over(self, wider: CallOptions) -> CallOptions:
        """These, and where they say nothing the wider ones; metadata of both."""
        return CallOptions(
            wider.timeout_s if self.timeout_s is None else self.timeout_s,
            wider.metadata + self.metadata,
            wider.compression if self.compression is None else self.compression,
            wider.wait_for_ready if self.wait_for_ready is None else self.wait_for_ready,
            wider.received if self.received is None else self.received,
        )


def make_options(
    timeout_s: float | None,
    metadata: MetadataLike | None,
    compression: Compression | None,
    wait_for_ready: bool | None,
    received: Received | None = None,
) -> CallOptions:
    """Raises ValueError for a time-out below 0 or above three years, and for what gRPC cannot send."""
    if timeout_s is not None and not 0 <= timeout_s <= _MOST_S:
        raise ValueError(f"timeout_s must be from 0 to {_MOST_S:.0f}, not {timeout_s}")
    if compression not in (None, "gzip", "identity"):
        raise ValueError(f"compression {compression!r} is neither 'gzip' nor 'identity'")
    pairs = metadata.items() if isinstance(metadata, Mapping) else metadata or ()
    return CallOptions(timeout_s, MutableMetadata(pairs).wire_items(), compression, wait_for_ready, received)


_HERE: ContextVar[CallOptions | None] = ContextVar("polywire_call_options", default=None)


@contextmanager
def call_options(
    *,
    timeout_s: float | None = None,
    metadata: MetadataLike | None = None,
    compression: Compression | None = None,
    wait_for_ready: bool | None = None,
) -> Iterator[Received]:
    """Options of the calls made within the block, also by tasks started there: `with call_options(...) as got:`.

    timeout_s: how long each call may take, in seconds; a call that runs within another one gets no more than what is
        left of that.
    metadata: sent with each call, after that of wider blocks.
    compression: of messages from 1 KiB on; "gzip" needs a server that takes it.
    wait_for_ready: True: where the server cannot be reached, keep trying until the deadline instead of UNAVAILABLE.

    None: as the wider block, the client or the channel says. Gives what came beside the answer of the last call.
    Raises ValueError as for metadata that cannot be sent.
    """
    received = Received()
    options = make_options(timeout_s, metadata, compression, wait_for_ready, received)
    wider = _HERE.get()
    token = _HERE.set(options if wider is None else options.over(wider))
    try:
        yield received
    finally:
        _HERE.reset(token)


def options_here(defaults: CallOptions) -> CallOptions:
    """The options of a call that is made now, by a client with these defaults."""
    here = _HERE.get()
    return defaults if here is None else here.over(defaults)
