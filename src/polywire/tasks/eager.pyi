import asyncio
from collections.abc import Callable, Coroutine, Generator
from contextvars import ContextVar
from typing import Any, Final

CURRENT_CALL: ContextVar[Any]
PENDING: Final[Any]

class EagerRunner:
    loop: asyncio.AbstractEventLoop
    def __init__(self, loop: asyncio.AbstractEventLoop) -> None: ...
    def start(
        self,
        coro: Coroutine[Any, Any, Any],
        call: Any,
        finish: Callable[[Any, Any, BaseException | None], None],
    ) -> bool: ...
    def close(self) -> None: ...

class Waiter:
    def __init__(self, loop: asyncio.AbstractEventLoop) -> None: ...
    def __await__(self) -> Generator[Any]: ...
    def done(self) -> bool:
        """Nobody waits."""

    def wake(self) -> int: ...

class Feed:
    def __init__(self, pull: Callable[[], Any], news: Callable[[], Waiter]) -> None: ...
    def __await__(self) -> Generator[Any, None, Any]: ...
