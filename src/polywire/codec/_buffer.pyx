# cython: boundscheck=False, wraparound=False, binding=False
"""The output buffer of every encoder: on the C stack while it is small, then on the heap, doubled as it fills."""

from cpython.mem cimport PyMem_Free, PyMem_Malloc, PyMem_Realloc
from libc.stdint cimport uint8_t
from libc.string cimport memcpy


cdef void writer_init(Writer* w) noexcept:
    w.base = w.room
    w.pos = w.room
    w.end = w.room + ROOM_BYTES


cdef void writer_free(Writer* w) noexcept:
    if w.base != w.room:
        PyMem_Free(w.base)


cdef int writer_grow(Writer* w, size_t extra) except -1:
    cdef size_t used = w.pos - w.base
    cdef size_t size = 2 * (w.end - w.base)
    cdef uint8_t* base
    if size < 8192:
        size = 8192
    if size < used + extra:
        size = used + extra
    if w.base == w.room:
        base = <uint8_t*>PyMem_Malloc(size)
        if base != NULL:
            memcpy(base, w.room, used)
    else:
        base = <uint8_t*>PyMem_Realloc(w.base, size)
    if base == NULL:
        raise MemoryError
    w.base = base
    w.pos = base + used
    w.end = base + size
    return 0
