from cpython.object cimport PyObject
from libc.stdint cimport int64_t

from polywire.tasks.ahead cimport Link


cdef class Driver(Link):
    """Whom a tunnel tells of output without a call of Python."""

    cdef int flush_soon(self) except -1


cdef class Tunnel(Link):
    cdef readonly object method, target, headers
    cdef public object scheme, authority
    cdef public object receiver
    cdef object callback
    # The same, where it is a driver in Cython.
    cdef Driver driver
    # What has come and was not taken: bytes, or a bytearray once there is more than one piece.
    cdef object body
    # To be sent: the first piece, and the others.
    cdef bytes out
    cdef list more
    cdef int64_t credit
    cdef Py_ssize_t most_held, high_water
    cdef readonly Py_ssize_t buffered_in_bytes, buffered_out_bytes
    cdef readonly unsigned char ended, closed
    cdef unsigned char inside, told, paused, full, sent_end, closing, shutting

    cdef bytes taken(self)
    cdef bint send(self, bytes data) except -1
    cdef bytes take_output(self)
    cdef int feed(self, bytes data) except -1
    cdef int close(self) except -1
    cdef int wake(self) except -1
    cdef int tell_gone(self) except -1
    cdef bint tell_readable(self) noexcept
    cdef bint tell_writable(self) noexcept
