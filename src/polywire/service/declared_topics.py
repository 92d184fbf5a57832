"""What an app knows of topics: that they become services by a broker."""

from __future__ import annotations

from typing import Any, Protocol

from polywire.service.service import Service


class BrokerLife(Protocol):
    """What an app does with a broker: it starts and ends with it."""

    @property
    def shared(self) -> bool:
        """Whether several processes can have it."""

    async def start(self) -> None: ...

    async def stop(self) -> None: ...


class DeclaredTopic(Protocol):
    """A `Topic`."""

    def default_broker(self) -> BrokerLife: ...

    def bind(self, broker: Any, /) -> Service:
        """Publish by it from now on; the service by which callers reach the topic."""
