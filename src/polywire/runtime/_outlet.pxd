from cpython.object cimport PyObject

from polywire.tasks.ahead cimport Link


cdef class SharedBatch:
    cdef readonly list items
    cdef readonly Py_ssize_t count
    cdef readonly object last_id
    cdef dict encodings
    # The last one that was asked for: most readers want the same.
    cdef object last_key
    cdef bytes last_made

    cdef bytes encoded(self, object key, object encode)


cdef class SharedOutlet(Link):
    cdef public object key, encode, write
    cdef public Py_ssize_t credit
    cdef readonly Py_ssize_t moved
    cdef public bint is_over

    cdef object hand_over(self, SharedBatch batch)
    cdef bint put(self, bytes data) except -1


cdef class ExchangeOutlet(SharedOutlet):
    cdef object exchange, sink
