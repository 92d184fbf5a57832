# cython: boundscheck=False, wraparound=False, cdivision=True, binding=False
"""Protobuf straight between Structs and bytes, driven by the schema's tables: one codec for each message type.

https://protobuf.dev/programming-guides/encoding; where that leaves a choice, as upb (Google's runtime) does:
`tests/codec/test_protobuf_oracle.py` holds the two together. Enums are closed: an unknown number is refused.
"""

from cpython.bool cimport PyBool_Check
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_CheckExact, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.dict cimport PyDict_CheckExact
from cpython.float cimport PyFloat_AS_DOUBLE, PyFloat_Check
from cpython.list cimport PyList_CheckExact, PyList_GET_ITEM, PyList_GET_SIZE
from cpython.long cimport PyLong_Check
from cpython.mem cimport PyMem_Calloc, PyMem_Free
from cpython.object cimport PyObject
from cpython.ref cimport Py_INCREF, Py_XDECREF
from cpython.unicode cimport PyUnicode_Check, PyUnicode_DecodeUTF8
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy, memmove, memset

from polywire.codec._tables cimport *
from polywire.codec._times cimport duration_from_parts, duration_to_parts, timestamp_from_parts, timestamp_to_parts

from datetime import date, datetime
from decimal import Decimal
from uuid import UUID as UuidClass

from polywire.codec._tables import range_reason
from polywire.codec.results import WrongResult
from polywire.errors import InvalidInput, MalformedInput

cdef extern from "Python.h":
    long long PyLong_AsLongLongAndOverflow(object value, int* overflow) except? -1
    unsigned long long PyLong_AsUnsignedLongLong(object value) except? 0xFFFFFFFFFFFFFFFF
    const char* PyUnicode_AsUTF8AndSize(object text, Py_ssize_t* length) except NULL
    double PyLong_AsDouble(object value) except? -1.0

cdef extern from *:
    """
    /* The bytes of a float field: little-endian IEEE 754 (a cast beyond the range gives an infinity, as upb does). */
    #include <string.h>
    #if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
    #error "little-endian machines only"
    #endif
    """

cdef struct Reader:
    const uint8_t* start
    Py_ssize_t shift        # added to offsets in errors: where a re-joined submessage came from
    Trail trail

cdef struct Piece:
    const uint8_t* data
    Py_ssize_t length


# --- writing ---

cdef inline uint8_t* put_varint(uint8_t* p, uint64_t value) noexcept:
    while value >= 128:
        p[0] = <uint8_t>(value | 128)
        p += 1
        value >>= 7
    p[0] = <uint8_t>value
    return p + 1


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
                w.pos = put_varint(w.pos, PyLong_AsUnsignedLongLong(value))
            except OverflowError:
                raise ValueError(range_reason(kind)) from None
            return 0
        number = PyLong_AsLongLongAndOverflow(value, &overflow)
        if overflow or (kind == INT32 and number != <int32_t>number) or (kind == UINT32 and number != <uint32_t>number):
            raise ValueError(range_reason(kind))
        w.pos = put_varint(w.pos, <uint64_t>number)
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
        w.pos[0] = (2 << 3) | wire_type(field.kind)
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


# --- reading ---

cdef inline int wire_type(int kind) noexcept:
    if kind == FLOAT:
        return 5
    if kind == DOUBLE:
        return 1
    return 0 if kind <= UINT64 or kind == ENUM else 2


cdef object malformed(Reader* r, const uint8_t* p, str reason):
    return MalformedInput(f"malformed protobuf: {reason} at byte {p - r.start + r.shift}")


cdef inline const uint8_t* varint(Reader* r, const uint8_t* p, const uint8_t* end, uint64_t* value) except NULL:
    if p < end and p[0] < 128:
        value[0] = p[0]
        return p + 1
    return long_varint(r, p, end, value)


cdef const uint8_t* long_varint(Reader* r, const uint8_t* p, const uint8_t* end, uint64_t* value) except NULL:
    cdef uint64_t found = 0
    cdef int i
    for i in range(10):
        if p + i >= end:
            raise malformed(r, p, "truncated varint")
        found |= <uint64_t>(p[i] & 127) << (7 * i)
        if p[i] < 128:
            if i == 9 and p[i] > 1:
                break
            value[0] = found
            return p + i + 1
    raise malformed(r, p, "varint longer than 64 bits")


cdef inline const uint8_t* read_tag(
    Reader* r, const uint8_t* p, const uint8_t* end, uint32_t* number, int* wire
) except NULL:
    cdef uint64_t tag
    cdef const uint8_t* after = varint(r, p, end, &tag)
    if tag > 0xFFFFFFFF or after - p > 5:
        raise malformed(r, p, "tag out of range")
    number[0] = <uint32_t>(tag >> 3)
    wire[0] = tag & 7
    if number[0] == 0:
        raise malformed(r, p, "field number 0")
    return after


cdef inline const uint8_t* read_length(
    Reader* r, const uint8_t* p, const uint8_t* end, Py_ssize_t* length
) except NULL:
    cdef uint64_t found
    cdef const uint8_t* after = varint(r, p, end, &found)
    if found > <uint64_t>(end - after):
        raise malformed(r, p, f"length {found} beyond the end")
    length[0] = <Py_ssize_t>found
    return after


cdef const uint8_t* skip(
    Reader* r, const uint8_t* p, const uint8_t* end, uint32_t number, int wire, int depth
) except NULL:
    """Over the value of an unknown field; groups are skipped to their end."""
    cdef uint64_t value
    cdef Py_ssize_t length
    cdef uint32_t inner
    cdef int inner_wire
    if wire == 0:
        return varint(r, p, end, &value)
    if wire == 1 or wire == 5:
        length = 8 if wire == 1 else 4
        if end - p < length:
            raise malformed(r, p, "truncated number")
        return p + length
    if wire == 2:
        p = read_length(r, p, end, &length)
        return p + length
    if wire != 3:
        raise malformed(r, p, "end of a group that was not begun" if wire == 4 else f"wire type {wire}")
    if depth >= MAX_DEPTH:
        raise malformed(r, p, f"messages nested deeper than {MAX_DEPTH}")
    while True:
        if p >= end:
            raise malformed(r, p, "truncated group")
        p = read_tag(r, p, end, &inner, &inner_wire)
        if inner_wire == 4:
            if inner != number:
                raise malformed(r, p, "end of another group")
            return p
        p = skip(r, p, end, inner, inner_wire, depth + 1)


cdef object number_value(Reader* r, FieldTable field, uint64_t value, int depth):
    """The Python value of a varint; None for an enum's unspecified zero."""
    cdef int kind = field.kind
    if kind == INT32:
        return <int32_t>value
    if kind == INT64:
        return <int64_t>value
    if kind == BOOL:
        return value != 0
    if kind == UINT32:
        return <uint32_t>value
    if kind == UINT64:
        return value
    found = field.enum.by_number(<int32_t>value)
    if found is None and <int32_t>value != 0:
        raise invalid(&r.trail, depth + 1, f"unknown value {<int32_t>value} of {field.enum.cls.__name__}")
    return found


cdef const uint8_t* read_scalar(
    Reader* r, FieldTable field, const uint8_t* p, const uint8_t* end, int depth, PyObject** out
) except NULL:
    """One value that is not a submessage, of the wire type its kind has. A new reference in `out`, NULL for an absent one."""
    cdef uint64_t number
    cdef double real
    cdef float single
    cdef Py_ssize_t length
    cdef int kind = field.kind
    value = None
    if kind <= UINT64 or kind == ENUM:
        p = varint(r, p, end, &number)
        value = number_value(r, field, number, depth)
    elif kind == FLOAT:
        if end - p < 4:
            raise malformed(r, p, "truncated number")
        memcpy(&single, p, 4)
        value = <double>single
        p += 4
    elif kind == DOUBLE:
        if end - p < 8:
            raise malformed(r, p, "truncated number")
        memcpy(&real, p, 8)
        value = real
        p += 8
    else:
        p = read_length(r, p, end, &length)
        if kind == BYTES:
            value = PyBytes_FromStringAndSize(<const char*>p, length)
        else:
            try:
                value = PyUnicode_DecodeUTF8(<const char*>p, length, NULL)
            except UnicodeDecodeError as error:
                length = error.start
                raise malformed(r, p + length, f"{field.name} is not UTF-8") from None
            if kind != STRING:
                value = None if not length else text_value(r, field, value, depth)
        p += length
    if value is None:
        out[0] = NULL
    else:
        Py_INCREF(value)
        out[0] = <PyObject*>value
    return p


cdef object text_value(Reader* r, FieldTable field, object text, int depth):
    try:
        return from_text(field, field.kind, text, True)
    except ValueError as error:
        raise invalid(&r.trail, depth + 1, str(error)) from None


cdef object read_parts(Reader* r, FieldTable field, const uint8_t* p, const uint8_t* end, int depth):
    """A google.protobuf.Timestamp or Duration: seconds = 1, nanos = 2."""
    cdef int64_t seconds = 0
    cdef int32_t nanos = 0
    cdef uint64_t value
    cdef uint32_t number
    cdef int wire
    if depth >= MAX_DEPTH:
        raise malformed(r, p, f"messages nested deeper than {MAX_DEPTH}")
    while p < end:
        p = read_tag(r, p, end, &number, &wire)
        if number <= 2 and wire == 0:
            p = varint(r, p, end, &value)
            if number == 1:
                seconds = <int64_t>value
            else:
                nanos = <int32_t>value
        else:
            p = skip(r, p, end, number, wire, depth + 1)
    try:
        if field.kind == DURATION:
            return duration_from_parts(seconds, nanos)
        if not 0 <= nanos <= 999999999:
            raise ValueError("nanos of a timestamp must be from 0 to 999999999")
        return timestamp_from_parts(seconds, nanos // 1000)
    except ValueError as error:
        raise invalid(&r.trail, depth + 1, str(error)) from None


cdef object read_union(Reader* r, FieldTable field, const uint8_t* p, const uint8_t* end, int depth):
    """A oneof wrapper: the last member wins; one that comes again in a row is merged with itself. None if it is empty."""
    cdef UnionTable union = field.union
    cdef uint32_t number
    cdef int wire, i, at = -1
    cdef Py_ssize_t length, first = 0
    cdef list chunks = []
    if depth >= MAX_DEPTH:
        raise malformed(r, p, f"messages nested deeper than {MAX_DEPTH}")
    while p < end:
        p = read_tag(r, p, end, &number, &wire)
        i = -1
        if wire == 2:
            for i in range(union.count):
                if <uint32_t>union.numbers[i] == number:
                    break
            else:
                i = -1
        if i < 0:
            p = skip(r, p, end, number, wire, depth + 1)
            continue
        p = read_length(r, p, end, &length)
        if at != i:
            if at >= 0:
                discard_member(r, <FieldTable>union.fields[at], b"".join(chunks), first, depth)
                chunks.clear()
            first = p - r.start + r.shift
        at = i
        chunks.append(PyBytes_FromStringAndSize(<const char*>p, length))
        p += length
    if at < 0:
        return None
    return read_joined(r, <FieldTable>union.fields[at], b"".join(chunks), first, depth + 1)


cdef int discard_member(Reader* r, FieldTable member, bytes data, Py_ssize_t first, int depth) except -1:
    """An overwritten oneof member must be well-formed all the same."""
    try:
        read_joined(r, member, data, first, depth + 1)
    except InvalidInput:
        pass
    return 0


cdef object read_joined(Reader* r, FieldTable field, bytes data, Py_ssize_t first, int depth):
    step(&r.trail, depth, field)
    return read_at(r, field, data, first, depth)


cdef object read_at(Reader* r, FieldTable field, bytes data, Py_ssize_t first, int depth):
    """A submessage from bytes of their own, the joined occurrences of a field; `first` is where they began."""
    cdef const uint8_t* start = r.start
    cdef Py_ssize_t shift = r.shift
    r.start = <const uint8_t*>PyBytes_AS_STRING(data)
    r.shift = first
    try:
        return read_submessage(r, field, r.start, r.start + PyBytes_GET_SIZE(data), depth)
    finally:
        r.start = start
        r.shift = shift


cdef object read_submessage(Reader* r, FieldTable field, const uint8_t* p, const uint8_t* end, int depth):
    if field.kind == MESSAGE:
        return read_message(r, field.message, p, end, depth + 1)
    if field.kind == UNION:
        return read_union(r, field, p, end, depth)
    return read_parts(r, field, p, end, depth)


cdef const uint8_t* read_element(
    Reader* r, FieldTable field, const uint8_t* p, const uint8_t* end, int depth, PyObject** out
) except NULL:
    """One element of a list or one value of a map, its constraints checked: nothing may be absent here."""
    cdef Py_ssize_t length
    out[0] = NULL
    if field.kind == MESSAGE or UNION <= field.kind <= DURATION:
        p = read_length(r, p, end, &length)
        value = read_submessage(r, field, p, p + length, depth)
        if value is not None:
            Py_INCREF(value)
            out[0] = <PyObject*>value
        p += length
    else:
        p = read_scalar(r, field, p, end, depth, out)
    if out[0] == NULL:
        raise invalid(&r.trail, depth + 1, "required")
    return p


cdef const uint8_t* read_list(
    Reader* r, FieldTable field, list items, const uint8_t* p, const uint8_t* end, int wire, int depth
) except NULL:
    """The next element, or a packed run of them."""
    cdef Py_ssize_t length
    cdef const uint8_t* stop
    cdef PyObject* made
    if wire == 2 and field.packed:
        p = read_length(r, p, end, &length)
        stop = p + length
    else:
        stop = p + 1
    while p < stop:
        r.trail.steps[depth].index = len(items)
        p = read_element(r, field, p, stop if wire == 2 and field.packed else end, depth, &made)
        value = <object>made
        Py_XDECREF(made)
        if field.bounds is not None:
            check_bounds(field.bounds, value, &r.trail, depth + 1)
        items.append(value)
    return p


cdef int read_entry(
    Reader* r, FieldTable field, dict entries, const uint8_t* p, const uint8_t* end, int depth
) except -1:
    """One entry of a map: a message of key = 1, value = 2. The last entry of a key wins."""
    cdef uint32_t number
    cdef int wire
    cdef PyObject* made = NULL
    cdef list chunks = []
    cdef Py_ssize_t length = 0, first = 0
    cdef bint deferred = field.kind == MESSAGE or UNION <= field.kind <= DURATION
    if depth >= MAX_DEPTH:
        raise malformed(r, p, f"messages nested deeper than {MAX_DEPTH}")
    key = None
    value = None
    while p < end:
        p = read_tag(r, p, end, &number, &wire)
        if number == 1 and wire == wire_type(field.map_key):
            p = read_scalar(r, field.key_field, p, end, depth, &made)
            key = <object>made
            Py_XDECREF(made)
        elif number == 2 and wire == wire_type(field.kind):
            if deferred:
                p = read_length(r, p, end, &length)
                first = first or p - r.start + r.shift
                chunks.append(PyBytes_FromStringAndSize(<const char*>p, length))
                p += length
            else:
                p = read_scalar(r, field, p, end, depth, &made)
                value = None
                if made != NULL:
                    value = <object>made
                    Py_XDECREF(made)
        else:
            p = skip(r, p, end, number, wire, depth + 1)
    if key is None:
        key = False if field.map_key == BOOL else "" if field.map_key == STRING else 0
    r.trail.steps[depth].key = <PyObject*>key
    if deferred:
        value = read_at(r, field, b"".join(chunks), first, depth)
    elif value is None:
        value = zero_of(field)
    if value is None:
        raise invalid(&r.trail, depth + 1, "required")
    if field.bounds is not None:
        check_bounds(field.bounds, value, &r.trail, depth + 1)
    entries[key] = value
    r.trail.steps[depth].key = NULL
    return 0


cdef object zero_of(FieldTable field):
    """The value of a map entry that has none; None where the kind has no zero."""
    if field.kind == BOOL:
        return False
    if field.kind <= UINT64:
        return 0
    if field.kind <= DOUBLE:
        return 0.0
    if field.kind == STRING:
        return ""
    if field.kind == BYTES:
        return b""
    return field.enum.by_number(0) if field.kind == ENUM else None


cdef int read_fields(
    Reader* r, MessageTable table, const uint8_t* p, const uint8_t* end, int depth, PyObject** values, Piece* pieces
) except -1:
    """Every field of a message into its slots. Single submessages wait in `pieces`: a repeated one is merged by joining."""
    cdef uint32_t number
    cdef int wire, cursor = 0, i
    cdef Py_ssize_t length
    cdef FieldTable field
    cdef PyObject* made
    cdef bint waiting = False
    while p < end:
        p = read_tag(r, p, end, &number, &wire)
        field = table.find(number, &cursor)
        if field is None:
            p = skip(r, p, end, number, wire, depth)
            continue
        step(&r.trail, depth, field)
        i = field.arg
        if field.cardinality == SINGLE:
            if wire != wire_type(field.kind):
                p = skip(r, p, end, number, wire, depth)
            elif field.deferred:
                p = read_length(r, p, end, &length)
                if pieces[i].data == NULL:
                    pieces[i].data = p
                    pieces[i].length = length
                else:
                    if values[i] == NULL:
                        chunks = [PyBytes_FromStringAndSize(<const char*>pieces[i].data, pieces[i].length)]
                        Py_INCREF(chunks)
                        values[i] = <PyObject*>chunks
                    (<list>values[i]).append(PyBytes_FromStringAndSize(<const char*>p, length))
                p += length
                waiting = True
            else:
                p = read_scalar(r, field, p, end, depth, &made)
                if values[i] != NULL:
                    Py_XDECREF(values[i])
                values[i] = made
        elif field.cardinality == LIST:
            if wire != wire_type(field.kind) and not (wire == 2 and field.packed):
                p = skip(r, p, end, number, wire, depth)
                continue
            if values[i] == NULL:
                items = []
                Py_INCREF(items)
                values[i] = <PyObject*>items
            p = read_list(r, field, <list>values[i], p, end, wire, depth)
        else:
            if wire != 2:
                p = skip(r, p, end, number, wire, depth)
                continue
            if values[i] == NULL:
                entries = {}
                Py_INCREF(entries)
                values[i] = <PyObject*>entries
            p = read_length(r, p, end, &length)
            read_entry(r, field, <dict>values[i], p, p + length, depth)
            p += length
    if waiting:
        for i in range(table.count):
            if pieces[i].data != NULL:
                settle(r, <FieldTable>table.fields[i], &values[i], &pieces[i], depth)
    return 0


cdef int settle(Reader* r, FieldTable field, PyObject** slot, Piece* piece, int depth) except -1:
    """Reads a single submessage once all its occurrences are known."""
    step(&r.trail, depth, field)
    if slot[0] == NULL:
        value = read_submessage(r, field, piece.data, piece.data + piece.length, depth)
    else:
        joined = b"".join(<list>slot[0])
        value = read_joined(r, field, joined, piece.data - r.start + r.shift, depth)
        Py_XDECREF(slot[0])
        slot[0] = NULL
    if value is not None:
        Py_INCREF(value)
        slot[0] = <PyObject*>value
    return 0


cdef object read_message(Reader* r, MessageTable table, const uint8_t* p, const uint8_t* end, int depth):
    cdef PyObject* values[INLINE_FIELDS]
    cdef Piece pieces[INLINE_FIELDS]
    cdef int i
    if depth > MAX_DEPTH:
        raise malformed(r, p, f"messages nested deeper than {MAX_DEPTH}")
    if table.count > INLINE_FIELDS:
        return read_wide(r, table, p, end, depth)
    memset(values, 0, sizeof(PyObject*) * table.count)
    memset(pieces, 0, sizeof(Piece) * table.count)
    try:
        read_fields(r, table, p, end, depth, values, pieces)
        return table.finish(values, &r.trail, depth, PROTO)
    finally:
        for i in range(table.count):
            Py_XDECREF(values[i])


cdef object read_wide(Reader* r, MessageTable table, const uint8_t* p, const uint8_t* end, int depth):
    """read_message for more fields than are worth keeping on the C stack."""
    cdef PyObject** values = <PyObject**>PyMem_Calloc(table.count, sizeof(PyObject*))
    cdef Piece* pieces = <Piece*>PyMem_Calloc(table.count, sizeof(Piece))
    cdef int i
    try:
        if values == NULL or pieces == NULL:
            raise MemoryError
        read_fields(r, table, p, end, depth, values, pieces)
        return table.finish(values, &r.trail, depth, PROTO)
    finally:
        if values != NULL:
            for i in range(table.count):
                Py_XDECREF(values[i])
        PyMem_Free(values)
        PyMem_Free(pieces)


cdef class ProtobufCodec:
    """The protobuf form of one message type. Its methods are the hot path: call them unwrapped."""

    cdef MessageTable table

    def __init__(self, message):
        self.table = message_table(message)

    cdef object run(self, object value, bint wrapped):
        cdef Writer w
        writer_init(&w)
        w.trail.count = 0
        try:
            if wrapped:
                write_field(&w, <FieldTable>self.table.fields[0], value, 0)
            else:
                write_message(&w, self.table, value, 0)
            return PyBytes_FromStringAndSize(<char*>w.base, w.pos - w.base)
        except UnicodeEncodeError:
            raise wrong(self.table, &w.trail, w.trail.count, "has a lone surrogate, which UTF-8 cannot carry") from None
        except ValueError as error:
            raise wrong(self.table, &w.trail, w.trail.count, str(error)) from None
        finally:
            writer_free(&w)

    def encode(self, value):
        return self.run(value, False)

    def encode_wrapped(self, value):
        return self.run(value, True)

    def encode_empty(self, value):
        if value is not None:
            raise WrongResult(f"{self.table.name}: expected None, got {type(value).__name__}")
        return b""

    def decode(self, bytes data not None):
        cdef Reader r
        r.start = <const uint8_t*>PyBytes_AS_STRING(data)
        r.shift = 0
        return read_message(&r, self.table, r.start, r.start + PyBytes_GET_SIZE(data), 0)

    def decode_wrapped(self, bytes data not None):
        return read_slot(self.table, self.decode(data), <FieldTable>self.table.fields[0])

    def decode_empty(self, bytes data not None):
        self.decode(data)
