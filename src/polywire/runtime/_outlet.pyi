from collections.abc import Callable, Hashable
from typing import Any

from polywire.shared import Shared

class SharedBatch:
    items: list[tuple[Shared, str | None]]
    count: int
    last_id: str | None
    def __init__(self, items: list[tuple[Shared, str | None]]) -> None: ...

class SharedOutlet:
    key: Hashable | None
    encode: Callable[[SharedBatch], bytes]
    write: Callable[[bytes], bool]
    credit: int
    is_over: bool
    moved: int
    def send(self, batch: SharedBatch) -> bool | None:
        """Send all of a batch; False: await `drained` before more. None: it could not be sent, and nothing was."""

class ExchangeOutlet(SharedOutlet):
    """A reader whose batches are parts of an answer's body, of which it takes any number."""

    def __init__(self, exchange: Any, encode: Callable[[SharedBatch], bytes]) -> None: ...
