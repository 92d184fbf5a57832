from collections.abc import Callable

from polywire.wire.headers import CommonHeaders, HeaderBlock, Headers
from polywire.wire.limits import HttpLimits
from polywire.wire.sink import Receiver
from polywire.wire.tunnel import Tunnel

class Http1Request:
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
    def take(self) -> bytes: ...
    def grant(self, count_bytes: int) -> None: ...
    def respond(
        self,
        status: int,
        block: HeaderBlock,
        body: bytes,
        extra: tuple[tuple[bytes, bytes], ...] = (),
        trailers: HeaderBlock | None = None,
    ) -> None: ...
    def send_head(
        self, status: int, block: HeaderBlock, extra: tuple[tuple[bytes, bytes], ...] = ()
    ) -> Http1Request | Tunnel: ...
    def send_data(self, data: bytes) -> bool: ...
    def send_end(self, trailers: HeaderBlock | None = None) -> None: ...
    def reset(self, code: int) -> None: ...

class Http1Connection:
    on_output: Callable[[], None] | None
    on_refused: Callable[[Http1Request, int, int], None] | None
    last_activity_marker: int
    scheme: str
    want_close: bool
    successor: Tunnel | None
    want_read: bool
    open_requests: int
    awaiting_head: bool
    awaiting_body: bool
    def __init__(
        self,
        on_request: Callable[[Http1Request], None],
        limits: HttpLimits,
        common: CommonHeaders,
        scheme: str = "http",
    ) -> None: ...
    def receive_data(self, data: bytes) -> None: ...
    def receive_eof(self) -> None: ...
    def data_to_send(self) -> bytes: ...
    def pause_writing(self) -> None: ...
    def resume_writing(self) -> None: ...
    def shutdown(self) -> None: ...
    def timeout(self) -> None: ...
    def connection_lost(self) -> None: ...
    def leave(self) -> None:
        """Let go of the tunnel, with what has come for it."""
