from collections.abc import Callable
from typing import Any

def enveloped(message: bytes, flags: int = 0) -> bytes:
    """The message in its envelope. It is at most 2**32-1 bytes long."""

class EnvelopeSplitter:
    """Messages out of a stream of bytes, each as (flags, message).

    limit_bytes: of one message; a longer one is an error before any of it is kept.
    explain: makes the error, of what is wrong and a number: "flags", those that came; "length", the one announced;
    "end", how many bytes are left of a message that was cut off.
    allowed_flags: the bits that may be set.
    """

    error: Any
    """What is wrong with the bytes after the messages that were given; nothing more comes out then."""
    waiting: int
    """How many bytes are not split yet, because enough messages were given; `feed(b"")` goes on with them."""
    unfinished: int
    """How many bytes of a message that is not whole are kept."""
    is_clear: bool
    """Nothing waits, nothing is unfinished, nothing is wrong."""
    def __init__(
        self, limit_bytes: int, explain: Callable[[str, int], Exception], *, allowed_flags: int = 1
    ) -> None: ...
    def feed(self, data: bytes) -> list[tuple[int, bytes]]:
        """The messages that are complete now, at most 256."""
    def end(self) -> list[tuple[int, bytes]]:
        """No more bytes come: nothing is left to give, but `error` may be."""
