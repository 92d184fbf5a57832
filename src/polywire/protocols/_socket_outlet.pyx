"""Where batches go straight out over a WebSocket."""

from polywire.http._websocket cimport WebSocket
from polywire.runtime._outlet cimport SharedOutlet
from polywire.wire.ahead cimport fetch


cdef class SocketOutlet(SharedOutlet):
    """A reader whose batches are messages of its WebSocket. `credit`: what the peer has given."""

    cdef WebSocket ws

    def __init__(self, WebSocket ws not None, Py_ssize_t credit):
        self.ws = ws
        self.credit = credit

    cdef void fetch_ahead(self, int steps) noexcept:
        if steps == 0:
            fetch(self.ws)
        else:
            self.ws.fetch_ahead(steps - 1)

    cdef bint put(self, bytes data) except -1:
        return self.ws.put(data)
