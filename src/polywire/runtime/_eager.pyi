import asyncio
from collections.abc import Callable, Coroutine
from contextvars import ContextVar
from typing import Any

CURRENT_CALL: ContextVar[Any]

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
