# cython: boundscheck=False, wraparound=False, cdivision=True, binding=False
"""The tokens of JSON (RFC 8259): strings, numbers, literals, and skipping whole values.

Input is a bytes object, so a NUL stands behind its last byte and one byte may always be looked at.
"""

from cpython.mem cimport PyMem_Free, PyMem_Malloc
from cpython.object cimport PyObject
from cpython.unicode cimport PyUnicode_DecodeUTF8
from libc.stdint cimport uint8_t, uint64_t
from libc.string cimport memcmp, memcpy

from polywire.codec._tables cimport MAX_DEPTH

from polywire.errors import MalformedInput

cdef extern from "Python.h":
    double PyOS_string_to_double(const char* s, char** end, PyObject* overflow) except? -1.0
    object PyUnicode_New(Py_ssize_t size, Py_UCS4 maximum)
    void* PyUnicode_1BYTE_DATA(object text)

cdef uint64_t HIGH = 0x8080808080808080
cdef double POWERS[23]
for _power in range(23):
    POWERS[_power] = 10.0 ** _power


cdef object malformed(Reader* r, str reason):
    return MalformedInput(f"malformed JSON: {reason} at byte {r.p - r.start}")


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


cdef int literal(Reader* r, const char* text, int length) except -1:
    if r.end - r.p < length or memcmp(r.p, text, length) != 0:
        raise malformed(r, "expected a value")
    r.p += length
    return 0


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
