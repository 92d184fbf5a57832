# cython: boundscheck=False, wraparound=False, cdivision=True, binding=False
"""Both JSON profiles read straight into Structs, driven by the schema's tables (RFC 8259; the proto3 JSON mapping).

One parser, because neither profile is what msgspec's decoder takes: `"42"` is an integer but `"true"` is no boolean,
64 bits are a bound, names come in two forms. A byte that cannot be JSON is MalformedInput, a value that the schema refuses InvalidInput.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.mem cimport PyMem_Calloc, PyMem_Free
from cpython.object cimport PyObject
from cpython.ref cimport Py_INCREF, Py_XDECREF
from libc.math cimport floor, isfinite
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcmp, memset

from polywire.codec._buffer cimport Trail
from polywire.codec._json_tokens cimport *
from polywire.codec._tables cimport *

from polywire.codec._tables import range_reason
from polywire.codec.any import any_from_json
from polywire.errors import MalformedInput

ABSENT = object()
"""In the slots given to `JsonReader.bind`: nothing was given."""


include "_json_read_values.pxi"


# --- messages ---

cdef inline bint same(bytes name, const uint8_t* text, Py_ssize_t length) noexcept:
    return PyBytes_GET_SIZE(name) == length and memcmp(PyBytes_AS_STRING(name), text, length) == 0


cdef inline FieldTable find(MessageTable table, const uint8_t* text, Py_ssize_t length, int* cursor, bint proto):
    """The field of that name or None. Most input has its names in order, so the search begins behind the last one."""
    cdef int i, at = cursor[0]
    cdef FieldTable field
    for i in range(table.count):
        if at >= table.count:
            at = 0
        field = <FieldTable>table.fields[at]
        if (proto and same(field.json_utf8, text, length)) or same(field.plain_utf8, text, length):
            cursor[0] = at + 1
            return field
        at += 1
    return None


cdef FieldTable read_name(Reader* r, MessageTable table, int* cursor):
    """The name that begins here, over its colon; None if no field has it."""
    cdef const uint8_t* begin
    cdef const uint8_t* stop
    cdef uint64_t seen = 0
    cdef FieldTable field
    if blank(r) != c'"':
        raise malformed(r, "unexpected end" if r.p >= r.end else "expected a name in quotes")
    begin = r.p + 1
    stop = plain_run(begin, r.end, &seen)
    if stop[0] == c'"' and not seen & <uint64_t>0x8080808080808080:
        r.p = stop + 1
        field = find(table, begin, stop - begin, cursor, r.proto)
    else:
        text = read_string(r).encode()
        field = find(table, <const uint8_t*>PyBytes_AS_STRING(text), PyBytes_GET_SIZE(text), cursor, r.proto)
    colon(r)
    return field


cdef int read_members(Reader* r, MessageTable table, int depth, PyObject** values, list given) except -1:
    """An object's fields into their slots. `given`: what is already known from elsewhere and may only be repeated."""
    cdef FieldTable field
    cdef int cursor = 0
    if r.p[0] != c"{":
        if depth == 0:
            skip(r, depth)
            raise invalid(&r.trail, 0, "expected an object")
        refuse(r, depth - 1, "an object")
    if depth > MAX_DEPTH:
        raise malformed(r, f"nested deeper than {MAX_DEPTH}")
    r.p += 1
    if blank(r) == c"}":
        r.p += 1
        return 0
    while True:
        field = read_name(r, table, &cursor)
        if field is None:
            skip(r, depth)
        else:
            step(&r.trail, depth, field)
            value = read_any(r, field, depth)
            if values[field.arg] != NULL:
                if given is None or given[field.arg] is ABSENT:
                    raise invalid(&r.trail, depth + 1, "given twice")
                if given[field.arg] != value:
                    raise invalid(&r.trail, depth + 1, "differs from the value in the path")
            elif value is not None or not r.proto:
                Py_INCREF(value)
                values[field.arg] = <PyObject*>value
        if not more(r, c"}"):
            return 0


cdef object read_message(Reader* r, MessageTable table, int depth):
    cdef PyObject* values[INLINE_FIELDS]
    cdef const uint8_t* first = r.p
    cdef int i
    if table.is_any and r.proto:
        skip(r, depth)
        return any_from_json(table.cls, PyBytes_FromStringAndSize(<const char*>first, r.p - first))
    if table.count > INLINE_FIELDS:
        return read_wide(r, table, depth, None)
    memset(values, 0, sizeof(PyObject*) * table.count)
    try:
        read_members(r, table, depth, values, None)
        return table.finish(values, &r.trail, depth, PROTO if r.proto else PLAIN)
    finally:
        for i in range(table.count):
            Py_XDECREF(values[i])


cdef object read_wide(Reader* r, MessageTable table, int depth, list given):
    """read_message with its slots on the heap: many fields, or some known beforehand. Stands at the end: no object."""
    cdef PyObject** values = <PyObject**>PyMem_Calloc(max(1, table.count), sizeof(PyObject*))
    cdef int i
    try:
        if values == NULL:
            raise MemoryError
        if given is not None:
            for i in range(table.count):
                one = given[i]
                if one is not ABSENT:
                    Py_INCREF(one)
                    values[i] = <PyObject*>one
        if given is None or blank(r) != 0 or r.p < r.end:
            read_members(r, table, depth, values, given)
        return table.finish(values, &r.trail, depth, PROTO if r.proto else PLAIN)
    finally:
        if values != NULL:
            for i in range(table.count):
                Py_XDECREF(values[i])
        PyMem_Free(values)


cdef int begin(Reader* r, bytes data, bint proto) except -1:
    r.start = <const uint8_t*>PyBytes_AS_STRING(data)
    r.p = r.start
    r.end = r.start + PyBytes_GET_SIZE(data)
    r.proto = proto
    return 0


cdef int finish(Reader* r) except -1:
    blank(r)
    if r.p < r.end:
        raise malformed(r, "unexpected data after the value")
    return 0


cdef class JsonReader:
    """One message type in one profile. Its methods are the hot path: call them unwrapped."""

    cdef MessageTable table
    cdef bint proto
    cdef list nothing

    def __init__(self, message, bint proto):
        self.table = message_table(message)
        self.proto = proto
        self.nothing = [ABSENT] * self.table.count

    def decode(self, bytes data not None):
        cdef Reader r
        begin(&r, data, self.proto)
        if blank(&r) == 0 and r.p >= r.end:  # an empty body is an empty object
            return read_wide(&r, self.table, 0, self.nothing)
        value = read_message(&r, self.table, 0)
        finish(&r)
        return value

    def bind(self, list given not None, bytes data not None):
        """decode, with the fields in `given` (by the order of the class; ABSENT: not given) known beforehand."""
        cdef Reader r
        if len(given) != self.table.count:
            raise ValueError("one entry for each field")
        begin(&r, data, self.proto)
        value = read_wide(&r, self.table, 0, given)
        finish(&r)
        return value

    def decode_wrapped(self, bytes data not None):
        return read_slot(self.table, self.decode(data), <FieldTable>self.table.fields[0])

    def decode_bare(self, bytes data not None):
        """The value of the wrapper's one field by itself."""
        cdef Reader r
        cdef FieldTable field = <FieldTable>self.table.fields[0]
        begin(&r, data, self.proto)
        step(&r.trail, 0, field)
        value = read_any(&r, field, 0)
        finish(&r)
        if value is not None:
            bounds = field.bounds if field.cardinality == SINGLE else field.container_bounds
            if bounds is not None:
                check_bounds(bounds, value, &r.trail, 1)
        return value

    def decode_empty(self, bytes data not None):
        if data.strip() not in (b"", b"null"):
            self.decode(data)
