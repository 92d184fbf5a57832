from polywire.codec._buffer cimport Writer
from polywire.codec._tables cimport FieldTable, MessageTable

cdef int write_message(Writer* w, MessageTable table, object value, int depth) except -1
cdef int write_field(Writer* w, FieldTable field, object value, int depth) except -1
