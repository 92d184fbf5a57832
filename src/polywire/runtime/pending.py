"""How much of messages that are not whole yet a process keeps."""

from __future__ import annotations

from polywire.errors import OVERLOADED, Unavailable


class PendingBytes:
    """One budget for all calls of a process: of the bytes that were taken from their callers and are no message yet.

    Each call is bounded by `max_request_bytes`; this bounds what many calls together take that never end a message.
    Whoever holds bytes releases as many, however its call ends.
    """

    __slots__ = ("held_bytes", "limit_bytes")

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self.held_bytes = 0

    def hold(self, count_bytes: int) -> None:
        """Take more of the budget. Raises Unavailable (OVERLOADED), having taken nothing, where it is used up."""
        if self.held_bytes + count_bytes > self.limit_bytes:
            raise Unavailable("the server holds too many unfinished messages", reason=OVERLOADED)
        self.held_bytes += count_bytes

    def release(self, count_bytes: int) -> None:
        """Give back what was held."""
        self.held_bytes -= count_bytes
