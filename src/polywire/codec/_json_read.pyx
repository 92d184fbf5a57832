# cython: boundscheck=False, wraparound=False, cdivision=True, binding=False
"""Both JSON profiles read straight into Structs, driven by the schema's tables (RFC 8259; the proto3 JSON mapping).

One parser, because neither profile is what msgspec's decoder takes: `"42"` is an integer but `"true"` is no boolean,
64 bits are a bound, names come in two forms. Input is a bytes object, so a NUL stands behind its last byte and one
byte may always be looked at. A byte that cannot be JSON is MalformedInput, a value that the schema refuses InvalidInput.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.mem cimport PyMem_Calloc, PyMem_Free, PyMem_Malloc
from cpython.object cimport PyObject
from cpython.ref cimport Py_INCREF, Py_XDECREF
from cpython.unicode cimport PyUnicode_DecodeUTF8
from libc.math cimport floor, isfinite
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy, memset

from polywire.codec._tables cimport *

from polywire.codec._tables import range_reason
from polywire.errors import MalformedInput

cdef extern from "Python.h":
    double PyOS_string_to_double(const char* s, char** end, PyObject* overflow) except? -1.0
    object PyUnicode_New(Py_ssize_t size, Py_UCS4 maximum)
    void* PyUnicode_1BYTE_DATA(object text)

cdef struct Reader:
    const uint8_t* start
    const uint8_t* p
    const uint8_t* end
    bint proto
    Trail trail

cdef struct Number:
    bint whole          # written without fraction and exponent
    bint negative
    bint large          # whole, but beyond 64 bits
    uint64_t magnitude  # where whole and not large
    double real         # where not whole, or large

ABSENT = object()
"""In the slots given to `JsonReader.bind`: nothing was given."""

cdef uint64_t ONES = 0x0101010101010101
cdef uint64_t HIGH = 0x8080808080808080
cdef double POWERS[23]
for _power in range(23):
    POWERS[_power] = 10.0 ** _power


# --- tokens ---

cdef object malformed(Reader* r, str reason):
    return MalformedInput(f"malformed JSON: {reason} at byte {r.p - r.start}")


cdef inline uint8_t blank(Reader* r) noexcept:
    """Over white space to the next byte, which is returned; 0 at the end."""
    cdef uint8_t c = r.p[0]
    while c == 32 or c == 10 or c == 13 or c == 9:
        r.p += 1
        c = r.p[0]
    return c


cdef object describe(Reader* r):
    """What kind of value begins here."""
    cdef uint8_t c = r.p[0]
    if c == c'"':
        return "a string"
    if c == c"{":
        return "an object"
    if c == c"[":
        return "an array"
    if c == c"t" or c == c"f":
        return "a boolean"
    if c == c"n":
        return "null"
    return "a number"


cdef int refuse(Reader* r, int depth, str wanted) except -1:
    """A value of another kind than wanted. Looks at all of it first: what is not JSON at all is malformed."""
    cdef const uint8_t* begin = r.p
    skip(r, depth)
    r.p = begin
    raise invalid(&r.trail, depth + 1, f"expected {wanted}, got {describe(r)}")


cdef int literal(Reader* r, const char* text, int length) except -1:
    if r.end - r.p < length or memcmp(r.p, text, length) != 0:
        raise malformed(r, "expected a value")
    r.p += length
    return 0


cdef inline const uint8_t* plain_run(const uint8_t* p, const uint8_t* end, uint64_t* seen) noexcept:
    """Over string bytes that stand for themselves; `seen` gathers their high bits."""
    cdef uint64_t eight, quote, slash
    while end - p >= 8:
        memcpy(&eight, p, 8)
        quote = eight ^ <uint64_t>0x2222222222222222
        slash = eight ^ <uint64_t>0x5C5C5C5C5C5C5C5C
        if (((eight - <uint64_t>0x2020202020202020) & ~eight) | ((quote - ONES) & ~quote) | ((slash - ONES) & ~slash)) & HIGH:
            break
        seen[0] |= eight
        p += 8
    while p < end and p[0] >= 32 and p[0] != c'"' and p[0] != c"\\":
        seen[0] |= p[0]
        p += 1
    return p


cdef object read_string(Reader* r):
    """The string that begins here, its quotes, escapes and UTF-8 checked."""
    cdef const uint8_t* begin = r.p + 1
    cdef uint64_t seen = 0
    cdef Py_ssize_t length
    cdef const uint8_t* p = plain_run(begin, r.end, &seen)
    if p[0] == c"\\":
        return read_escaped(r, begin)
    if p[0] != c'"':
        r.p = p
        raise malformed(r, "unterminated string" if p >= r.end else "control character in a string")
    r.p = p + 1
    length = p - begin
    if not seen & HIGH and length > 1:
        text = PyUnicode_New(length, 127)
        memcpy(PyUnicode_1BYTE_DATA(text), begin, length)
        return text
    return utf8(r, begin, length)


cdef object utf8(Reader* r, const uint8_t* begin, Py_ssize_t length):
    cdef Py_ssize_t bad
    try:
        return PyUnicode_DecodeUTF8(<const char*>begin, length, NULL)
    except UnicodeDecodeError as error:
        bad = error.start
        if r.start <= begin < r.end:  # not the buffer of an unescaped string
            r.p = begin + bad
        raise malformed(r, "a string is not UTF-8") from None


cdef object read_escaped(Reader* r, const uint8_t* begin):
    cdef const uint8_t* stop = begin
    cdef uint64_t seen = 0
    cdef uint8_t* buffer
    cdef Py_ssize_t length
    while True:  # to the closing quote: an escape never takes more bytes than it was written with
        stop = plain_run(stop, r.end, &seen)
        if stop[0] == c"\\" and stop + 1 < r.end:
            stop += 2
        elif stop[0] == c'"':
            break
        else:
            r.p = stop
            raise malformed(r, "unterminated string" if stop >= r.end - 1 else "control character in a string")
    buffer = <uint8_t*>PyMem_Malloc(stop - begin)
    if buffer == NULL:
        raise MemoryError
    try:
        length = unescape(r, begin, stop, buffer)
        r.p = stop + 1
        return utf8(r, buffer, length)
    finally:
        PyMem_Free(buffer)


cdef Py_ssize_t unescape(Reader* r, const uint8_t* p, const uint8_t* stop, uint8_t* out) except -1:
    cdef uint8_t* o = out
    cdef uint8_t c
    cdef int code, low
    while p < stop:
        c = p[0]
        if c != c"\\":
            o[0] = c
            o += 1
            p += 1
            continue
        c = p[1]
        r.p = p
        p += 2
        if c == c'"' or c == c"\\" or c == c"/":
            o[0] = c
        elif c == c"n":
            o[0] = 10
        elif c == c"t":
            o[0] = 9
        elif c == c"r":
            o[0] = 13
        elif c == c"b":
            o[0] = 8
        elif c == c"f":
            o[0] = 12
        elif c == c"u":
            code = hex4(p, stop)
            p += 4
            if 0xD800 <= code < 0xDC00 and stop - p >= 6 and p[0] == c"\\" and p[1] == c"u":
                low = hex4(p + 2, stop)
                if 0xDC00 <= low < 0xE000:
                    code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00)
                    p += 6
            if code < 0 or 0xD800 <= code < 0xE000:
                raise malformed(r, "escape without a character")
            o = put_utf8(o, code)
            continue
        else:
            raise malformed(r, "unknown escape")
        o += 1
    return o - out


cdef int hex4(const uint8_t* p, const uint8_t* stop) noexcept:
    cdef int code = 0, i
    cdef uint8_t c
    if stop - p < 4:
        return -1
    for i in range(4):
        c = p[i]
        if c"0" <= c <= c"9":
            code = code * 16 + c - 48
        elif c"a" <= (c | 32) <= c"f":
            code = code * 16 + (c | 32) - 87
        else:
            return -1
    return code


cdef uint8_t* put_utf8(uint8_t* o, int code) noexcept:
    if code < 0x80:
        o[0] = <uint8_t>code
        return o + 1
    if code < 0x800:
        o[0] = <uint8_t>(0xC0 | code >> 6)
        o[1] = <uint8_t>(0x80 | code & 63)
        return o + 2
    if code < 0x10000:
        o[0] = <uint8_t>(0xE0 | code >> 12)
        o[1] = <uint8_t>(0x80 | code >> 6 & 63)
        o[2] = <uint8_t>(0x80 | code & 63)
        return o + 3
    o[0] = <uint8_t>(0xF0 | code >> 18)
    o[1] = <uint8_t>(0x80 | code >> 12 & 63)
    o[2] = <uint8_t>(0x80 | code >> 6 & 63)
    o[3] = <uint8_t>(0x80 | code & 63)
    return o + 4


cdef inline bint is_digit(uint8_t c) noexcept:
    return 48 <= c <= 57


cdef int read_number(Reader* r, Number* number) except -1:
    """The number that begins here, its grammar checked."""
    cdef const uint8_t* begin = r.p
    cdef const uint8_t* p = begin
    cdef uint64_t magnitude = 0
    cdef char* after
    cdef int digits = 0, decimals = 0, exponent = 0, sign = 1
    number.negative = p[0] == c"-"
    number.whole = True
    number.large = False
    if number.negative:
        p += 1
    if not is_digit(p[0]):
        raise malformed(r, "expected a value")
    if p[0] == c"0" and is_digit(p[1]):
        raise malformed(r, "number with a leading zero")
    while is_digit(p[0]):
        if magnitude > 1844674407370955161 or (magnitude == 1844674407370955161 and p[0] > c"5"):
            number.large = True
        magnitude = magnitude * 10 + (p[0] - 48)
        digits += 1
        p += 1
    if p[0] == c".":
        number.whole = False
        p += 1
        if not is_digit(p[0]):
            raise malformed(r, "number without decimals")
        while is_digit(p[0]):
            if digits < 19:
                magnitude = magnitude * 10 + (p[0] - 48)
                decimals += 1
            digits += 1
            p += 1
    if p[0] == c"e" or p[0] == c"E":
        number.whole = False
        p += 1
        if p[0] == c"-" or p[0] == c"+":
            sign = -1 if p[0] == c"-" else 1
            p += 1
        if not is_digit(p[0]):
            raise malformed(r, "number without exponent")
        while is_digit(p[0]):
            if exponent < 100000:
                exponent = exponent * 10 + (p[0] - 48)
            p += 1
    number.magnitude = magnitude
    r.p = p
    if number.whole and not number.large:
        return 0
    exponent = sign * exponent - decimals
    if digits < 19 and magnitude < (<uint64_t>1 << 53) and -22 <= exponent <= 22:
        # Both are exact doubles, so one rounding gives the nearest (Clinger 1990).
        number.real = <double>magnitude * POWERS[exponent] if exponent >= 0 else <double>magnitude / POWERS[-exponent]
        if number.negative:
            number.real = -number.real
    else:
        number.real = PyOS_string_to_double(<const char*>begin, &after, NULL)
    return 0


cdef int skip(Reader* r, int depth) except -1:
    """Over one value of any kind, which must be JSON all the same."""
    cdef uint8_t c = blank(r)
    cdef Number number
    if c == c'"':
        read_string(r)
    elif c == c"{" or c == c"[":
        if depth >= MAX_DEPTH:
            raise malformed(r, f"nested deeper than {MAX_DEPTH}")
        skip_members(r, c == c"{", depth)
    elif c == c"t":
        literal(r, "true", 4)
    elif c == c"f":
        literal(r, "false", 5)
    elif c == c"n":
        literal(r, "null", 4)
    else:
        read_number(r, &number)
    return 0


cdef int skip_members(Reader* r, bint named, int depth) except -1:
    cdef uint8_t close = c"}" if named else c"]"
    r.p += 1
    if blank(r) == close:
        r.p += 1
        return 0
    while True:
        if named:
            read_key(r)
        skip(r, depth + 1)
        if not more(r, close):
            return 0


cdef object read_key(Reader* r):
    if blank(r) != c'"':
        raise malformed(r, "expected a name in quotes")
    key = read_string(r)
    colon(r)
    return key


cdef inline int colon(Reader* r) except -1:
    if blank(r) != c":":
        raise malformed(r, "expected a colon")
    r.p += 1
    return 0


cdef inline bint more(Reader* r, uint8_t close) except -1:
    """After a member: True over a comma, False over the closing bracket."""
    cdef uint8_t c = blank(r)
    if c == c",":
        r.p += 1
        return True
    if c != close:
        raise malformed(r, "unexpected end" if r.p >= r.end else f"expected a comma or {chr(close)}")
    r.p += 1
    return False


# --- values ---

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
    if stop[0] == c'"' and not seen & HIGH:
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
