"""Streams whose items come from elsewhere, and go to the caller without a step of its task."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from polywire.runtime.call import Call
    from polywire.runtime.runtime import Emit


class PushStream(AsyncIterator[Any], ABC):
    """An async iterator whose items `push` sends as they come, from the callback that brings them.

    A task that is woken for each item of each stream costs more than all the rest of the item's way. Interceptors
    that go through the items one by one still can: then it is iterated like any other.
    """

    @abstractmethod
    async def push(self, call: Call, emit: Emit, drained: Callable[[], Awaitable[None]]) -> None:
        """Send every item by `emit`, `Shared`, at any time; after a False nothing until `drained` has been awaited.

        Returns at the end of the stream, raises what it fails with. Cancelled, it sends nothing more.
        """
