from libc.stdint cimport int64_t, uint8_t

cdef object timestamp_from_text(object text)
cdef object timestamp_from_parts(int64_t seconds, int micros)
cdef object duration_from_parts(int64_t seconds, int64_t nanos)
cdef int timestamp_to_parts(object value, int64_t* seconds, int* micros) except -1
cdef int timestamp_to_text(object value, uint8_t* out) except -1
cdef int duration_to_parts(object value, int64_t* seconds, int* nanos) except -1
