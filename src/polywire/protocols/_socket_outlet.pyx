"""Where batches go straight out over a WebSocket."""

from cpython.object cimport PyObject

from polywire.http._websocket cimport WebSocket
from polywire.runtime._outlet cimport SharedOutlet


cdef class SocketOutlet(SharedOutlet):
    """A reader whose batches are messages of its WebSocket. `credit`: what the peer has given."""

    cdef WebSocket ws

    def __init__(self, WebSocket ws not None, Py_ssize_t credit):
        self.ws = ws
        self.credit = credit

    cdef PyObject* next_link(self) noexcept:
        return <PyObject*>self.ws

    cdef bint put(self, bytes data) except -1:
        return self.ws.put(data)
