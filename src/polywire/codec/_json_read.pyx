# cython: boundscheck=False, wraparound=False, cdivision=True, binding=False
"""Both JSON profiles read straight into Structs, driven by the schema's tables (RFC 8259; the proto3 JSON mapping).

One parser, because neither profile is what msgspec's decoder takes: `"42"` is an integer but `"true"` is no boolean,
64 bits are a bound, names come in two forms. A byte that cannot be JSON is MalformedInput, a value that the schema refuses InvalidInput.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
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
from polywire.errors import MalformedInput

ABSENT = object()
"""In the slots given to `JsonReader.bind`: nothing was given."""


# --- values ---

cdef int refuse(Reader* r, int depth, str wanted) except -1:
    """A value of another kind than wanted. Looks at all of it first: what is not JSON at all is malformed."""
    cdef const uint8_t* begin = r.p
    skip(r, depth)
    r.p = begin
    raise invalid(&r.trail, depth + 1, f"expected {wanted}, got {describe(r)}")


cdef object read_int(Reader* r, FieldTable field, int kind, int depth):
    """A number without a fraction, or the same in quotes."""
    cdef Number number
    cdef double top
    cdef bint quoted = r.p[0] == c'"'
    cdef const uint8_t* begin = r.p
    if quoted:
        r.p += 1
        if not is_digit(r.p[1 if r.p[0] == c"-" else 0]):
            r.p = begin
            read_string(r)
            raise invalid(&r.trail, depth + 1, "expected an integer, got a string")
    elif r.p[0] != c"-" and not is_digit(r.p[0]):
        refuse(r, depth, "an integer")
    try:
        read_number(r, &number)
    except MalformedInput:
        if not quoted:
            raise
        r.p = begin
    if quoted:
        if r.p == begin or r.p[0] != c'"':
            r.p = begin
            read_string(r)
            raise invalid(&r.trail, depth + 1, "expected an integer, got a string")
        r.p += 1
    if not number.whole and (r.proto or not quoted):
        top = 18446744073709551616.0 if kind == UINT64 else 9223372036854775808.0
        if not isfinite(number.real) or floor(number.real) != number.real:
            raise invalid(&r.trail, depth + 1, "expected an integer, got a fraction")
        if not -top <= number.real < top:
            raise invalid(&r.trail, depth + 1, range_reason(kind))
        number.magnitude = <uint64_t>(-number.real if number.negative else number.real)
    elif not number.whole:
        raise invalid(&r.trail, depth + 1, "expected an integer, got a string")
    if number.large or not in_range(kind, number.negative, number.magnitude):
        raise invalid(&r.trail, depth + 1, range_reason(kind))
    if number.negative:
        return <int64_t>(<uint64_t>0 - number.magnitude)
    return number.magnitude if number.magnitude >> 63 else <int64_t>number.magnitude


cdef inline bint in_range(int kind, bint negative, uint64_t magnitude) noexcept:
    if kind == INT32:
        return magnitude <= (<uint64_t>1 << 31) - (0 if negative else 1)
    if kind == INT64:
        return magnitude <= (<uint64_t>1 << 63) - (0 if negative else 1)
    if negative and magnitude:
        return False
    return kind == UINT64 or magnitude <= 0xFFFFFFFF


cdef object read_float(Reader* r, FieldTable field, int depth):
    """A number; in the proto mapping also in quotes. What overflows to an infinity is refused."""
    cdef Number number
    cdef double real
    cdef const uint8_t* begin = r.p
    cdef bint quoted = r.p[0] == c'"'
    if quoted:
        if not r.proto:
            refuse(r, depth, "a number")
        text = read_string(r)
        if r.p - begin - 2 != len(text) or not text or text[0] not in "-0123456789":
            raise invalid(&r.trail, depth + 1, "expected a finite number, got a string")
        r.p = begin + 1
        try:
            read_number(r, &number)
        except MalformedInput:
            r.p = begin
        if r.p == begin or r.p[0] != c'"':
            raise invalid(&r.trail, depth + 1, "expected a finite number, got a string")
        r.p += 1
    else:
        if r.p[0] != c"-" and not is_digit(r.p[0]):
            refuse(r, depth, "a number")
        read_number(r, &number)
    if number.whole and not number.large:
        real = -(<double>number.magnitude) if number.negative else <double>number.magnitude
    else:
        real = number.real
    if field.kind == FLOAT:
        real = <float>real
    if not isfinite(real):
        raise invalid(&r.trail, depth + 1, "out of range for a float")
    return real


cdef object read_bool(Reader* r, int depth):
    if r.p[0] == c"t":
        literal(r, "true", 4)
        return True
    if r.p[0] == c"f":
        literal(r, "false", 5)
        return False
    refuse(r, depth, "a boolean")


cdef object read_enum(Reader* r, FieldTable field, int depth):
    """By name or, where it has one, number. None for the unspecified zero of the proto mapping."""
    cdef EnumTable table = field.enum
    if r.p[0] == c'"':
        text = read_string(r)
        found = (table.proto_by_text if r.proto else table.plain_by_text).get(text)
        if found is None and not (r.proto and text == table.unspecified):
            raise invalid(&r.trail, depth + 1, one_of(table.proto_names if r.proto else table.plain))
        return found
    if r.p[0] != c"-" and not is_digit(r.p[0]) or not (r.proto or table.plain_by_number):
        refuse(r, depth, "a string")
    number = read_int(r, field, INT32, depth)
    found = table.by_number(number) if r.proto else table.plain_by_number.get(number)
    if found is None and not (r.proto and number == 0):
        raise invalid(&r.trail, depth + 1, one_of(table.proto_names if r.proto else table.plain))
    return found


cdef object read_value(Reader* r, FieldTable field, int depth):
    """One value that is not null. None: an enum's unspecified zero or an empty oneof, as good as absent."""
    cdef int kind = field.kind
    cdef uint8_t c
    if kind == STRING:
        if r.p[0] != c'"':
            refuse(r, depth, "a string")
        return read_string(r)
    if INT32 <= kind <= UINT64:
        return read_int(r, field, kind, depth)
    if kind == MESSAGE:
        return read_message(r, field.message, depth + 1)
    if kind == BOOL:
        return read_bool(r, depth)
    if kind <= DOUBLE:
        return read_float(r, field, depth)
    if kind == ENUM:
        return read_enum(r, field, depth)
    if kind == UNION:
        return read_oneof(r, field, depth) if r.proto else read_tagged(r, field, depth)
    c = r.p[0]
    if kind == DECIMAL and not r.proto and (c == c"-" or is_digit(c)):
        return decimal_number(r, field, depth)
    if c != c'"':
        refuse(r, depth, "a string")
    text = read_string(r)
    try:
        return from_text(field, kind, text, r.proto)
    except ValueError as error:
        raise invalid(&r.trail, depth + 1, str(error)) from None


cdef object decimal_number(Reader* r, FieldTable field, int depth):
    """A decimal as a JSON number, digit by digit: it never passes through a float."""
    cdef const uint8_t* begin = r.p
    cdef Number number
    read_number(r, &number)
    try:
        return from_text(field, DECIMAL, begin[:r.p - begin].decode("ascii"), False)
    except ValueError as error:
        raise invalid(&r.trail, depth + 1, str(error)) from None


cdef object read_any(Reader* r, FieldTable field, int depth):
    """A field's whole value; None is JSON's null or an absent one."""
    cdef uint8_t c = blank(r)
    if c == c"n":
        literal(r, "null", 4)
        if not field.nullable and not r.proto:
            raise invalid(&r.trail, depth + 1, "expected a value, got null")
        return None
    if field.cardinality == SINGLE:
        return read_value(r, field, depth)
    if field.cardinality == LIST:
        return read_list(r, field, depth)
    return read_map(r, field, depth)


cdef object read_element(Reader* r, FieldTable field, int depth):
    """One element of a list or value of a map, its constraints checked: nothing may be absent here."""
    if blank(r) == c"n":
        literal(r, "null", 4)
        raise invalid(&r.trail, depth + 1, "expected a value, got null")
    value = read_value(r, field, depth)
    if value is None:
        raise invalid(&r.trail, depth + 1, "required")
    if field.bounds is not None:
        check_bounds(field.bounds, value, &r.trail, depth + 1)
    return value


cdef object read_list(Reader* r, FieldTable field, int depth):
    cdef list items = []
    cdef Py_ssize_t at = 0
    if r.p[0] != c"[":
        refuse(r, depth, "an array")
    r.p += 1
    if blank(r) == c"]":
        r.p += 1
        return items
    while True:
        r.trail.steps[depth].index = at
        items.append(read_element(r, field, depth))
        at += 1
        if not more(r, c"]"):
            r.trail.steps[depth].index = -1
            return items


cdef object read_map(Reader* r, FieldTable field, int depth):
    cdef dict entries = {}
    if r.p[0] != c"{":
        refuse(r, depth, "an object")
    r.p += 1
    if blank(r) == c"}":
        r.p += 1
        return entries
    while True:
        text = read_key(r)
        r.trail.steps[depth].key = <PyObject*>text
        key = map_key(r, field, text, depth)
        if key in entries:
            raise invalid(&r.trail, depth + 1, "given twice")
        entries[key] = read_element(r, field, depth)
        r.trail.steps[depth].key = NULL
        if not more(r, c"}"):
            return entries


cdef object map_key(Reader* r, FieldTable field, object text, int depth):
    if field.map_key == STRING:
        return text
    if field.map_key == BOOL:
        if text == "true" or text == "false":
            return text == "true"
        raise invalid(&r.trail, depth + 1, "expected true or false as the key")
    try:
        return int_from_text(field.map_key, text)
    except ValueError as error:
        raise invalid(&r.trail, depth + 1, f"key: {error}") from None


cdef object read_oneof(Reader* r, FieldTable field, int depth):
    """The proto form of a union: an object with the member's name; None if there is none."""
    cdef UnionTable union = field.union
    cdef FieldTable inner
    cdef int i
    found = None
    if r.p[0] != c"{":
        refuse(r, depth, "an object")
    if depth >= MAX_DEPTH:
        raise malformed(r, f"nested deeper than {MAX_DEPTH}")
    r.p += 1
    if blank(r) == c"}":
        r.p += 1
        return None
    while True:
        key = read_key(r)
        for i in range(union.count):
            if key == union.json_names[i] or key == union.names[i]:
                break
        else:
            i = -1
        if i < 0:
            skip(r, depth + 1)
        elif blank(r) == c"n":
            literal(r, "null", 4)
        else:
            if found is not None:
                raise invalid(&r.trail, depth + 1, "more than one of " + ", ".join(union.json_names))
            inner = <FieldTable>union.fields[i]
            step(&r.trail, depth + 1, inner)
            found = read_message(r, inner.message, depth + 2)
        if not more(r, c"}"):
            return found


cdef object read_tagged(Reader* r, FieldTable field, int depth):
    """The plain form of a union: the member's own object with its class in `type`, wherever that stands."""
    cdef UnionTable union = field.union
    cdef const uint8_t* begin = r.p
    cdef int i
    if r.p[0] != c"{":
        refuse(r, depth, "an object")
    if depth >= MAX_DEPTH:
        raise malformed(r, f"nested deeper than {MAX_DEPTH}")
    r.p += 1
    tag = None
    while blank(r) != c"}":
        if read_key(r) == "type":
            if blank(r) != c'"':
                refuse(r, depth, 'a string in "type"')
            tag = read_string(r)
            break
        skip(r, depth + 1)
        if not more(r, c"}"):
            break
    for i in range(union.count):
        if tag == union.tags[i]:
            r.p = begin
            return read_message(r, (<FieldTable>union.fields[i]).message, depth + 1)
    raise invalid(&r.trail, depth + 1, '"type": expected one of ' + ", ".join(union.tags))


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
    cdef int i
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
