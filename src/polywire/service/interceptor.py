"""The shape of an interceptor; typing only."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

if TYPE_CHECKING:
    from polywire.runtime.call import Call

Invoke: TypeAlias = "Callable[[Call], Awaitable[Any]]"
"""Goes on with a call; gives its result, an async iterator where the method streams."""


class Interceptor(Protocol):
    """Stands around calls: looks at them, refuses them, changes what they give."""

    async def __call__(self, call: Call, proceed: Invoke) -> Any:
        """Returns `await proceed(call)`, or something of its own; raises an `RpcError` to refuse."""
        ...
