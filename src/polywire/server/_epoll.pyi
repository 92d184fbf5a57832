import asyncio
from typing import Any, Final

EPOLL: Final[bool]
"""Whether there is one here."""

class Receiver: ...

class Poller:
    """The sockets of one loop. Raises OSError where there is no epoll, or no descriptor left for one."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None: ...
    def close(self) -> None:
        """Close every socket that is still open."""
    def turn(self) -> None:
        """Read and write what can be, of a bounded number of sockets; epoll lets others come first the next time."""

class SocketTransport(asyncio.Transport):
    """What `asyncio.Transport` is (though no subclass), of a stream socket that is connected; owns its descriptor."""

    def __init__(self, poller: Poller, fd: int, protocol: Any) -> None:
        """Raises OSError; the descriptor is still the caller's then."""
