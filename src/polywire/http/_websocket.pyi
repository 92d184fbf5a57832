from collections.abc import Callable
from typing import Any

from polywire.http.exchange import Exchange
from polywire.http.websocket import OnClosed, OnMessage, WebSocketLimits
from polywire.wire.headers import HeaderBlock
from polywire.wire.websocket import WebSocketEngine
from polywire.wire.websocket_deflate import DeflateParameters

class WebSocket:
    def __init__(
        self,
        exchange: Exchange,
        limits: WebSocketLimits,
        on_message: OnMessage,
        on_closed: OnClosed,
        status: int,
        block: HeaderBlock,
        deflate: DeflateParameters | None,
    ) -> None: ...
    exchange: Exchange
    engine: WebSocketEngine
    state: Any
    on_messages: Callable[[WebSocket, list[str | bytes]], None] | None
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
