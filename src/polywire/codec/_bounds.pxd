cdef class Bounds:
    cdef object ge, gt, le, lt, multiple_of, search, pattern
    cdef Py_ssize_t min_length, max_length
    cdef str broken(self, object value)
