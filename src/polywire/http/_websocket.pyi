from polywire.http.exchange import Exchange
from polywire.http.websocket import Listener, WebSocketLimits
from polywire.tasks.eager import Mailbox
from polywire.tasks.turns import Turns
from polywire.wire.headers import HeaderBlock
from polywire.wire.websocket import WebSocketEngine
from polywire.wire.websocket_deflate import DeflateParameters

class WebSocket:
    def __init__(
        self,
        exchange: Exchange,
        limits: WebSocketLimits,
        listener: Listener,
        status: int,
        block: HeaderBlock,
        deflate: DeflateParameters | None,
        turns: Turns | None,
    ) -> None: ...
    exchange: Exchange
    engine: WebSocketEngine
    mailbox: Mailbox | None
    heard: int
    sent_bytes: int
    shares_frames: bool
    is_paused: bool
    closing: tuple[int, str] | None
    @property
    def is_open(self) -> bool: ...
    @property
    def is_blocked(self) -> bool: ...
    def send(self, message: str | bytes) -> bool: ...
    def frame(self, message: str | bytes) -> bytes: ...
    def send_frame(self, frame: bytes) -> bool: ...
    def ping(self) -> None: ...
    async def drained(self) -> None: ...
    def pause(self) -> None: ...
    def pause_until_drained(self) -> None: ...
    def resume(self) -> None: ...
    def close(self, code: int = 1000, reason: str = "") -> None: ...
