# cython: boundscheck=False, wraparound=False
"""Enveloped messages, those of gRPC, gRPC-Web and Connect: one byte of flags, four of length, the message."""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport uint8_t, uint32_t
from libc.string cimport memcpy

cdef enum:
    PREFIX = 5


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
    cdef object explain
    cdef Py_ssize_t limit
    cdef int allowed_flags
    cdef bytearray rest

    def __cinit__(self, Py_ssize_t limit_bytes, explain, *, int allowed_flags=1):
        self.limit = limit_bytes
        self.explain = explain
        self.allowed_flags = allowed_flags
        self.rest = bytearray()

    cpdef list feed(self, bytes data):
        cdef Py_ssize_t size = PyBytes_GET_SIZE(data)
        cdef Py_ssize_t length
        cdef const uint8_t* rest
        if self.error is not None:
            return []
        if len(self.rest):
            self.rest += data
            size = len(self.rest)
            if size < PREFIX:
                return []
            rest = <const uint8_t*><char*>self.rest
            length = length_at(rest)
            if not rest[0] & ~self.allowed_flags and length <= self.limit and size - PREFIX < length:
                return []  # not whole yet: only what is gets copied out
            data = bytes(self.rest)
            self.rest = bytearray()
        return self.split(data, size)

    cdef list split(self, bytes data, Py_ssize_t size):
        cdef const uint8_t* raw = <const uint8_t*>PyBytes_AS_STRING(data)
        cdef Py_ssize_t at = 0
        cdef Py_ssize_t length
        cdef list found = []
        cdef bytes message
        while size - at >= PREFIX:
            length = length_at(raw + at)
            if raw[at] & ~self.allowed_flags:
                self.error = self.explain("flags", raw[at])
                return found
            if length > self.limit:
                self.error = self.explain("length", length)
                return found
            if size - at - PREFIX < length:
                break
            message = PyBytes_FromStringAndSize(<const char*>raw + at + PREFIX, length)
            found.append((raw[at], message))
            at += PREFIX + length
        if at < size:
            self.rest += data[at:]
        return found

    def end(self):
        if len(self.rest) and self.error is None:
            self.error = self.explain("end", len(self.rest))
        return []
