"""When the messages go out that a control socket asks for; the same for all who take part."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from time import monotonic_ns

LENGTH = 240
"""Of a message as bytes of text: what an event of polywire's topic has."""


async def paced(order: str) -> AsyncIterator[None]:
    """order: "COUNT PER_SECOND". Once for each message, in time; at once where PER_SECOND is 0."""
    count, per_second = map(int, order.split())
    loop = asyncio.get_running_loop()
    started = loop.time()
    for number in range(count):
        if per_second:
            await asyncio.sleep(max(0.0, started + number / per_second - loop.time()))
        yield


def message(number: int) -> str:
    """Numbered, with the time in nanoseconds, and as long as polywire's."""
    return f"#{number:010d}@{monotonic_ns():019d}#".ljust(LENGTH, ".")
