from cpython.object cimport PyObject
from libc.stdint cimport uint8_t

cdef enum:
    ROOM_BYTES = 1024   # output up to here never touches the heap before its bytes object is made

cdef struct Step:
    PyObject* field     # the FieldTable, borrowed: tables outlive every call
    Py_ssize_t index    # -1: not in a list
    PyObject* key       # of a map, borrowed; NULL: not in a map

# Where a codec is in the value: one step for each message entered; read only to say where an error is.
cdef struct Trail:
    Step steps[102]
    int count           # of steps that lead to what is being written

cdef struct Writer:
    uint8_t* pos
    uint8_t* end
    uint8_t* base
    uint8_t room[1024]
    Trail trail

cdef void writer_init(Writer* w) noexcept
cdef void writer_free(Writer* w) noexcept
cdef int writer_grow(Writer* w, size_t extra) except -1

cdef inline int need(Writer* w, size_t extra) except -1:
    if <size_t>(w.end - w.pos) < extra:
        return writer_grow(w, extra)
    return 0
