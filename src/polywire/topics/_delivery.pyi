from collections.abc import Sequence
from typing import Any

from polywire.runtime._outlet import SharedBatch, SharedOutlet
from polywire.topics.broker import Deliver, Publication

class Listener:
    """One subscriber, and how far it has been told."""

    def __init__(self, deliver: Deliver, order: int) -> None: ...
    def take(self, batch: tuple[Publication, ...], /) -> None:
        """Deliver what of the batch is new to this one."""
    def close(self) -> bool:
        """Deliver nothing more; whether it was open."""

class PatternListener(Listener):
    """One subscriber of many topics: it has no place in any of them."""

class LastBatch:
    def convert(self, batch: Sequence[Publication]) -> SharedBatch: ...

class Delivery:
    _emit: Any
    _outlet: SharedOutlet | None
    _call: Any
    _conversion: Any
    _last: str
    def deliver(self, batch: Sequence[Publication]) -> None:
        """Called by the broker."""

def tell(receivers: list[Any], at: int, most: int, batch: tuple[Publication, ...]) -> int:
    """Tell `most` receivers of a batch, from the one at `at` on; the place of the next one. Failures are logged."""
