from cpython.object cimport PyObject
from libc.stdint cimport uint8_t

cdef object intern_name(const uint8_t* name, size_t length)
cdef object intern_lower(const uint8_t* name, size_t length)

cdef class Headers:
    cdef dict _values
    cdef PyObject* find(self, object name) except? NULL
    cdef int add(self, object name, object value) except -1

cdef class HeaderBlock:
    cdef readonly tuple pairs
    cdef readonly bytes h1_lines
    cdef public object h2_block

cdef class CommonHeaders:
    cdef public HeaderBlock block
