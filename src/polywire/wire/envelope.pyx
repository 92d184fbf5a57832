# cython: boundscheck=False, wraparound=False
"""Enveloped messages, those of gRPC, gRPC-Web and Connect: one byte of flags, four of length, the message."""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport uint8_t, uint32_t
from libc.string cimport memcpy

cdef enum:
    PREFIX = 5
    MOST = 256  # messages that are split off at a time: 256 KiB may hold 50,000


cdef inline Py_ssize_t length_at(const uint8_t* prefix) noexcept:
    return (<uint32_t>prefix[1] << 24) | (<uint32_t>prefix[2] << 16) | (<uint32_t>prefix[3] << 8) | prefix[4]


def enveloped(bytes message not None, int flags=0):
    cdef Py_ssize_t size = PyBytes_GET_SIZE(message)
    cdef bytes out = PyBytes_FromStringAndSize(NULL, PREFIX + size)
    cdef uint8_t* to = <uint8_t*>PyBytes_AS_STRING(out)
    to[0] = flags
    to[1] = size >> 24
    to[2] = size >> 16
    to[3] = size >> 8
    to[4] = size
    memcpy(to + PREFIX, PyBytes_AS_STRING(message), size)
    return out


@cython.final
cdef class EnvelopeSplitter:
    cdef readonly object error
    cdef readonly Py_ssize_t waiting, unfinished
    cdef readonly bint is_clear
    cdef object explain
    cdef Py_ssize_t limit
    cdef int allowed_flags
    cdef bytes data  # its last `waiting` bytes are not split yet
    cdef bytearray rest  # of a message that is not whole

    def __cinit__(self, Py_ssize_t limit_bytes, explain, *, int allowed_flags=1):
        self.limit = limit_bytes
        self.explain = explain
        self.allowed_flags = allowed_flags
        self.rest = bytearray()
        self.is_clear = True

    cpdef list feed(self, bytes data):
        cdef Py_ssize_t at = 0
        cdef Py_ssize_t size = PyBytes_GET_SIZE(data)
        cdef list found = []
        if self.error is not None:
            return found
        if self.waiting:
            at = PyBytes_GET_SIZE(self.data) - self.waiting
            if size:
                data = self.data[at:] + data
                at = 0
            else:
                data = self.data
        elif self.unfinished:
            at = self.finish(data, found)
        if at >= 0:
            self.split(data, at, found)
        if self.error is not None:
            self.waiting = 0
            self.rest = bytearray()
        if not self.waiting:
            self.data = None
        self.unfinished = len(self.rest)
        self.is_clear = self.waiting == 0 and self.unfinished == 0 and self.error is None
        return found

    cdef bint is_allowed(self, const uint8_t* prefix) except -1:
        """Whether such a message may come; what is wrong with it is in `error`."""
        if prefix[0] & ~self.allowed_flags:
            self.error = self.explain("flags", prefix[0])
        elif length_at(prefix) > self.limit:
            self.error = self.explain("length", length_at(prefix))
        return self.error is None

    cdef Py_ssize_t finish(self, bytes data, list found) except -2:
        """Go on with the message that is not whole; how much of the data belonged to it, -1 where it needs more."""
        cdef Py_ssize_t size = PyBytes_GET_SIZE(data)
        cdef Py_ssize_t held = len(self.rest)
        cdef Py_ssize_t at = 0
        cdef Py_ssize_t length
        cdef const uint8_t* rest
        cdef bytes message
        cdef char* to
        if held < PREFIX:
            at = min(PREFIX - held, size)
            self.rest += data[:at]
            held += at
            if held < PREFIX:
                return -1
        rest = <const uint8_t*><char*>self.rest
        if not self.is_allowed(rest):
            return -1
        length = length_at(rest)
        if size - at < PREFIX + length - held:
            self.rest += data[at:]
            return -1
        message = PyBytes_FromStringAndSize(NULL, length)
        to = PyBytes_AS_STRING(message)
        memcpy(to, rest + PREFIX, held - PREFIX)
        memcpy(to + held - PREFIX, PyBytes_AS_STRING(data) + at, PREFIX + length - held)
        found.append((rest[0], message))
        self.rest = bytearray()
        return at + PREFIX + length - held

    cdef int split(self, bytes data, Py_ssize_t at, list found) except -1:
        cdef const uint8_t* raw = <const uint8_t*>PyBytes_AS_STRING(data)
        cdef Py_ssize_t size = PyBytes_GET_SIZE(data)
        cdef Py_ssize_t length
        cdef bytes message
        while size - at >= PREFIX:
            if len(found) >= MOST:
                self.data = data
                self.waiting = size - at
                return 0
            if not self.is_allowed(raw + at):
                return 0
            length = length_at(raw + at)
            if size - at - PREFIX < length:
                break
            message = PyBytes_FromStringAndSize(<const char*>raw + at + PREFIX, length)
            found.append((raw[at], message))
            at += PREFIX + length
        self.waiting = 0
        if at < size:
            self.rest += data[at:]
        return 0

    def end(self):
        if len(self.rest) and self.error is None:
            self.error = self.explain("end", len(self.rest))
            self.rest = bytearray()
            self.unfinished = 0
            self.is_clear = False
        return []
