# cython: boundscheck=False, wraparound=False, cdivision=True, binding=False
"""Both JSON profiles written straight from Structs, driven by the schema's tables.

Checking a value and writing it are one pass: a result of the wrong type never leaves, only declared fields do, and the
two profiles differ in a few branches. (msgspec's encoder would need a second pass for the check and for UTC.)
"""

from cpython.bool cimport PyBool_Check
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_CheckExact, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.float cimport PyFloat_AS_DOUBLE, PyFloat_Check
from cpython.list cimport PyList_CheckExact, PyList_GET_ITEM, PyList_GET_SIZE
from cpython.long cimport PyLong_Check
from cpython.object cimport PyObject
from cpython.unicode cimport PyUnicode_Check
from libc.math cimport isfinite, signbit
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy

from polywire.codec._buffer cimport Writer, need, writer_free, writer_init
from polywire.codec._tables cimport *
from polywire.codec._times cimport duration_to_parts, timestamp_to_text

from binascii import b2a_base64
from datetime import date, datetime, timedelta
from decimal import Decimal
from uuid import UUID as UuidClass

from polywire.codec._tables import range_reason
from polywire.codec.results import WrongResult
from polywire.codec.any import any_to_json
from polywire.codec.text import iso_duration_to_text, proto_duration_to_text

cdef extern from "Python.h":
    long long PyLong_AsLongLongAndOverflow(object value, int* overflow) except? -1
    unsigned long long PyLong_AsUnsignedLongLong(object value) except? 0xFFFFFFFFFFFFFFFF
    const char* PyUnicode_AsUTF8AndSize(object text, Py_ssize_t* length) except NULL
    double PyLong_AsDouble(object value) except? -1.0

cdef uint8_t ESCAPED[256]  # 1: may not stand as it is in a JSON string (RFC 8259 §7)
for _byte in range(256):
    ESCAPED[_byte] = _byte < 32 or _byte == 34 or _byte == 92

cdef uint64_t ONES = 0x0101010101010101
cdef object LARGEST = 3.4028234663852886e38  # the greatest finite binary32
cdef const char* HEX = "0123456789abcdef"
cdef double POWERS[7]
POWERS[:] = [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6]


include "_json_write_scalars.pxi"


cdef object mistyped(FieldTable field, object value):
    return ValueError(f"expected {expected(field)}, got {type(value).__name__}")


cdef class JsonWriter:
    """One message type in one profile. Its methods are the hot path: call them unwrapped."""

    cdef MessageTable table
    cdef bint proto

    def __init__(self, message, bint proto):
        self.table = message_table(message)
        self.proto = proto

    cdef object run(self, object value, int form):
        cdef Writer w
        cdef FieldTable field
        writer_init(&w)
        w.trail.count = 0
        try:
            if form == 0:
                self.message(&w, self.table, value, 0, None)
            else:
                field = <FieldTable>self.table.fields[0]
                if form == 1:
                    self.any_value(&w, field, value, 0)
                else:
                    w.pos[0] = c"{"
                    w.pos += 1
                    self.member(&w, field, value, 0)
                    close_object(&w)
            return PyBytes_FromStringAndSize(<char*>w.base, w.pos - w.base)
        except UnicodeEncodeError:
            raise wrong(self.table, &w.trail, w.trail.count, "has a lone surrogate, which UTF-8 cannot carry") from None
        except ValueError as error:
            raise wrong(self.table, &w.trail, w.trail.count, str(error)) from None
        finally:
            writer_free(&w)

    def encode(self, value):
        return self.run(value, 0)

    def encode_bare(self, value):
        """The value of the wrapper's one field by itself."""
        return self.run(value, 1)

    def encode_wrapped(self, value):
        """The wrapper message around its one field's value."""
        return self.run(value, 2)

    def encode_empty(self, value):
        if value is not None:
            raise WrongResult(f"{self.table.name}: expected None, got {type(value).__name__}")
        return b"{}" if self.proto else b""

    cdef int message(self, Writer* w, MessageTable table, object value, int depth, object tag) except -1:
        """An object of the declared fields; `tag` is a union member's `type`."""
        cdef FieldTable field
        cdef int i
        if type(value) is not table.cls and not isinstance(value, table.cls):
            raise ValueError(f"expected {table.cls.__name__}, got {type(value).__name__}")
        if depth > MAX_DEPTH:
            raise ValueError(f"messages nested deeper than {MAX_DEPTH}")
        if table.is_any and self.proto:
            text = any_to_json(value)
            need(w, PyBytes_GET_SIZE(text) + 32)
            put_raw(w, PyBytes_AS_STRING(text), PyBytes_GET_SIZE(text))
            return 0
        need(w, 32)
        w.pos[0] = c"{"
        w.pos += 1
        if tag is not None:
            put_raw(w, '"type":', 7)
            put_string(w, tag)
            w.pos[0] = c","
            w.pos += 1
        for i in range(table.count):
            field = <FieldTable>table.fields[i]
            self.member(w, field, read_slot(table, value, field), depth)
        return close_object(w)

    cdef int member(self, Writer* w, FieldTable field, object value, int depth) except -1:
        """`"name":value,`; nothing for what the proto mapping leaves out."""
        cdef bytes key
        if field.unset and value is UNSET:
            return 0
        if self.proto:
            if value is None and field.nullable:
                return 0
            if not field.explicit and is_zero(field, value):
                return 0
            key = field.json_key
        else:
            key = field.plain_key
        put_raw(w, PyBytes_AS_STRING(key), PyBytes_GET_SIZE(key))
        self.any_value(w, field, value, depth)
        w.pos[0] = c","
        w.pos += 1
        return 0

    cdef int any_value(self, Writer* w, FieldTable field, object value, int depth) except -1:
        step(&w.trail, depth, field)
        w.trail.count = depth + 1
        if value is None:
            if not field.nullable:
                raise ValueError("expected a value, got None")
            return put_raw(w, "null", 4)
        if field.cardinality == SINGLE:
            return self.checked(w, field, value, depth)
        if field.cardinality == LIST:
            self.array(w, field, value, depth)
        else:
            self.map(w, field, value, depth)
        if field.container_bounds is not None:
            reason = field.container_bounds.broken(value)
            if reason is not None:
                w.trail.count = depth + 1
                w.trail.steps[depth].index = -1
                raise ValueError(reason)
        return 0

    cdef int array(self, Writer* w, FieldTable field, object value, int depth) except -1:
        cdef Py_ssize_t i = 0
        cdef list items
        if PyList_CheckExact(value):
            items = <list>value
        elif isinstance(value, (list, tuple)):
            items = list(value)
        else:
            raise ValueError(f"expected list, got {type(value).__name__}")
        need(w, 32)
        w.pos[0] = c"["
        w.pos += 1
        while i < PyList_GET_SIZE(items):  # its size is read again each time: a datetime may run the user's tzinfo
            w.trail.steps[depth].index = i
            item = <object>PyList_GET_ITEM(items, i)
            if i:
                w.pos[0] = c","
                w.pos += 1
            self.checked(w, field, item, depth)
            i += 1
        w.pos[0] = c"]"
        w.pos += 1
        return 0

    cdef int map(self, Writer* w, FieldTable field, object value, int depth) except -1:
        if not isinstance(value, dict):
            raise ValueError(f"expected dict, got {type(value).__name__}")
        need(w, 32)
        w.pos[0] = c"{"
        w.pos += 1
        for key, item in (<dict>value).items():
            w.trail.count = depth + 1
            w.trail.steps[depth].key = <PyObject*>key
            self.map_key(w, field.key_field, key)
            w.pos[0] = c":"
            w.pos += 1
            self.checked(w, field, item, depth)
            w.trail.steps[depth].key = NULL
            w.pos[0] = c","
            w.pos += 1
        return close_object(w)

    cdef int map_key(self, Writer* w, FieldTable field, object key) except -1:
        """A key is always a string."""
        if field.kind == STRING:
            return self.value(w, field, key, 0)
        w.pos[0] = c'"'
        w.pos += 1
        put_number(w, field, key, False)
        w.pos[0] = c'"'
        w.pos += 1
        return 0

    cdef int checked(self, Writer* w, FieldTable field, object value, int depth) except -1:
        """One value and its constraints; ValueError gives the reason it is refused. Leaves room for 32 bytes."""
        w.trail.count = depth + 1
        need(w, 64)
        self.value(w, field, value, depth)
        if field.bounds is not None:
            reason = field.bounds.broken(value)
            if reason is not None:
                w.trail.count = depth + 1
                raise ValueError(reason)
        return need(w, 32)

    cdef int value(self, Writer* w, FieldTable field, object value, int depth) except -1:
        cdef int kind = field.kind, at
        if kind == STRING:
            if not PyUnicode_Check(value):
                raise mistyped(field, value)
            return put_string(w, value)
        if kind <= DOUBLE:
            return put_number(w, field, value, self.proto)
        if kind == MESSAGE:
            return self.message(w, field.message, value, depth + 1, None)
        if kind == ENUM:
            at = field.enum.position(value)
            if at < 0:
                raise mistyped(field, value)
            text = field.enum.proto_names[at] if self.proto else field.enum.plain[at]
            return put_string(w, text) if type(text) is str else put_text(w, str(text))
        if kind == UNION:
            return self.union(w, field, value, depth)
        if kind == TIMESTAMP:
            w.pos[0] = c'"'
            w.pos += 1
            w.pos += timestamp_to_text(value, w.pos)
            w.pos[0] = c'"'
            w.pos += 1
            return 0
        return put_ascii(w, text_of(field, value, self.proto))

    cdef int union(self, Writer* w, FieldTable field, object value, int depth) except -1:
        cdef int at = field.union.position(value)
        cdef FieldTable inner
        if at < 0:
            raise mistyped(field, value)
        inner = <FieldTable>field.union.fields[at]
        if not self.proto:
            return self.message(w, inner.message, value, depth + 1, field.union.tags[at])
        w.pos[0] = c"{"
        w.pos += 1
        put_string(w, field.union.json_names[at])
        w.pos[0] = c":"
        w.pos += 1
        step(&w.trail, depth + 1, inner)
        self.message(w, inner.message, value, depth + 2, None)
        w.pos[0] = c"}"
        w.pos += 1
        return 0


cdef int put_text(Writer* w, object text) except -1:
    cdef Py_ssize_t length
    cdef const char* s = PyUnicode_AsUTF8AndSize(text, &length)
    return put_raw(w, s, length)


cdef inline int close_object(Writer* w) except -1:
    """Ends an object each of whose members left a comma."""
    if (w.pos - 1)[0] == c",":
        w.pos -= 1
    w.pos[0] = c"}"
    w.pos += 1
    return need(w, 32)


cdef bint is_zero(FieldTable field, object value):
    """What implicit presence leaves out. A value of a wrong type is none, so that it is refused later."""
    if field.cardinality != SINGLE:
        return isinstance(value, (list, tuple, dict)) and len(value) == 0
    if field.kind == ENUM:
        return field.enum.position(value) >= 0 and field.enum.numbers[field.enum.position(value)] == 0
    if PyFloat_Check(value):
        return value == 0 and not signbit(PyFloat_AS_DOUBLE(value))
    return isinstance(value, (bool, int, str, bytes)) and not value and type_fits(field.kind, value)


cdef bint type_fits(int kind, object value):
    if kind == BOOL:
        return PyBool_Check(value)
    if kind <= DOUBLE:
        return PyLong_Check(value) and not PyBool_Check(value)
    return PyUnicode_Check(value) if kind == STRING else kind == BYTES and PyBytes_CheckExact(value)


cdef int put_number(Writer* w, FieldTable field, object value, bint proto) except -1:
    """Booleans and numbers; the proto mapping writes 64-bit integers as strings."""
    cdef int kind = field.kind, overflow = 0
    cdef int64_t number
    cdef uint64_t large
    cdef double real
    if kind == BOOL:
        if not PyBool_Check(value):
            raise mistyped(field, value)
        return put_raw(w, "true", 4) if value is True else put_raw(w, "false", 5)
    if kind <= UINT64:
        if not PyLong_Check(value) or PyBool_Check(value):
            raise mistyped(field, value)
        if proto and (kind == INT64 or kind == UINT64):
            w.pos[0] = c'"'
            w.pos += 1
        if kind == UINT64:
            try:
                large = PyLong_AsUnsignedLongLong(value)
            except OverflowError:
                raise ValueError(range_reason(kind)) from None
            w.pos = put_unsigned(w.pos, large)
        else:
            number = PyLong_AsLongLongAndOverflow(value, &overflow)
            if overflow or (kind == INT32 and number != <int32_t>number) or (kind == UINT32 and number != <uint32_t>number):
                raise ValueError(range_reason(kind))
            w.pos = put_signed(w.pos, number)
        if proto and (kind == INT64 or kind == UINT64):
            w.pos[0] = c'"'
            w.pos += 1
        return 0
    if PyFloat_Check(value):
        real = PyFloat_AS_DOUBLE(value)
    elif PyLong_Check(value) and not PyBool_Check(value):
        try:
            real = PyLong_AsDouble(value)
        except OverflowError:
            raise ValueError("out of range for a float") from None
    else:
        raise mistyped(field, value)
    if not isfinite(real):
        raise ValueError("NaN and infinities have no JSON form")
    return put_double(w, real) if kind == DOUBLE else put_float(w, real)


cdef object text_of(FieldTable field, object value, bint proto):
    """The text of a kind whose text needs no escapes."""
    cdef int kind = field.kind, nanos
    cdef int64_t seconds
    if kind == BYTES:
        if PyBytes_CheckExact(value):
            return b2a_base64(value, newline=False).decode("ascii")
    elif kind == DURATION:
        if isinstance(value, timedelta):
            duration_to_parts(value, &seconds, &nanos)  # refuses what no peer could read
            return proto_duration_to_text(value) if proto else iso_duration_to_text(value)
    elif kind == DECIMAL:
        if isinstance(value, Decimal):
            if not value.is_finite():
                raise ValueError("expected a finite decimal")
            return str(value)
    elif kind == UUID:
        if isinstance(value, UuidClass):
            return str(value)
    elif isinstance(value, date) and not isinstance(value, datetime):
        return value.isoformat()
    raise mistyped(field, value)
