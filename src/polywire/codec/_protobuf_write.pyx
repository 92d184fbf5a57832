# cython: boundscheck=False, wraparound=False, cdivision=True, binding=False
"""Structs to protobuf, in one pass: fields in the order of their numbers, every value's type and range checked."""

from cpython.bool cimport PyBool_Check
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_CheckExact, PyBytes_GET_SIZE
from cpython.float cimport PyFloat_AS_DOUBLE, PyFloat_Check
from cpython.list cimport PyList_CheckExact, PyList_GET_ITEM, PyList_GET_SIZE
from cpython.long cimport PyLong_Check
from cpython.object cimport PyObject
from cpython.unicode cimport PyUnicode_Check
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy, memmove

from polywire.codec._buffer cimport Writer, need
from polywire.codec._tables cimport *
from polywire.codec._times cimport duration_to_parts, timestamp_to_parts

from datetime import date, datetime
from decimal import Decimal
from uuid import UUID as UuidClass

from polywire.codec._tables import range_reason

cdef extern from "Python.h":
    long long PyLong_AsLongLongAndOverflow(object value, int* overflow) except? -1
    unsigned long long PyLong_AsUnsignedLongLong(object value) except? 0xFFFFFFFFFFFFFFFF
    const char* PyUnicode_AsUTF8AndSize(object text, Py_ssize_t* length) except NULL
    double PyLong_AsDouble(object value) except? -1.0

cdef extern from *:
    """
    /* Floats are copied as they lie in memory; their wire form is little-endian. */
    #if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
    #error "little-endian machines only"
    #endif
    """


cdef inline uint8_t* put_varint(uint8_t* p, uint64_t value) noexcept:
    while value >= 128:
        p[0] = <uint8_t>(value | 128)
        p += 1
        value >>= 7
    p[0] = <uint8_t>value
    return p + 1


cdef inline void put_encoded(Writer* w, FieldTable field, uint64_t value) noexcept:
    """An integer as its field has it: a plain varint, that of its zigzag, or all of its bytes."""
    if field.encoding == VARINT:
        w.pos = put_varint(w.pos, value)
    elif field.encoding == ZIGZAG:
        value = (value << 1) ^ <uint64_t>(<int64_t>value >> 63)
        w.pos = put_varint(w.pos, <uint32_t>value if field.kind == INT32 else value)
    elif field.wire == 5:
        memcpy(w.pos, &value, 4)
        w.pos += 4
    else:
        memcpy(w.pos, &value, 8)
        w.pos += 8


cdef inline int put_bytes(Writer* w, const char* data, Py_ssize_t length) except -1:
    """Length and bytes. The caller has ensured room for the length."""
    w.pos = put_varint(w.pos, length)
    need(w, length + 16)
    memcpy(w.pos, data, length)
    w.pos += length
    return 0


cdef inline int close_length(Writer* w, Py_ssize_t start) except -1:
    """Write the length of what follows the one byte kept for it at `start`, moving that along if one is too few."""
    cdef Py_ssize_t length = (w.pos - w.base) - start - 1
    cdef Py_ssize_t extra = 0
    cdef uint64_t rest = length >> 7
    while rest:
        extra += 1
        rest >>= 7
    if extra:
        need(w, extra)
        memmove(w.base + start + 1 + extra, w.base + start + 1, length)
        w.pos += extra
    put_varint(w.base + start, length)
    return 0


cdef object mistyped(FieldTable field, object value):
    return ValueError(f"expected {expected(field)}, got {type(value).__name__}")


cdef int write_value(Writer* w, FieldTable field, object value, int depth) except -1:
    """One value without its tag; raises ValueError with the reason if it is not one of the field's. Room for 16 bytes is there."""
    cdef int kind = field.kind
    cdef int overflow = 0, part
    cdef int64_t number
    cdef double real
    cdef float single
    cdef Py_ssize_t length, start
    cdef const char* data
    if kind == STRING:
        if not PyUnicode_Check(value):
            raise mistyped(field, value)
        data = PyUnicode_AsUTF8AndSize(value, &length)
        put_bytes(w, data, length)
    elif INT32 <= kind <= UINT64:
        if not PyLong_Check(value) or PyBool_Check(value):
            raise mistyped(field, value)
        if kind == UINT64:
            try:
                put_encoded(w, field, PyLong_AsUnsignedLongLong(value))
            except OverflowError:
                raise ValueError(range_reason(kind)) from None
            return 0
        number = PyLong_AsLongLongAndOverflow(value, &overflow)
        if overflow or (kind == INT32 and number != <int32_t>number) or (kind == UINT32 and number != <uint32_t>number):
            raise ValueError(range_reason(kind))
        put_encoded(w, field, <uint64_t>number)
    elif kind == MESSAGE:
        start = w.pos - w.base
        w.pos += 1
        write_message(w, field.message, value, depth + 1)
        close_length(w, start)
    elif kind == BOOL:
        if not PyBool_Check(value):
            raise mistyped(field, value)
        w.pos[0] = 1 if value is True else 0
        w.pos += 1
    elif kind == DOUBLE or kind == FLOAT:
        if PyFloat_Check(value):
            real = PyFloat_AS_DOUBLE(value)
        elif PyLong_Check(value) and not PyBool_Check(value):
            try:
                real = PyLong_AsDouble(value)
            except OverflowError:
                raise ValueError("out of range for a float") from None
        else:
            raise mistyped(field, value)
        if kind == DOUBLE:
            memcpy(w.pos, &real, 8)
            w.pos += 8
        else:
            single = <float>real
            memcpy(w.pos, &single, 4)
            w.pos += 4
    elif kind == BYTES:
        if not PyBytes_CheckExact(value):
            raise mistyped(field, value)
        put_bytes(w, PyBytes_AS_STRING(value), PyBytes_GET_SIZE(value))
    elif kind == ENUM:
        part = field.enum.position(value)
        if part < 0:
            raise mistyped(field, value)
        w.pos = put_varint(w.pos, <uint64_t><int64_t>field.enum.numbers[part])
    elif kind == UNION:
        part = field.union.position(value)
        if part < 0:
            raise mistyped(field, value)
        start = w.pos - w.base
        w.pos += 1
        write_tagged(w, <FieldTable>field.union.fields[part], value, depth + 1, True)
        close_length(w, start)
    elif kind == TIMESTAMP or kind == DURATION:
        if kind == TIMESTAMP:
            timestamp_to_parts(value, &number, &part)
            part *= 1000
        else:
            duration_to_parts(value, &number, &part)
        need(w, 40)
        start = w.pos - w.base
        w.pos += 1
        if number:
            w.pos[0] = 0x08
            w.pos = put_varint(w.pos + 1, <uint64_t>number)
        if part:
            w.pos[0] = 0x10
            w.pos = put_varint(w.pos + 1, <uint64_t><int64_t>part)
        close_length(w, start)
    else:
        if kind == DECIMAL:
            if not isinstance(value, Decimal):
                raise mistyped(field, value)
            if not value.is_finite():
                raise ValueError("expected a finite decimal")
        elif kind == UUID:
            if not isinstance(value, UuidClass):
                raise mistyped(field, value)
        elif not isinstance(value, date) or isinstance(value, datetime):
            raise mistyped(field, value)
        text = str(value)
        data = PyUnicode_AsUTF8AndSize(text, &length)
        put_bytes(w, data, length)
    return 0


cdef inline int write_checked(Writer* w, FieldTable field, object value, int depth) except -1:
    """write_value and the value's constraints; ValueError gives the reason it is refused."""
    w.trail.count = depth + 1
    write_value(w, field, value, depth)
    if field.bounds is not None:
        reason = field.bounds.broken(value)
        if reason is not None:
            w.trail.count = depth + 1
            raise ValueError(reason)
    return 0


cdef inline bint is_zero(int kind, const uint8_t* data, Py_ssize_t length) noexcept:
    """The written payload of a field with implicit presence is its zero, which is not sent."""
    cdef uint64_t real = 0
    if kind == DOUBLE or kind == FLOAT:
        memcpy(&real, data, length)
        return real == 0  # by its bits: -0.0 is sent
    if INT32 <= kind <= UINT64 and length >= 4:
        # A fixed integer; a varint of so many bytes has its high bits set.
        memcpy(&real, data, length if length < 8 else 8)
        return real == 0
    return length == 1 and data[0] == 0


cdef inline int write_tagged(
    Writer* w, FieldTable field, object value, int depth, bint always
) except -1:
    """One value behind its tag; a zero of a field with implicit presence is left out unless `always`."""
    cdef Py_ssize_t start, payload
    need(w, 32)
    start = w.pos - w.base
    memcpy(w.pos, field.tag, 8)
    w.pos += field.tag_length
    payload = w.pos - w.base
    step(&w.trail, depth, field)
    write_checked(w, field, value, depth)
    if not always and is_zero(field.kind, w.base + payload, (w.pos - w.base) - payload):
        w.pos = w.base + start
    return 0


cdef int write_list(Writer* w, FieldTable field, object value, int depth) except -1:
    cdef Py_ssize_t i = 0, start = 0
    cdef list items
    if PyList_CheckExact(value):
        items = <list>value
    elif isinstance(value, (list, tuple)):
        items = list(value)
    else:
        raise ValueError(f"expected list, got {type(value).__name__}")
    if PyList_GET_SIZE(items) == 0:
        return 0
    if field.packed:
        need(w, 32)
        memcpy(w.pos, field.tag, 8)
        w.pos += field.tag_length
        start = w.pos - w.base
        w.pos += 1
    while i < PyList_GET_SIZE(items):  # its size is read again each time: encoding a datetime may run the user's tzinfo
        w.trail.steps[depth].index = i
        item = <object>PyList_GET_ITEM(items, i)
        need(w, 32)
        if not field.packed:
            memcpy(w.pos, field.tag, 8)
            w.pos += field.tag_length
        write_checked(w, field, item, depth)
        i += 1
    if field.packed:
        close_length(w, start)
    return 0


cdef int write_map(Writer* w, FieldTable field, object value, int depth) except -1:
    cdef Py_ssize_t start
    if not isinstance(value, dict):
        raise ValueError(f"expected dict, got {type(value).__name__}")
    for key, item in (<dict>value).items():
        need(w, 48)
        memcpy(w.pos, field.tag, 8)
        w.pos += field.tag_length
        start = w.pos - w.base
        w.pos[1] = field.key_field.tag[0]
        w.pos += 2
        w.trail.count = depth + 1
        w.trail.steps[depth].key = <PyObject*>key
        write_value(w, field.key_field, key, depth)
        need(w, 32)
        w.pos[0] = (2 << 3) | field.wire
        w.pos += 1
        write_checked(w, field, item, depth)
        w.trail.steps[depth].key = NULL
        close_length(w, start)
    return 0


cdef int write_field(Writer* w, FieldTable field, object value, int depth) except -1:
    """A field's whole value: one, a list or a map; None where it is nullable is not sent."""
    if value is None:
        if field.nullable:
            return 0
        step(&w.trail, depth, field)
        w.trail.count = depth + 1
        raise ValueError("expected a value, got None")
    if field.unset and value is UNSET:
        return 0
    if field.cardinality == SINGLE:
        write_tagged(w, field, value, depth, field.explicit)
        return 0
    step(&w.trail, depth, field)
    w.trail.count = depth + 1
    if field.cardinality == LIST:
        write_list(w, field, value, depth)
    else:
        write_map(w, field, value, depth)
    if field.container_bounds is not None:
        reason = field.container_bounds.broken(value)
        if reason is not None:
            w.trail.count = depth + 1
            w.trail.steps[depth].index = -1
            raise ValueError(reason)
    return 0


cdef int write_message(Writer* w, MessageTable table, object value, int depth) except -1:
    """The fields in the order of their numbers. `depth` counts the messages around this one."""
    cdef int i
    cdef FieldTable field
    if type(value) is not table.cls and not isinstance(value, table.cls):
        raise ValueError(f"expected {table.cls.__name__}, got {type(value).__name__}")
    if depth > MAX_DEPTH:
        raise ValueError(f"messages nested deeper than {MAX_DEPTH}")
    for i in range(table.count):
        field = <FieldTable>table.by_number[i]
        write_field(w, field, read_slot(table, value, field), depth)
    return 0
