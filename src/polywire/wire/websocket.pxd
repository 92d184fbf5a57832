cdef class Frames:
    """What `WebSocketEngine` does for callers in Cython, who need not know what it keeps."""

    cdef readonly object failure
    cdef readonly unsigned char closed  # the peer's close has come
    cdef readonly unsigned char waiting
    cdef readonly Py_ssize_t inflated  # bytes that the last call has unpacked

    # Bytes of a message that is not whole; `forget` drops them, as it never will be.
    cdef Py_ssize_t kept(self) except -1
    cdef int forget(self) except -1
    cpdef list receive_data(self, bytes data)
    cpdef bytes encode(self, object message)
    cdef bytes ping(self)
    cdef bytes pong(self, bytes payload)
    cdef bytes closing(self, int code, str reason)
