from collections.abc import Callable
from typing import Any

from polywire.wire.headers import HeaderBlock, Headers
from polywire.wire.http1 import Http1Request
from polywire.wire.sink import Receiver

class Tunnel:
    """The connection of one request, `Sink` for the layer above and engine for the driver. Made by its request only.

    Credit is given back by `grant`: while `max_buffered_body_bytes` and more were not taken, nothing more is read.
    """

    # What the layer above sees.

    method: str
    scheme: str
    authority: str
    target: str
    version: str
    tunnel: str | None
    headers: Headers
    trailers: Headers | None
    has_body: bool
    content_length: int
    ended: bool
    closed: bool
    buffered_in_bytes: int
    buffered_out_bytes: int
    receiver: Receiver | None
    body_timed: bool
    def __init__(self, request: Http1Request, most_held: int, high_water: int) -> None: ...
    def take(self) -> bytes: ...
    def grant(self, count_bytes: int) -> None: ...
    def respond(
        self,
        status: int,
        block: HeaderBlock,
        body: bytes,
        extra: tuple[tuple[bytes, bytes], ...] = (),
        trailers: HeaderBlock | None = None,
    ) -> None:
        """Raises RuntimeError: it has been answered."""
    def send_head(self, status: int, block: HeaderBlock, extra: tuple[tuple[bytes, bytes], ...] = ()) -> Tunnel:
        """Raises RuntimeError: it has been answered."""
    def send_data(self, data: bytes) -> bool: ...
    def send_end(self, trailers: HeaderBlock | None = None) -> None: ...
    def reset(self, code: int) -> None: ...

    # What the driver sees.

    on_output: Callable[[], None] | None
    on_refused: Callable[[Any, int, int], None] | None
    last_activity_marker: int
    successor: None
    want_close: bool
    want_eof: bool
    want_read: bool
    open_requests: int
    awaiting_head: bool
    awaiting_body: bool
    def receive_data(self, data: bytes) -> None: ...
    def receive_eof(self) -> None: ...
    def data_to_send(self) -> bytes: ...
    def pause_writing(self) -> None: ...
    def resume_writing(self) -> None: ...
    def shutdown(self) -> None: ...
    def timeout(self) -> None: ...
    def connection_lost(self) -> None: ...
