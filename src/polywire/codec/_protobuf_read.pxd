from libc.stdint cimport uint8_t

from polywire.codec._buffer cimport Trail
from polywire.codec._tables cimport MessageTable

cdef struct Reader:
    const uint8_t* start
    Py_ssize_t shift        # added to offsets in errors: where a re-joined submessage came from
    Trail trail

cdef object read_message(Reader* r, MessageTable table, const uint8_t* p, const uint8_t* end, int depth)
