from collections.abc import Awaitable
from typing import Any, Self

class RawSocket:
    _session: Any
    def _begin(self, session: Any, ws: Any, mailbox: Any) -> None: ...
    def __aiter__(self) -> Self: ...
    def __anext__(self) -> Awaitable[str | bytes]: ...
    def send(self, message: str | bytes) -> Awaitable[None]:
        """Queue a message at once, as text or as bytes; awaited, it waits while the peer takes less than is sent.

        Who never awaits it is not held up, and the queue grows. Awaited, it raises SocketClosed where the socket is
        closed. Raises TypeError for what is neither text nor bytes. Cancelled, the message goes out all the same.
        """
