from polywire.http.websocket import WebSocket
from polywire.runtime._outlet import SharedOutlet

class SocketOutlet(SharedOutlet):
    """A reader whose batches are messages of its WebSocket. `credit`: what the peer has given."""

    def __init__(self, ws: WebSocket, credit: int) -> None: ...
