from cpython.object cimport PyObject

from polywire.tasks.ahead cimport Link
from polywire.wire.tunnel cimport Tunnel
from polywire.wire.websocket cimport Frames


cdef class WebSocket(Link):
    cdef readonly object exchange
    # Receives, instead of the listener, what a read has brought where that is nothing but messages: all of them at once.
    cdef public object mailbox
    # Reads that have brought something, a pong perhaps: whether the peer lives.
    cdef readonly Py_ssize_t heard
    # For the exchange, which asks for it when it is over.
    cdef readonly Py_ssize_t sent_bytes
    # A message has the same frame on all of them: nothing is compressed.
    cdef readonly unsigned char shares_frames
    # Nothing is taken, and so nothing heard of the peer.
    cdef readonly unsigned char is_paused
    # The code and reason that we have closed it with; None: we have not.
    cdef readonly tuple closing
    cdef Frames frames
    cdef object sink, listener, __weakref__
    # The sink, over HTTP/1.1.
    cdef Tunnel tunnel
    cdef double close_timeout_s
    # It is paused until the peer has taken what is queued.
    cdef unsigned char resumes
    cdef unsigned char reading, over
    # Of the process, where messages are compressed: unpacking is done a bounded amount a turn, whoever asks.
    cdef object turns
    # It waits for one of them.
    cdef unsigned char awaits_turn, has_turn
    # Bytes of a message that is not whole, as the listener has counted them.
    cdef unsigned int counted
    # What a read has brought and nobody has taken yet, the next one last.
    cdef list queued
    cdef object close_timer

    cdef bint put(self, bytes frame) except -1
    cdef bint write(self, bytes data) except -1
    cpdef resume(self)
    cdef int wait_for_peer(self, then) except -1
    cpdef stop_waiting(self)
    cpdef readable(self)
    cdef int read(self) except -1
    cdef int receive(self, bytes data) except -1
    cdef bint count(self) except -1
    cdef int drop(self) except -1
    cdef int take(self, one) except -1
    cdef int closed_by_peer(self, int code, str reason) except -1
    cdef int fail(self, int code, str reason) except -1
    cpdef gone(self)
    cdef int ended(self, int code, str reason) except -1
